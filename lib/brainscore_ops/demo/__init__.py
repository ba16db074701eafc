"""The main job on one machine: real submissions on real data, from zip to leaderboard."""
