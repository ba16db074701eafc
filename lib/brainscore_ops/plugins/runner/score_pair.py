"""Score one model on one benchmark. Run inside the sandbox: score_pair.py LIBRARY MODEL BENCHMARK RESULT_FOLDER.

Leaves RESULT_FOLDER/result.json and, where the score has raw values, raw.npz (arrays of numbers and text, no objects).
Needs only the standard library; numpy where the library's scores are made of it. What it writes is a claim: whoever
reads it treats it as hostile, because the plugins run in this very process.
"""

from __future__ import annotations

import importlib
import json
import math
import os
import resource
import sys
import time
import traceback
from pathlib import Path
from typing import Any

SCHEMA_VERSION = 1
MAX_TEXT = 4000
MAX_BIBTEX = 20_000
MAX_RAW_BYTES = 64 * 1024 * 1024
RAW_FILE = "raw.npz"


def main() -> int:
    library_name, model, benchmark, result_folder = sys.argv[1:]
    folder = Path(result_folder)
    began = time.monotonic()
    timings: dict[str, float] = {}
    document: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION, "model": model, "benchmark": benchmark, "benchmark_version": None,
        "benchmark_parent": None, "benchmark_bibtex": None, "score": None, "raw": None, "ceiling": None,
        "ceiling_error": None, "raw_reference": None, "failure": None, "comment": None,
    }  # fmt: skip
    try:
        say(f"importing {library_name}")
        library = importlib.import_module(library_name)
        timings["import_seconds"] = time.monotonic() - began
        say(f"scoring {model} on {benchmark}")
        scoring_began = time.monotonic()
        score = library.score(model, benchmark)
        timings["score_seconds"] = time.monotonic() - scoring_began
        say("reading the score and its benchmark")
        document.update(read_score(score))
        document.update(read_benchmark(library.load_benchmark(benchmark), score))
        document["raw_reference"] = save_raw(score, folder)
    except BaseException as error:
        document["failure"] = describe(error)
        traceback.print_exc()
    timings["total_seconds"] = time.monotonic() - began
    document["timings"] = timings
    document["peak_memory_bytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    document["python"] = sys.version.split()[0]
    document["packages"] = installed_packages()
    write(folder, document)
    say("failed" if document["failure"] else f"score {document['score']['value']:.6g}")
    return 1 if document["failure"] else 0


def say(message: str) -> None:
    print(f"[score_pair] {message}", flush=True)  # noqa: T201 - read by whoever watches


def read_score(score: Any) -> dict[str, Any]:
    """The numbers of a score, read as ``brainscore_core.submission.database.update_score`` reads them."""
    attributes = getattr(score, "attrs", {})
    value = center(score)
    ceiled = "ceiling" in attributes
    return {
        "score": {"value": value, "error": error_of(score), "ceiled": ceiled},
        # Without a ceiling the score itself is the raw value.
        "raw": center(attributes["raw"]) if ceiled else value,
        "comment": text(attributes.get("comment"), MAX_TEXT),
    }


def read_benchmark(benchmark: Any, score: Any) -> dict[str, Any]:
    """What a score is of: the benchmark's version, place, reference and ceiling."""
    version = getattr(benchmark, "version", None)
    document: dict[str, Any] = {
        "benchmark_version": None if version is None else str(version),
        "benchmark_parent": text(getattr(benchmark, "parent", None), MAX_TEXT),
        "benchmark_bibtex": text(getattr(benchmark, "bibtex", None), MAX_BIBTEX),
    }
    # The ceiling that was used; a benchmark may compute it anew each time it is asked.
    ceiling = getattr(score, "attrs", {}).get("ceiling")
    if ceiling is not None:
        document |= {"ceiling": center(ceiling), "ceiling_error": error_of(ceiling)}
    return document


def center(score: Any) -> float:
    """The centre of a score: of its aggregation, where it has one, otherwise its only value."""
    if hasattr(score, "aggregation"):
        score = score.sel(aggregation="center")
    return finite(score, "score")


def error_of(score: Any) -> float | None:
    if hasattr(score, "aggregation"):
        return finite(score.sel(aggregation="error"), "error")
    error = getattr(score, "attrs", {}).get("error")
    return None if error is None else finite(error, "error")


def finite(value: Any, what: str) -> float:
    number = float(value.item() if hasattr(value, "item") else value)
    if not math.isfinite(number):
        message = f"The {what} is {number}: a finite number is expected."
        raise ValueError(message)
    return number


def text(value: Any, limit: int) -> str | None:
    return None if value is None else str(value)[:limit]


def save_raw(score: Any, folder: Path) -> dict[str, Any] | None:
    """Save the values that a score was computed from: ``attrs['raw']``, and what that was computed from in turn."""
    arrays: dict[str, Any] = {}
    name = "raw"
    current = getattr(score, "attrs", {}).get("raw")
    while current is not None and len(arrays) < 100:
        arrays[name] = getattr(current, "values", current)
        for coordinate in getattr(current, "coords", {}):
            arrays[f"{name}.{coordinate}"] = current.coords[coordinate].values
        name += "_raw"
        current = getattr(current, "attrs", {}).get("raw")
    if not arrays:
        return None

    import hashlib

    try:
        import numpy as np
    except ImportError:
        say("there is no numpy: the raw values are not kept")
        return None
    kept: dict[str, Any] = {}
    for key, values in arrays.items():
        array = np.asarray(values)
        if array.dtype.kind == "O":  # text of mixed lengths, mostly
            array = array.astype(str)
        if array.dtype.kind in "biufUS":
            kept[key] = array
    if sum(array.nbytes for array in kept.values()) > MAX_RAW_BYTES:
        say(f"the raw values are larger than {MAX_RAW_BYTES} bytes and are not kept")
        return None
    path = folder / RAW_FILE
    np.savez_compressed(path, **kept)
    content = path.read_bytes()
    return {"file": RAW_FILE, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def describe(error: BaseException) -> dict[str, str]:
    lines = traceback.format_exception(type(error), error, error.__traceback__)
    try:
        message = str(error)
    except Exception:  # even that is a stranger's code
        message = "(its message cannot be read)"
    return {
        "type": f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")[:200],
        "message": message[:MAX_TEXT],
        "traceback": "".join(lines)[-MAX_TEXT:],
    }


def installed_packages() -> dict[str, str]:
    """Name and version of each package that is installed, as the head of its metadata says them.

    ``importlib.metadata`` knows more forms than what uv and conda install, and takes longer to load than many a model.
    """
    packages: dict[str, str] = {}
    for place in sys.path:
        for path in sorted(Path(place).glob("*.dist-info/METADATA")):
            said: dict[str, str] = {}
            with path.open(encoding="utf-8", errors="replace") as lines:
                for line in lines:
                    if not line.strip():
                        break
                    key, _, value = line.partition(":")
                    said.setdefault(key, value.strip())
            if "Name" in said and "Version" in said:
                packages.setdefault(said["Name"], said["Version"])
    return dict(sorted(packages.items()))


def write(folder: Path, document: dict[str, Any]) -> None:
    """Write the result so that it is whole or not there."""
    temporary = folder / "result.json.part"
    temporary.write_text(json.dumps(document, allow_nan=False, ensure_ascii=True))
    os.replace(temporary, folder / "result.json")  # noqa: PTH105


if __name__ == "__main__":
    sys.exit(main())
