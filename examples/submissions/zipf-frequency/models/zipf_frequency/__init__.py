from brainscore_example import model_registry

from .model import ZipfFrequency

model_registry["zipf-frequency"] = ZipfFrequency
