"""An executed notebook as a page: with what is needed to read it, and nothing that acts.

Outputs hold what strangers' code printed. The page is served with a policy that runs no script, loads nothing, sends nothing and
belongs to no site (``sandbox``); whatever stands in it can only be read.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from markupsafe import Markup

from brainscore_ops.portal.templating import environment

if TYPE_CHECKING:
    from pathlib import Path

POLICY = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'"
)
"""The Content-Security-Policy that the page has to be served with."""


def record_page(path: Path, title: str) -> str:
    """A record as an HTML document, which stands on its own.

    :raises OSError: the file cannot be read
    :raises ValueError: it is no notebook
    """
    import nbformat
    from nbconvert import HTMLExporter

    notebook = nbformat.reads(path.read_text(encoding="utf-8"), as_version=4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scraps have a type that is not shown: they are for programs
        body, _ = HTMLExporter(template_name="basic").from_notebook_node(notebook)
    return environment().get_template("record.html").render(title=title, body=Markup(body))  # noqa: S704 - see above
