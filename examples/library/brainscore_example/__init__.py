"""A small Brain-Score domain library: how well do representations of words and brain regions agree with people?

    >>> from brainscore_example import score
    >>> score("word-length", "Scott2019.concreteness-ridge")

Models, benchmarks, data sets, stimulus sets and metrics are plugins: folders that register what they hold under an
identifier. A plugin is imported when one of its identifiers is first asked for.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

# Before NumPy is imported: one thread gives the same bits whatever the number of cores.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

from brainscore_example.plugin_loading import resolve

if TYPE_CHECKING:
    from collections.abc import Callable

    from brainscore_core.benchmarks import Benchmark
    from brainscore_core.metrics import Metric, Score
    from brainscore_core.supported_data_standards.brainio.assemblies import DataAssembly
    from brainscore_core.supported_data_standards.brainio.stimuli import StimulusSet

    from brainscore_example.model_interface import BrainModel

model_registry: dict[str, Callable[[], BrainModel]] = {}
benchmark_registry: dict[str, Callable[[], Benchmark]] = {}
data_registry: dict[str, Callable[[], DataAssembly]] = {}
stimulus_set_registry: dict[str, Callable[[], StimulusSet]] = {}
metric_registry: dict[str, Callable[[], Metric]] = {}


def score(model_identifier: str, benchmark_identifier: str) -> Score:
    """Score a model on a benchmark.

    The value is the agreement divided by the benchmark's ceiling: 1 is as good as the data allow, 0 is chance.
    Its `attrs`: `error` (of the value), `raw` (the agreement before division, with its own `error` and, in its own
    `raw`, the value of each fold or subject), `ceiling`, `model_identifier`, `benchmark_identifier`.
    """
    from brainscore_core.benchmarks import score_benchmark

    result = score_benchmark(load_benchmark(benchmark_identifier), load_model(model_identifier))
    result.attrs["model_identifier"] = model_identifier
    result.attrs["benchmark_identifier"] = benchmark_identifier
    return result


def load_model(identifier: str) -> BrainModel:
    return resolve("models", "model", identifier, model_registry)()


def load_benchmark(identifier: str) -> Benchmark:
    return resolve("benchmarks", "benchmark", identifier, benchmark_registry)()


def load_dataset(identifier: str) -> DataAssembly:
    return resolve("data", "data", identifier, data_registry)()


def load_stimulus_set(identifier: str) -> StimulusSet:
    return resolve("data", "stimulus_set", identifier, stimulus_set_registry)()


def load_metric(identifier: str) -> Metric:
    return resolve("metrics", "metric", identifier, metric_registry)()
