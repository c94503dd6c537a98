"""The defaults of a quickstart, and its refusals."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from hanmo.core.errors import ConfigError
from hanmo.stories.quickstart import quickstart, quickstart_recipe


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


def test_a_minute_or_less_of_a_users_own_text(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    first = quickstart(corpus, minutes=0.02, lang="zh")
    assert first.run == Path("runs/quickstart")
    assert first.status == "finished"
    assert first.report.exists()
    assert str(first.model) in first.summary()
