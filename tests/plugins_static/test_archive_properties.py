"""Whatever is sent in, it is accepted whole and safe or refused; nothing else ever happens."""

from __future__ import annotations

import io
import tempfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from brainscore_ops.plugins.archive import ArchiveLimits, ArchiveRefusedError, inspect_archive
from brainscore_ops.plugins.digest import plugin_digest
from brainscore_ops.plugins.layout import locate
from brainscore_ops.plugins.tree import DirectoryTree, MemoryTree

LIBRARY = "brainscore_tiny"
GOOD = {
    "models/vgg/__init__.py": f"from {LIBRARY} import model_registry\nmodel_registry['vgg-16'] = object\n".encode(),
    "models/vgg/test.py": b"def test(): pass\n",
}
LIMITS = ArchiveLimits(unpacked_bytes=1_000_000, members=100)

parts = st.one_of(
    st.sampled_from(
        ["models", "data", "vgg", "__init__.py", "test.py", "..", ".", "", "Models", "__MACOSX", LIBRARY, "a-b"]
    ),
    st.text(st.characters(codec="utf-8"), max_size=8),
)
names = st.one_of(
    st.lists(parts, min_size=1, max_size=5).map("/".join), st.text(st.characters(codec="utf-8"), max_size=20)
)
plausible = st.tuples(
    st.sampled_from(["models/vgg/", "models/vgg/sub/", "data/words/"]),
    st.text(st.characters(codec="utf-8"), max_size=6),
).map("".join)


def pack(files: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in files.items():
            # zipfile cuts names at a NUL, and cannot write one without a name.
            archive.writestr(name if name.split("\0")[0] else "/", content)
    return buffer.getvalue()


def check(content: bytes) -> None:
    """Inspect an archive that is alone in its folder."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "upload.zip")
        path.write_bytes(content)
        archive, refusal = None, None
        try:
            archive = inspect_archive(path, library=LIBRARY, limits=LIMITS)
        except ArchiveRefusedError as error:
            refusal = error
        assert [child.name for child in Path(folder).iterdir()] == ["upload.zip"]
        if archive is None:
            assert refusal is not None
            assert refusal.problems
            assert all(str(problem).isprintable() for problem in refusal.problems)
            return
        assert archive.plugins
        assert {locate(file, LIBRARY).plugin for file in archive.files} == set(archive.plugins)
        for file, data in archive.files.items():
            target = Path(folder, "out", file)
            assert target.resolve().is_relative_to(Path(folder, "out", LIBRARY).resolve())
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        # What is written where it says is what it was, and packed again it is accepted again.
        tree = DirectoryTree(Path(folder, "out"))
        for plugin in archive.plugins:
            assert plugin_digest(tree, LIBRARY, plugin) == plugin_digest(MemoryTree(archive.files), LIBRARY, plugin)
        path.write_bytes(pack(dict(archive.files)))
        assert inspect_archive(path, library=LIBRARY, limits=LIMITS).files == archive.files


relaxed = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
quietly = pytest.mark.filterwarnings("ignore:Duplicate name")


@quietly
@relaxed
@given(st.dictionaries(names, st.binary(max_size=50), max_size=6))
def test_any_names_and_contents(files: dict[str, bytes]) -> None:
    check(pack(files))


@quietly
@relaxed
@given(
    st.dictionaries(plausible, st.binary(max_size=50), max_size=4),
    st.sampled_from(["", "my upload/", f"{LIBRARY}/", "a/b/"]),
)
def test_a_sound_plugin_with_anything_beside_it(more: dict[str, bytes], root: str) -> None:
    check(pack({f"{root}{path}": content for path, content in (more | GOOD).items()}))


@relaxed
@given(st.binary(max_size=400))
@example(b"PK\x05\x06" + bytes(18))
def test_any_bytes(content: bytes) -> None:
    check(content)


@relaxed
@given(st.data(), st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]))
def test_an_archive_with_any_bytes_changed(data: st.DataObject, compression: int) -> None:
    content = bytearray(pack(GOOD, compression))
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, len(content) - 1))
        content[position] = data.draw(st.integers(0, 255))
    check(bytes(content))


@relaxed
@given(st.data())
def test_an_archive_with_any_part_cut_out_or_doubled(data: st.DataObject) -> None:
    content = pack(GOOD)
    start = data.draw(st.integers(0, len(content)))
    end = data.draw(st.integers(0, len(content)))
    check(content[:start] + content[end:])


@relaxed
@given(st.binary(max_size=300))
def test_any_source(source: bytes) -> None:
    check(pack({**GOOD, "models/vgg/__init__.py": source}))


@relaxed
@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=60))
def test_any_identifier(identifier: str) -> None:
    source = f"from {LIBRARY} import model_registry\nmodel_registry[{identifier!r}] = 1"
    check(pack({**GOOD, "models/vgg/__init__.py": source.encode()}))
