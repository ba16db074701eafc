"""Scores as data frames, from whatever source: what ``from brainscore_ops import scores`` gives."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from brainscore_ops.display import Table
from brainscore_ops.scores.benchmark_tree import RULE, leaves, tree_means, tree_of, walk
from brainscore_ops.scores.columns import FAILED, SCORED, SCORES
from brainscore_ops.scores.errors import NoScoresError, UnknownSourceError, insist_on_names
from brainscore_ops.scores.sources.published import Folder, PublishedSource, Website, published_files
from brainscore_ops.settings.workspace import NoWorkspaceError, find_workspace

if TYPE_CHECKING:
    from datetime import date

    import pandas as pd
    import pyarrow

    from brainscore_ops.database.viewer import Viewer
    from brainscore_ops.scores.sources.kinds import Source

SOURCE_VARIABLE = "BRAINSCORE_OPS_SCORES"
"""The environment variable that names the source where a call names none."""

Names = str | list[str] | tuple[str, ...] | None
Versions = Literal["newest", "all"]
AVERAGE = "average"


def connect(source: str | Path | None = None, *, domain: str | None = None, viewer: Viewer | None = None) -> ScoreData:
    """Scores to work with.

    What was read once is kept: all frames of one connection are of one moment. Connect again for newer scores.

    :param source: a deployment's name (``local``), an address of a website (``https://…``), or a folder with the data of a
        published leaderboard; by default what ``BRAINSCORE_OPS_SCORES`` names, or else the only deployment of the workspace
    :param domain: of a database that holds several; by default that of the deployment's library
    :param viewer: who is going to see it: by default the public. Only a database knows others
    :raises UnknownSourceError: there are no scores there
    :raises UnavailableError: it does not answer
    """
    named = str(source or os.environ.get(SOURCE_VARIABLE) or _only_deployment())
    if named.startswith(("https://", "http://")):
        return ScoreData(_of_domain(PublishedSource(Website(named)), domain))
    folder = Path(named)
    if folder.is_dir() and (isinstance(source, Path) or os.sep in named or not _is_deployment(named)):
        data = folder / "data"
        return ScoreData(_of_domain(PublishedSource(Folder(data if data.is_dir() else folder)), domain))
    if isinstance(source, Path) or os.sep in named:
        raise UnknownSourceError(f"expected a folder with published scores at {named}, there is no folder")
    if not _is_deployment(named):
        raise UnknownSourceError(
            f"expected a deployment ({', '.join(_deployments()) or 'there are none'}), a folder or an address, found {named!r}",
            remedy="A website's address begins with https://.",
        )
    from brainscore_ops.scores.sources.database import DatabaseSource

    return ScoreData(DatabaseSource.of(named, domain, viewer))


@dataclass(frozen=True)
class ScoreData:
    """The scores of a source. Every call gives a data frame of its own, which may be changed."""

    source: Source

    def table(
        self,
        *,
        models: Names = None,
        benchmarks: Names = None,
        under: str | None = None,
        since: str | date | None = None,
        version: Versions = "newest",
        state: Literal["scored", "failed"] | None = None,
    ) -> pd.DataFrame:
        """The scores and failures, tidy: a row is the outcome that counts of a model on a version of a benchmark.

        ``scores.SCHEMAS["table"]`` prints what the columns are.

        :param models: only of these
        :param benchmarks: only on these
        :param under: only on the benchmarks below this parent, at any depth, or on this benchmark
        :param since: only what was recorded then (ISO 8601, UTC) or later
        :param version: of each benchmark ``newest``, what the leaderboard shows, or ``all``
        :param state: only ``scored`` or only ``failed``
        :raises UnknownNamesError: with the names that come close
        """
        insist_on_names("state", [] if state is None else [state], {SCORED, FAILED})
        found = self._filtered("table", models=models, benchmarks=benchmarks, under=under, since=since)
        if version == "newest":
            newest = self.benchmarks().set_index("benchmark")["version"]
            # NA, of benchmarks without versions, is no version but equal to itself.
            known = found["benchmark"].isin(newest.index)
            found = found[known & (found["version"].fillna(-1) == found["benchmark"].map(newest).fillna(-1))]
        if state is not None:
            found = found[found["state"] == state]
        return self._described(found, "table")

    def matrix(
        self, column: str = "value", *, models: Names = None, benchmarks: Names = None, under: str | None = None
    ) -> pd.DataFrame:
        """Models × benchmarks in their newest version: models by their average, benchmarks in the order of their tree.

        NaN where a model failed or has not been scored; :meth:`table` tells which.

        :param column: what stands in it: ``value``, ``raw``, ``error``, ``ceiling`` …
        :raises UnknownNamesError: a model, a benchmark or the column is not there
        """
        table = self.table(models=models, benchmarks=benchmarks, under=under)
        insist_on_names("column", [column], set(table.columns))
        wide = table.pivot_table(index="model", columns="benchmark", values=column, aggfunc="first", dropna=False)
        order = [node.identifier for node in leaves(tree_of(self.benchmarks())) if node.identifier in wide.columns]
        ranked = [model for model in self.averages().index if model in wide.index]
        return self._described(wide.loc[ranked, order], "matrix", column=column)

    def averages(self, *, models: Names = None, under: str | None = None) -> pd.DataFrame:
        """Models × parents of benchmarks: scores aggregated up the tree, by the leaderboard's own rule.

        The mean of a parent is that over what is right below it; a benchmark on which the model failed, or has not been scored
        yet, counts as 0 in it; a parent below which the model has no score has none (NaN). The column ``average`` is the mean
        over what is at the top (below ``under``, where it is given). The rule stands in ``attrs["rule"]``.

        :param under: of the benchmarks below this parent alone
        :returns: the best first; models without a score at the end
        """
        import numpy as np
        import pandas as pd

        tree = tree_of(self.benchmarks())
        insist_on_names("model", _listed(models) or [], self._models())
        if under is not None:
            insist_on_names("benchmark", [under], set(self.benchmarks()["benchmark"]))
            tree = next(node.children or (node,) for _, node in walk(tree) if node.identifier == under)
        table = self.table(models=models)
        wide = table.pivot_table(index="model", columns="benchmark", values="value", aggfunc="first", dropna=False)
        parents = [(*path, node.identifier) for path, node in walk(tree) if node.children]
        means = tree_means(tree, wide)
        columns = [AVERAGE, *(path[-1] for path in parents)]
        frame = pd.DataFrame(np.column_stack([means[path] for path in ((), *parents)]), wide.index, columns)
        # By name, then by average: equal ones stand by their names.
        frame = frame.sort_index().sort_values(AVERAGE, ascending=False, kind="stable")
        return self._described(frame, "averages", under=under)

    def history(
        self,
        *,
        models: Names = None,
        benchmarks: Names = None,
        under: str | None = None,
        since: str | date | None = None,
    ) -> pd.DataFrame:
        """Every outcome that there ever was: what counts, what is of earlier code, and what rescorings replaced."""
        found = self._filtered("history", models=models, benchmarks=benchmarks, under=under, since=since)
        return self._described(found, "history")

    def runs(
        self,
        *,
        models: Names = None,
        benchmarks: Names = None,
        under: str | None = None,
        since: str | date | None = None,
    ) -> pd.DataFrame:
        """Every try to score a model on a benchmark: when, in which resource class, how it ended, what it took."""
        found = self._filtered("runs", models=models, benchmarks=benchmarks, under=under, since=since)
        return self._described(found, "runs")

    def canaries(self) -> pd.DataFrame:
        """Every score of a canary: a known pair that shows whether anything drifted."""
        return self._described(self.source.read("canaries").copy(), "canaries")

    def benchmarks(self) -> pd.DataFrame:
        """Benchmarks and their parents, each parent right before what is below it."""
        return self._described(self.source.read("benchmarks").copy(), "benchmarks")

    def models(self) -> pd.DataFrame:
        """The models that have an outcome, and what is known of them."""
        return self._described(self.source.read("models").copy(), "models")

    def to_arrow(self) -> pyarrow.Table:
        """The whole :meth:`table` with all versions as an Arrow table; what the columns mean is in its fields' metadata."""
        import pyarrow as pa

        arrow = pa.Table.from_pandas(self.table(version="all"), preserve_index=False)
        meanings = {column.name: column for column in SCORES.columns}
        fields = [
            field.with_metadata({"meaning": meanings[field.name].meaning, "unit": meanings[field.name].unit})
            for field in arrow.schema
        ]
        return arrow.cast(pa.schema(fields, metadata=arrow.schema.metadata))

    def to_parquet(self, path: str | Path) -> Path:
        """Write :meth:`to_arrow` into a file, which pandas, polars, DuckDB and R read.

        :returns: the file
        """
        import pyarrow.parquet as pq

        pq.write_table(self.to_arrow(), path)
        return Path(path)

    def save(self, folder: str | Path) -> Path:
        """Keep everything in a folder, which is then itself a source: the state of the scores that a publication rests on.

        :returns: the folder
        """
        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        for name, content in published_files(self.source).items():
            (target / name).write_bytes(content)
        return target

    def insist(self) -> ScoreData:
        """The same, if there is any score in it.

        :raises NoScoresError: there is none
        """
        if not self.source.read("table")["value"].notna().any():
            raise NoScoresError(
                f"expected scores of the domain {self.source.domain} in {self.source.name}, there are none that the public sees",
                remedy="Score something first (`make demo` does), or name another source.",
            )
        return self

    def table_of_contents(self) -> Table:
        """What there is, in numbers."""
        scores = self.source.read("table")
        scored = scores["value"].notna()
        newest = scores["computed_at"].max()
        return Table(
            f"Scores of {self.source.domain}, from {self.source.name}",
            [
                ("models", scores["model"].nunique()),
                ("benchmarks", scores["benchmark"].nunique()),
                ("scores", int(scored.sum())),
                ("failures", int((~scored).sum())),
                ("newest", f"{newest:%Y-%m-%d %H:%M} UTC" if newest == newest else None),
            ],
        )

    def _repr_html_(self) -> str:
        return self.table_of_contents()._repr_html_()

    def __repr__(self) -> str:
        return str(self.table_of_contents())

    def _filtered(
        self, name: str, *, models: Names, benchmarks: Names, under: str | None, since: str | date | None
    ) -> pd.DataFrame:
        import pandas as pd

        frame = self.source.read(name)
        if (wanted := _listed(models)) is not None:
            insist_on_names("model", wanted, self._models() | set(frame["model"]))
            frame = frame[frame["model"].isin(wanted)]
        tree = self.source.read("benchmarks")
        known = {*tree["benchmark"], *frame["benchmark"]} if benchmarks is not None or under is not None else set()
        if (wanted := _listed(benchmarks)) is not None:
            insist_on_names("benchmark", wanted, known)
            frame = frame[frame["benchmark"].isin(wanted)]
        if under is not None:
            insist_on_names("benchmark", [under], known)
            frame = frame[frame["benchmark"].isin(_below(tree, under))]
        if since is not None:
            moment = pd.Timestamp(since)
            moment = moment.tz_localize("UTC") if moment.tz is None else moment
            when = {"table": "computed_at", "runs": "ended_at"}.get(name, "at")
            frame = frame[frame[when] >= moment]
        return frame.reset_index(drop=True)

    def _models(self) -> set[str]:
        return {*self.source.read("models")["model"]}

    def _described(self, frame: pd.DataFrame, name: str, **more: Any) -> pd.DataFrame:
        frame = frame.copy()
        frame.attrs = {"source": self.source.name, "domain": self.source.domain}
        frame.attrs.update(more)
        if name in ("matrix", "averages"):
            frame.attrs["rule"] = RULE
        return frame


def _below(tree: pd.DataFrame, top: str) -> set[str]:
    children = tree.groupby("parent")["benchmark"].apply(list).to_dict()
    found, waiting = {top}, [top]
    while waiting:
        below = children.get(waiting.pop(), [])
        found.update(below)
        waiting += below
    return found


def _listed(names: Names) -> list[str] | None:
    return None if names is None else [names] if isinstance(names, str) else list(names)


def _of_domain(source: PublishedSource, domain: str | None) -> PublishedSource:
    if domain is not None and domain != source.domain:
        raise UnknownSourceError(
            f"expected scores of the domain {domain} at {source.name}, found those of {source.domain}"
        )
    return source


def _deployments() -> list[str]:
    from brainscore_ops.settings import deployment_names

    try:
        return list(deployment_names(find_workspace()))
    except NoWorkspaceError:
        return []


def _is_deployment(name: str) -> bool:
    return name in _deployments()


def _only_deployment() -> str:
    names = _deployments()
    if len(names) == 1:
        return names[0]
    raise UnknownSourceError(
        f"expected a source of scores: a deployment ({', '.join(names) or 'there are none here'}), a folder or an address",
        remedy=f"Name it: scores.connect('local'), or set {SOURCE_VARIABLE}.",
    )
