"""Text from models: settings, sampling, decoding with caches, compiled kernels for one row on a CPU."""

from __future__ import annotations

from hanmo.generation.decoding import Decoding, FinishReason, decode
from hanmo.generation.packing import supports
from hanmo.generation.settings import GenerationSettings

__all__ = ["Decoding", "FinishReason", "GenerationSettings", "decode", "supports"]
