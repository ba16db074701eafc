"""The tree of benchmarks, and how scores are aggregated up it: one rule for the leaderboard and for data frames."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pandas as pd
    from numpy.typing import NDArray

RULE = (
    "The average of a model is the mean over the groups of benchmarks at the top; the mean of a group is that over the "
    "benchmarks and groups right below it. A benchmark on which the model failed, or has not been scored yet, counts as 0 in "
    "it. A model without any score has no average and no rank."
)
"""How a model's average is computed, in the words of the page: Brain-Score's own rule.

Brain-Score's website computes it so (``benchmarks/sql/mv.sql``, ``populate_final_agg_scores``: the sum of the children's
scores, NaN and NULL as 0, over the number of children; NaN or NULL where no child has a number), over the newest version of
each visible benchmark.
"""


@dataclass(frozen=True)
class Benchmark:
    """A column: the newest version of a benchmark."""

    identifier: str
    version: int | None
    ceiling: float | None
    """Of the raw score; None where the benchmark has none, and its scores are raw."""
    ceiling_error: float | None
    reference: str = ""
    """Author and year of the publication behind it."""
    url: str = ""


@dataclass(frozen=True)
class Node:
    """A benchmark, or a parent of benchmarks."""

    identifier: str
    children: tuple[Node, ...] = ()
    benchmark: Benchmark | None = None
    """None for a parent."""
    instance_id: int | None = None
    order: int = 0
    """Its place among its siblings; those with the same one stand by their names."""


def leaves(nodes: Iterable[Node]) -> Iterator[Node]:
    """The benchmarks of a tree, in its order."""
    for node in nodes:
        if node.benchmark is not None:
            yield node
        yield from leaves(node.children)


def walk(nodes: Iterable[Node], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Node]]:
    """Every node with the identifiers of its parents from the top, parents first."""
    for node in nodes:
        yield path, node
        yield from walk(node.children, (*path, node.identifier))


def mean_below(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The means of models over what is right below a parent, by :data:`RULE`: the one place where it is computed.

    :param values: models × benchmarks and parents; NaN where there is no score
    :returns: of each model; what is missing counts as 0 where anything is there, and where nothing is, the mean is NaN
    """
    # In rows that lie in one piece, so that a row's sum is the same to the last bit whoever asks for it.
    rows = np.ascontiguousarray(values)
    means = np.nansum(rows, axis=1) / max(rows.shape[1], 1)
    means[np.isnan(rows).all(axis=1)] = np.nan
    return np.asarray(means, dtype=np.float64)


def tree_means(nodes: tuple[Node, ...], matrix: pd.DataFrame) -> dict[tuple[str, ...], NDArray[np.float64]]:
    """The means of models up a tree, by :data:`RULE`: path of a parent → its means; the empty path is the average.

    :param matrix: models × benchmarks; a benchmark that is no column of it has not been scored yet
    """
    means: dict[tuple[str, ...], NDArray[np.float64]] = {}
    missing = np.full(len(matrix), np.nan)

    def mean(nodes: tuple[Node, ...], path: tuple[str, ...]) -> NDArray[np.float64]:
        below = [
            mean(node.children, (*path, node.identifier))
            if node.children
            else (matrix[node.identifier].to_numpy() if node.identifier in matrix else missing)
            for node in nodes
        ]
        means[path] = mean_below(np.column_stack(below)) if below else missing
        return means[path]

    mean(nodes, ())
    return means


def leaf_weights(nodes: tuple[Node, ...]) -> dict[str, float]:
    """What each benchmark counts in the average by :data:`RULE`: the average is the sum of weight × score.

    Weights of a tree without empty parents sum to 1.
    """
    weights: dict[str, float] = {}

    def descend(nodes: tuple[Node, ...], share: float) -> None:
        for node in nodes:
            if node.children:
                descend(node.children, share / len(nodes))
            else:
                weights[node.identifier] = share / len(nodes)

    descend(nodes, 1.0)
    return weights


def tree_of(benchmarks: pd.DataFrame) -> tuple[Node, ...]:
    """The tree of a data frame of :data:`~brainscore_ops.scores.columns.BENCHMARKS`. Parents without a benchmark are left out."""
    known = set(benchmarks["benchmark"])
    below: dict[str | None, list[tuple[int, str, Benchmark | None]]] = defaultdict(list)
    # As Python's own values: attributes of rows are read a thousand times faster so.
    for row in benchmarks.astype(object).where(benchmarks.notna(), None).to_dict("records"):
        benchmark = Benchmark(
            row["benchmark"],
            row["version"],
            row["ceiling"],
            row["ceiling_error"],
            row["reference"] or "",
            row["url"] or "",
        )
        parent = row["parent"] if row["parent"] in known else None
        below[parent].append((row["order"], row["benchmark"], benchmark))

    def nodes(parent: str | None) -> tuple[Node, ...]:
        found = []
        for order, identifier, benchmark in sorted(below[parent], key=lambda item: item[:2]):
            if identifier in below:
                if children := nodes(identifier):
                    found.append(Node(identifier, children, order=order))
            else:
                found.append(Node(identifier, (), benchmark, order=order))
        return tuple(found)

    return nodes(None)
