"""An upload as it arrives: a form with one file, written to disk piece by piece, and gone again unless somebody takes it on."""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from brainscore_ops.portal.errors import BadRequestError, TooLargeError

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_FIELD_BYTES = 20_000
"""Of all fields of a form together, without its file."""
MOST_PARTS = 30
OLDEST_SECONDS = 24 * 3600
"""What is older in the folder of uploads was left there by a server that died."""


class Upload:
    """A form of the type ``multipart/form-data`` that is being received.

    What is wrong with it is kept until the whole body was read, since browsers show no answer before that; what is read after
    something went wrong is thrown away.

    :param content_type: the request's header
    :param folder: where the file is written, in a folder of its own
    :param field: the name of the field that the file is in
    :param most_bytes: how large the file may be
    """

    def __init__(self, content_type: str, folder: Path, *, field: str, most_bytes: int) -> None:
        self.failure: TooLargeError | BadRequestError | None = None
        self.file: Path | None = None
        """Where the file is, once it begins to arrive."""
        self.size = 0
        self._field, self._most_bytes = field, most_bytes
        self._fields: dict[str, bytearray] = {}
        self._parts = self._field_bytes = 0
        self._output: IO[bytes] | None = None
        self._header_name, self._header_value = bytearray(), bytearray()
        self._headers: dict[str, bytes] = {}
        self._into: bytearray | None = None
        self._ended = False
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _remove_leftovers(folder)
        self._folder = Path(tempfile.mkdtemp(dir=folder))
        kind, options = parse_options_header(content_type)
        self._parser: MultipartParser | None = None
        if kind != b"multipart/form-data" or not options.get(b"boundary"):
            self.failure = BadRequestError("expected a form with a file (multipart/form-data)")
            return
        try:
            self._parser = MultipartParser(
                options[b"boundary"],
                {
                    "on_part_begin": self._begin_part,
                    "on_header_field": lambda data, start, end: self._header_name.extend(data[start:end]),
                    "on_header_value": lambda data, start, end: self._header_value.extend(data[start:end]),
                    "on_header_end": self._end_header,
                    "on_headers_finished": self._begin_data,
                    "on_part_data": self._take_data,
                    "on_part_end": self._end_part,
                    "on_end": self._end,
                },
            )
        except FormParserError as error:  # the boundary is longer than any is
            self.failure = BadRequestError(f"expected a form with a file (multipart/form-data): {error}")

    def take(self, chunk: bytes) -> None:
        """The next piece of the body."""
        if self.failure is not None or self._parser is None:
            return
        try:
            self._parser.write(chunk)
        except FormParserError:
            self._fail(BadRequestError("expected a form with a file, found something else in its place"))
        except (TooLargeError, BadRequestError) as failure:
            self._fail(failure)

    def finish(self) -> None:
        """The body is read.

        :raises TooLargeError: where the file, or a field, is larger than what is taken
        :raises BadRequestError: where it is no form, or was cut off
        """
        if self.failure is None and not self._ended:
            self._fail(BadRequestError("expected a form to its end, found it cut off", remedy="Send it again."))
        if self.failure is not None:
            raise self.failure

    @property
    def fields(self) -> Mapping[str, str]:
        """The form's fields, without the file."""
        return {name: value.decode("utf-8", errors="replace") for name, value in self._fields.items()}

    def discard(self) -> None:
        """Leave nothing behind."""
        if self._output is not None:
            self._output.close()
            self._output = None
        shutil.rmtree(self._folder, ignore_errors=True)

    def _fail(self, failure: TooLargeError | BadRequestError) -> None:
        self.failure = failure
        self.discard()

    def _begin_part(self) -> None:
        self._parts += 1
        if self._parts > MOST_PARTS:
            raise BadRequestError(f"expected at most {MOST_PARTS} fields, found more")
        self._headers = {}

    def _end_header(self) -> None:
        self._headers[self._header_name.decode("latin-1").lower()] = bytes(self._header_value)
        self._header_name.clear()
        self._header_value.clear()

    def _begin_data(self) -> None:
        _, options = parse_options_header(self._headers.get("content-disposition", b""))
        name = options.get(b"name", b"").decode("utf-8", errors="replace")
        self._into = None
        if name != self._field:
            self._into = self._fields.setdefault(name, bytearray())
        elif self.file is not None:
            raise BadRequestError("expected one file, found several", remedy="Put everything into one zip.")
        elif filename := options.get(b"filename", b""):
            # A field without a chosen file arrives with an empty name, and is none.
            self.file = self._folder / safe_name(filename.decode("utf-8", errors="replace"))
            self._output = self.file.open("xb")

    def _take_data(self, data: bytes, start: int, end: int) -> None:
        if self._output is not None:
            self.size += end - start
            if self.size > self._most_bytes:
                raise TooLargeError(
                    f"Expected a file of at most {self._most_bytes / 1e6:g} MB, found more.",
                    remedy="Leave out what is no code, such as weights and data: plugins load these when they run.",
                )
            self._output.write(data[start:end])
        elif self._into is not None:
            self._field_bytes += end - start
            if self._field_bytes > MOST_FIELD_BYTES:
                raise TooLargeError("Expected short fields, found long ones.")
            self._into.extend(data[start:end])

    def _end_part(self) -> None:
        if self._output is not None:
            self._output.close()
            self._output = None

    def _end(self) -> None:
        self._ended = True


def safe_name(name: str) -> str:
    """What a file is called that somebody sent: the last part of its name, without what a file system or a page trips over."""
    last = name.replace("\\", "/").rpartition("/")[2]
    kept = "".join(c if c.isprintable() else "_" for c in last).strip().lstrip(".")
    stem = kept.encode("utf-8")[:180].decode("utf-8", errors="ignore")
    return stem if stem.casefold().endswith(".zip") else f"{stem or 'archive'}.zip"


def _remove_leftovers(folder: Path) -> None:
    for path in folder.iterdir():
        try:
            if time.time() - path.stat().st_mtime > OLDEST_SECONDS:
                shutil.rmtree(path, ignore_errors=True)
        except FileNotFoundError:
            continue
