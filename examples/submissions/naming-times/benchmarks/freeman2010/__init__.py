from brainscore_example import benchmark_registry

from .benchmark import IDENTIFIER, NamingTimes

benchmark_registry[IDENTIFIER] = NamingTimes
