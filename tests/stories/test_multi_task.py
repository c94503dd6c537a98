"""Two tasks that learn together on one encoder, and whose models then stand alone."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import hanmo
from hanmo.batches.mixture import SOURCE
from hanmo.cli.app import main
from hanmo.core.errors import ConfigError, ModelError
from hanmo.core.runs import RunFolder
from hanmo.core.toml import to_toml
from hanmo.models.bert import BertConfig, bert
from hanmo.models.directory import write_model
from hanmo.stories.multi_task_recipe import MultiTaskRecipe
from hanmo.stories.task_story import TaskStory
from hanmo.stories.train import plan, read_recipe, train
from hanmo.tasks import text_figures
from hanmo.tasks.multi_task import mixed_task_loss
from hanmo.tokenizers.tokenizer import Tokenizer
from hanmo.tokenizers.words import train_words
from hanmo.training.session import Session

PEOPLE, PLACES = ("anna", "宝玉", "john", "黛玉"), ("paris", "金陵", "rome", "北京")
MOODS = {"good": ("likes", "喜欢", "enjoys"), "bad": ("hates", "讨厌", "avoids")}


def sentence(draw: random.Random, label: str) -> tuple[list[str], list[str]]:
    """Words with who and where, in IOB2."""
    words = [draw.choice(PEOPLE), draw.choice(MOODS[label]), draw.choice(PLACES), str(draw.randrange(1000))]
    return words, ["B-PER", "O", "B-LOC", "O"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tasks")
    for seed, (split, n) in enumerate({"train": 90, "dev": 30, "test": 30}.items()):
        draw = random.Random(seed)
        rows, tagged = [], []
        for number in range(n):
            label = ("good", "bad")[number % 2]
            rows.append({"text": " ".join(sentence(draw, label)[0]), "label": label})
            tagged.append("\n".join(f"{word} {tag}" for word, tag in zip(*sentence(draw, label), strict=True)))
        (folder / f"mood-{split}.jsonl").write_text("\n".join(map(json.dumps, rows)))
        (folder / f"who-{split}.conll").write_text("\n\n".join(tagged[: n // 2]) + "\n")
    return folder


def recipe(folder: Path, **more: Any) -> MultiTaskRecipe:
    splits = ("train", "dev", "test")
    values: dict[str, Any] = {
        "tasks": [
            {
                "name": "who",
                "task": "token-classification",
                "data": {split: str(folder / f"who-{split}.conll") for split in splits} | {"scheme": "IOB2"},
            },
            {
                "name": "mood",
                "task": "text-classification",
                "data": {split: str(folder / f"mood-{split}.jsonl") for split in splits} | {"leaks": "keep"},
            },
        ],
        "model": {"encoder": "bilstm", "d_embedding": 16, "d_hidden": 8, "dropout": 0.1, "min_count": 1},
        "batch_size": 8,
        "alpha": 0.5,
        "training": {"epochs": 15, "lr": 1e-2, "checkpoint_steps": 10, "checkpoint_seconds": None},
    }
    return MultiTaskRecipe.model_validate(values | more)


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(recipe(data), out=tmp_path_factory.mktemp("runs") / "multi").run


def test_both_are_learned_and_each_stands_alone(run: Path) -> None:
    evaluation = json.loads((run / "evaluation.json").read_text())
    assert evaluation["test"]["scores"]["mood accuracy"] > 0.9
    assert evaluation["test"]["scores"]["who f1"] > 0.9
    assert evaluation["test"]["tasks"]["who"]["scores"]["f1"] == evaluation["test"]["scores"]["who f1"]
    mood = hanmo.pipeline("text-classification", run / "model/mood", device="cpu")
    assert [answer["label"] for answer in mood(["宝玉 讨厌 rome", "anna likes 北京"])] == ["bad", "good"]
    who = hanmo.pipeline("ner", run / "model/who", device="cpu")
    assert [one["entity"][2:] for one in who("anna likes rome")] == ["PER", "LOC"]
    for name in ("mood", "who"):
        assert hanmo.load(run / "model" / name).tokenizer.vocab_size == Tokenizer.load(run / "model/mood").vocab_size


def test_the_encoder_is_shared(run: Path) -> None:
    mood, who = (hanmo.load(run / "model" / name).model for name in ("mood", "who"))
    assert all(
        torch.equal(one, other)
        for one, other in zip(mood.backbone.parameters(), who.backbone.parameters(), strict=True)
    )
    record = json.loads((run / "run.json").read_text())
    heads = sum(p.numel() for model in (mood, who) for p in model.head.parameters())
    assert record["model"]["parameters"] == heads + sum(p.numel() for p in mood.backbone.parameters())
    assert set(record["hashes"]) == {"tokenizer.json", "who/model.safetensors", "mood/model.safetensors"}
    assert record["data"]["examples"] == {"train": 135, "dev": 45, "test": 45}
    assert "mood: good" in record["data"]["labels"]


def test_each_task_has_its_table(run: Path) -> None:
    page = (run / "report.html").read_text(encoding="utf-8")
    assert page.count("<h3>mood</h3>") == page.count("<h3>who</h3>") == 1
    rows = [json.loads(line) for line in (run / "predictions.jsonl").read_text().splitlines()]
    assert {row["task"] for row in rows} == {"mood", "who"}
    assert len(rows) == 2 * 45


def test_an_interrupted_run_goes_on(run: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = 0
    glance = text_figures.glance

    def stop(*arguments: Any, **options: Any) -> dict[str, float]:
        nonlocal seen
        seen += 1
        if seen == 3:
            raise KeyboardInterrupt
        return glance(*arguments, **options)

    monkeypatch.setattr(text_figures, "glance", stop)
    with pytest.raises(KeyboardInterrupt):
        train(recipe(data), out=tmp_path / "run")
    monkeypatch.undo()
    result = train(recipe(data), out=tmp_path / "run", resume=True)
    for name in ("mood", "who"):
        files = [folder / "model" / name / "model.safetensors" for folder in (run, tmp_path / "run")]
        assert files[0].read_bytes() == files[1].read_bytes()
    assert "mood accuracy" in result.summary()
    before = (tmp_path / "run/model/mood/model.safetensors").stat().st_mtime_ns
    assert train(recipe(data), out=tmp_path / "run", resume=True).evaluation == result.evaluation
    assert (tmp_path / "run/model/mood/model.safetensors").stat().st_mtime_ns == before


def write_bert(folder: Path, **shape: Any) -> None:
    words = [*PEOPLE, *PLACES, *(word for group in MOODS.values() for word in group), *map(str, range(1000))]
    tokenizer = train_words(words, 1200)
    torch.manual_seed(0)
    shape = {"vocab_size": tokenizer.vocab_size, "d_model": 16, "n_layers": 1, "n_heads": 2, "max_len": 40} | shape
    write_model(folder, bert(BertConfig.model_validate(shape), "BertForMaskedLM"))
    tokenizer.save(folder)


def test_from_a_checkpoint(data: Path, tmp_path: Path) -> None:
    write_bert(tmp_path / "bert")
    settings = recipe(
        data, model={"checkpoint": str(tmp_path / "bert")}, training={"epochs": 10, "lr": 1e-2, "patience": None}
    )
    result = train(settings, out=tmp_path / "run")
    assert result.evaluation["test"]["scores"]["who f1"] > 0.8
    mood, who = (hanmo.load(tmp_path / "run/model" / name).model for name in ("mood", "who"))
    shared = dict(mood.backbone.named_parameters())
    # the tagger has no pooler
    assert {name.split(".")[0] for name in shared.keys() - dict(who.backbone.named_parameters()).keys()} == {"pooler"}
    assert all(torch.equal(parameter, shared[name]) for name, parameter in who.backbone.named_parameters())
    assert hanmo.pipeline("ner", tmp_path / "run/model/who", device="cpu")("anna likes rome")


def with_adapter(data: Path, base: Path, adapter: dict[str, Any], **training: Any) -> MultiTaskRecipe:
    values = recipe(data).model_dump(exclude_unset=True)
    # two tasks that pool, for the checkpoint has no pooler, and one that does not
    other = values["tasks"][1] | {"name": "other"}
    return recipe(
        data, model={"checkpoint": str(base)}, adapter=adapter, tasks=[*values["tasks"], other],
        training={"lr": 1e-2, "patience": None, "checkpoint_seconds": None} | training,
    )  # fmt: skip


def test_one_adapter_on_the_encoder_and_a_head_for_each_task(data: Path, tmp_path: Path) -> None:
    write_bert(tmp_path / "bert", d_model=64, init_std=0.1)
    before = {file.name: file.read_bytes() for file in (tmp_path / "bert").iterdir()}
    asked = with_adapter(data, tmp_path / "bert", {"rank": 4}, epochs=6)
    result = train(asked, out=tmp_path / "run")
    assert {file.name: file.read_bytes() for file in (tmp_path / "bert").iterdir()} == before
    scores = result.evaluation["test"]["scores"]
    assert scores["who f1"] > 0.8
    assert scores["mood accuracy"] > 0.9
    assert result.model == tmp_path / "run/adapter"
    assert not (tmp_path / "run/model").exists()
    told = json.loads((tmp_path / "run/run.json").read_text())
    assert set(told["hashes"]) == {"tokenizer.json"} | {
        f"adapter/{name}/adapter_model.safetensors" for name in ("who", "mood", "other")
    }
    newest = max((tmp_path / "run/checkpoints").iterdir())
    trained = load_file(newest / "model.safetensors")
    assert sum(tensor.numel() for tensor in trained.values()) == told["model"]["trained_parameters"]

    files = {name: load_file(result.model / name / "adapter_model.safetensors") for name in ("who", "mood", "other")}
    low_rank = {name for name in files["mood"] if "lora_" in name}
    # queries, keys, values and three more of one layer
    assert len(low_rank) == 2 * 6
    assert {name for name in files["who"] if "lora_" in name} == low_rank
    shared = [*low_rank, "base_model.model.bert.pooler.dense.weight"]
    assert all(torch.equal(files["mood"][name], files["other"][name]) for name in shared)
    assert all(torch.equal(files["mood"][name], files["who"][name]) for name in low_rank)
    head = "base_model.model.classifier.weight"
    assert not torch.equal(files["mood"][head], files["other"][head])
    assert not any("pooler" in name for name in files["who"])

    mood = hanmo.pipeline("text-classification", result.model / "mood", device="cpu")
    assert [answer["label"] for answer in mood(["宝玉 讨厌 rome", "anna likes 北京"])] == ["bad", "good"]
    who = hanmo.load(tmp_path / "bert", adapter=result.model / "who")
    assert who.adapters == ("default",)
    with pytest.raises(ModelError, match="another kind of model or other labels"):
        who.add_adapter(result.model / "mood", "mood")
    with pytest.raises(ModelError, match=r"adapter_config\.json: this file is missing"):
        hanmo.load(tmp_path / "bert", adapter=result.model)
    assert main(["predict", "ner", str(result.model / "who"), "anna likes rome"]) == 0


@pytest.mark.parametrize(
    "adapter",
    [
        {"rank": 2, "dora": True, "base_dtype": "int8"},
        {"method": "bottleneck", "size": 4},
        {"method": "prompt", "n_tokens": 4, "text": "anna likes"},
        {"method": "prefix", "n_tokens": 4},
    ],
    ids=["dora-int8", "bottleneck", "prompt", "prefix"],
)
def test_an_interrupted_run_with_an_adapter_goes_on(
    adapter: dict[str, Any], data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_bert(tmp_path / "bert", d_model=64, d_ff=80)
    asked = with_adapter(data, tmp_path / "bert", adapter, n_steps=8, eval_every=4, checkpoint_steps=2)
    train(asked, out=tmp_path / "whole")
    step, n = Session.take_step, 0

    def cut(self: Any) -> Any:
        nonlocal n
        n += 1
        if n == 5:
            raise KeyboardInterrupt
        return step(self)

    monkeypatch.setattr(Session, "take_step", cut)
    with pytest.raises(KeyboardInterrupt):
        train(asked, out=tmp_path / "run")
    monkeypatch.undo()
    result = train(asked, out=tmp_path / "run", resume=True)
    for name in ("who", "mood", "other"):
        one, two = (tmp_path / run / "adapter" / name / "adapter_model.safetensors" for run in ("whole", "run"))
        assert one.read_bytes() == two.read_bytes()
    # judged again from what was stored, on the base as it is read (in training the frozen base may have had 8 bits)
    told = _told(tmp_path / "run")
    (tmp_path / "run/evaluation.json").write_text(json.dumps({"dev": result.evaluation["dev"]}))
    TaskStory(asked, RunFolder(tmp_path / "run"), False).judge("test")
    assert json.loads((tmp_path / "run/evaluation.json").read_text()) == result.evaluation
    again = _told(tmp_path / "run")
    assert again.keys() == told.keys()
    for key, (probability, rest) in told.items():
        assert again[key] == (pytest.approx(probability, abs=1e-5), rest)


def _told(run: Path) -> dict[tuple[str, str], tuple[float | None, dict[str, Any]]]:
    """Probability, and all else, of each line of predictions."""
    lines = [json.loads(line) for line in (run / "predictions.jsonl").read_text().splitlines()]
    return {(line["task"], line["where"]): (line.pop("probability", None), line) for line in lines}


def test_an_adapter_of_several_tasks_needs_a_base_and_places(data: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="needs a trained model"):
        recipe(data, adapter={"rank": 4})
    write_bert(tmp_path / "bert")
    with pytest.raises(ConfigError, match=r"'qery'.*There are: "):
        plan(with_adapter(data, tmp_path / "bert", {"targets": ["qery"]}, n_steps=1))
    assert "trained (" in plan(with_adapter(data, tmp_path / "bert", {"targets": ["query"]}, n_steps=1))
    with pytest.raises(ConfigError, match="no module of this model is called 'embedings'"):
        plan(with_adapter(data, tmp_path / "bert", {"save": ["embedings"]}, n_steps=1))


def test_a_study_of_several_tasks(data: Path, tmp_path: Path) -> None:
    study = {"search": {"alpha": [0.0, 1.0]}, "by": "who f1"}
    result = train(recipe(data, study=study, training={"epochs": 2, "lr": 1e-2}), out=tmp_path / "run")
    assert {"mood accuracy", "who f1"} <= set(
        result.evaluation["groups"][result.evaluation["chosen"]]["figures"]["test"]
    )


def test_recipes_and_plans(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "both.toml").write_text(to_toml(recipe(data).model_dump(mode="json")), encoding="utf-8")
    assert isinstance(again := read_recipe(tmp_path / "both.toml"), MultiTaskRecipe)
    assert [entry.model_dump() for entry in again.tasks] == [entry.model_dump() for entry in recipe(data).tasks]
    text = plan(tmp_path / "both.toml")
    assert "135 train, 45 dev, 45 test" in text
    assert "mood: bad 45, mood: good 45" in text
    assert (
        main(["train", str(tmp_path / "both.toml"), "--out", str(tmp_path / "run"), "--set", "training.epochs=1"]) == 0
    )
    assert f"hanmo predict token-classification {tmp_path}/run/model/who" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda tasks: tasks[:1], "at least 2 items"),
        (lambda tasks: [tasks[0], tasks[1] | {"name": "who"}], "the same name"),
        (lambda tasks: [tasks[0], tasks[1] | {"task": "translation"}], "text-classification"),
        (lambda tasks: [tasks[0], tasks[1] | {"name": "a b"}], "should match pattern"),
        (lambda tasks: [tasks[0], tasks[1] | {"crf": True}], "crf"),
    ],
)
def test_impossible_recipes(change: Any, match: str, data: Path, tmp_path: Path) -> None:
    values = recipe(data).model_dump(mode="json")
    values["tasks"] = change(values["tasks"])
    (tmp_path / "bad.toml").write_text(to_toml(values), encoding="utf-8")
    with pytest.raises(ConfigError, match=match):
        read_recipe(tmp_path / "bad.toml")


def test_a_search_changes_no_list(data: Path) -> None:
    with pytest.raises(ConfigError, match=r"'tasks' is no section, and has no '0\.alpha'"):
        plan(recipe(data, study={"search": {"tasks.0.alpha": [1, 2]}}))


def test_errors_of_a_task_are_better_when_lower(data: Path, tmp_path: Path) -> None:
    numbers = tmp_path / "numbers.jsonl"
    numbers.write_text("\n".join(json.dumps({"text": f"分数 {n % 7} 第 {n} 行", "label": n % 7}) for n in range(60)))
    tasks = [
        *recipe(data).model_dump(exclude_unset=True)["tasks"][:1],
        {"name": "type", "task": "text-classification", "data": {"train": str(numbers), "kind": "regression", "leaks": "keep"}},
    ]  # fmt: skip
    training = {"n_steps": 4, "lr": 1e-2, "checkpoint_seconds": None}
    study = {"search": {"training.lr": [1e-2, 1e-4]}, "by": "type mean_squared_error"}
    result = train(recipe(data, tasks=tasks, training=training, study=study), out=tmp_path / "study")
    assert result.evaluation["lower_is_better"]
    errors = [group["figures"]["dev"]["type mean_squared_error"]["mean"] for group in result.evaluation["groups"]]
    assert errors[result.evaluation["chosen"]] == min(errors)


def test_each_task_counts_by_its_rows() -> None:
    """One loss counts rows, the other words: accumulated, a batch of either has the same weight."""

    class Heads(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(2))

        def part(self, task: str) -> torch.nn.Module:
            return self

    heads = Heads()
    losses = {
        "rows": lambda model, batch: (model.weight[0] * 4, 4),
        "words": lambda model, batch: (model.weight[1] * 600, torch.tensor(600)),
    }
    loss = mixed_task_loss(losses)
    found = [loss(heads, {"input_ids": torch.zeros(4, 150), SOURCE: torch.tensor(number)}) for number in range(2)]
    (sum(total for total, _ in found) / sum(n for _, n in found)).backward()
    assert heads.weight.grad is not None
    assert heads.weight.grad.tolist() == [0.5, 0.5]
