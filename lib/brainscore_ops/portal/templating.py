"""The templates of the pages, and the filters that they share."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from brainscore_ops.scores.identifiers import parts

if TYPE_CHECKING:
    from brainscore_ops.database.viewer import Viewer
    from brainscore_ops.portal.site import Site

TEMPLATES = Path(__file__).parent / "templates"


def render(template: str, *, site: Site, viewer: Viewer | None = None, **values: Any) -> str:
    """A page of the site.

    :param template: its file's name
    :param viewer: who looks at it; None where it is written as a file
    :param values: what the template asks for beside ``site`` and ``viewer``
    """
    return environment().get_template(template).render(site=site, viewer=viewer, **values)


@cache
def environment() -> Environment:
    """Everything that is put into a page is escaped, and a name that a template does not know is an error."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"number": _number, "count": _count, "breakable": _breakable}
    return environment


def _number(value: float | None, digits: int = 3) -> str:
    return "–" if value is None else f"{value:.{digits}f}".replace("-", "−")


def _count(value: int) -> str:
    """A count in words that are short: 22.7 M."""
    for size, unit in ((10**12, " T"), (10**9, " B"), (10**6, " M"), (10**3, " k")):
        if value >= size:
            return f"{value / size:.3g}{unit}"
    return str(value)


def _breakable(identifier: str) -> Markup:
    """An identifier that a browser may break between its parts."""
    return Markup("<wbr>").join(escape(part) for part in parts(identifier))
