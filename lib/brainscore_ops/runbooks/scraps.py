"""What a run hands on: named values glued into its notebook. The one module that knows scrapbook."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from enum import Enum
from pathlib import PurePath
from typing import Any, cast

from brainscore_ops.errors import UsageError
from brainscore_ops.runbooks.quick_imports import without_unused_options

SCRAP_MIME = "application/scrapbook.scrap."
"""How the kinds of output begin that carry scraps."""
_NOTHING = "null"


class BadScrapError(UsageError):
    """A value that JSON cannot say was to be glued."""

    code = "bad-scrap"


def glue(name: str, value: object) -> None:
    """Record a value in the running notebook; :func:`read_scraps` finds it there, and the run's row has it in its summary.

    numpy's scalars and arrays, tuples, sets, dates, paths, enumerations and pydantic models become what JSON has for them.

    :raises BadScrapError: for NaN and infinity, which scrapbook would turn into texts, and for what JSON has no form of
    """
    with without_unused_options():
        import scrapbook

    document = _as_json(value, name)
    if document is None:
        scrapbook.glue(name, _NOTHING, encoder="text")  # the schema of its JSON scraps knows no null
    else:
        # As a JSON text, which its encoder reads: a plain one it would read as if it were JSON.
        scrapbook.glue(name, json.dumps(document), encoder="json")


def read_scraps(notebook: Mapping[str, Any]) -> dict[str, Any]:
    """The scraps of an executed notebook, as JSON values; of two with one name the last counts."""
    return {
        payload["name"]: None if (payload["encoder"], payload["data"]) == ("text", _NOTHING) else payload["data"]
        for cell in notebook["cells"]
        for output in cell.get("outputs", [])
        for kind, payload in output.get("data", {}).items()
        if kind.startswith(SCRAP_MIME) and payload["encoder"] in ("json", "text")
    }


def _as_json(value: Any, where: str) -> Any:
    if isinstance(value, Enum):
        return _as_json(value.value, where)
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise BadScrapError(
                f"expected a finite number for the scrap {where}, found {value}",
                remedy="Glue None where there is none.",
            )
        return value
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): _as_json(item, f"{where}.{key}") for key, item in value.items()}
    if hasattr(value, "model_dump"):
        return _as_json(value.model_dump(mode="json"), where)
    if hasattr(value, "tolist"):  # numpy's scalars and arrays
        return _as_json(value.tolist(), where)
    if isinstance(value, list | tuple | set | frozenset):
        items = cast("Iterable[Any]", sorted(value) if isinstance(value, set | frozenset) else value)
        return [_as_json(item, f"{where}[{index}]") for index, item in enumerate(items)]
    raise BadScrapError(
        f"expected a value that JSON can say for the scrap {where}, found {type(value).__qualname__}",
        remedy="Glue its parts.",
    )
