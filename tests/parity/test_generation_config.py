"""What generation_config.json says is what is written: the same files, here and by `transformers`, without any argument."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from tests.parity import test_causal_lm as causal
from tests.parity import test_seq2seq as seq2seq
from tests.parity.test_beam import sharpen
from torch import Tensor

from hanmo.generation.beam import BeamSettings, beam_search
from hanmo.generation.decoding import decode
from hanmo.generation.seq2seq import generate_seq2seq
from hanmo.models.directory import read_model
from hanmo.tasks.asked_settings import asked_settings

SEEDS = [pytest.param(seed, marks=[pytest.mark.slow] if seed >= 8 else []) for seed in range(100)]


def random_file(rng: random.Random, n_prompt: int, likely: list[int], *, continues: bool) -> dict[str, Any]:
    """What such a file may hold; tokens are of those that the model likes to write."""
    options: dict[str, Any] = {
        "num_beams": rng.choice([1, 1, 2, 3, 4]),
        "repetition_penalty": rng.choice([None, None, 1.0, 1.6]),
        "no_repeat_ngram_size": rng.choice([None, 0, 1, 2, 3]),
        "min_new_tokens": rng.choice([None, None, 3]),
        "bad_words_ids": rng.choice(
            [None, [[rng.choice(likely)]], [rng.choices(likely, k=2), rng.choices(likely, k=1)]]
        ),
        "suppress_tokens": rng.choice([None, None, rng.choices(likely, k=2)]),
        "forced_eos_token_id": rng.choice([None, None, rng.choice(likely)]),
        "eos_token_id": rng.choice([likely[:1], rng.choices(likely, k=2), None]),
    }
    length = rng.randint(4, 12)
    options |= rng.choice(
        [{"max_new_tokens": length}, {"max_length": n_prompt + length}, {"max_new_tokens": length, "max_length": 3}]
    )
    if options["num_beams"] > 1:
        options |= {
            "length_penalty": rng.choice([None, 0.0, 0.7, 2.0, -1.0]),
            "early_stopping": rng.choice([None, True, False, "never"]),
            "renormalize_logits": rng.choice([None, True]),
            "num_return_sequences": rng.choice([None, 1, options["num_beams"]]),
        }
    if not continues:
        options |= {
            "forced_bos_token_id": rng.choice([None, None, rng.choice(likely)]),
            "min_length": rng.choice([None, 3]),
        }
    # what counts only where tokens are drawn
    options |= {"do_sample": False, "temperature": 0.5, "top_k": 3, "top_p": 0.8, "pad_token_id": 0}
    file = {name: value for name, value in options.items() if value is not None}
    if {file.get("forced_bos_token_id"), file.get("forced_eos_token_id")} & set(file.get("suppress_tokens", [])):
        del file["suppress_tokens"]  # refused there
    if file.get("forced_bos_token_id") in file.get("eos_token_id", []):
        del file["forced_bos_token_id"]  # one text alone could be; there it comes several times
    return file


def texts_there(rival: Any, inputs: dict[str, Tensor], file: dict[str, Any], n_prompt: int) -> list[list[int]]:
    """New tokens in front of the first end token."""
    rival.generation_config = transformers.GenerationConfig(**file)
    extra = {} if not rival.config.is_encoder_decoder else {"use_cache": seq2seq.can_cache(rival.config)}
    rows = rival.generate(**inputs, **extra)[:, n_prompt:].tolist()
    ends = file.get("eos_token_id", [])
    return [row[: next((place for place, token in enumerate(row) if token in ends), len(row))] for row in rows]


def without_padding(rows: list[list[int]]) -> list[list[int]]:
    """The rival fills short rows of a batch up, with 0."""
    return [row[: max((place + 1 for place, token in enumerate(row) if token != 0), default=0)] for row in rows]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_decoders(name: str, seed: int, tmp_path: Path) -> None:
    rival = causal.make_rival(name, seed)
    sharpen(rival)
    rival.save_pretrained(tmp_path)
    ours = read_model(tmp_path)
    ids = causal.padded_batch(seed, rival.config.vocab_size)[0][:1].clamp(min=1)
    rng = random.Random(seed)
    likely = sorted(set(greedy(rival, {"input_ids": ids}, ids.shape[1])))
    file = random_file(rng, ids.shape[1], likely, continues=True)
    ends = file.get("eos_token_id", [])
    found = asked_settings(json.loads(json.dumps(file)), {}, continues=True, eos_ids=ends)
    if isinstance(found, BeamSettings):
        written = [text.tokens for text in beam_search(ours, ids.tolist(), found, eos_ids=ends)[0]]
    else:
        decoding = decode(ours, ids.tolist(), found, eos_ids=ends)
        list(decoding)
        written = [row[ids.shape[1] :] for row in decoding.rows]
    theirs = texts_there(rival, {"input_ids": ids}, file, ids.shape[1])
    assert without_padding(written) == without_padding(theirs)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", ["T5ForConditionalGeneration", "MarianMTModel"])
def test_encoder_decoders(name: str, seed: int, tmp_path: Path) -> None:
    rival = seq2seq.make_rival(name, seed)
    sharpen(rival)
    rival.save_pretrained(tmp_path)
    ours = read_model(tmp_path)
    batch = seq2seq.make_batch(seed, rival.config)
    inputs = {key: batch[key] for key in ("input_ids", "attention_mask")}
    rng = random.Random(seed)
    likely = sorted(set(greedy(rival, inputs | {"use_cache": seq2seq.can_cache(rival.config)}, 1)))
    file = random_file(rng, 1, likely, continues=False)
    file["decoder_start_token_id"] = rival.config.decoder_start_token_id
    ends = file.get("eos_token_id", [])
    found = asked_settings(json.loads(json.dumps(file)), {}, continues=False, eos_ids=ends)
    rows = generate_seq2seq(ours, **inputs, settings=found, eos_ids=ends)
    theirs = texts_there(rival, inputs, file, 1)
    assert without_padding([text.tokens for row in rows for text in row]) == without_padding(theirs)


def greedy(rival: Any, inputs: dict[str, Tensor], n_prompt: int) -> list[int]:
    with torch.no_grad():
        rows = rival.generate(**inputs, do_sample=False, max_new_tokens=8, eos_token_id=None, pad_token_id=0)
    return rows[:, n_prompt:].flatten().tolist()
