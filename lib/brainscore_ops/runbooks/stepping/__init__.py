"""Stepping through a failed run in JupyterLab: a working copy, a live kernel at the failing cell, a record of what was done."""
