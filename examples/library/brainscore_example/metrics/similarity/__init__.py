from brainscore_example import metric_registry

from .metric import Similarity

metric_registry["similarity"] = Similarity
