"""Training a Transformer of 3 + 3 layers, width 256, on Multi30k: `hanmo` beside a loop over transformers' Marian.

    python benchmarks/translate_train.py [--steps 20] [--repeats 1] [--rivals plain,sorted,bf16]

Figures are tokens of the target per second in training steps (forward, backward, clipping, AdamW), the same tokenizer and
about 4,096 tokens a step. "plain" is the loop as people write it: sentences in random order, float32; "sorted" puts
sentences of like length together; "bf16" computes in bfloat16 besides, which is its best setting here. Figures of the
project: at least 3 x the plain loop and 1.3 x its best setting.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from data_folder import data_folder
from machine_line import machine_line, spread

import hanmo
from hanmo.batches.padded_rows import collate
from hanmo.batches.token_rows import TokenRows
from hanmo.core.progress import set_quiet
from hanmo.nn.losses import IGNORED
from hanmo.stories.text2text_model import train_joint_tokenizer
from hanmo.stories.text2text_recipe import Text2TextTokenizer
from hanmo.stories.translation_recipe import TranslationRecipe
from hanmo.tasks.pair_examples import PairData, read_pairs
from hanmo.tokenizers.tokenizer import Tokenizer

WIDTH, LAYERS, HEADS, TOKENS, VOCABULARY = 256, 3, 4, 4096, 8000
END, PAD = 0, VOCABULARY - 1


def read(data: Path, folder: Path) -> tuple[dict[str, str], list[dict[str, list[int]]]]:
    """The files of the data set with a tokenizer of both sides beside them, and its rows as ids."""
    files = {
        f"{split}{side}": str(data / f"{name}.{language}.gz")
        for split, name in (("train", "train"), ("dev", "val"))
        for side, language in (("", "en"), ("_target", "de"))
    }
    splits = read_pairs(PairData.model_validate(files | {"leaks": "keep"}), seed=0)
    texts = [text for one in splits.train for text in (one.source, one.target)]
    train_joint_tokenizer(texts, Text2TextTokenizer(vocab_size=VOCABULARY - 1)).save(folder)
    tokenizer = Tokenizer.load(folder)
    sides = [tokenizer.encode_batch([getattr(one, side) for one in splits.train]) for side in ("source", "target")]
    rows = [{"input_ids": [*a, END], "labels": [*b, END]} for a, b in zip(*sides, strict=True)]
    return files, [row for row in rows if max(map(len, row.values())) <= 128]


def ours(files: dict[str, str], folder: Path, steps: int, seed: int) -> float:
    """Tokens of the target per second in the training loop."""
    recipe = TranslationRecipe.model_validate(
        {
            "seed": seed,
            "data": files | {"source_language": "en", "target_language": "de", "leaks": "keep", "overlong": "drop"},
            "model": {"d_model": WIDTH, "n_layers": LAYERS, "n_heads": HEADS, "max_len": 128},
            "tokenizer": {"path": str(folder)},
            "batch_tokens": TOKENS,
            "watched": 1,
            "decoding": {"num_beams": 1, "max_new_tokens": 2},
            "training": {
                "n_steps": steps,
                "lr": 1e-3,
                "eval_every": steps,
                "checkpoint_seconds": None,
                "patience": None,
            },
        }
    )
    run = hanmo.train(recipe, out=folder / f"run-{seed}").run
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return statistics.median(
        line["tokens_per_s"] for line in lines if line.get("step", 0) > 2 and "tokens_per_s" in line
    )


def rival(rows: list[dict[str, list[int]]], steps: int, seed: int, setting: str) -> float:
    """The same by transformers."""
    transformers.set_seed(seed)
    config = transformers.MarianConfig(
        vocab_size=VOCABULARY, d_model=WIDTH, encoder_layers=LAYERS, decoder_layers=LAYERS, encoder_attention_heads=HEADS,
        decoder_attention_heads=HEADS, encoder_ffn_dim=4 * WIDTH, decoder_ffn_dim=4 * WIDTH, max_position_embeddings=128,
        dropout=0.1, pad_token_id=PAD, eos_token_id=END, decoder_start_token_id=PAD, forced_eos_token_id=None,
        scale_embedding=True,
    )  # fmt: skip
    model: Any = transformers.MarianMTModel(config).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    fills = {"input_ids": PAD, "labels": IGNORED}
    by_tokens = TokenRows(rows, fill=PAD, batch_tokens=TOKENS, seed=seed)
    mean = statistics.mean(max(map(len, row.values())) for row in rows)
    draw, size = np.random.default_rng(seed), round(TOKENS / mean)
    rates = []
    for _ in range(steps):
        start = time.perf_counter()
        if setting == "plain":
            batch = collate([rows[row] for row in draw.integers(len(rows), size=size)], fills)
        else:
            batch = by_tokens.next()
        with torch.autocast("cpu", torch.bfloat16, enabled=setting == "bf16"):
            loss = torch.nn.functional.cross_entropy(
                model(**batch).logits.flatten(0, 1).float(), batch["labels"].flatten(), label_smoothing=0.1
            )
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        rates.append(int((batch["labels"] != IGNORED).sum()) / (time.perf_counter() - start))
    return statistics.median(rates[2:])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--rivals", default="plain,sorted,bf16")
    options = parser.parse_args()
    data = data_folder(parser)
    set_quiet(True)
    warnings.simplefilter("ignore")
    transformers.utils.logging.set_verbosity_error()
    names = ["hanmo", *(name for name in options.rivals.split(",") if name)]
    found: dict[str, list[float]] = {name: [] for name in names}
    print(machine_line(0, "transformers"), f"{torch.get_num_threads()} threads, {options.steps} steps")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        files, rows = read(data / "multi30k", folder)
        for seed in range(options.repeats):
            for name in names[seed % len(names) :] + names[: seed % len(names)]:
                rate = (
                    ours(files, folder, options.steps, seed)
                    if name == "hanmo"
                    else rival(rows, options.steps, seed, name)
                )
                found[name].append(rate)
                print(f"  seed {seed} {name:8s} {rate:8,.0f} tokens/s", flush=True)
    speed = {name: statistics.median(rates) for name, rates in found.items()}
    for name, rates in found.items():
        print(f"{name:8s} {spread(rates)} tokens/s; hanmo {speed['hanmo'] / speed[name]:.2f} x")


if __name__ == "__main__":
    main()
