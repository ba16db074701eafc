"""Brain-Score's submission system: from a plugin's zip to the leaderboard, every procedure a runbook."""

__version__ = "0.1.0"
