"""Adapters in the story of a task: trained, written, resumed, loaded, switched, merged; Chinese and English examples."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import hanmo
from hanmo.cli.app import main
from hanmo.core.errors import ConfigError, ModelError
from hanmo.models.adapter_settings import PromptSettings
from hanmo.models.bert import BertConfig, bert
from hanmo.models.directory import read_model, write_model
from hanmo.models.gpt2 import GPT2Config, gpt2
from hanmo.stories.classification_recipe import ClassificationRecipe
from hanmo.stories.train import plan, read_recipe, train
from hanmo.tasks.adapted import adapt
from hanmo.tokenizers.tokenizer import Tokenizer
from hanmo.tokenizers.words import train_words
from hanmo.training import session

RECIPES = Path(__file__).parents[2] / "recipes"
GOOD = ["房间很干净", "a fine and funny film", "服务很热情", "well worth the trip"]
BAD = ["房间太小", "a dull and noisy film", "服务很差", "not worth the money"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base model and labelled texts."""
    folder = tmp_path_factory.mktemp("adapters")
    tokenizer = train_words(GOOD + BAD, 200, min_count=1, segments=True, model_max_length=32)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=tokenizer.vocab_size,
        d_model=64,
        n_layers=2,
        n_heads=2,
        d_ff=80,
        max_len=32,
        init_std=0.1,
        pad_id=tokenizer.pad_id,
    )
    write_model(folder / "base", bert(config, "BertForMaskedLM"))
    tokenizer.save(folder / "base")
    for name, n in {"train": 96, "dev": 12, "test": 12}.items():
        rows = [
            {"text": f"{(BAD if i % 2 else GOOD)[i // 2 % 4]} {name} {i}", "label": ["好", "坏"][i % 2]}
            for i in range(n)
        ]
        lines = [json.dumps(row, ensure_ascii=False) for row in rows]
        (folder / f"{name}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return folder


def recipe(home: Path, **more: Any) -> ClassificationRecipe:
    values: dict[str, Any] = {
        "data": {name: str(home / f"{name}.jsonl") for name in ("train", "dev", "test")},
        "model": {"checkpoint": str(home / "base")},
        "adapter": {"rank": 4},
        "batch_size": 8,
        "training": {"epochs": 8, "lr": 1e-2, "checkpoint_seconds": None},
    }
    return ClassificationRecipe.model_validate(values | more)


@pytest.fixture(scope="module")
def run(home: Path) -> Path:
    train(recipe(home), out=home / "run")
    return home / "run"


def answers(model: Any) -> list[Any]:
    return hanmo.pipeline("text-classification", model)(["服务很差 test 5", "a fine and funny film test 2"])


def test_a_run_leaves_an_adapter(run: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert not (run / "model").exists()
    assert {path.name for path in (run / "adapter").iterdir()} >= {"adapter_config.json", "adapter_model.safetensors"}
    told = json.loads((run / "run.json").read_text())
    assert 0 < told["model"]["trained_parameters"] < 0.3 * told["model"]["parameters"]
    config = json.loads((run / "adapter" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == str((home / "base").resolve())
    assert config["task_type"] == "SEQ_CLS"
    assert config["modules_to_save"] == ["bert.pooler.dense", "classifier"]
    # checkpoints hold what is trained, and the optimizer nothing else
    newest = max((run / "checkpoints").iterdir())
    trained, states = load_file(newest / "model.safetensors"), load_file(newest / "optimizer.safetensors")
    assert sum(t.numel() for t in trained.values()) == told["model"]["trained_parameters"]
    assert {name.partition("|")[0] for name in states} == trained.keys()
    assert main(["predict", "text-classification", str(run / "adapter"), "服务很差 test 5"]) == 0
    assert "坏" in capsys.readouterr().out
    assert (
        main(
            ["predict", "text-classification", str(home / "base"), "服务很差 test 5", "--adapter", str(run / "adapter")]
        )
        == 0
    )
    assert "坏" in capsys.readouterr().out


def test_loaded_merged_and_in_eight_bits_it_says_the_same(
    run: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = answers(run / "adapter")
    assert [one["label"] for one in expected] == ["坏", "好"]
    assert main(["adapter", "merge", str(run / "adapter"), "--out", str(home / "whole")]) == 0
    for one, other in zip(answers(home / "whole"), expected, strict=True):
        assert one["label"] == other["label"]
        assert one["score"] == pytest.approx(other["score"], abs=1e-5)
    with pytest.raises(ConfigError, match="not empty"):
        main_raising(["adapter", "merge", str(run / "adapter"), "--out", str(home / "whole")])
    with pytest.raises(ConfigError, match="a file, no folder"):
        main_raising(["adapter", "merge", str(run / "adapter"), "--out", str(run / "adapter/adapter_config.json")])
    few = hanmo.pipeline("text-classification", run / "adapter", dtype="int8")(["服务很差 test 5"])
    assert few[0]["label"] == "坏"
    capsys.readouterr()
    assert main(["adapter", "show", str(run / "adapter"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["kind"] == "LORA"
    assert "classifier" in told["whole"]
    assert main(["adapter", "show", str(run / "adapter")]) == 0
    assert "LORA" in capsys.readouterr().out


def main_raising(arguments: list[str]) -> None:
    from hanmo.cli.adapter import merge

    merge(arguments[2], out=Path(arguments[4]))


def test_several_users_on_one_base(run: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)
    # for 阿丽 the labels mean the opposite
    for name in ("train", "dev", "test"):
        rows = [json.loads(line) for line in (home / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]
        turned = [row | {"label": {"好": "坏", "坏": "好"}[row["label"]]} for row in rows]
        (home / f"turned-{name}.jsonl").write_text("\n".join(map(json.dumps, turned)), encoding="utf-8")
    data = {name: str(home / f"turned-{name}.jsonl") for name in ("train", "dev", "test")}
    asked = recipe(home, name="reviews", data=data, adapter=None, training={"epochs": 8, "lr": 1e-2})
    found = train(asked, adapter_for="阿丽")
    assert found.run == Path("runs/reviews-阿丽")
    both = hanmo.load(home / "base", adapter={"all": run / "adapter", "阿丽": found.model})
    assert both.adapters == ("all", "阿丽")
    from hanmo.tasks.text_classifier import TextClassifier

    teller = TextClassifier(both.model, both.tokenizer)
    labels = {}
    for name in ("all", "阿丽", "all"):
        both.switch_adapter(name)
        scores = teller.scores(["服务很差 test 5"])
        labels[name] = teller.labels[int(scores[0].argmax())]
    assert labels == {"all": "坏", "阿丽": "好"}
    both.switch_adapter("阿丽")
    both.save(home / "copy")
    assert answers(home / "copy") == answers(found.model)


@contextlib.contextmanager
def stopped_at(step: int) -> Iterator[None]:
    """Every training is told to stop before this step."""
    before, n = session.Session.take_step, 0

    def cut(self: Any) -> Any:
        nonlocal n
        n += 1
        if n == step:
            os.kill(os.getpid(), signal.SIGTERM)
        return before(self)

    session.Session.take_step = cut  # pyright: ignore[reportAttributeAccessIssue]
    try:
        yield
    finally:
        session.Session.take_step = before


def test_the_adapter_of_a_user_goes_on(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    asked = recipe(home, name="reviews", adapter=None, training={"n_steps": 6, "lr": 1e-2, "eval_every": 3})
    with stopped_at(3):
        assert train(asked, adapter_for="阿丽").status == "stopped"
    assert train(asked, adapter_for="王五").status == "finished"
    again = train(asked, adapter_for="阿丽", resume=True)
    assert (again.status, again.run) == ("finished", Path("runs/reviews-阿丽"))
    one, two = (
        load_file(tmp_path / f"runs/reviews-{name}/adapter/adapter_model.safetensors") for name in ("阿丽", "王五")
    )
    assert all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.parametrize(
    "adapter",
    [
        {"rank": 2, "dora": True, "dropout": 0.1, "base_dtype": "int8"},
        {"method": "ia3", "targets": ["key", "value"], "base_dtype": "bfloat16"},
        {"method": "bottleneck", "size": 4},
        {"method": "prompt", "n_tokens": 4, "text": "服务很热情", "base_dtype": "int8"},
        {"method": "prefix", "n_tokens": 4},
    ],
    ids=["dora-int8", "ia3-bfloat16", "bottleneck", "prompt-int8", "prefix"],
)
def test_resume_is_bit_exact(adapter: dict[str, Any], home: Path, tmp_path: Path) -> None:
    whole = train(
        recipe(home, adapter=adapter, training={"n_steps": 8, "lr": 1e-2, "eval_every": 4}), out=tmp_path / "a"
    )
    asked = recipe(home, adapter=adapter, training={"n_steps": 8, "lr": 1e-2, "eval_every": 4})
    with stopped_at(4):
        assert train(asked, out=tmp_path / "b").status == "stopped"
    assert train(asked, out=tmp_path / "b", resume=True).status == "finished"
    one, two = (load_file(tmp_path / name / "adapter" / "adapter_model.safetensors") for name in ("a", "b"))
    assert one.keys() == two.keys()
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert whole.status == "finished"


@pytest.mark.parametrize("method", ["prompt", "prefix"])
def test_virtual_tokens_beside_a_frozen_base(method: str, home: Path, tmp_path: Path) -> None:
    before = {file.name: file.read_bytes() for file in (home / "base").iterdir()}
    asked = recipe(home, adapter={"method": method, "n_tokens": 4}, training={"n_steps": 6, "lr": 1e-2})
    found = train(asked, out=tmp_path / "run")
    assert {file.name: file.read_bytes() for file in (home / "base").iterdir()} == before
    tensors = load_file(found.model / "adapter_model.safetensors")
    assert tensors["prompt_embeddings"].shape == {"prompt": (4, 64), "prefix": (4, 2 * 2 * 64)}[method]
    assert {one["label"] for one in answers(found.model)} <= {"坏", "好"}
    with pytest.raises(ModelError, match="cannot be merged"):
        main_raising(["adapter", "merge", str(found.model), "--out", str(tmp_path / "whole")])
    assert not (tmp_path / "whole").exists()


def test_a_prompt_begins_as_its_text(home: Path) -> None:
    tokenizer = Tokenizer.load(home / "base")
    model = read_model(home / "base")
    settings = PromptSettings(method="prompt", n_tokens=5, text="服务")
    vectors = adapt(model, settings, str(home / "base"))["default"].parts[""].vectors
    ids = tokenizer.encode("服务")
    wanted = model.backbone.token_weight[torch.tensor([ids[i % len(ids)] for i in range(5)])]
    assert torch.equal(vectors, wanted)


def test_a_moved_missing_or_other_base(run: Path, home: Path, tmp_path: Path) -> None:
    shutil.copytree(run / "adapter", tmp_path / "adapter")
    config = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    for base, match in ((str(tmp_path / "gone"), "is not at"), (None, "does not say which model")):
        (tmp_path / "adapter" / "adapter_config.json").write_text(
            json.dumps(config | {"base_model_name_or_path": base})
        )
        with pytest.raises(ModelError, match=match):
            hanmo.load(tmp_path / "adapter")
        assert hanmo.load(home / "base", adapter=tmp_path / "adapter").adapters == ("default",)
    tokenizer = Tokenizer.load(home / "base")
    other = BertConfig(vocab_size=tokenizer.vocab_size, d_model=64, n_layers=2, n_heads=2, d_ff=80, max_len=32)
    write_model(tmp_path / "other", bert(other, "BertForMaskedLM"))
    tokenizer.save(tmp_path / "other")
    with pytest.raises(ModelError, match="trained on another model"):
        hanmo.load(tmp_path / "other", adapter=tmp_path / "adapter")
    decoder = GPT2Config(
        vocab_size=tokenizer.vocab_size, max_len=32, d_model=8, n_layers=1, n_heads=2, bos_id=None, eos_id=None
    )
    write_model(tmp_path / "gpt2", gpt2(decoder))
    tokenizer.save(tmp_path / "gpt2")
    with pytest.raises(ModelError, match="another family"):
        hanmo.load(tmp_path / "gpt2", adapter=tmp_path / "adapter")
    with pytest.raises(ConfigError, match="loaded without adapters"):
        hanmo.load(home / "base").switch_adapter("default")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"rank": 0}, "greater than or equal to 1"),
        ({"ranc": 8}, "unknown key 'adapter.ranc'; did you mean 'rank'"),
        ({"method": "lorra"}, "lorra"),
        ({"method": "ia3"}, "'adapter.targets' is missing"),
        ({"method": "bottleneck", "activation": "gellu"}, "unknown activation 'gellu'"),
    ],
)
def test_impossible_sections(change: dict[str, Any], match: str, home: Path, tmp_path: Path) -> None:
    from hanmo.core.toml import to_toml

    file = tmp_path / "recipe.toml"
    values = recipe(home).model_dump(mode="json", exclude_unset=True) | {
        "task": "text-classification",
        "adapter": change,
    }
    file.write_text(to_toml(values), encoding="utf-8")
    with pytest.raises(ConfigError, match=match):
        read_recipe(file)


def test_plans_name_what_is_trained_and_what_cannot_be(home: Path) -> None:
    assert "trained (" in plan(recipe(home))
    with pytest.raises(ConfigError, match=r"'querry'.*There are: "):
        plan(recipe(home, adapter={"targets": ["querry"]}))
    with pytest.raises(ValueError, match="needs a trained model"):
        recipe(home, model={"encoder": "cnn"})


def test_the_recipe_at_toy_size(home: Path, tmp_path: Path) -> None:
    changes = [f"model.checkpoint={home / 'base'}", "training.epochs=1"]
    changes += [f"data.{name}={home / f'{name}.jsonl'}" for name in ("train", "dev", "test")]
    changes += ['data.text="text"', 'data.label="label"', "data.names={ }"]
    found = train(RECIPES / "sst2-minilm-lora.toml", overrides=changes, out=tmp_path / "run")
    assert found.status == "finished"
    assert (found.model / "adapter_model.safetensors").is_file()
