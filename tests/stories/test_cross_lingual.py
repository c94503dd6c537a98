"""Trained on English alone, evaluated on Chinese: by a model that knows both, and by one that does not."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
import torch

from hanmo.models.bert import BertConfig, bert
from hanmo.models.directory import write_model
from hanmo.stories.classification_recipe import ClassificationRecipe
from hanmo.stories.train import train
from hanmo.tokenizers.words import train_words

PAIRS = {"room": "房", "film": "片", "food": "菜", "very": "很", "good": "好", "fine": "佳", "bad": "坏", "poor": "差"}
GOOD, BAD, THINGS = ("good", "fine"), ("bad", "poor"), ("room", "film", "food")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("languages")
    draw = random.Random(0)
    for name, n in (("en-train", 120), ("en-dev", 40), ("zh-test", 60)):
        rows = []
        for number in range(n):
            words = [draw.choice(THINGS), *["very"] * draw.randrange(4), draw.choice(BAD if number % 2 else GOOD)]
            words += draw.sample(THINGS, draw.randrange(3))
            text = "".join(PAIRS[word] for word in words) if name.startswith("zh") else " ".join(words)
            rows.append({"text": text, "label": ("good", "bad")[number % 2]})
        (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder


def recipe(folder: Path, model: dict[str, Any]) -> ClassificationRecipe:
    data = {
        name: str(folder / f"{file}.jsonl")
        for name, file in (("train", "en-train"), ("dev", "en-dev"), ("test", "zh-test"))
    }
    return ClassificationRecipe.model_validate(
        {"data": data | {"leaks": "keep"}, "model": model, "batch_size": 16,
         "training": {"epochs": 12, "lr": 3e-3, "checkpoint_seconds": None}}
    )  # fmt: skip


def test_a_model_that_knows_both(data: Path, tmp_path: Path) -> None:
    """Words of both languages that mean the same have the same vector, as multilingual pretraining brings about."""
    tokenizer = train_words([" ".join((*PAIRS, *PAIRS.values()))], 100)
    torch.manual_seed(0)
    shape = {"vocab_size": tokenizer.vocab_size, "d_model": 32, "n_layers": 1, "n_heads": 2, "max_len": 24}
    model: Any = bert(BertConfig.model_validate(shape), "BertForMaskedLM")
    table = model.backbone.token_weight
    with torch.no_grad():
        table.normal_(std=1.0)
        for english, chinese in PAIRS.items():
            table[tokenizer.token_id(chinese)] = table[tokenizer.token_id(english)]
    write_model(tmp_path / "both", model)
    tokenizer.save(tmp_path / "both")
    result = train(recipe(data, {"checkpoint": str(tmp_path / "both")}), out=tmp_path / "run")
    assert result.evaluation["dev"]["scores"]["accuracy"] > 0.95
    assert result.evaluation["test"]["scores"]["accuracy"] > 0.9


def test_a_model_from_nothing_knows_nothing_of_the_other(data: Path, tmp_path: Path) -> None:
    result = train(
        recipe(data, {"encoder": "bag", "d_embedding": 16, "min_count": 1, "dropout": 0.0}), out=tmp_path / "run"
    )
    assert result.evaluation["dev"]["scores"]["accuracy"] > 0.95
    assert 0.3 < result.evaluation["test"]["scores"]["accuracy"] < 0.7
