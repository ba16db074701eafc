from brainscore_example import model_registry

from .model import MiniLM

model_registry["minilm"] = MiniLM
