from brainscore_example import model_registry

from .model import RandomFeatures

model_registry["random-features"] = RandomFeatures
