"""Text from models: settings, sampling, decoding with caches, beam search, compiled kernels for one row on a CPU."""

from __future__ import annotations

from hanmo.generation.beam import BeamSettings, Continuation, beam_search
from hanmo.generation.decoding import Decoding, FinishReason, decode
from hanmo.generation.packing import supports
from hanmo.generation.permutation import generate_by_permutation
from hanmo.generation.seq2seq import decode_seq2seq, generate_seq2seq
from hanmo.generation.settings import GenerationSettings

__all__ = [
    "BeamSettings",
    "Continuation",
    "Decoding",
    "FinishReason",
    "GenerationSettings",
    "beam_search",
    "decode",
    "decode_seq2seq",
    "generate_by_permutation",
    "generate_seq2seq",
    "supports",
]
