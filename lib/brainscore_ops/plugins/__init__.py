"""Plugins of a domain library: read without importing them, compared, checked, and run apart from everything else."""
