"""A chat model from conversations, and then from preferences: the whole stories at toy size, and the recipes."""

from __future__ import annotations

import gzip
import itertools
import json
import os
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hanmo
from hanmo.core.errors import ConfigError, DataError
from hanmo.core.toml import to_toml
from hanmo.stories.dialogue_recipe import DialogueRecipe
from hanmo.stories.preferences_recipe import PreferencesRecipe
from hanmo.stories.train import plan, read_recipe, train

ROOT = Path(__file__).parent.parent.parent
WORDS = {"cat": "猫", "dog": "狗", "moon": "月", "rain": "雨", "ink": "墨", "tea": "茶"}


def conversations() -> list[str]:
    """Somebody asks for words, in three rounds; no two are alike."""
    lines = []
    for words in itertools.permutations(sorted(WORDS), 3):
        messages = []
        for word in words:
            messages += [{"role": "user", "content": word}, {"role": "assistant", "content": f"{WORDS[word]}。"}]
        lines.append(json.dumps({"messages": messages}, ensure_ascii=False))
    random.Random(0).shuffle(lines)
    return lines[:90]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("conversations")
    lines = conversations()
    (folder / "train.jsonl").write_text("\n".join(lines[6:]))
    (folder / "test.jsonl").write_text("\n".join(lines[:6]))
    pairs = []
    for first, word in itertools.permutations(WORDS, 2):
        prompt = [
            {"role": "user", "content": first},
            {"role": "assistant", "content": f"{WORDS[first]}。"},
            {"role": "user", "content": word},
        ]
        others = [han for han in WORDS.values() if han != WORDS[word]]
        pairs += [{"prompt": prompt, "chosen": f"{WORDS[word]}。", "rejected": f"{other}。"} for other in others[:3]]
    (folder / "pairs.jsonl").write_text("\n".join(json.dumps(one, ensure_ascii=False) for one in pairs))
    return folder


def recipe(folder: Path, **more: Any) -> DialogueRecipe:
    values: dict[str, Any] = {
        "data": {"train": str(folder / "train.jsonl"), "test": str(folder / "test.jsonl"), "dev_fraction": 0.2},
        "model": {"family": "llama", "n_layers": 2, "d_model": 64, "n_heads": 4, "max_len": 64, "vocab_size": 600},
        "answers": {"n_answers": 4, "max_new_tokens": 8, "temperature": 0.0, "repetition_penalty": 1.0},
        "batch_size": 4,
        "training": {"epochs": 24, "lr": 1e-2, "patience": None, "checkpoint_seconds": None, "autocast": "off"},
    }
    return DialogueRecipe.model_validate(values | more)


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(recipe(data), out=tmp_path_factory.mktemp("runs") / "chat").run


def test_what_is_learned(run: Path) -> None:
    figures = json.loads((run / "evaluation.json").read_text())["test"]
    scores = figures["scores"]
    assert scores["perplexity"] < 1.5
    assert (
        figures["intervals"]["perplexity"]["low"] <= scores["perplexity"] <= figures["intervals"]["perplexity"]["high"]
    )
    assert scores["length_people"] == 1
    assert {"bits_per_byte", "distinct_1", "distinct_1_people", "length"} <= scores.keys()
    assert "distinct_2" not in scores  # answers of one character have none
    lm = hanmo.load(run / "model")
    assert lm.chat([{"role": "user", "content": "ink"}], max_new_tokens=8) == "墨。"
    report = (run / "report.html").read_text()
    assert "Perplexity on answers" in report
    assert "&lt; " in report
    told = json.loads((run / "run.json").read_text())
    assert told["status"] == "finished"


def test_transformers_chats_too(run: Path) -> None:
    from transformers import pipeline

    asked = [{"role": "user", "content": "tea"}]
    options = {"max_new_tokens": 8, "do_sample": False}
    theirs = pipeline("text-generation", model=str(run / "model"))(asked, **options)
    assert theirs == hanmo.pipeline("text-generation", run / "model")(asked, **options)
    assert theirs[0]["generated_text"][-1] == {"role": "assistant", "content": "茶。"}


def test_the_plan_shows_what_is_learned(data: Path, tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text(to_toml(recipe(data).model_dump(mode="json")))
    text = plan(tmp_path / "recipe.toml")
    assert "<|im_start|>user\n" in text
    assert text.count("【") == text.count("】") == 4  # three answers, and what the marks mean
    assert "。<|im_end|>】" in text
    assert isinstance(read_recipe(tmp_path / "recipe.toml"), DialogueRecipe)
    with pytest.raises(ConfigError, match="cannot be chosen with a checkpoint"):
        read_recipe(tmp_path / "recipe.toml", ["model.checkpoint=x"])
    with pytest.raises(ConfigError, match="compares whole conversations"):
        read_recipe(tmp_path / "recipe.toml", ["answers.against=x", "chat.overlong=truncate"])


def test_an_interrupted_run_goes_on(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hanmo.tasks import dialogue_figures

    seen, glance = 0, dialogue_figures.glance_at_answers

    def stop(*arguments: Any) -> dict[str, float]:
        nonlocal seen
        seen += 1
        if seen == 3:
            raise KeyboardInterrupt
        return glance(*arguments)

    training = {"n_steps": 6, "lr": 5e-3, "eval_every": 2, "checkpoint_steps": 1, "patience": None}
    settings = recipe(data, training=training, answers={"n_answers": 0})
    train(settings, out=tmp_path / "whole")
    monkeypatch.setattr(dialogue_figures, "glance_at_answers", stop)
    with pytest.raises(KeyboardInterrupt):
        train(settings, out=tmp_path / "run")
    monkeypatch.undo()
    train(settings, out=tmp_path / "run", resume=True)
    for name in ("model/model.safetensors", "evaluation.json"):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_refused_before_the_first_step(data: Path, tmp_path: Path) -> None:
    short = {"family": "llama", "n_layers": 1, "d_model": 16, "n_heads": 2, "max_len": 24, "vocab_size": 320}
    with pytest.raises(DataError, match=r"train\.jsonl:\d+: \d+ tokens, and room for 24"):
        train(recipe(data, model=short), out=tmp_path / "long")
    with pytest.raises(DataError, match="no token of an answer is left within 8 tokens"):
        train(recipe(data, model=short, chat={"overlong": "truncate", "max_len": 8}), out=tmp_path / "masked")
    (tmp_path / "bare.jinja").write_text("{% for m in messages %}<|im_start|>{{ m.content }}{% endfor %}")
    with pytest.raises(ConfigError, match="does not mark what the assistant writes"):
        train(recipe(data, chat={"template": str(tmp_path / "bare.jinja")}), out=tmp_path / "unmarked")
    assert not list(tmp_path.glob("*/metrics.jsonl"))


def test_a_checkpoint_goes_on_with_its_own_template(run: Path, data: Path, tmp_path: Path) -> None:
    settings = recipe(
        data, model={"checkpoint": str(run / "model")}, chat={"packed": False},
        training={"n_steps": 2, "lr": 1e-4}, answers={"n_answers": 2, "against": str(run / "model")},
    )  # fmt: skip
    result = train(settings, out=tmp_path / "more")
    assert 0 <= result.evaluation["test"]["scores"]["win_rate"] <= 1
    assert (tmp_path / "more/model/chat_template.jinja").read_text() == (run / "model/chat_template.jinja").read_text()


def test_a_base_model_learns_to_talk(english: Any, data: Path, tmp_path: Path) -> None:
    """A GPT-2 whose tokenizer knows no turns gets the plain template, and stops at the end of a text."""
    assert english.model is not None
    settings = recipe(
        data, model={"checkpoint": str(english.model)}, chat={"overlong": "split"}, training={"n_steps": 2},
        answers={"n_answers": 0},
    )  # fmt: skip
    train(settings, out=tmp_path / "run")
    saved = hanmo.load(tmp_path / "run/model")
    assert saved.model.architecture == "GPT2LMHeadModel"
    assert saved.tokenizer.chat_template.count("Assistant:") == 2
    assert isinstance(saved.chat([{"role": "user", "content": "Hello"}], max_new_tokens=3), str)


def preferences(run: Path, data: Path, **more: Any) -> PreferencesRecipe:
    values: dict[str, Any] = {
        "data": {"train": str(data / "pairs.jsonl"), "dev_fraction": 0.2, "test_fraction": 0.2},
        "model": {"checkpoint": str(run / "model")},
        "preferences": {"beta": 0.5},
        "training": {"n_steps": 12, "lr": 1e-3, "eval_every": 4, "patience": None, "checkpoint_steps": 4},
    }
    return PreferencesRecipe.model_validate(values | more)


def test_preferences_are_learned(run: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers that were swapped at random are told from the right ones; what was known before training is kept."""
    scores = train(preferences(run, data), out=tmp_path / "run").evaluation["test"]["scores"]
    assert scores["preference_accuracy"] > 0.7
    assert scores["margin"] > 0
    assert scores["margin"] == pytest.approx(scores["reward_chosen"] - scores["reward_rejected"])
    held = json.loads((tmp_path / "run/reference.json").read_text())
    assert set(held) == {"train", "dev", "test"}
    assert "Reward margin" in (tmp_path / "run/report.html").read_text()

    from hanmo.tasks import preference_figures

    seen, glance = 0, preference_figures.glance_at_preferences

    def stop(*arguments: Any) -> dict[str, float]:
        nonlocal seen
        seen += 1
        if seen == 3:
            raise KeyboardInterrupt
        return glance(*arguments)

    monkeypatch.setattr(preference_figures, "glance_at_preferences", stop)
    with pytest.raises(KeyboardInterrupt):
        train(preferences(run, data), out=tmp_path / "stopped")
    monkeypatch.undo()
    train(preferences(run, data), out=tmp_path / "stopped", resume=True)
    for name in ("model/model.safetensors", "reference.json", "evaluation.json"):
        assert (tmp_path / "stopped" / name).read_bytes() == (tmp_path / "run" / name).read_bytes()


@pytest.mark.parametrize(
    "adapter", [{"method": "lora", "rank": 4}, {"method": "prompt", "n_tokens": 3}, {"method": "prefix", "n_tokens": 3}],
    ids=lambda adapter: adapter["method"],
)  # fmt: skip
def test_preferences_of_an_adapter_begin_at_its_base(
    run: Path, data: Path, tmp_path: Path, adapter: dict[str, Any]
) -> None:
    few = {"n_steps": 2, "lr": 1e-3, "eval_every": 2}
    train(preferences(run, data, training=few), out=tmp_path / "whole")
    result = train(preferences(run, data, training=few, adapter=adapter), out=tmp_path / "adapter")
    whole, beside = (json.loads((tmp_path / name / "reference.json").read_text()) for name in ("whole", "adapter"))
    for name in ("train", "dev", "test"):
        assert np.abs(np.subtract(beside[name]["logprobs"], whole[name]["logprobs"])).max() < 1e-4
    assert hanmo.load(result.model).chat([{"role": "user", "content": "cat"}], max_new_tokens=2) is not None


def test_the_recipe_of_preferences_at_toy_size(data: Path, tmp_path: Path) -> None:
    """From the model of a dialogue recipe, with the test's own conversations in the place of its files."""
    few = {"n_steps": 2, "lr": 1e-3, "eval_every": 2, "autocast": "off"}
    run = train(recipe(data, training=few), out=tmp_path / "chat").run
    draw = random.Random(0)
    talk = [
        "".join(f"{word} __eou__ {WORDS[word]}。 __eou__ " for word in draw.sample(sorted(WORDS), 2)) for _ in range(60)
    ]
    (tmp_path / "talk.txt").write_text("\n".join(dict.fromkeys(talk)), encoding="utf-8")
    text = (ROOT / "recipes/dailydialog-preferences.toml").read_text(encoding="utf-8")
    kept = [
        line for line in text.splitlines() if not line.startswith(("train =", "test =", "checkpoint =", "epochs ="))
    ]
    kept.insert(kept.index("[data]") + 1, f'train = "{tmp_path / "talk.txt"}"\ntest_fraction = 0.2')
    kept.insert(kept.index("[model]") + 1, f'checkpoint = "{run / "model"}"')
    (tmp_path / "preferences.toml").write_text("\n".join(kept), encoding="utf-8")
    sets = ["batch_size=4", "data.dev_fraction=0.2", "training.n_steps=4", "training.eval_every=2"]
    result = train(tmp_path / "preferences.toml", overrides=sets, out=tmp_path / "run")
    assert 0 <= result.evaluation["test"]["scores"]["preference_accuracy"] <= 1
    assert hanmo.load(result.model).chat([{"role": "user", "content": "cat"}], max_new_tokens=4) is not None


@pytest.mark.skipif(not os.environ.get("HANMO_DATA"), reason="HANMO_DATA is not set: the data sets are not here")
@pytest.mark.parametrize("name", ["dailydialog", "dialogue-zh"])
def test_recipes_at_toy_size(name: str, tmp_path: Path) -> None:
    """The first lines of their files, a model of a moment."""
    path = ROOT / "recipes" / f"{name}.toml"
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("minutes")]
    sets = [
        "batch_size=2", "model.n_layers=1", "model.d_model=32", "model.n_heads=2", "model.vocab_size=400",
        "data.dev_fraction=0.1", "answers.n_answers=2", "answers.max_new_tokens=4", "model.max_len=512",
        "training.n_steps=2", "training.eval_every=2",
    ]  # fmt: skip
    for key in ("train", "test"):
        found = next((line for line in lines if line.startswith(f'{key} = "')), None)
        if found is not None:
            with gzip.open(os.path.expandvars(found.split('"')[1]), "rt", encoding="utf-8") as file:
                some = "".join(itertools.islice(file, 60))
            (tmp_path / f"{key}.txt").write_text(some, encoding="utf-8")
            sets.append(f"data.{key}={tmp_path / key}.txt")
    (tmp_path / path.name).write_text("\n".join(lines), encoding="utf-8")
    result = train(tmp_path / path.name, overrides=sets, out=tmp_path / "run")
    assert result.evaluation["test"]["scores"]["perplexity"] > 1
