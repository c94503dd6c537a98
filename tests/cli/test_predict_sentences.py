"""`hanmo train` and `hanmo predict` for texts that are alike, blanks to fill, and answers to grade."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from hanmo.models.bert import BertConfig, bert
from hanmo.models.directory import write_model
from hanmo.tokenizers.words import train_words

TEXTS = ["怎么退货", "我要退货", "where is it", "find it for me"]


@pytest.fixture(scope="module")
def masked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bert")
    tokenizer = train_words(TEXTS, 60)
    torch.manual_seed(0)
    shape: dict[str, Any] = {"d_model": 12, "n_layers": 1, "n_heads": 2, "max_len": 24}
    write_model(folder, bert(BertConfig(vocab_size=tokenizer.vocab_size, **shape), "BertForMaskedLM"))
    tokenizer.save(folder)
    return folder


def test_fill_mask(hanmo: Callable[..., Any], masked: Path) -> None:
    shown = hanmo("predict", "fill-mask", masked, "怎么[MASK]货", "--top-k", "2")
    assert shown.code == 0, shown.err
    assert len(shown.out.splitlines()) == 2
    score, token, *sequence = shown.out.splitlines()[0].split()
    assert 0 < float(score) < 1
    assert token == "[UNK]" or token in sequence
    assert sequence[-1] == "货"
    assert len(json.loads(hanmo("predict", "fill-mask", masked, "[MASK] is [MASK]", "--json").out)) == 2
    hanmo("predict", "fill-mask", masked, "怎么退货").refused("there is no [MASK] in this text")


def test_vectors(hanmo: Callable[..., Any], masked: Path) -> None:
    rows = hanmo("predict", "feature-extraction", masked, "怎么").out.splitlines()
    assert [len(row.split()) for row in rows] == [12] * 4
    assert len(hanmo("predict", "feature-extraction", masked, "怎么", "--pooled").out.split()) == 12


def test_similarity(hanmo: Callable[..., Any], tmp_path: Path) -> None:
    pairs = [{"text": f"{TEXTS[n % 4]} {n}", "pair": f"{TEXTS[(n % 4) ^ 1]} {n}"} for n in range(40)]
    (tmp_path / "train.jsonl").write_text("\n".join(map(json.dumps, pairs)))
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        f'task = "sentence-similarity"\n[data]\ntrain = "{tmp_path}/train.jsonl"\n'
        '[model]\nencoder = "bag"\nd_embedding = 16\n[training]\nepochs = 2\n'
    )
    done = hanmo("train", recipe, "--out", tmp_path / "run")
    assert done.code == 0, done.err
    assert "mrr" in done.out
    assert "hanmo predict sentence-similarity" in done.out
    model = tmp_path / "run" / "model"
    assert float(hanmo("predict", "sentence-similarity", model, TEXTS[0], "--pair", TEXTS[0]).out) == pytest.approx(1)
    hanmo("predict", "sentence-similarity", model, TEXTS[0]).refused("does not say what to compare")
    hanmo("train", recipe, "--set", "data.kind=scores", "--out", tmp_path / "b").refused("train.jsonl:1: no score")


def test_grading(hanmo: Callable[..., Any], tmp_path: Path) -> None:
    rows = [{"q": "2 + 2", "answer": f"{n % 3} 个 {n}", "reference": "2 个", "score": n % 3} for n in range(40)]
    (tmp_path / "train.jsonl").write_text("\n".join(map(json.dumps, rows)))
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        f'task = "grading"\n[data]\ntrain = "{tmp_path}/train.jsonl"\nquestion = "q"\n'
        '[model]\nencoder = "bag"\nd_embedding = 16\n[training]\nepochs = 2\n'
    )
    done = hanmo("train", recipe, "--out", tmp_path / "run")
    assert done.code == 0, done.err
    assert "quadratic_kappa" in done.out
    model = tmp_path / "run" / "model"
    asked = ("predict", "grading", model, "2 个", "--pair", "2 个")
    assert 0 <= float(hanmo(*asked, "--question", "2 + 2").out) <= 2
    hanmo(*asked).refused("this model reads the question too")
    hanmo("predict", "feature-extraction", model, "x", "--question", "y").refused("reads no --question")
    (tmp_path / "in.jsonl").write_text('{"question": "2 + 2", "answer": "", "reference": "2 个"}\n')
    done = hanmo("predict", "grading", model, "--file", tmp_path / "in.jsonl", "--out", tmp_path / "out.jsonl")
    assert done.code == 0, done.err
    assert 0 <= json.loads((tmp_path / "out.jsonl").read_text())["grade"]["score"] <= 2
    rows[3]["score"] = 1.5
    (tmp_path / "train.jsonl").write_text("\n".join(map(json.dumps, rows)))
    hanmo("train", recipe, "--out", tmp_path / "c").refused("train.jsonl:4: 1.5 lies between the steps")
