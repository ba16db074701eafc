"""The steps of a migration: planned, linted, held against the rules, rehearsed on a copy, applied, verified."""
