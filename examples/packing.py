"""Packs files into zip archives the way people's machines do, with the same bytes each time."""

from __future__ import annotations

import io
import stat
import zipfile
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

TIMESTAMP = (2026, 1, 1, 0, 0, 0)


def pack(
    files: Mapping[str, bytes], *, root: str | None = None, directory_entries: bool = True, mac_noise: bool = False
) -> bytes:
    """Return a zip archive of `files` (path → content).

    root: name of a folder around everything, as a file manager makes it when a folder is compressed.
    directory_entries: whether folders have members of their own (many libraries write none).
    mac_noise: add what the macOS Finder adds: `.DS_Store` and a `__MACOSX` shadow of each file.
    """
    if root is not None:
        files = {f"{root}/{path}": content for path, content in files.items()}
    if mac_noise:
        files = {**files, **_mac_noise(files)}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        if directory_entries:
            for folder in _folders(files):
                archive.writestr(entry(f"{folder}/", stat.S_IFDIR | 0o755), b"")
        for path in sorted(files):
            archive.writestr(entry(path), files[path], zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def entry(path: str, mode: int = stat.S_IFREG | 0o644) -> zipfile.ZipInfo:
    """A member with fixed metadata, as a Unix machine would write it."""
    info = zipfile.ZipInfo(path, TIMESTAMP)
    info.create_system = 3
    info.external_attr = mode << 16 | (0x10 if stat.S_ISDIR(mode) else 0)
    return info


def _mac_noise(files: Mapping[str, bytes]) -> dict[str, bytes]:
    noise = {f"{folder}/.DS_Store": b"\x00\x00\x00\x01Bud1" + bytes(24) for folder in _folders(files)}
    for path in [*files, *noise]:
        folder, _, name = path.rpartition("/")
        noise[f"__MACOSX/{folder}/._{name}"] = b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        "
    return noise


def _folders(files: Mapping[str, bytes]) -> list[str]:
    return sorted({str(parent) for path in files for parent in PurePosixPath(path).parents if str(parent) != "."})
