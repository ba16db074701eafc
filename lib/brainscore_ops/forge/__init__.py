"""GitHub, and the local server that answers like it.

`client` speaks to a forge's API, `mirror` reads a repository's git objects, `embedded` is the local forge. The first two
do not know which of the two forges they talk to.
"""
