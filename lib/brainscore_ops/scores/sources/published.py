"""Scores as they are published: files in a folder, or behind an address. Neither needs a database."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from brainscore_ops.scores.benchmark_tree import tree_of, walk
from brainscore_ops.scores.columns import BENCHMARKS, MODELS, SCHEMAS
from brainscore_ops.scores.errors import (
    BadPublishedDataError,
    NotPublishedError,
    SourceUnavailableError,
    UnknownSourceError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from brainscore_ops.scores.sources.kinds import Source

SITE_FILE = "site.json"
FILES = {
    "table": "scores.parquet",
    "benchmarks": "benchmarks.json",
    "models": "models.json",
    "history": "history.parquet",
    "runs": "runs.parquet",
    "canaries": "canaries.parquet",
}
"""Data frame → the file that holds it."""
API = "api/v1"
_JSON_NAMES = {"benchmark": "identifier", "model": "identifier"}
_TIMEOUT_SECONDS = 30.0


class Files(Protocol):
    """Published files by their names."""

    @property
    def where(self) -> str:
        """What a person calls the place."""

    def fetch(self, name: str) -> bytes | None:
        """A file's content; None where there is no such file.

        :raises UnavailableError: the place does not answer
        """


class Folder:
    """A folder on this machine."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.where = str(folder)

    def fetch(self, name: str) -> bytes | None:
        """See :class:`Files`."""
        path = self._folder / name
        return path.read_bytes() if path.is_file() else None


class Website:
    """A website's API, or a static site's data; each file is fetched once, and only if it is wanted.

    :param address: of the site, of its API (``…/api/v1``) or of its data folder (``…/data``)
    """

    def __init__(self, address: str) -> None:
        import requests

        self.where = address.rstrip("/")
        self._session = requests.Session()
        self._base: str | None = None

    def fetch(self, name: str) -> bytes | None:
        """See :class:`Files`."""
        if self._base is not None:
            return self._get(self._base, name)
        for base in (f"{self.where}/{API}", f"{self.where}/data", self.where):
            if (content := self._get(base, SITE_FILE)) is not None and _is_json(content):
                self._base = base
                return content if name == SITE_FILE else self._get(base, name)
        return None

    def _get(self, base: str, name: str) -> bytes | None:
        if not base.endswith(API):
            return self._answer(base, name)
        # The API knows documents without an ending, and gives long lists in pages.
        content = self._answer(base, name.removesuffix(".json"))
        if content is None or not name.endswith(".json") or not _is_json(content):
            return content
        page = json.loads(content)
        items = page.get("items")
        while items is not None and page.get("next"):
            # Only what it asks for is taken of the next page's address: who answers stays the same.
            following = self._answer(base, f"{name.removesuffix('.json')}?{urlsplit(page['next']).query}")
            page = json.loads(following or b"{}")
            items += page.get("items", [])
        return content if items is None else json.dumps(items).encode()

    def _answer(self, base: str, path: str) -> bytes | None:
        import requests

        try:
            answer = self._session.get(f"{base}/{path}", timeout=_TIMEOUT_SECONDS)
        except requests.RequestException as error:
            raise SourceUnavailableError(
                f"expected {self.where} to answer; {type(error).__name__}",
                remedy="Check the address, or try again later; a folder of published data works without it.",
            ) from error
        if answer.status_code in (401, 403, 404, 410):
            return None
        if not answer.ok:
            raise SourceUnavailableError(
                f"expected {self.where} to give {path}, it answered {answer.status_code} {answer.reason}",
                remedy="Try again later.",
            )
        return answer.content


class PublishedSource:
    """Scores from published files.

    :raises UnknownSourceError: there are none
    """

    def __init__(self, files: Files) -> None:
        self._files = files
        self._read: dict[str, pd.DataFrame] = {}
        content = files.fetch(SITE_FILE)
        if content is None:
            raise UnknownSourceError(
                f"expected published scores at {files.where} ({SITE_FILE}, {', '.join(FILES.values())}), "
                f"found no {SITE_FILE}",
                remedy="Name the folder `data` of a published leaderboard, or the address of the website.",
            )
        site = _document(content, SITE_FILE, files.where)
        if not (isinstance(site, dict) and isinstance(site.get("domain"), str)):
            raise BadPublishedDataError(f"expected {SITE_FILE} at {files.where} to name a domain, found {site!r:.80}")
        self.domain: str = site["domain"]
        self.name = files.where

    def read(self, name: str) -> pd.DataFrame:
        """See :class:`~brainscore_ops.scores.sources.kinds.Source`.

        :raises BadPublishedDataError: a file is not what it should be
        """
        if name not in self._read:
            file = FILES[name]
            content = self._files.fetch(file)
            if content is None:
                raise NotPublishedError(
                    f"expected {file} at {self.name}, there is none",
                    remedy=f"This site does not publish {name}. Who runs it gets it from the database.",
                )
            try:
                self._read[name] = _READ[Path(file).suffix](content, name)
            except (ValueError, TypeError, KeyError, OSError) as error:
                raise BadPublishedDataError(
                    f"expected {file} at {self.name} to hold what scores.SCHEMAS[{name!r}] says: {error}",
                    remedy="Fetch it again; if it stays so, tell who runs the site.",
                ) from error
        return self._read[name]


def published_files(source: Source) -> dict[str, bytes]:
    """The files that :class:`PublishedSource` reads, of any source: name → content. Equal scores give equal bytes."""
    frames = {name: source.read(name) for name in FILES}
    files = {}
    for name, frame in frames.items():
        if FILES[name].endswith(".parquet"):
            buffer = io.BytesIO()
            frame.to_parquet(buffer, index=False)
            files[FILES[name]] = buffer.getvalue()
        else:
            # As Python's own numbers, which JSON writes so that they are read back the same to the last bit.
            plain = frame.rename(columns=_JSON_NAMES).astype(object)
            files[FILES[name]] = _json(plain.where(frame.notna().to_numpy(), None).to_dict("records"))
    as_of = frames["table"]["computed_at"].max()
    site = {"domain": source.domain, "as_of": None if as_of is None or as_of != as_of else as_of.isoformat()}
    files[SITE_FILE] = _json(site)
    return files


def _json(document: object) -> bytes:
    return (json.dumps(document, ensure_ascii=False, allow_nan=False, indent=1) + "\n").encode()


def _parquet(content: bytes, name: str) -> pd.DataFrame:
    import pandas as pd

    return _checked(pd.read_parquet(io.BytesIO(content)), name)


def _records(content: bytes, name: str) -> pd.DataFrame:
    import pandas as pd

    documents = json.loads(content)
    kind = {"benchmarks": "benchmark", "models": "model"}[name]
    frame = pd.DataFrame.from_records(documents).rename(columns={"identifier": kind})
    frame = _checked(frame if len(frame.columns) else SCHEMAS[name].empty(), name)
    if name == "models":
        return frame.sort_values("model", ignore_index=True)
    # Parents before what is below them, siblings by their places, whatever order they came in.
    order = [node.identifier for _, node in walk(tree_of(frame))]
    return frame.set_index("benchmark").loc[order].reset_index()


def _checked(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    schema = SCHEMAS[name]
    needed = {"benchmarks": BENCHMARKS.columns[0].name, "models": MODELS.columns[0].name}.get(name)
    lacking = [column for column in ([needed] if needed else schema.dtypes) if column not in frame.columns]
    if lacking:
        raise ValueError(f"it lacks the columns {', '.join(lacking)}")
    return schema.typed(frame)


_READ: Mapping[str, Any] = {".parquet": _parquet, ".json": _records}


def _is_json(content: bytes) -> bool:
    try:
        json.loads(content)
    except ValueError:
        return False  # a website answers with a page where there is nothing
    return True


def _document(content: bytes, name: str, where: str) -> Any:
    try:
        return json.loads(content)
    except ValueError as error:
        raise BadPublishedDataError(f"expected {name} at {where} to be JSON: {error}") from error
