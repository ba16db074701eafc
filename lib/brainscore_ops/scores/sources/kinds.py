"""What every source of scores gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import pandas as pd


class Source(Protocol):
    """Gives whole data frames, each by the name of its schema in :data:`brainscore_ops.scores.columns.SCHEMAS`."""

    @property
    def name(self) -> str:
        """What a person calls it."""

    @property
    def domain(self) -> str:
        """The domain of its scores: ``vision``."""

    def read(self, name: str) -> pd.DataFrame:
        """The data frame of that name, with the columns and dtypes of its schema.

        :raises NotPublishedError: the source does not give it
        :raises UnavailableError: the source does not answer
        """
