from brainscore_example import benchmark_registry

from .benchmark import Concreteness

benchmark_registry["Scott2019.concreteness-ridge"] = Concreteness
