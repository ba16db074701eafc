"""Where scores come from: a database, a website, or a folder of published data, all through the same calls."""
