"""Which pairs of model and benchmark are to be scored, where, and what becomes of the results."""
