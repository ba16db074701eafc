"""The site that a page is a part of: its name, and where its pages and files are, seen from that page."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import quote

STATIC = Path(__file__).parent / "static"
_UNSAFE = re.compile(r"^\.|[^A-Za-z0-9_.-]")
_LONGEST = 200  # of a file's name, which may have 255 bytes


@dataclass(frozen=True)
class Site:
    """A running server's site, or one of files."""

    name: str
    """What it is called: the domain of its library."""
    base_url: str = "/"
    """The site's root; it ends with a slash. In a site of files the way to it from the page: ``../``, or nothing."""
    static: bool = False
    """Whether its pages are files: nobody signs in there."""

    def page(self, path: str) -> str:
        """The address of a page: ``models/alexnet``; the leaderboard's path is empty."""
        if self.static:
            return f"{self.base_url}{quote(file_of(path))}"
        return f"{self.base_url}{quote(path, safe='/')}"

    def asset(self, name: str) -> str:
        """The address of one of our files. It changes with the file's content, so that browsers may keep it."""
        return f"{self.base_url}static/{name}" + ("" if self.static else f"?v={_digest(name)}")


def file_of(path: str) -> str:
    """The file that a page is written to in a site of files. No identifier leads out of its folder, or to another's file."""
    if not path:
        return "index.html"
    folder, _, name = path.partition("/")
    return f"{folder}/{_file_name(name)}.html" if name else f"{folder}.html"


def _file_name(identifier: str) -> str:
    name = _UNSAFE.sub(lambda found: f"~{ord(found[0]):x}~", identifier)
    return (
        name if len(name) <= _LONGEST else f"{name[:_LONGEST]}~{hashlib.sha256(identifier.encode()).hexdigest()[:16]}"
    )


@cache
def _digest(name: str) -> str:
    return hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:10]
