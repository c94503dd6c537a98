"""Measures over texts and predictions: pure functions, no torch, right for Chinese."""

from __future__ import annotations

from hanmo.metrics.compression import bits_per_byte, bits_per_character, compressor_bits_per_byte, perplexity
from hanmo.metrics.order0 import order0_bits_per_byte, order0_nats

__all__ = [
    "bits_per_byte",
    "bits_per_character",
    "compressor_bits_per_byte",
    "order0_bits_per_byte",
    "order0_nats",
    "perplexity",
]
