"""The defaults of a quickstart, and its refusals."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from hanmo.core.errors import ConfigError
from hanmo.core.runs import RunFolder
from hanmo.stories.pretrain import pretrain
from hanmo.stories.quickstart import quickstart, quickstart_recipe
from hanmo.stories.recipe import PretrainRecipe
from hanmo.stories.result import PretrainResult


@pytest.mark.parametrize("minutes", [0, -3, math.nan, math.inf])
def test_impossible_minutes(minutes: float) -> None:
    with pytest.raises(ConfigError, match="minutes"):
        quickstart_recipe(minutes=minutes)


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_every_budget_has_a_size_that_works(family) -> None:
    sizes = [quickstart_recipe(minutes=minutes, family=family).model for minutes in (0.01, 3, 20, 600)]
    widths = [size.d_model for size in sizes]
    assert widths == sorted(widths)
    assert widths[0] < widths[-1]


def test_the_corpus_must_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="nowhere"):
        quickstart("nowhere")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("wish", ["resume", "overwrite"])
def test_which_run(wish: str) -> None:
    with pytest.raises(ConfigError, match="--out"):
        quickstart(**{wish: True})


def test_a_users_own_text(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def with_short_samples(recipe: PretrainRecipe, run: RunFolder, **options: Any) -> PretrainResult:
        samples = recipe.samples.model_copy(update={"max_new_tokens": 4, "n_prompts": 1})
        return pretrain(recipe.model_copy(update={"samples": samples}), run, **options)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("hanmo.stories.quickstart.pretrain", with_short_samples)
    first, second = (quickstart(corpus, minutes=0.005, lang="zh") for _ in range(2))
    assert (first.run, second.run) == (Path("runs/quickstart"), Path("runs/quickstart-2"))
    assert first.status == second.status == "finished"
    assert '<html lang="zh' in first.report.read_text(encoding="utf-8")
    assert str(first.model) in first.summary()
