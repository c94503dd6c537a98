"""Recipes and options that cannot work: exit code 2, with the place and what to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def train(hanmo: Callable[..., Any], tmp_path: Path) -> Callable[..., Any]:
    """Write a recipe and train with it."""

    def run(text: str, *options: object) -> Any:
        (tmp_path / "my.toml").write_text(text, encoding="utf-8")
        outcome = hanmo("train", tmp_path / "my.toml", "--out", tmp_path / "run", *options)
        assert not (tmp_path / "run").exists()
        return outcome

    return run


def test_a_typo(train: Callable[..., Any], tmp_path: Path) -> None:
    message = train("[training]\nminutes = 3\nlearning_rates = 1\n\n[model]\nn_layer = 3\n").refused(code=2)
    assert f"{tmp_path / 'my.toml'}:6: unknown key 'model.n_layer'; did you mean 'n_layers'?" in message
    assert f"{tmp_path / 'my.toml'}:3: unknown key" in message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[training]\nminutes = "long"\n', ("my.toml:2", "training.minutes", "'long'")),
        ("[model]\nd_model = 100\nn_heads = 3\n", ("my.toml:1", "100", "not a multiple", "3")),
        ("[model]\nn_layers = 0\n", ("my.toml:2", "model.n_layers")),
        ("[model]\nn_layers = 1.5\n", ("my.toml:2", "model.n_layers")),
        ("[training]\nminutes = nan\n", ("my.toml:2", "training.minutes")),
        ("[training]\nminutes = -1\n", ("my.toml:2", "training.minutes")),
        ('[corpus]\nsource = "nowhere"\n', ("my.toml", "nowhere", "does not exist")),
        ("task = 'classify'\n", ("my.toml:1", "task")),
        ("[training\n", ("my.toml", "not valid TOML")),
        ('device = "abacus"\n', ("abacus", "hanmo doctor")),
    ],
)
def test_impossible_values(train: Callable[..., Any], text: str, words: tuple[str, ...]) -> None:
    train(text).refused(*words, code=2)


def test_all_problems_at_once(train: Callable[..., Any]) -> None:
    message = train("seed = -1\nnmae = 'x'\n\n[training]\nlr = 'fast'\n").refused(code=2)
    assert len(message.strip().splitlines()) == 3
    for place in ("my.toml:1", "my.toml:2", "my.toml:5"):
        assert place in message


def test_a_recipe_that_is_not_there(hanmo: Callable[..., Any], tmp_path: Path) -> None:
    hanmo("train", tmp_path / "none.toml").refused("none.toml", "does not exist", "recipes/", code=2)


@pytest.mark.parametrize(
    "override", ["training.minutes", "=3", "training.minute=3", "training.minutes=soon", "name.first=x"]
)
def test_overrides(train: Callable[..., Any], override: str) -> None:
    train("name = 'x'\n", "--set", override).refused("--set", code=2)


def test_folders(hanmo: Callable[..., Any], recipe: Path, run: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "book.txt").write_text("mine", encoding="utf-8")
    hanmo("train", recipe, "--out", run).refused("already holds a run", "--resume", code=2)
    hanmo("train", recipe, "--out", run, "--resume", "--overwrite").refused("exclude", code=2)
    hanmo("train", recipe, "--out", tmp_path / "none", "--resume").refused("no run here", code=2)
    hanmo("train", recipe, "--out", run, "--resume", "--set", "seed=7").refused("seed: 0 -> 7", code=2)
    hanmo("train", recipe, "--out", tmp_path / "mine", "--overwrite").refused("not a run", code=2)
    hanmo("train", recipe, "--out", tmp_path / "file" / "run").refused("file", "not a folder", code=1)
    assert (tmp_path / "mine" / "book.txt").exists()


def test_no_permission(
    hanmo: Callable[..., Any], recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a patch, because root may write everywhere."""
    plain = Path.mkdir

    def guarded(self: Path, *arguments: Any, **options: Any) -> None:
        if self.is_relative_to(tmp_path / "closed"):
            raise PermissionError(13, "Permission denied", str(self))
        plain(self, *arguments, **options)

    monkeypatch.setattr(Path, "mkdir", guarded)
    hanmo("train", recipe, "--out", tmp_path / "closed" / "run").refused("no permission", "closed", code=1)


@pytest.mark.parametrize("minutes", ["0", "-1", "nan", "inf"])
def test_minutes(hanmo: Callable[..., Any], minutes: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    hanmo("quickstart", "--minutes", minutes).refused("--minutes", minutes, code=2)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nothing"], "nothing"),
        (["train"], "recipe"),
        (["train", "x.toml", "--bogus"], "--bogus"),
        (["quickstart", "--minutes", "soon"], "soon"),
        (["quickstart", "--family", "bert"], "bert"),
        (["generate", "model", "--temprature", "2"], "unknown option"),
        (["doctor", "too", "much"], "too"),
    ],
)
def test_wrong_use(hanmo: Callable[..., Any], arguments: list[str], words: str) -> None:
    outcome = hanmo(*arguments)
    assert outcome.code == 2
    assert words in outcome.err
    assert "Traceback" not in outcome.err
    assert outcome.out == ""


def test_a_bug_of_ours_keeps_its_traceback(
    hanmo: Callable[..., Any], recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_down(*arguments: object, **options: object) -> None:
        raise ZeroDivisionError("ours")

    monkeypatch.setattr("hanmo.stories.train.load_settings", break_down)
    outcome = hanmo("train", recipe)
    assert outcome.code == 1
    assert "Traceback" in outcome.err
    assert "please report it" in outcome.err
