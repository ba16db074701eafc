"""The life of a submission: intake, proposal, plugin tests, gate, merge, scoring, outcome."""
