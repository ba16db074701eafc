"""A lock says everything in its text, and reads as it was written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainscore_ops.plugins.lock import (
    Built,
    CondaPackage,
    Lock,
    LockUnreadableError,
    named_by,
    read_lock,
    versions,
    with_digest,
    without,
)

PACKAGES = """\
docopt==0.6.2 \\
    --hash=sha256:aaaa \\
    --hash=sha256:bbbb
Iniconfig==2.1.0 ; python_version > '3' \\
    --hash=sha256:cccc
pytest==9.0
"""

names = st.from_regex(r"[a-z][a-z0-9]{0,8}", fullmatch=True)
digests = st.text("0123456789abcdef", min_size=64, max_size=64)
packages = st.lists(st.tuples(names, digests), max_size=3).map(
    lambda entries: "".join(f"{name}==1.0 \\\n    --hash=sha256:{digest}\n" for name, digest in entries)
)


def locks(built: st.SearchStrategy[Built] | None = None) -> st.SearchStrategy[Lock]:
    conda = st.builds(CondaPackage, names.map("https://example.org/{}.conda".format), digests)
    tuples = st.lists(built, max_size=2, unique_by=lambda one: one.source).map(
        lambda found: tuple(sorted(found, key=lambda one: one.source))
    ) if built is not None else st.just(())  # fmt: skip
    return st.builds(
        Lock, st.just("3.11.7"), st.just("linux-x86_64"), packages, tuples, st.lists(conda, max_size=2).map(tuple)
    )


def built(builder: st.SearchStrategy[Lock]) -> st.SearchStrategy[Built]:
    return st.builds(Built, names.map("lib/models/{}".format) | names.map("{}-1.0.tar.gz".format), digests, builder)


@given(locks(built(locks(built(locks())))))
def test_it_reads_as_it_was_written(lock):
    assert read_lock(lock.text) == lock
    assert read_lock(lock.text).digest == lock.digest


@pytest.mark.parametrize("text", ["", "numpy==1.0\n", "# python three linux\n", "# python 3.11.7 linux\n# a remark\n"])
def test_what_is_no_lock_is_refused(text):
    with pytest.raises(LockUnreadableError):
        read_lock(text)


def test_its_packages():
    assert versions(PACKAGES) == {"docopt": "0.6.2", "iniconfig": "2.1.0", "pytest": "9.0"}
    assert (
        without(PACKAGES, {"docopt", "pytest"})
        == "Iniconfig==2.1.0 ; python_version > '3' \\\n    --hash=sha256:cccc\n"
    )
    assert with_digest(PACKAGES, "docopt", "dddd").startswith("docopt==0.6.2 \\\n    --hash=sha256:dddd\nIniconfig==")
    assert named_by(PACKAGES, "cccc") == "Iniconfig==2.1.0"
    with pytest.raises(LockUnreadableError):
        named_by(PACKAGES, "eeee")
