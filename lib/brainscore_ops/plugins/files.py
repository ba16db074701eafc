"""Files at the border: read as hostile (nothing followed, large or ambiguous), written whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
import stat
import tempfile
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_JSON_BYTES = 1024 * 1024
_MAX_NESTING = 50
_MAX_COPIED = 100_000
_MAX_DEPTH = 100
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class HostileFileError(ValueError):
    """The file is not what it has to be; the message says what was expected and found."""


def read_regular_file(path: Path, limit_bytes: int) -> bytes:
    """Read an ordinary file of a bounded size.

    The folder that it stands in must be ours; only the file itself is the stranger's. It must be no link (a result could
    point to our own files), no pipe or device (reading would not end), and have one name only.

    :raises HostileFileError: it is something else, too large, or not there
    """
    try:
        # O_NONBLOCK: opening a pipe that nobody writes to would wait for ever.
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except FileNotFoundError:
        raise HostileFileError(f"There is no file {path.name}.") from None
    except OSError as error:
        raise HostileFileError(f"{path.name} is no ordinary file: {error.strerror}.") from None
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
        os.close(fd)
        raise HostileFileError(f"{path.name} is no ordinary file.")
    with os.fdopen(fd, "rb") as file:
        if found.st_size > limit_bytes:
            raise HostileFileError(f"{path.name} has {found.st_size} bytes; at most {limit_bytes} are expected.")
        content = file.read(limit_bytes + 1)
    if len(content) > limit_bytes:
        raise HostileFileError(f"{path.name} has more than the expected {limit_bytes} bytes.")
    return content


def read_json(path: Path, limit_bytes: int = MAX_JSON_BYTES) -> Any:
    """Read strict JSON: UTF-8, finite numbers, no key twice, not nested without end.

    :raises HostileFileError: it is something else, too large, or not there
    """
    content = read_regular_file(path, limit_bytes)
    try:
        document = json.loads(content.decode("utf-8"), parse_constant=_no_constant, object_pairs_hook=_unique)
    except HostileFileError as error:
        raise HostileFileError(f"{path.name}: {error}") from None
    except (ValueError, RecursionError) as error:
        raise HostileFileError(f"{path.name} is no JSON: {error}") from None
    if _deeper_than(document, _MAX_NESTING):
        raise HostileFileError(f"{path.name} is nested more than {_MAX_NESTING} deep.")
    return document


def copy_out(source: int, target: Path, limit_bytes: int) -> None:
    """Copy what a stranger left in a folder: ordinary files and folders, with none of their permissions.

    Links are left out (one could point to our own files), and so is all that is no file, or cannot be read.

    :param source: the folder, open; nobody writes to it any more
    :param target: an empty folder of ours
    :param limit_bytes: of all files together, holes included; what is beyond is left out
    :raises OSError: our own folder cannot take it
    """
    left, entries = limit_bytes, 0
    waiting = [("", 0)]
    while waiting:
        inside, depth = waiting.pop()
        for name, is_folder in _listed(source, inside):
            entries += 1
            if entries > _MAX_COPIED:
                return
            if not is_folder:
                left -= _copy_file(source, name, target / name, left)
            elif depth < _MAX_DEPTH:
                (target / name).mkdir(mode=0o755)
                waiting.append((f"{name}/", depth + 1))


def _listed(source: int, inside: str) -> Iterator[tuple[str, bool]]:
    """The files and folders in a folder, and whether they are folders. One at a time is open, however many there are."""
    with suppress(OSError):
        folder = os.open(inside or ".", _FOLDER, dir_fd=source)
        try:
            with os.scandir(folder) as found:
                for entry in found:
                    if entry.is_dir(follow_symlinks=False) or entry.is_file(follow_symlinks=False):
                        yield f"{inside}{entry.name}", entry.is_dir(follow_symlinks=False)
        finally:
            os.close(folder)


def _copy_file(source: int, name: str, target: Path, limit_bytes: int) -> int:
    """Copy a file if it can be read and is not too large, and say how large it is."""
    try:
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=source)
    except OSError:
        return 0
    with os.fdopen(fd, "rb") as content:
        size = os.fstat(fd).st_size
        if size > limit_bytes:
            return 0
        with target.open("xb") as file:
            shutil.copyfileobj(content, file, 1 << 20)
        return size


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that it is whole or not there, whatever happens meanwhile."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}-", delete=False) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(file.name, path)  # noqa: PTH105


def write_once(path: Path, content: bytes) -> None:
    """Write a file whole, unless it is there already: of several writers, on whichever machines, the first one's counts."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name[:50]}-") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
        os.fchmod(file.fileno(), 0o644)
        with suppress(FileExistsError):
            os.link(file.name, path)  # unlike a rename, it replaces nothing


def _no_constant(name: str) -> NoReturn:
    raise HostileFileError(f"{name} is no number")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise HostileFileError("a key stands twice in an object")
    return document


def _deeper_than(document: Any, limit: int) -> bool:
    level: list[Any] = [document]
    for _ in range(limit + 1):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return False
    return True
