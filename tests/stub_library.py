"""The code of a library with the contract of Brain-Score's and none of its weight, for plugins that behave as a test says."""

LIBRARY = "brainscore_stub"

LIBRARY_CODE = '''
"""A library with the contract of Brain-Score's, and none of its weight."""
import importlib

model_registry = {}
benchmark_registry = {}


class Score(float):
    def __new__(cls, value, **attrs):
        score = super().__new__(cls, value)
        score.attrs = attrs
        return score


def load_model(identifier):
    importlib.import_module(f"brainscore_stub.models.{identifier}")
    return model_registry[identifier]()


def load_benchmark(identifier):
    importlib.import_module(f"brainscore_stub.benchmarks.{identifier}")
    return benchmark_registry[identifier]()


def score(model_identifier, benchmark_identifier):
    return load_benchmark(benchmark_identifier)(load_model(model_identifier))
'''

MODEL = """
from brainscore_stub import model_registry

def predict():
{body}

model_registry["{name}"] = lambda: predict
"""
