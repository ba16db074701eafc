from brainscore_example import metric_registry

from .metric import Ridge

metric_registry["ridge"] = Ridge
