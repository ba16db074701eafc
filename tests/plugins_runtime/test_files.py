"""What a stranger left in a folder is copied out: ordinary files and folders, within bounds, and nothing else."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from brainscore_ops.plugins import files
from brainscore_ops.plugins.files import copy_out, write_once


@pytest.fixture
def left(tmp_path) -> Path:
    folder = tmp_path / "left"
    folder.mkdir()
    return folder


@pytest.fixture
def copied(left, tmp_path):
    def copy(limit_bytes: int = 1000) -> dict[str, bytes | None]:
        target = tmp_path / "target"
        target.mkdir()
        fd = os.open(left, os.O_RDONLY)
        copy_out(fd, target, limit_bytes)
        os.close(fd)
        return {
            str(path.relative_to(target)): path.read_bytes() if path.is_file() else None for path in target.rglob("*")
        }

    return copy


def test_files_and_folders(left, copied):
    (left / "folder" / "inner").mkdir(parents=True)
    (left / "folder" / "inner" / "file").write_text("content")
    (left / "empty").touch()
    assert copied() == {"folder": None, "folder/inner": None, "folder/inner/file": b"content", "empty": b""}


def test_nothing_else(left, copied, tmp_path):
    (tmp_path / "secret").write_text("s3cret")
    (left / "link").symlink_to(tmp_path / "secret")
    (left / "linked").symlink_to(tmp_path)
    os.mkfifo(left / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(left / "socket"))
    assert copied() == {}


def test_what_is_too_large_is_left_out_and_the_rest_is_not(left, copied):
    (left / "hole").touch()
    os.truncate(left / "hole", 10**12)
    (left / "small").write_text("small")
    assert copied() == {"small": b"small"}


def test_folders_without_end(left, copied, monkeypatch):
    monkeypatch.setattr(files, "_MAX_DEPTH", 3)
    (left / "a" / "b" / "c" / "d" / "e").mkdir(parents=True)
    assert sorted(copied()) == ["a", "a/b", "a/b/c"]


def test_files_without_end(left, copied, monkeypatch):
    monkeypatch.setattr(files, "_MAX_COPIED", 10)
    for number in range(20):
        (left / str(number)).touch()
    assert len(copied()) == 10


def test_more_folders_than_may_be_open(left, copied):
    for number in range(3000):
        (left / str(number)).mkdir()
    assert len(copied()) == 3000


def test_names_that_are_no_text(left, copied):
    (left / os.fsdecode(b"\xff\n\x1b[2J")).write_text("content")
    assert list(copied().values()) == [b"content"]


def test_no_file_of_ours_stays_open(left, copied):
    for name in ("a/b/c", "d"):
        (left / name).mkdir(parents=True)
        (left / name / "file").touch()
    before = len(list(Path("/proc/self/fd").iterdir()))
    copied()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_our_own_disk_is_not_the_strangers_fault(left, tmp_path):
    (left / "file").write_text("content")
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "file").touch()
    fd = os.open(left, os.O_RDONLY)
    with pytest.raises(FileExistsError):
        copy_out(fd, tmp_path / "target", 1000)
    os.close(fd)


def test_the_first_writer_counts(tmp_path):
    write_once(tmp_path / "file", b"first")
    write_once(tmp_path / "file", b"second")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_bytes() == b"first"
