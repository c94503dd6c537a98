"""A summariser from texts and titles, in Chinese and English, beside what no training gives; questions by the same code."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

import hanmo
from hanmo.core.errors import DataError
from hanmo.stories.summarization_recipe import SummarizationRecipe, Text2TextGenerationRecipe
from hanmo.stories.train import train

TOPICS = {"足球": "体育", "股票": "财经", "电影": "娱乐", "chess": "games", "rain": "weather"}


def rows(n: int, seed: int) -> list[dict[str, Any]]:
    draw = random.Random(seed)
    found = []
    for _ in range(n):
        topic = draw.choice(list(TOPICS))
        number = draw.randrange(10**6)
        if topic.isascii():
            text = f"It was day {number}. Nobody slept. All of it was about {topic}."
            summary = f"News of {TOPICS[topic]}"
        else:
            text, summary = f"今天是第{number}天。大家都没睡。全是关于{topic}的事。", f"{TOPICS[topic]}新闻"
        found.append({"text": text, "summary": summary})
    return found


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("summaries")
    found: dict[str, Any] = {"apart": "pair", "leaks": "drop"}
    for seed, (name, n) in enumerate({"train": 160, "dev": 20, "test": 20}.items()):
        path = folder / f"{name}.jsonl"
        path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows(n, seed)), encoding="utf-8")
        found[name] = str(path)
    return found


def values(data: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "data": data,
        "model": {"d_model": 32, "n_layers": 1, "n_heads": 2, "d_ff": 64, "dropout": 0.0, "max_len": 64},
        "tokenizer": {"kind": "unigram", "vocab_size": 600},
        "batch_tokens": 500,
        "decoding": {"num_beams": 2, "max_new_tokens": 12},
        "training": {"epochs": 5, "lr": 5e-3, "checkpoint_seconds": None, "autocast": "off"},
    } | more


def test_summaries_are_learned(data: dict[str, Any], tmp_path: Path) -> None:
    run = train(SummarizationRecipe.model_validate(values(data)), out=tmp_path / "run").run
    scores = json.loads((run / "evaluation.json").read_text())["test"]["scores"]
    assert scores["rouge1-zh-char"] > 0.7
    assert scores["rouge1-zh-char"] > scores["rouge1-zh-char lead-1"]
    assert "rougeL-zh-char textrank-1" in scores
    assert "Summariser" in (run / "report.html").read_text()
    summarise = hanmo.pipeline("summarization", run / "model")
    (found,) = summarise(rows(1, 7)[0]["text"])
    assert set(found) == {"summary_text"}
    assert summarise([{"text": row["text"]} for row in rows(3, 7)])[0] == found


def test_questions_by_the_same_code(data: dict[str, Any], tmp_path: Path) -> None:
    recipe = Text2TextGenerationRecipe.model_validate(values(data, language="zh", training={"n_steps": 4}))
    result = train(recipe, out=tmp_path / "run")
    assert {"bleu", "rouge1-zh-char", "rougeL-zh-char"} <= set(result.evaluation["test"]["scores"])
    assert "tok:zh" in result.evaluation["test"]["signatures"]["bleu"]


def test_texts_that_are_too_long(data: dict[str, Any], tmp_path: Path) -> None:
    short = values(data)["model"] | {"max_len": 12}
    with pytest.raises(
        DataError, match=r"examples have more than 12 tokens on one side: .*train\.jsonl:\d+: \d+ tokens"
    ):
        train(SummarizationRecipe.model_validate(values(data, model=short)), out=tmp_path / "a")
    with pytest.raises(DataError, match="no example is short enough"):
        train(SummarizationRecipe.model_validate(values(data | {"overlong": "drop"}, model=short)), out=tmp_path / "b")
    recipe = values(data | {"overlong": "truncate"}, model=short, training={"n_steps": 2})
    result = train(SummarizationRecipe.model_validate(recipe), out=tmp_path / "c")
    notes = json.loads((result.run / "run.json").read_text())["data"]["notes"]
    assert notes["examples cut because they are too long"] == 160
