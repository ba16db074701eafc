"""The queue: runbooks that wait to be run, in the deployment's database, and the workers that run them."""
