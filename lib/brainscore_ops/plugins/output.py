"""What a stranger's process prints, kept within bounds: it neither fills our memory nor acts on a terminal."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_LINE_BYTES = 2000
"""A line longer than this is reported up to here."""

_MAX_LINES = 10_000
_NO_MORE_LINES = "… it prints more than is shown here; the end of it is in the log …"

_ESCAPE_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")


class BoundedOutput:
    """One stream of a process: its beginning and its end within a limit, and its lines as they come.

    :param limit_bytes: how much is kept; half of it from the beginning, half from the end
    :param on_line: told each line once it is complete, as plain text, until there were too many: what it makes of them (a
        notebook that is kept, say) is bounded like the rest
    """

    def __init__(self, limit_bytes: int, on_line: Callable[[str], None] | None = None) -> None:
        self.total_bytes = 0
        self._head_bytes = limit_bytes // 2
        self._tail_bytes = limit_bytes - self._head_bytes
        self._head = bytearray()
        self._tail = bytearray()
        self._on_line = on_line
        self._line = bytearray()
        self._lines_left = _MAX_LINES
        self._line_bytes_left = limit_bytes

    def feed(self, chunk: bytes) -> None:
        """Take what was read."""
        self.total_bytes += len(chunk)
        room = self._head_bytes - len(self._head)
        self._head += chunk[:room]
        self._tail += chunk[room:]
        # Cut only now and then: moving the end for every chunk would cost more than reading it.
        if len(self._tail) > 2 * self._tail_bytes:
            del self._tail[: -self._tail_bytes]
        if self._on_line is not None:
            self._feed_lines(chunk)

    def close(self) -> None:
        """Report the last line, which no line break ended."""
        if self._line:
            self._report()

    def text(self) -> str:
        """What was kept, as plain text; a note stands where something is left out."""
        tail = bytes(self._tail[-self._tail_bytes :])
        left_out = self.total_bytes - len(self._head) - len(tail)
        note = f"\n… {left_out} bytes left out …\n" if left_out else ""
        return plain(bytes(self._head)) + note + plain(tail) if note else plain(bytes(self._head) + tail)

    def _feed_lines(self, chunk: bytes) -> None:
        # A carriage return ends a line too: progress bars are lines.
        *complete, rest = chunk.replace(b"\r", b"\n").split(b"\n")
        for part in complete:
            self._extend_line(part)
            if self._line:
                self._report()
        self._extend_line(rest)

    def _extend_line(self, part: bytes) -> None:
        self._line += part[: max(0, _LINE_BYTES - len(self._line))]

    def _report(self) -> None:
        line = plain(bytes(self._line)).rstrip()
        self._lines_left -= 1
        self._line_bytes_left -= len(self._line)
        self._line.clear()
        if self._on_line is None:
            return
        if self._lines_left < 0 or self._line_bytes_left < 0:
            self._on_line(_NO_MORE_LINES)
            self._on_line = None
        elif line:
            self._on_line(line)


def plain(content: bytes | str) -> str:
    """Text without anything that acts on a terminal: escape sequences are dropped, control characters become '�'."""
    text = content.decode("utf-8", "replace") if isinstance(content, bytes) else content
    text = _ESCAPE_SEQUENCE.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    return "".join(character if character.isprintable() or character in "\n\t" else "�" for character in text)


def end_of(text: str, characters: int = 4000) -> str:
    """The end of a text, from the beginning of a line where that is near."""
    if len(text) <= characters:
        return text
    tail = text[-characters:]
    _, line_break, whole_lines = tail.partition("\n")
    return f"…\n{whole_lines}" if line_break and whole_lines else f"…{tail}"


def without_places(text: str, *, checkout: Path, environment: Path) -> str:
    """A log without the folders of this machine: they tell its reader nothing, and outsiders too much."""
    for place, name in ((checkout, "<library>"), (environment, "<environment>")):
        text = text.replace(str(place.absolute()), name)
    return text
