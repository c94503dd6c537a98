"""A few training steps that leave no trace: how fast is this machine, and does `torch.compile` pay?"""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn

from hanmo.core.progress import say
from hanmo.training.interfaces import Batches, Loss
from hanmo.training.optimizer import build_optimizer
from hanmo.training.randomness import undisturbed
from hanmo.training.settings import TrainingSettings

__all__ = ["Rehearsal", "TakeStep", "compile_loss", "fitted_steps", "rehearse", "update_seconds", "without_trace"]

TakeStep = Callable[[Loss], object]
"""Computes one gradient with the loss that it is given."""

_WARM_STEPS = 2
_MEASURED_STEPS = 3
_MEASURED_SECONDS = 1.0
_COMPILE_PAYS_AFTER = 600.0
"""Seconds of a run below which compiling (half a minute for a small GPT, a gain of a quarter) costs more than it saves."""
_COMPILE_GAIN = 0.95
"""Share of the plain step's time below which the compiled step is taken."""
_TRAINING_SHARE = 0.95
"""Share of the budget planned for steps; the rest is for checkpoints and the log."""


@dataclass(frozen=True)
class Rehearsal:
    """How the run will compute its loss."""

    loss: Loss
    """The loss that was handed in, compiled or not."""
    compiled: bool
    seconds_per_step: float | None
    """Median time of a step, where one was measured."""


@contextmanager
def without_trace(model: nn.Module, batches: Batches) -> Iterator[None]:
    """Whatever the block computes, loader, random generators, gradients and buffers are afterwards as before."""
    position = batches.state()
    buffers = [(buffer, buffer.clone()) for buffer in model.buffers()]
    try:
        with undisturbed():
            yield
    finally:
        batches.restore(position)
        model.zero_grad(set_to_none=True)
        with torch.no_grad():
            for buffer, value in buffers:
                buffer.copy_(value)


def rehearse(loss: Loss, take_step: TakeStep, settings: TrainingSettings, *, can_compile: bool) -> Rehearsal:
    """Decide about `torch.compile`, and measure a step where its time matters; run it inside `without_trace`.

    Args:
        loss: the plain loss.
        take_step: computes one gradient with the loss that it is given.
        settings: `compile`, and the length of the run.
        can_compile: whether this machine is able to.
    """
    mode, plain = settings.compile, None
    if mode == "auto":
        plain = _measure(loss, take_step) if can_compile else None
        seconds = settings.minutes * 60 if settings.minutes is not None else (settings.n_steps or 0) * (plain or 0)
        mode = "on" if can_compile and seconds > _COMPILE_PAYS_AFTER else "off"
    if mode == "on":
        chosen, compiled = compile_loss(loss, take_step)
        if compiled:
            fast = _measure(chosen, take_step)
            if plain is None or fast < _COMPILE_GAIN * plain:
                return Rehearsal(chosen, True, fast)
    if plain is None and settings.minutes is not None:
        plain = _measure(loss, take_step)
    return Rehearsal(loss, False, plain)


def compile_loss(loss: Loss, take_step: TakeStep) -> tuple[Loss, bool]:
    """The compiled loss and True, or, with a line that says why, the plain one and False."""
    compiled: Loss = torch.compile(loss)
    try:
        take_step(compiled)
    except Exception as error:
        # If the loss itself is wrong, its plain step fails next, uncaught.
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        say(f"torch.compile failed here ({reason}); training goes on without it")
        return loss, False
    return compiled, True


def update_seconds(model: nn.Module, settings: TrainingSettings) -> float:
    """Time of one update by the optimizer (Muon's is no trifle), measured on a copy of the model."""
    twin = copy.deepcopy(model)
    optimizer = build_optimizer(twin, settings)
    times = []
    for _ in range(_MEASURED_STEPS):
        for parameter in twin.parameters():
            parameter.grad = torch.ones_like(parameter)
        start = time.perf_counter()
        optimizer.step()
        times.append(time.perf_counter() - start)
    return min(times)


def fitted_steps(
    seconds_left: float, seconds_per_step: float, evaluation_seconds: float, eval_every: int | None
) -> int:
    """Number of steps that fit into the time left, evaluations included; at least one.

    Args:
        seconds_left: of the budget.
        seconds_per_step: measured.
        evaluation_seconds: measured time of one evaluation.
        eval_every: steps between evaluations; one more comes at the end.
    """
    per_step = seconds_per_step / _TRAINING_SHARE + (evaluation_seconds / eval_every if eval_every else 0)
    return max(1, int((seconds_left - evaluation_seconds) / per_step))


def _measure(loss: Loss, take_step: TakeStep) -> float:
    for _ in range(_WARM_STEPS):
        take_step(loss)
    times: list[float] = []
    while len(times) < _MEASURED_STEPS or sum(times) < _MEASURED_SECONDS:
        start = time.perf_counter()
        take_step(loss)
        times.append(time.perf_counter() - start)
    return statistics.median(times)
