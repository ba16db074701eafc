from brainscore_example import benchmark_registry

from .benchmark import FunctionalConnectivity

benchmark_registry["VanEssen2013.functional-similarity"] = FunctionalConnectivity
