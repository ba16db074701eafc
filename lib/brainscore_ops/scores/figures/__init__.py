"""Figures of scores: interactive where plotly's can be shown, pictures everywhere else."""
