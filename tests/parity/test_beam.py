"""Beam search against that of `transformers`, for encoder-decoders and, with padding on the left, for decoders."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.parity import test_causal_lm as causal
from tests.parity import test_seq2seq as seq2seq
from torch import Tensor

from hanmo.generation import BeamSettings, Continuation, beam_search, generate_seq2seq
from hanmo.generation import seq2seq as generation
from hanmo.generation.fast_beam import FastSteps
from hanmo.models.directory import read_model

SEEDS = [pytest.param(seed, marks=[pytest.mark.slow] if seed >= 6 else []) for seed in range(100)]
N_TOKENS = 20
SETTINGS: list[dict[str, Any]] = [
    {"num_beams": 4},
    {"num_beams": 3, "length_penalty": 0.0, "early_stopping": "never", "n": 3},
    {"num_beams": 5, "length_penalty": 2.0, "early_stopping": True, "n": 2},
    {"num_beams": 2, "length_penalty": -1.0, "n": 2},
    {"num_beams": 4, "length_penalty": 1.5, "early_stopping": "never", "n": 4, "min_new_tokens": 5},
    {"num_beams": 3, "repetition_penalty": 1.7, "no_repeat_ngram_size": 2, "n": 3, "min_new_tokens": 12},
]


def likely_ends(rival: Any, inputs: dict[str, Tensor], n_prompt: int, seed: int) -> list[int]:
    """Up to five tokens that the model likes to write, so that texts end early, late and not at all."""
    written = rival.generate(**inputs, do_sample=False, max_new_tokens=N_TOKENS, eos_token_id=None, pad_token_id=0)
    tokens = written[:, n_prompt:].unique().tolist()
    rng = random.Random(seed)
    return sorted(rng.sample(tokens, min(len(tokens), rng.choice([0, 1, 2, 3, 5]))))


def search_there(
    rival: Any, inputs: dict[str, Tensor], ends: list[int], n_prompt: int, settings: dict[str, Any]
) -> Any:
    """New tokens without an end token, and scores, of all texts in a row."""
    settings = settings | {"num_return_sequences": settings.get("n", 1)}
    settings.pop("n", None)
    out = rival.generate(
        **inputs, do_sample=False, max_new_tokens=N_TOKENS, eos_token_id=ends or None, pad_token_id=0,
        output_scores=True, return_dict_in_generate=True, **settings,
    )  # fmt: skip
    texts = []
    for row, beams in zip(out.sequences[:, n_prompt:].tolist(), out.beam_indices.tolist(), strict=True):
        text = row[: sum(beam >= 0 for beam in beams)]
        texts.append(text[:-1] if text[-1] in ends else text)
    return texts, out.sequences_scores


def assert_same(ours: list[list[Continuation]], theirs: tuple[list[list[int]], Tensor]) -> None:
    found = [text for row in ours for text in row]
    torch.testing.assert_close(torch.tensor([text.score for text in found]), theirs[1], rtol=1e-4, atol=1e-5)
    for text, tokens, score in zip(found, theirs[0], theirs[1].tolist(), strict=True):
        # of texts that are equally probable up to rounding, either may come first
        assert text.tokens == tokens or text.score == pytest.approx(score, rel=2e-6)
    for row in ours:
        assert [text.score for text in row] == sorted((text.score for text in row), reverse=True)


def sharpen(rival: Any) -> None:
    """Scores far enough from each other that rounding decides nothing."""
    with torch.no_grad():
        for parameter in rival.get_output_embeddings().parameters():
            parameter.mul_(3.0)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", ["T5ForConditionalGeneration", "MarianMTModel"])
def test_encoder_decoders(name: str, seed: int, tmp_path: Path) -> None:
    rival = seq2seq.make_rival(name, seed)
    sharpen(rival)
    rival.save_pretrained(tmp_path)
    ours = read_model(tmp_path)
    batch = seq2seq.make_batch(seed, rival.config)
    inputs = {key: batch[key] for key in ("input_ids", "attention_mask")}
    settings, plain = SETTINGS[seed % len(SETTINGS)], inputs | {"use_cache": seq2seq.can_cache(rival.config)}
    ends = likely_ends(rival, plain, 1, seed)
    theirs = search_there(rival, plain, ends, 1, settings)
    wanted = BeamSettings.model_validate(settings | {"max_new_tokens": N_TOKENS})
    assert_same(generate_seq2seq(ours, **inputs, settings=wanted, eos_ids=ends), theirs)


@pytest.mark.parametrize("seed", SEEDS)
def test_compiled_search(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = SETTINGS[seed % (len(SETTINGS) - 1)]  # the last one is not for kernels
    rival = seq2seq.make_rival(
        "MarianMTModel", seed, d_model=48, encoder_attention_heads=2, decoder_attention_heads=3
    )  # fmt: skip
    sharpen(rival)
    rival.save_pretrained(tmp_path)
    ours = read_model(tmp_path)
    batch = seq2seq.make_batch(seed, rival.config)
    inputs = {key: batch[key] for key in ("input_ids", "attention_mask")}
    ends = likely_ends(rival, inputs, 1, seed)
    theirs = search_there(rival, inputs, ends, 1, settings)
    wanted = BeamSettings.model_validate(settings | {"max_new_tokens": N_TOKENS})
    used: list[int] = []
    monkeypatch.setattr(generation, "FAST_FROM", 1)
    monkeypatch.setattr(generation, "FastSteps", lambda *a, **b: used.append(1) or FastSteps(*a, **b))
    assert_same(generate_seq2seq(ours, **inputs, settings=wanted, eos_ids=ends), theirs)
    assert used


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_decoders(name: str, seed: int, tmp_path: Path) -> None:
    rival = causal.make_rival(name, seed)
    sharpen(rival)
    rival.save_pretrained(tmp_path)
    ours = read_model(tmp_path)
    ids, mask, _ = causal.padded_batch(2 * seed, rival.config.vocab_size)
    settings = SETTINGS[seed % len(SETTINGS)]
    if (
        "repetition_penalty" in settings
    ):  # the rival cannot, for beams with a mask; and its n-grams take padding for text
        ids, mask = ids[:1].clamp(min=1), mask[:1]  # without a mask it takes 0 for padding
    inputs = {"input_ids": ids} | ({"attention_mask": mask} if len(ids) > 1 else {})
    ends = likely_ends(rival, inputs, ids.shape[1], seed)
    theirs = search_there(rival, inputs, ends, ids.shape[1], settings)
    prompts = [row[real.bool()].tolist() for row, real in zip(ids, mask, strict=True)]
    wanted = BeamSettings.model_validate(settings | {"max_new_tokens": N_TOKENS})
    assert_same(beam_search(ours, prompts, wanted, eos_ids=ends), theirs)
