"""Scores as a table, the leaderboard that follows from them, its page and its form in a terminal."""
