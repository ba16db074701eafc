"""The tables, sessions and migrations, and the PostgreSQL that can be had with nothing installed."""
