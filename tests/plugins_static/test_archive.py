"""What is accepted of what people send in, and what is refused, in which words."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import stat
import struct
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from brainscore_ops.errors import Fault
from brainscore_ops.plugins.archive import ArchiveLimits, ArchiveNotFoundError, ArchiveRefusedError, inspect_archive
from brainscore_ops.plugins.catalogue import read_catalogue
from brainscore_ops.plugins.layout import PluginKey
from brainscore_ops.plugins.tree import MemoryTree

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from brainscore_ops.errors import Problem
    from brainscore_ops.plugins.archive import Archive

    Write = Callable[[Mapping[str, str | bytes]], Path]

LIBRARY = "brainscore_tiny"
GOOD = {
    "models/vgg/__init__.py": f"from {LIBRARY} import model_registry\nmodel_registry['vgg-16'] = object\n",
    "models/vgg/test.py": "def test(): pass\n",
}


def inspect(path: Path, **more: object) -> Archive:
    return inspect_archive(path, library=LIBRARY, **more)  # type: ignore[arg-type]


def problems(path: Path, **more: object) -> list[Problem]:
    with pytest.raises(ArchiveRefusedError) as caught:
        inspect(path, **more)
    return list(caught.value.problems)


def codes(path: Path, **more: object) -> set[str]:
    return {problem.code for problem in problems(path, **more)}


def add_member(path: Path, name: str, content: bytes = b"", *, mode: int = 0, system: int = 3) -> Path:
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    info.create_system = system
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(info, content)
    return path


def patched(path: Path, old: bytes, new: bytes, count: int = -1) -> Path:
    data = path.read_bytes()
    assert old in data
    path.write_bytes(data.replace(old, new, count))
    return path


# -------------------------------------------------------------------- accepted


@pytest.mark.parametrize(
    "root", ["", "my upload-2/", "brainscore_tiny/", "my-upload/brainscore_tiny/", "a/b/c/", "models/"]
)
def test_any_root_folder_or_none_is_accepted(write_zip: Write, root: str) -> None:
    archive = inspect(write_zip({f"{root}{path}": content for path, content in GOOD.items()}))
    assert archive.files == {f"{LIBRARY}/{path}": content.encode() for path, content in sorted(GOOD.items())}
    assert archive.plugins == (PluginKey("models", "vgg"),)
    assert archive.identifiers.models == {"vgg-16": "vgg"}
    assert archive.notes == ()


def test_several_plugins_of_several_types_are_accepted(write_zip: Write) -> None:
    more = {
        "data/words/__init__.py": f"from {LIBRARY} import *\ndata_registry['w'] = 1\nstimulus_set_registry['w'] = 1",
        "data/words/tests/test_words.py": "",
        "data/words/words.csv": "a,b\n",
    }
    archive = inspect(write_zip({**GOOD, **more}))
    assert archive.plugins == (PluginKey("data", "words"), PluginKey("models", "vgg"))
    assert archive.identifiers.pairs() == {("data", "w"), ("stimulus_sets", "w"), ("models", "vgg-16")}


def test_what_computers_leave_behind_is_left_out_and_told(write_zip: Write) -> None:
    noise = [
        "__MACOSX/models/vgg/._test.py",
        ".DS_Store",
        "models/.DS_Store",
        "models/vgg/__pycache__/test.pyc",
        ".git/config",
    ]
    archive = inspect(write_zip({**dict.fromkeys(noise, b"\0"), **GOOD}))
    assert set(archive.files) == {f"{LIBRARY}/{path}" for path in GOOD}
    assert archive.notes == (
        "Left out, as no part of a plugin: '__MACOSX/models/vgg/._test.py', '.DS_Store', 'models/.DS_Store' and 2 more.",
    )


def test_entries_for_folders_do_not_matter(write_zip: Write) -> None:
    folders = {"./": b"", "models/": b"", "models/vgg/": b"", "models/empty/": b""}
    assert inspect(write_zip({**folders, **GOOD})).files == inspect(write_zip(GOOD)).files


def test_backslashes_throughout_are_read_as_windows_means_them(write_zip: Write) -> None:
    archive = inspect(write_zip({path.replace("/", "\\"): content for path, content in GOOD.items()}))
    assert set(archive.files) == {f"{LIBRARY}/{path}" for path in GOOD}
    assert "Backslashes" in archive.notes[0]


def test_the_decomposed_names_of_macos_are_composed(write_zip: Write) -> None:
    path = write_zip({**GOOD, "models/vgg/cafe\u0301.txt": b"x"})
    assert f"{LIBRARY}/models/vgg/caf\u00e9.txt" in inspect(path).files


def test_utf8_names_without_their_flag_are_read(write_zip: Write) -> None:
    path = write_zip({**GOOD, "models/vgg/caf\u00e9.txt": b"x"})
    data = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.find(signature)
        while at >= 0:
            data[at + offset + 1] &= ~0x08
            at = data.find(signature, at + 1)
    path.write_bytes(data)
    assert f"{LIBRARY}/models/vgg/caf\u00e9.txt" in inspect(path).files


def test_an_archive_that_was_streamed_is_read(tmp_path: Path) -> None:
    class Stream(io.RawIOBase):
        """A file that nobody can go back in, so that sizes stand behind the members."""

        def writable(self) -> bool:
            return True

        def write(self, data: object) -> int:
            written.extend(bytes(data))  # type: ignore[call-overload]
            return len(bytes(data))  # type: ignore[call-overload]

    written = bytearray()
    with zipfile.ZipFile(Stream(), "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in GOOD.items():
            archive.writestr(name, content)
    path = tmp_path / "streamed.zip"
    path.write_bytes(written)
    assert inspect(path).plugins == (PluginKey("models", "vgg"),)


def test_an_archive_with_large_file_records_is_read(tmp_path: Path) -> None:
    path = tmp_path / "large.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in GOOD.items():
            with archive.open(name, "w", force_zip64=True) as member:
                member.write(content.encode())
    assert inspect(path).plugins == (PluginKey("models", "vgg"),)


def test_stored_members_and_a_comment_are_read(tmp_path: Path) -> None:
    path = tmp_path / "stored.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.comment = b"my first model"
        for name, content in GOOD.items():
            archive.writestr(name, content)
    assert inspect(path).plugins == (PluginKey("models", "vgg"),)


def test_the_digest_is_that_of_the_file(write_zip: Write) -> None:
    path = write_zip(GOOD)
    assert inspect(path).digest == hashlib.sha256(path.read_bytes()).hexdigest()


def test_what_was_found_is_json(write_zip: Write) -> None:
    document = json.loads(json.dumps(inspect(write_zip(GOOD)).to_json()))
    assert document["plugins"] == ["models/vgg"]
    assert document["files"][f"{LIBRARY}/models/vgg/test.py"] == len(GOOD["models/vgg/test.py"])


def test_small_files_may_grow_a_lot(write_zip: Write) -> None:
    assert inspect(write_zip({**GOOD, "models/vgg/zeros.csv": b"0," * 1_000_000})).plugins


# -------------------------------------------------------------------- refused: the plugins


@pytest.mark.parametrize(
    ("files", "code", "found"),
    [
        ({}, "no-plugin", "found nothing"),
        ({"README.md": "hello"}, "no-plugin", "found 'README.md'"),
        ({"Models/vgg/__init__.py": "", "Models/vgg/test.py": ""}, "no-plugin", "found 'Models/'"),
        ({"model.py": "", "weights/a": "", "b/c": ""}, "no-plugin", "found 'model.py', 'weights/', 'b/'"),
        ({"models/vgg/model.py": "", "models/vgg/test.py": ""}, "plugin-no-init", "'models/vgg/'"),
        ({"models/vgg/__init__.py": GOOD["models/vgg/__init__.py"]}, "plugin-no-test", "'models/vgg/'"),
        ({**GOOD, "README.md": "x"}, "file-outside-plugins", "'README.md'"),
        ({**GOOD, ".github/workflows/x.yml": "x"}, "file-outside-plugins", "'.github/workflows/x.yml'"),
        ({**GOOD, "models/__init__.py": "x"}, "file-outside-plugins", "shared by all plugins"),
        ({**GOOD, "models/x_helpers/a.py": "x"}, "plugin-name", "'models/x_helpers/'"),
        ({**GOOD, "model_helpers/a.py": "x"}, "file-outside-plugins", "shared by plugins"),
        ({**GOOD, "models/vgg/sitecustomize.py": "x"}, "file-outside-plugins", "whole interpreter"),
        ({"models/my-net/__init__.py": "", "models/my-net/test.py": ""}, "plugin-name", "for example to my_net"),
        ({"models/2nd/__init__.py": "", "models/2nd/test.py": ""}, "plugin-name", "for example to my_2nd"),
        ({**GOOD, "b/models/c/__init__.py": ""}, "file-outside-plugins", "'b/models/c/__init__.py'"),
        ({"a/models/b/__init__.py": "", "c/models/d/__init__.py": ""}, "several-roots", "under 'a/', 'c/'"),
        ({**GOOD, "models/vgg/__init__.py": "x = ("}, "syntax-error", "never closed"),
        (
            {**GOOD, "models/vgg/__init__.py": "from brainscore_tiny import *\nmodel_registry[f()] = 1"},
            "identifier-unresolved",
            ":2",
        ),
        ({**GOOD, "models/vgg/__init__.py": ""}, "nothing-registered", "model_registry['...']"),
        (
            {**GOOD, "models/a/__init__.py": GOOD["models/vgg/__init__.py"], "models/a/test.py": ""},
            "identifier-twice",
            "'vgg-16'",
        ),
    ],
)
def test_plugins_that_are_not_in_order_are_refused(
    write_zip: Write, files: dict[str, str], code: str, found: str
) -> None:
    matching = [problem for problem in problems(write_zip(files)) if problem.code == code]
    assert matching
    assert any(found in str(problem) for problem in matching)
    assert all(problem.remedy for problem in matching)


def test_what_exists_already_is_refused(
    write_zip: Write, tiny_files: dict[str, str], plugin_files: Callable[..., dict[str, str]]
) -> None:
    library = read_catalogue(MemoryTree({path: text.encode() for path, text in tiny_files.items()}), LIBRARY)
    same_folder = write_zip(plugin_files("models/alexnet", "alexnet-2"))
    assert codes(same_folder, existing=library) == {"plugin-exists"}
    same_but_for_case = write_zip(plugin_files("models/AlexNet", "alexnet-2"))
    assert codes(same_but_for_case, existing=library) == {"plugin-exists"}
    same_identifier = write_zip(plugin_files("models/mine", "alexnet"))
    assert codes(same_identifier, existing=library) == {"identifier-exists"}
    assert codes(same_identifier, existing={("models", "alexnet")}) == {"identifier-exists"}
    assert codes(same_identifier, existing=read_catalogue(MemoryTree({"x/a": b""}), "x"), taken={("models", "alexnet")})
    assert inspect(same_identifier, existing={("benchmarks", "alexnet")}).plugins


def test_everything_that_is_wrong_is_told_at_once(write_zip: Write) -> None:
    path = write_zip(
        {
            "models/a/__init__.py": f"from {LIBRARY} import model_registry\nmodel_registry['taken'] = 1",
            "models/b-b/__init__.py": "",
            "models/c/model.py": "",
            "../evil.py": "",
            "README.md": "",
            "models/a/X.txt": "",
            "models/a/x.txt": "",
        }
    )
    add_member(path, "models/a/link", b"/etc/passwd", mode=stat.S_IFLNK | 0o777)
    assert codes(path, existing={("models", "taken")}) == {
        "identifier-exists",
        "plugin-no-test",
        "plugin-name",
        "plugin-no-init",
        "path-refused",
        "file-outside-plugins",
        "path-collision",
        "member-is-link",
    }


def test_many_of_one_kind_are_counted(write_zip: Write) -> None:
    found = problems(write_zip({**GOOD, **{f"file{number}.txt": "" for number in range(134)}}))
    assert len(found) == 11
    assert found[-1].message == "The same is wrong in 124 more places."


def test_a_refusal_is_the_submitters_and_survives_pickling(write_zip: Write) -> None:
    with pytest.raises(ArchiveRefusedError) as caught:
        inspect(write_zip({"a": ""}))
    again = pickle.loads(pickle.dumps(caught.value))  # noqa: S301 - our own bytes
    assert (again.exit_code, again.fault, again.code) == (3, Fault.SUBMISSION, "archive-refused")
    assert again.problems == caught.value.problems


def test_no_file_is_a_mistake_of_whoever_asks(tmp_path: Path) -> None:
    with pytest.raises(ArchiveNotFoundError):
        inspect(tmp_path / "missing.zip")
    with pytest.raises(ArchiveNotFoundError):
        inspect(tmp_path)


# -------------------------------------------------------------------- refused: hostile members


@pytest.mark.parametrize(
    "name",
    [
        "../x",
        "models/vgg/../../../x",
        "/etc/passwd",
        "//server/share",
        "C:/x",
        "c:x",
        "models/vgg/a\\..\\b",
        "models/vgg/a\nb",
        "models/vgg/a\x1b[2Jb",
        "models/vgg/a\u202eb",
        "models//vgg/x",
        "models/./x",
        "models/vgg/x ",
        "models/vgg/x.",
        "models/../",
        "../",
    ],
)
def test_paths_that_lead_elsewhere_are_refused(write_zip: Write, name: str) -> None:
    found = problems(add_member(write_zip(GOOD), name))
    assert [problem.code for problem in found] == ["path-refused"]
    assert all(str(problem).isprintable() for problem in found)


def test_a_name_with_a_zero_byte_is_refused(write_zip: Write) -> None:
    path = patched(add_member(write_zip(GOOD), "models/vgg/aXb"), b"models/vgg/aXb", b"models/vgg/a\0b")
    assert codes(path) == {"path-refused"}


def test_long_paths_are_refused(write_zip: Write) -> None:
    assert codes(write_zip({**GOOD, f"models/vgg/{'a' * 240}": ""})) == {"path-too-long"}
    [problem] = problems(write_zip({**GOOD, f"models/vgg/{'a' * 60_000}": ""}))
    assert len(str(problem)) < 400


@pytest.mark.parametrize(
    "names",
    [
        ["models/vgg/A.txt", "models/vgg/a.txt"],
        ["models/vgg/Sub/a.txt", "models/vgg/sub/b.txt"],
        ["models/VGG/__init__.py"],
        ["models/vgg/caf\u00e9", "models/vgg/cafe\u0301"],
        ["models/vgg/stra\u00dfe", "models/vgg/STRASSE"],
    ],
)
def test_names_that_are_one_on_other_computers_are_refused(write_zip: Write, names: list[str]) -> None:
    assert "path-collision" in codes(write_zip({**GOOD, **dict.fromkeys(names, "x")}))


def test_a_file_where_a_folder_is_needed_is_refused(write_zip: Write) -> None:
    assert "path-file-and-folder" in codes(write_zip({**GOOD, "models/vgg/test.py/x": ""}))
    assert "path-file-and-folder" in codes(write_zip({**GOOD, "models/vgg/test.py/": ""}))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_file_that_is_there_twice_is_refused(write_zip: Write) -> None:
    assert codes(add_member(write_zip(GOOD), "models/vgg/test.py", b"other")) == {"member-twice"}


@pytest.mark.parametrize(
    ("mode", "code"),
    [
        (stat.S_IFLNK, "member-is-link"),
        (stat.S_IFCHR, "member-is-special"),
        (stat.S_IFBLK, "member-is-special"),
        (stat.S_IFIFO, "member-is-special"),
        (stat.S_IFSOCK, "member-is-special"),
        (stat.S_IFDIR, "member-is-special"),
    ],
)
@pytest.mark.parametrize("system", [0, 3, 19])
def test_links_and_devices_are_refused_whatever_system_they_claim(
    write_zip: Write, mode: int, code: str, system: int
) -> None:
    path = add_member(write_zip(GOOD), "models/vgg/x", b"/etc/passwd", mode=mode | 0o644, system=system)
    assert codes(path) == {code}


def test_a_folder_with_content_is_refused(write_zip: Write) -> None:
    assert codes(add_member(write_zip(GOOD), "models/vgg/x/", b"content")) == {"member-is-special"}


def test_encrypted_members_are_refused_and_not_called_missing(write_zip: Write) -> None:
    data = bytearray(write_zip(GOOD).read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.find(signature)
        while at >= 0:
            data[at + offset] |= 1
            at = data.find(signature, at + 1)
    path = write_zip(GOOD)
    path.write_bytes(data)
    assert codes(path) == {"member-encrypted"}


def test_unusual_compression_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "lzma.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        for name, content in GOOD.items():
            archive.writestr(name, content)
    assert codes(path) == {"member-method"}


# -------------------------------------------------------------------- refused: too much


def test_a_bomb_is_refused_before_it_is_unpacked(write_zip: Write) -> None:
    assert codes(write_zip({**GOOD, "models/vgg/zeros": bytes(60_000_000)})) == {"member-expands-too-much"}


def test_a_bomb_that_lies_about_its_size_is_refused(write_zip: Write) -> None:
    path = write_zip({**GOOD, "models/vgg/zeros": bytes(60_000_000)})
    patched(path, struct.pack("<L", 60_000_000), struct.pack("<L", 10))
    assert codes(path) == {"member-expands-too-much"}


def test_many_small_bombs_are_refused_together(write_zip: Write) -> None:
    files = {f"models/vgg/{number}": bytes(9_000_000) for number in range(4)}
    assert codes(write_zip({**GOOD, **files})) == {"archive-expands-too-much"}


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        (ArchiveLimits(archive_bytes=100), "archive-too-large"),
        (ArchiveLimits(members=2), "archive-too-many-members"),
        (ArchiveLimits(unpacked_bytes=1000), "archive-expands-too-much"),
        (ArchiveLimits(member_bytes=1000), "member-too-large"),
        (ArchiveLimits(path_characters=15), "path-too-long"),
        (ArchiveLimits(plugins=0), "too-many-plugins"),
    ],
)
def test_each_limit_holds(write_zip: Write, limits: ArchiveLimits, code: str) -> None:
    path = write_zip({**GOOD, "models/vgg/random": os.urandom(2000)})
    assert code in codes(path, limits=limits)


def test_a_directory_that_is_larger_than_its_members_is_not_read(write_zip: Write) -> None:
    path = write_zip({f"models/vgg/{number}": "" for number in range(20)})
    data = path.read_bytes()
    # The end record claims one member, and zipfile would read them all.
    path.write_bytes(data[:-14] + struct.pack("<2H", 1, 1) + data[-10:])
    assert codes(path) == {"archive-damaged"}
    assert codes(path, limits=ArchiveLimits(members=1)) <= {"archive-damaged", "archive-too-many-members"}


# -------------------------------------------------------------------- refused: damaged


def test_what_is_no_zip_is_refused(tmp_path: Path) -> None:
    for content in (b"", b"PK", b"hello", b"PK\x05\x06", bytes(5000), b"PK\x05\x06" + bytes(17), b"PK\x05\x06" * 30):
        path = tmp_path / "upload.zip"
        path.write_bytes(content)
        assert codes(path) == {"archive-damaged"}


def test_an_empty_archive_has_no_plugin(tmp_path: Path) -> None:
    path = tmp_path / "empty.zip"
    zipfile.ZipFile(path, "w").close()
    assert codes(path) == {"no-plugin"}


@pytest.mark.parametrize("part", [0.2, 0.6, 0.9, 0.99])
def test_an_upload_that_broke_off_is_refused(write_zip: Write, part: float) -> None:
    path = write_zip(GOOD)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    assert codes(path) == {"archive-damaged"}


def test_something_before_or_behind_the_archive_is_refused(write_zip: Write) -> None:
    data = write_zip(GOOD).read_bytes()
    for content in (b"#!/bin/sh\n" + data, data + b"more"):
        path = write_zip(GOOD)
        path.write_bytes(content)
        assert codes(path) == {"archive-damaged"}


def test_a_wrong_checksum_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "stored.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, content in GOOD.items():
            archive.writestr(name, content)
    assert codes(patched(path, b"def test", b"def tost")) == {"archive-damaged"}


def test_a_member_that_says_otherwise_than_the_directory_is_refused(write_zip: Write) -> None:
    # Some programs go by the one, some by the other: they would unpack different files.
    assert codes(patched(write_zip(GOOD), b"models/vgg/test.py", b"models/vgg/evil.py", 1)) == {"archive-damaged"}


def test_members_that_overlap_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "overlap.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        inner = io.BytesIO()
        with zipfile.ZipFile(inner, "w") as hidden:
            hidden.writestr("models/vgg/test.py", "def test(): pass\n")
        archive.writestr("models/vgg/__init__.py", inner.getvalue())
        member = archive.infolist()[0]
        second = zipfile.ZipInfo("models/vgg/test.py")
        second.header_offset = member.header_offset + 30 + len(member.filename)
        second.CRC, second.file_size, second.compress_size = (
            hidden.infolist()[0].CRC,
            hidden.infolist()[0].file_size,
            hidden.infolist()[0].compress_size,
        )
        archive.filelist.append(second)
        archive.NameToInfo[second.filename] = second
    found = problems(path)
    assert [problem.code for problem in found] == ["archive-damaged"]
    assert "overlap" in found[0].message


def test_nothing_is_written(write_zip: Write, tmp_path: Path) -> None:
    path = write_zip({**GOOD, "../evil.py": "x", "/tmp/evil.py": "x"})
    before = sorted(tmp_path.rglob("*"))
    assert codes(path)
    assert sorted(tmp_path.rglob("*")) == before
    assert not Path("/tmp/evil.py").exists()
