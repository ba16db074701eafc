"""Unpack a source release. Run inside the sandbox: unpack_source.py ARCHIVE OUT.

Links and whatever else is no ordinary file are left out. Standard library only.
"""

from __future__ import annotations

import shutil
import sys
import tarfile
import zipfile
from pathlib import Path


def main() -> None:
    archive, out = Path(sys.argv[1]), Path(sys.argv[2])
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive) as zipped:
            zipped.extractall(out)  # noqa: S202 - it cannot leave the sandbox
        return
    with tarfile.open(archive) as packed:
        for member in packed:
            target = out / member.name
            if not target.resolve().is_relative_to(out.resolve()):
                sys.exit(f"{member.name} would be outside of the archive's folder")
            if member.isdir():
                target.mkdir(parents=True, exist_ok=True)
            elif member.isfile():
                target.parent.mkdir(parents=True, exist_ok=True)
                content = packed.extractfile(member)
                if content is not None:
                    with content, target.open("wb") as file:
                        shutil.copyfileobj(content, file)


if __name__ == "__main__":
    main()
