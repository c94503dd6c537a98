"""The training loop. It is handed model, loss, batches and evaluation, and knows none of them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping

import torch
from torch import nn

from hanmo.core.devices import Compute
from hanmo.core.interrupts import Interrupted, Interrupts
from hanmo.core.progress import progress, say
from hanmo.core.runs import RunFolder
from hanmo.core.spare_memory import SpareMemory
from hanmo.training.interfaces import Batches, Evaluate, Loss
from hanmo.training.result import FitResult
from hanmo.training.session import Event, Session
from hanmo.training.settings import TrainingSettings
from hanmo.training.tensorboard import tensorboard_mirror

__all__ = ["fit"]


def fit(
    model: nn.Module,
    *,
    loss: Loss,
    batches: Batches,
    settings: TrainingSettings,
    run: RunFolder,
    evaluate: Evaluate | None,
    identity: Mapping[str, str],
    compute: Compute,
    resume: bool = False,
    on_step: Callable[[Event], None] | None = None,
    unit: str = "tokens",
) -> FitResult:
    """Train `model` in place.

    A run that is killed at any moment and resumed gives, on the same machine, the same weights, optimizer state
    and log as one that never stopped: bit for bit, mid-epoch, with dropout.

    Args:
        model: what to train; moved to the device of `compute`.
        loss: sum of losses over tokens and the number of those tokens, for one batch. It is compiled as a whole,
            so it may call any method of the model.
        batches: an endless sequence of micro-batches; `settings.accumulate` of them make a step.
        settings: how to train.
        run: receives `metrics.jsonl` (lines of `step`, `loss`, `lr`, `grad_norm`, `tokens`, `tokens_per_s`, `seconds` and
            `samples`, the loader position where the batches of the step begin; or of `step` and `eval`),
            `checkpoints/`, and the key `training` of run.json.
        evaluate: held-out figures; called in eval mode, without gradients, under the precision of training. What it
            draws from the random generators does not change training.
        identity: what the run is made of (hashes of data, tokenizer, model configuration); resume compares it.
        compute: device and precision; applied to torch's global settings.
        resume: go on from the newest complete checkpoint; from the start if there is none.
        on_step: called after every step with its event.
        unit: what the loss counts, as the progress bar calls it.

    Returns:
        How the run ended. SIGTERM and Ctrl-C end it with status "stopped" and a checkpoint.

    Raises:
        TrainingError: for a loss or gradient that is not finite, a checkpoint of another run, or a run folder that
            already holds checkpoints.
        StorageError: if a checkpoint or the log cannot be written; the previous checkpoint stands.
    """
    compute.apply()
    with Interrupts() as interrupts, _deterministic(settings.deterministic), SpareMemory() as memory:
        session = Session(model, loss, batches, settings, run, evaluate, identity, compute, interrupts, unit)
        try:
            session.prepare(resume)
        except Interrupted:
            say("Stopped before the first step; nothing is lost.")
            return session.result("stopped")
        state, first = session.state, session.state.step
        with (
            progress("Train", total=state.n_steps - first, unit="steps") as bar,
            tensorboard_mirror(run.path / "tensorboard", enabled=settings.tensorboard, step=state.step) as mirror,
        ):
            while True:
                if session.evaluation_is_due() and (event := session.evaluate()):
                    mirror(event)
                if session.checkpoint_is_due():
                    session.save()
                if session.is_over() or interrupts.signal_name:
                    break
                event = session.take_step()
                memory.settle()
                mirror(event)
                bar.advance(1, **session.shown(event))
                if on_step is not None:
                    on_step(event)
                if session.replan():
                    bar.set_total(state.n_steps - first)
        session.save()
        return session.finish()


@contextlib.contextmanager
def _deterministic(enabled: bool) -> Iterator[None]:
    if not enabled:
        yield
        return
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
