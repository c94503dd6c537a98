"""The mean of the weights of several runs that began at one checkpoint: a model soup (Wortsman et al., 2022)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from hanmo.core.errors import ConfigError
from hanmo.core.progress import say
from hanmo.training.checkpoint import load_model_tensors, model_tensors

if TYPE_CHECKING:
    from hanmo.stories.task_story import TaskWork
    from hanmo.tasks.loaded_model import LoadedModel
    from hanmo.tasks.splits import Splits

__all__ = ["Soup", "make_soup"]


@dataclass(frozen=True)
class Soup:
    """A model of several runs."""

    model: LoadedModel
    """With the mean of their weights."""
    runs: tuple[Path, ...]
    """Those that are in it."""


def make_soup(
    work: TaskWork[Any, Any], splits: Splits[Any], runs: Sequence[Path], *, by: str, lower_is_better: bool
) -> Soup:
    """Take the weights of the best run, and add those of each next one if dev gets no worse by their mean: the greedy
    recipe (Wortsman et al., 2022, algorithm 1).

    Args:
        work: of the recipe.
        splits: all examples; dev judges.
        runs: finished ones, the best first.
        by: figure that judges.
        lower_is_better: whether it is an error.

    Raises:
        ConfigError: for a run whose model has another shape or another tokenizer than the first.
    """

    def judged(model: LoadedModel) -> float:
        work.choose(model, splits)
        figures = work.judge(model, splits, "dev").figures
        return figures.metrics[by].value if by in figures.metrics else figures.plain[by]

    model = _open(work, runs[0])
    assert model.tokenizer is not None
    total = {name: tensor.double() for name, tensor in model_tensors(model.model).items()}
    shapes = {name: tensor.shape for name, tensor in total.items()}
    used, best = [runs[0]], judged(model)
    say(f"Soup: {runs[0].name} has {by} {best:.4f} on dev")
    for run in runs[1:]:
        other = _open(work, run)
        more = model_tensors(other.model)
        same = {name: tensor.shape for name, tensor in more.items()} == shapes
        if not same or other.tokenizer is None or other.tokenizer.sha256 != model.tokenizer.sha256:
            raise ConfigError(
                "weights of models that differ in shape or tokenizer have no mean", where=run,
                remedy="Search over settings of training, not of the model.",
            )  # fmt: skip
        tried = {name: tensor + more[name].double() for name, tensor in total.items()}
        load_model_tensors(model.model, _mean(tried, len(used) + 1))
        value = judged(model)
        better = value <= best if lower_is_better else value >= best
        say(f"Soup: with {run.name} {value:.4f}, {'taken' if better else 'left out'}")
        if better:
            total, best = tried, value
            used.append(run)
    load_model_tensors(model.model, _mean(total, len(used)))
    work.choose(model, splits)
    return Soup(model, tuple(used))


def _open(work: TaskWork[Any, Any], run: Path) -> LoadedModel:
    model = work.open(run / work.home)
    model.model.eval()
    return model


def _mean(total: dict[str, Tensor], n: int) -> dict[str, Tensor]:
    return {name: (tensor / n).to(torch.float32) for name, tensor in total.items()}
