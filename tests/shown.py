"""What every record keeps to: each thing that a step shows can be read as HTML and as text, and neither acts on anything."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import nbformat

LONGEST_TEXT_LINE = 400
_SHOWN_BY_LIBRARIES = ("scrapbook", "papermill")
_ELEMENTS = {
    "a", "b", "br", "circle", "code", "details", "div", "g", "line", "li", "ol", "p", "path", "pre", "rect", "small", "span",
    "strong", "style", "summary", "svg", "table", "tbody", "td", "text", "th", "thead", "title", "tr", "ul",
}  # fmt: skip


class Elements(HTMLParser):
    """Reads HTML, and refuses whatever acts: elements, attributes and addresses that are none of ours."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()
        assert not self.open, f"left open: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in _ELEMENTS, tag
        for name, value in attrs:
            assert not name.startswith("on"), (tag, name)
            if name in ("href", "src"):
                assert (value or "").startswith(("https://", "http://")), (tag, value)
        if tag not in ("br", "circle", "line", "path", "rect"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in _ELEMENTS, tag

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def check_record(path: Path) -> int:
    """Every output of a record's steps has both forms.

    :returns: how many things it shows
    """
    return check_notebook(nbformat.read(path, as_version=4), path.name)


def check_notebook(notebook: nbformat.NotebookNode, name: str) -> int:
    """The same of a notebook that was executed."""
    count = 0
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if output.output_type not in ("execute_result", "display_data"):
                continue
            if any(name in output.metadata for name in _SHOWN_BY_LIBRARIES):
                continue
            where = f"{name}, {cell.metadata.get('tags')}"
            assert {"text/html", "text/plain"} <= set(output.data) or "image/svg+xml" in output.data, (
                where,
                dict(output.data),
            )
            text = output.data["text/plain"]
            assert all(character.isprintable() or character == "\n" for character in text), where
            assert not text.startswith("<"), (where, text[:80])  # <Object at 0x7f…> says nothing
            if "text/html" in output.data:
                assert "".join(Elements(output.data["text/html"]).texts).strip(), where
            count += 1
    return count
