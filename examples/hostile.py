"""Recipes for archives that must be refused. Each is a sound little plugin with exactly one thing wrong with it."""

from __future__ import annotations

import io
import stat
import unicodedata
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from packing import entry, pack

if TYPE_CHECKING:
    from collections.abc import Callable

MEGABYTE = 1024**2


@dataclass(frozen=True)
class Recipe:
    build: Callable[[], bytes]
    because: str
    """The reason for the refusal, in words."""
    code: str
    """The code of the problem that `brainscore-ops validate` finds."""
    description: str


def plugin(folder: str, identifier: str | None = None) -> dict[str, bytes]:
    """The files of a model plugin that works: it represents each stimulus by the number 1."""
    identifier = identifier or folder.replace("_", "-")
    init = f"""from brainscore_example import model_registry
from brainscore_example.model_interface import BrainModel, representation


class Constant(BrainModel):
    identifier = "{identifier}"

    def represent(self, stimuli):
        return representation(stimuli, [[1.0]] * len(stimuli))


model_registry["{identifier}"] = Constant
"""
    test = f"""from brainscore_example import load_model


def test_loads():
    assert load_model("{identifier}").identifier == "{identifier}"
"""
    return {f"models/{folder}/__init__.py": init.encode(), f"models/{folder}/test.py": test.encode()}


def _with(name: str, extra: dict[str, bytes]) -> bytes:
    return pack({**plugin(name), **extra}, directory_entries=False)


def _with_members(name: str, *members: tuple[zipfile.ZipInfo, bytes]) -> bytes:
    buffer = io.BytesIO(pack(plugin(name)))
    with zipfile.ZipFile(buffer, "a") as archive:
        for info, content in members:
            archive.writestr(info, content, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def _encrypted() -> bytes:
    """Sets the flag bit 'encrypted' of every member, in its local header and in the central directory."""
    data = bytearray(pack(plugin("encrypted_member")))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.find(signature)
        while at != -1:
            data[at + offset] |= 0x01
            at = data.find(signature, at + 1)
    return bytes(data)


def _damaged() -> bytes:
    """Overwrites bytes in the middle of the first file's compressed data: the directory is whole, the content is not."""
    data = bytearray(pack(plugin("damaged_member"), directory_entries=False))
    start = 30 + len(next(iter(plugin("damaged_member"))))
    data[start + 40 : start + 60] = bytes(20)
    return bytes(data)


def _truncated() -> bytes:
    data = pack(plugin("truncated_archive"))
    return data[: len(data) * 6 // 10]


def _in_both_unicode_forms(name: str) -> dict[str, bytes]:
    return {f"models/{name}/{unicodedata.normalize(form, 'café.txt')}": form.encode() for form in ("NFC", "NFD")}


RECIPES = {
    "path-traversal": Recipe(
        lambda: _with("path_traversal", {"models/path_traversal/../../../outside.py": b"print('out')\n"}),
        "path contains '..'",
        "path-refused",
        "A member's path climbs out of the folder that it is unpacked into.",
    ),
    "absolute-path": Recipe(
        lambda: _with_members("absolute_path", (entry("/etc/brainscore.conf"), b"x = 1\n")),
        "path is absolute",
        "path-refused",
        "A member wants to be written to an absolute path.",
    ),
    "symlink-member": Recipe(
        lambda: _with_members(
            "symlink_member", (entry("models/symlink_member/data", stat.S_IFLNK | 0o777), b"/etc/passwd")
        ),
        "member is a link",
        "member-is-link",
        "A member is a symbolic link to a file of the machine.",
    ),
    "device-member": Recipe(
        lambda: _with_members("device_member", (entry("models/device_member/null", stat.S_IFCHR | 0o666), b"")),
        "member is a device",
        "member-is-special",
        "A member is a character device.",
    ),
    "encrypted-member": Recipe(
        _encrypted,
        "member is encrypted",
        "member-encrypted",
        "The members are encrypted, so that nobody can read them.",
    ),
    "zip-bomb": Recipe(
        lambda: _with("zip_bomb", {"models/zip_bomb/weights.bin": bytes(128 * MEGABYTE)}),
        "expands too much",
        "member-expands-too-much",
        "128 MB of zeros in an archive a thousand times smaller.",
    ),
    "too-many-members": Recipe(
        lambda: _with(
            "too_many_members", {f"models/too_many_members/parts/{part:05}.txt": b"" for part in range(12_000)}
        ),
        "too many members",
        "archive-too-many-members",
        "Twelve thousand empty files.",
    ),
    "truncated-archive": Recipe(
        _truncated, "archive is damaged", "archive-damaged", "The upload broke off after 60 % of the file."
    ),
    "damaged-member": Recipe(
        _damaged, "archive is damaged", "archive-damaged", "Bytes within a file were overwritten on the way."
    ),
    "case-collision": Recipe(
        lambda: _with(
            "case_collision", {"models/case_collision/Words.txt": b"A", "models/case_collision/words.txt": b"a"}
        ),
        "paths differ only by case",
        "path-collision",
        "Two files that are one on macOS and Windows.",
    ),
    "unicode-collision": Recipe(
        lambda: _with("unicode_collision", _in_both_unicode_forms("unicode_collision")),
        "paths differ only by Unicode form",
        "path-collision",
        "Two file names that look the same: café, composed and decomposed.",
    ),
    "no-plugin": Recipe(
        lambda: pack({"README.md": b"# My model\n\nThe code follows next week.\n"}, root="my-model"),
        "no plugin",
        "no-plugin",
        "A README alone.",
    ),
    "no-test": Recipe(
        lambda: pack({path: data for path, data in plugin("no_test").items() if not path.endswith("test.py")}),
        "no test file",
        "plugin-no-test",
        "A model without a test.",
    ),
    "existing-identifier": Recipe(
        lambda: pack(plugin("my_word_length", identifier="word-length")),
        "identifier exists already",
        "identifier-exists",
        "A model that registers itself as `word-length`, which the library has.",
    ),
    "outside-plugins": Recipe(
        lambda: _with("outside_plugins", {".github/workflows/x.yml": b"on: push\njobs: {}\n"}),
        "file outside the plugin folders",
        "file-outside-plugins",
        "A model, and a workflow for the library's CI.",
    ),
    "not-a-zip": Recipe(
        lambda: b"This is not the archive that you are looking for.\n",
        "archive is damaged",
        "archive-damaged",
        "A text file that is called .zip.",
    ),
}
