"""`hanmo predict`, and `hanmo train` with labelled texts, through the command line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hanmo.core.progress import set_quiet
from hanmo.tasks.text_classification_pipeline import TextClassificationPipeline

RECIPE = """
task = "text-classification"
name = "tiny"
[data]
train = "{train}"
dev_fraction = 0.2
[model]
encoder = "bag"
d_embedding = 16
[training]
epochs = 40
patience = 40
lr = 0.02
"""


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("predict")
    rows = [
        {"text": f"{'很好 lovely' if number % 2 else '太差 awful'} {number}", "label": ["差", "好"][number % 2]}
        for number in range(60)
    ]
    (folder / "train.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    (folder / "recipe.toml").write_text(RECIPE.format(train=folder / "train.jsonl"))
    return folder / "recipe.toml"


def test_train_and_predict(hanmo: Callable[..., Any], recipe: Path, tmp_path: Path) -> None:
    done = hanmo("train", recipe, "--out", tmp_path / "run")
    assert done.code == 0, done.err
    assert "accuracy" in done.out
    model = tmp_path / "run" / "model"
    shown = hanmo("predict", "text-classification", model, "a lovely room 很好")
    assert shown.code == 0
    assert shown.out.split()[1] == "好"
    answer = json.loads(hanmo("predict", "sentiment-analysis", model, "awful", "--json", "--top-k", "2").out)
    assert [row["label"] for row in answer] == ["差", "好"]
    (tmp_path / "in.txt").write_text("awful 太差\nlovely 很好\n")
    assert (
        hanmo(
            "predict", "text-classification", model, "--file", tmp_path / "in.txt", "--out", tmp_path / "out.jsonl"
        ).code
        == 0
    )
    found = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [(row["text"], row["answer"]["label"]) for row in found] == [("awful 太差", "差"), ("lovely 很好", "好")]
    hanmo("predict", "nothing", model, "x").refused("there is no task 'nothing'")
    hanmo("predict", "text-classification", model, "x", "--out", "y").refused("--file and --out belong together")
    hanmo("predict", "text-classification", tmp_path / "none", "x").refused("no such model directory")
    hanmo("predict", "text-classification", model, "").refused("the text is empty")


def test_bad_examples(hanmo: Callable[..., Any], recipe: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text('{"text": "a", "label": "x"}\n{"text": "", "label": "y"}\n')
    out = hanmo("train", recipe, "--set", f"data.train={tmp_path / 'bad.jsonl'}", "--out", tmp_path / "run")
    out.refused("bad.jsonl:2: an empty text")
    hanmo("train", recipe, "--set", "task=nothing", "--out", tmp_path / "other").refused("task = 'nothing'")
    hanmo("train", recipe, "--set", "data.trian=x", "--out", tmp_path / "other").refused("trian")


def test_lines_of_every_kind(hanmo: Callable[..., Any], recipe: Path, tmp_path: Path) -> None:
    assert hanmo("train", recipe, "--out", tmp_path / "run").code == 0
    model, out, source = tmp_path / "run" / "model", tmp_path / "out.jsonl", tmp_path / "in.jsonl"
    ask = ("predict", "text-classification", model, "--file", source, "--out", out)
    source.write_text('"lovely 很好"\n{"text": "awful", "id": 7}\n')
    assert hanmo(*ask).code == 0
    found = [json.loads(line) for line in out.read_text().splitlines()]
    assert [(row["text"], row["answer"]["label"]) for row in found] == [("lovely 很好", "好"), ("awful", "差")]
    assert sorted(path.name for path in tmp_path.glob("out*")) == ["out.jsonl"]
    source.write_text('{"text": "好"}\n{"text": "ok \\ud83d"}\n')
    hanmo(*ask).refused("in.jsonl:2", "surrogate")


def test_answers_of_two_models_are_never_in_one_file(
    hanmo: Callable[..., Any], recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in (1, 2):
        short = ("--set", f"seed={seed}", "--set", "training.epochs=1")
        assert hanmo("train", recipe, "--out", tmp_path / str(seed), *short).code == 0
    source, out = tmp_path / "in.txt", tmp_path / "out.jsonl"
    source.write_text("好\n差\n很好\n")
    ask = [
        ("predict", "text-classification", tmp_path / seed / "model", "--file", source, "--out", out) for seed in "12"
    ]
    answers, n_batches = TextClassificationPipeline.answers, []

    def stop(self: Any, items: list[Any], **options: Any) -> Any:
        n_batches.append(len(items))
        if len(n_batches) == 2:
            raise KeyboardInterrupt
        return answers(self, items, **options)

    monkeypatch.setattr(TextClassificationPipeline, "at_once", 1)
    with monkeypatch.context() as once:
        once.setattr(TextClassificationPipeline, "answers", stop)
        set_quiet(False)
        stopped = hanmo(*ask[0])
    set_quiet(True)
    assert (stopped.code, stopped.err.splitlines()[-1]) == (130, "Interrupted.")
    assert "Texts answered: 1," in stopped.err
    hanmo(*ask[1]).refused("begun with another model")
    hanmo(*ask[0], "--top-k", "2").refused("begun with other options")
    copied = tmp_path / "moved"
    shutil.copytree(tmp_path / "1" / "model", copied)  # the same files are the same model, wherever they lie
    done = hanmo(*ask[0][:2], copied, *ask[0][3:])
    assert done.code == 0
    assert "2 texts answered" in done.out
    assert len(out.read_text().splitlines()) == 3


def test_a_pair_for_a_task_that_reads_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from hanmo.cli.app import main
    from hanmo.models.bert import BertConfig, bert
    from hanmo.models.directory import write_model
    from hanmo.tokenizers.words import train_words

    tokenizer = train_words(["李明 来 了", "anna came"], 100)
    shape = {"vocab_size": tokenizer.vocab_size, "d_model": 8, "n_layers": 1, "n_heads": 2, "labels": ("O", "B-人")}
    write_model(tmp_path, bert(BertConfig.model_validate(shape), "BertForTokenClassification"))
    tokenizer.save(tmp_path)
    assert main(["predict", "ner", str(tmp_path), "李明来了", "--pair", "另一句"]) == 2
    assert "ner reads no --pair" in capsys.readouterr().err
    assert main(["predict", "ner", str(tmp_path), "李明来了"]) == 0
