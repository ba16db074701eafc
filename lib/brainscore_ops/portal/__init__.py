"""``portal``: the website. Its pages are rendered on the server, or written as files that need none."""
