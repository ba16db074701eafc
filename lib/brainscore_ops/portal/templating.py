"""The templates of the pages, and the filters that they share."""

from __future__ import annotations

import hashlib
import math
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from brainscore_ops import __version__
from brainscore_ops.portal.site import STATIC
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
def revision() -> str:
    """Another text for other templates, style or code of pages: what browsers keep of a page is theirs too."""
    here = Path(__file__).parent
    digest = hashlib.sha256(__version__.encode())
    for path in sorted([*TEMPLATES.iterdir(), *STATIC.iterdir(), *here.glob("*.py")]):
        if path.is_file():
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


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
    environment.filters |= {
        "number": number,
        "count": count,
        "breakable": breakable,
        "moment": moment,
        "scale": scale,
        "with_code": with_code,
    }
    return environment


def number(value: float | None, digits: int = 3) -> str:
    """A number with a real minus sign; an en dash where there is none."""
    return "–" if value is None else f"{value:.{digits}f}".replace("-", "−")


def count(value: int) -> str:
    """A count in words that are short: 22.7 M."""
    for size, unit in ((10**12, " T"), (10**9, " B"), (10**6, " M"), (10**3, " k")):
        if value >= size:
            return f"{value / size:.3g}{unit}"
    return str(value)


def breakable(identifier: str) -> Markup:
    """An identifier that a browser may break between its parts."""
    return Markup("<wbr>").join(escape(part) for part in parts(identifier))


def with_code(text: str) -> Markup:
    """A text in which what stands between `backticks` is code."""
    pieces = enumerate(text.split("`"))
    return Markup("").join(Markup("<code>{}</code>").format(piece) if at % 2 else piece for at, piece in pieces)


def scale(value: float, error: float | None = None) -> str:
    """The classes that draw a score and its error on the way from 0 to 1, in per cent: see ``static/leaderboard.css``."""
    classes = f"s v{round(min(max(value, 0.0), 1.0) * 100)}"
    return classes if error is None or math.isnan(error) else f"{classes} e{round(min(max(error, 0.0), 0.5) * 100)}"


def moment(at: str) -> str:
    """A moment for people, from ISO 8601 in UTC."""
    return f"{at[:10]} {at[11:16]} UTC"
