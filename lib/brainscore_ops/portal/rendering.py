"""Pages from templates."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import Environment, FileSystemLoader, StrictUndefined

if TYPE_CHECKING:
    from datetime import datetime

TEMPLATES = Path(__file__).parent / "templates"


@cache
def environment() -> Environment:
    """The environment of every template of the site: all that is put into a page is escaped."""
    found = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    found.filters |= {"moment": moment}
    return found


def moment(at: datetime) -> str:
    """A moment for people."""
    return f"{at:%Y-%m-%d %H:%M} UTC"
