"""One run in progress: its state, how it starts, what happens at each turn of the loop, how it ends."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from hanmo.core.devices import Compute
from hanmo.core.errors import TrainingError
from hanmo.core.interrupts import Interrupted, Interrupts
from hanmo.core.progress import say
from hanmo.core.runs import RunFolder
from hanmo.core.seeds import seed_everything
from hanmo.training import checkpoint as checkpoints
from hanmo.training.early_stopping import EarlyStopping
from hanmo.training.gradients import Gradient, autocast_context, clip, compute_gradient
from hanmo.training.guard import Guard
from hanmo.training.identity import check_identity, run_identity
from hanmo.training.interfaces import Batches, Evaluate, Loss
from hanmo.training.journal import truncate_metrics
from hanmo.training.layers import n_released, release_layers
from hanmo.training.optimizer import build_optimizer, load_optimizer_tensors, optimizer_tensors, set_learning_rate
from hanmo.training.randomness import RandomState, undisturbed
from hanmo.training.rehearsal import compile_loss, fitted_steps, rehearse, update_seconds, without_trace
from hanmo.training.result import FitResult
from hanmo.training.schedules import decay_length, learning_rate, warmup_length
from hanmo.training.settings import TrainingSettings

__all__ = ["Event", "Session", "SessionState"]

Event = dict[str, Any]
"""A line of metrics.jsonl."""

_REPLAN_AT = 0.8
"""Share of the stable phase after which the number of steps is fitted again."""
_REPLANNED_SHARE = 0.98
"""Share of the time left that is then planned."""


@dataclass
class SessionState:
    """What is written to state.json besides loader, guards and generators."""

    n_steps: int = 0
    bf16: bool = False
    compiled: bool = False
    step: int = 0
    n_tokens: int = 0
    seconds: float = 0.0
    loss: float | None = None
    evaluated_at: int = -1
    evaluation: dict[str, float | None] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    preparation_seconds: float = 0.0
    evaluation_seconds: float = 0.0
    replanned: bool = False


class Session:
    """Everything `fit` does, one method each; the order is that of the loop."""

    def __init__(
        self,
        model: nn.Module,
        loss: Loss,
        batches: Batches,
        settings: TrainingSettings,
        run: RunFolder,
        evaluate: Evaluate | None,
        identity: Mapping[str, str],
        compute: Compute,
        interrupts: Interrupts,
        unit: str,
    ):
        self.unit = unit
        self.model = model.to(compute.device)
        self.loss, self.batches, self.settings, self.run, self.compute = loss, batches, settings, run, compute
        self.evaluate_model, self.interrupts = evaluate, interrupts
        self.identity = run_identity(identity, batches.fingerprint, settings)
        self.optimizer = build_optimizer(model, settings)
        self.guard = Guard(settings.nan_policy)
        self.early_stopping = EarlyStopping()
        self.state = SessionState()
        self.started = time.monotonic()
        self.seconds_before = 0.0
        self.session_tokens, self.session_seconds = 0, 0.0
        self.saved_at = -1
        self.saved_time = self.started
        self.newest: Path | None = None
        self.best_is_unsaved = False

    # -- start ---------------------------------------------------------------------------------------------------

    def prepare(self, resume: bool) -> None:
        """Take up the newest checkpoint, or start and write the first one."""
        folder = self.run.checkpoints
        if not resume and checkpoints.has_checkpoints(folder):
            raise TrainingError(
                "this run folder already holds checkpoints", where=folder, remedy="Resume, or use another folder."
            )
        self.newest = checkpoints.latest_checkpoint(folder)
        checkpoints.sweep_checkpoints(folder, self.newest)
        self.model.train()
        if self.newest is not None:
            self._resume(self.newest)
        else:
            self._start()

    def _start(self) -> None:
        settings, state = self.settings, self.state
        truncate_metrics(self.run.metrics, step=-1, evaluated_at=-1)
        seed_everything(settings.seed)
        wanted = torch.bfloat16 if settings.autocast == "bf16" else self.compute.autocast
        state.bf16 = wanted is torch.bfloat16 and settings.autocast != "off"
        state.environment = self._environment()
        with without_trace(self.model, self.batches), self.interrupts.abortable():
            rehearsal = rehearse(self.loss, self._gradient, settings, can_compile=self.compute.compile)
            self.loss, state.compiled = rehearsal.loss, rehearsal.compiled
            if settings.minutes is None:
                assert settings.n_steps is not None
                state.n_steps = settings.n_steps
            else:
                assert rehearsal.seconds_per_step is not None
                seconds_per_step = rehearsal.seconds_per_step + update_seconds(self.model, settings)
                evaluation_seconds = state.evaluation_seconds = self._time_evaluation()
                left = settings.minutes * 60 - (time.monotonic() - self.started)
                state.n_steps = fitted_steps(left, seconds_per_step, evaluation_seconds, settings.eval_every)
                state.preparation_seconds = self._elapsed()
        if self._some_are_held(state.n_steps - 1):
            say("Training ends before all layers are released; those that are not stay as they are (unfreeze_every).")
        self.save()
        self.run.record(training={"n_steps": state.n_steps, "compiled": state.compiled, "bf16": state.bf16})

    def _resume(self, path: Path) -> None:
        saved = checkpoints.read_checkpoint(path)
        check_identity(saved.identity, self.identity, where=path)
        checkpoints.load_model_tensors(self.model, saved.model)
        load_optimizer_tensors(self.optimizer, self.model, saved.optimizer)
        self.batches.restore(saved.state["batches"])
        self.guard.restore(saved.state["guard"])
        self.early_stopping.restore(saved.state["early_stopping"])
        self.state = SessionState(**saved.state["progress"])
        self.seconds_before = self.state.seconds
        self.saved_at = self.state.step
        truncate_metrics(self.run.metrics, step=self.state.step, evaluated_at=self.state.evaluated_at)
        now = self._environment()
        before = self.state.environment
        changed = [f"{key} {before.get(key)} -> {value}" for key, value in now.items() if before.get(key) != value]
        if changed:
            say(
                f"Resumed on another machine or set-up ({', '.join(changed)}): the result may differ in the last digits"
            )
        self.state.environment = now
        if self.state.compiled and not self.is_over():
            with without_trace(self.model, self.batches), self.interrupts.abortable():
                self.loss, self.state.compiled = compile_loss(self.loss, self._gradient)
        saved.random.restore()

    # -- what happens in the loop --------------------------------------------------------------------------------

    def take_step(self) -> Event:
        """One optimizer step: gradient, guard, clip, update."""
        state, settings = self.state, self.settings
        start = time.monotonic()
        samples = {name: value for name, value in self.batches.state().items() if name != "fingerprint"}
        lr = learning_rate(settings, state.step, state.n_steps)
        if settings.unfreeze_steps is not None:
            release_layers(self.optimizer, n_released(settings, state.step))
        gradient = self._gradient(self.loss)
        admitted = self.guard.admits(gradient, step=state.step + 1, samples=samples)
        if admitted:
            if settings.clip_norm is not None:
                clip(self.model, gradient.norm, settings.clip_norm)
            set_learning_rate(self.optimizer, lr, settings)
            self.optimizer.step()
        seconds = time.monotonic() - start
        state.step += 1
        state.n_tokens += gradient.n_tokens
        state.loss = _finite(gradient.loss)
        self.session_tokens += gradient.n_tokens
        self.session_seconds += seconds
        event = {
            "step": state.step,
            "loss": state.loss,
            "lr": lr,
            "grad_norm": _finite(gradient.norm),
            "tokens": state.n_tokens,
            "tokens_per_s": round(gradient.n_tokens / max(seconds, 1e-9), 1),
            "seconds": round(self._elapsed(), 3),
            "samples": samples,
        } | ({} if admitted else {"skipped": True})
        if state.step % settings.log_every == 0 or state.step == state.n_steps or not admitted:
            self.run.log(event)
        return event

    def evaluate(self) -> Event | None:
        """Held-out figures of the weights as they are; None if a signal cut the evaluation short."""
        assert self.evaluate_model is not None
        state = self.state
        try:
            figures = self._figures()
        except Interrupted:
            return None
        state.evaluated_at = state.step
        state.evaluation = {name: _finite(value) for name, value in figures.items()}
        improved = self.early_stopping.observe(figures, state.step, self.settings)
        if self._some_are_held(state.step - 1):
            self.early_stopping.evaluations_since = 0  # the head alone may well stand still
        self.best_is_unsaved = improved and self.settings.patience is not None
        event = {"step": state.step, "eval": state.evaluation}
        self.run.log(event)
        return event

    def save(self) -> None:
        """Write a checkpoint of this step, unless it is there already; then delete those no longer kept.

        A checkpoint is never written over: a kill between two renames must not cost the only one. One that lacks
        the evaluation of its step (a signal cut it short) stays valid, because resume evaluates again.
        """
        state, settings = self.state, self.settings
        if self.saved_at == state.step:
            self.best_is_unsaved = False
            return
        state.seconds = self._elapsed()
        self.newest = checkpoints.write_checkpoint(
            self.run.checkpoints,
            checkpoints.Checkpoint(
                step=state.step,
                identity=self.identity,
                model=checkpoints.model_tensors(self.model),
                optimizer=optimizer_tensors(self.optimizer, self.model),
                random=RandomState.capture(),
                state={
                    "progress": asdict(state),
                    "batches": self.batches.state(),
                    "guard": self.guard.state(),
                    "early_stopping": self.early_stopping.state(),
                },
            ),
        )
        self.saved_at, self.saved_time, self.best_is_unsaved = state.step, time.monotonic(), False
        best = self.early_stopping.best_step if settings.patience is not None else None
        checkpoints.delete_old_checkpoints(self.run.checkpoints, keep=settings.keep_checkpoints, besides=best)

    def evaluation_is_due(self) -> bool:
        """Whether this step asks for an evaluation that has not been done."""
        every, state = self.settings.eval_every, self.state
        asked = state.step == state.n_steps or (every is not None and state.step > 0 and state.step % every == 0)
        missing = self.evaluate_model is not None and state.evaluated_at != state.step
        return asked and missing and self.interrupts.signal_name is None

    def checkpoint_is_due(self) -> bool:
        """Whether steps, seconds or a new best ask for a checkpoint."""
        settings = self.settings
        by_steps = settings.checkpoint_steps is not None and self.state.step % settings.checkpoint_steps == 0
        seconds = settings.checkpoint_seconds
        by_seconds = seconds is not None and time.monotonic() - self.saved_time >= seconds
        return by_steps or by_seconds or self.best_is_unsaved

    def replan(self) -> bool:
        """Fit the rest of the steps to the rest of the time, once, while the learning rate is still constant.

        The rehearsal before the first step is short, and a machine rarely keeps its speed. Only a schedule with a
        stable phase can learn its length late without having been another one so far. The checkpoint that follows
        carries the plan, so that a resumed run has the same.

        Returns:
            Whether there is a new plan.
        """
        state, settings = self.state, self.settings
        if settings.minutes is None or settings.schedule.kind != "wsd" or state.replanned:
            return False
        stable = state.n_steps - decay_length(settings, state.n_steps)
        if state.step < _REPLAN_AT * stable or state.step < warmup_length(settings, state.n_steps):
            return False
        state.replanned = True
        elapsed = self._elapsed()
        # evaluations, checkpoints and the log so far are part of what a step costs
        per_step = (elapsed - state.preparation_seconds) / state.step
        left = settings.minutes * 60 - elapsed - state.evaluation_seconds
        state.n_steps = state.step + max(1, int(_REPLANNED_SHARE * left / per_step))
        self.run.record(training=self.run.read()["training"] | {"n_steps": state.n_steps})
        self.save()
        return True

    def is_over(self) -> bool:
        """Whether the last step is done or patience has run out."""
        return self.state.step >= self.state.n_steps or self.early_stopping.exhausted(self.settings)

    # -- end -----------------------------------------------------------------------------------------------------

    def finish(self) -> FitResult:
        """Say how the run ended; put the best weights into the model where `patience` asks for them."""
        if self.settings.unfreeze_steps is not None:
            release_layers(self.optimizer, None)
        signalled = self.interrupts.signal_name is not None
        evaluation_was_cut = (
            signalled and self.evaluate_model is not None and self.state.evaluated_at != self.state.step
        )
        if not self.is_over() or evaluation_was_cut:
            say(f"Stopped by {self.interrupts.signal_name} at step {self.state.step} of {self.state.n_steps}.")
            say(f"The checkpoint is {self.newest}. Go on with --resume (in Python: resume=True).")
            return self.result("stopped")
        best = self.early_stopping.best_step
        if self.settings.patience is not None and best is not None and best != self.state.step:
            path = checkpoints.checkpoint_path(self.run.checkpoints, best)
            checkpoints.load_model_tensors(self.model, checkpoints.read_checkpoint(path).model)
            say(f"The model has the weights of step {best}, the best evaluation.")
        return self.result("finished" if self.state.step >= self.state.n_steps else "early_stopped")

    def result(self, status: Literal["finished", "early_stopped", "stopped"]) -> FitResult:
        """The outcome so far."""
        state = self.state
        return FitResult(
            status=status,
            stopped_by=self.interrupts.signal_name if status == "stopped" else None,
            step=state.step,
            n_steps=state.n_steps,
            n_tokens=state.n_tokens,
            seconds=self._elapsed(),
            tokens_per_s=self.session_tokens / self.session_seconds if self.session_seconds else 0.0,
            loss=state.loss,
            evaluation=state.evaluation,
            best=self.early_stopping.best,
            best_step=self.early_stopping.best_step,
            skipped=self.guard.skipped,
            compiled=state.compiled,
            checkpoint=self.newest,
        )

    def shown(self, event: Event) -> dict[str, object]:
        """What the progress bar says behind its numbers."""
        loss = "not finite" if event["loss"] is None else f"{event['loss']:.3f}"
        held_out = self.state.evaluation.get(self.settings.monitor)
        shown: dict[str, object] = {"loss": loss, f"{self.unit}/s": f"{event['tokens_per_s']:,.0f}"}
        return shown if held_out is None else shown | {"held-out": f"{held_out:.3f}"}

    # -- parts ---------------------------------------------------------------------------------------------------

    def _gradient(self, loss: Loss) -> Gradient:
        return compute_gradient(
            self.model, loss, self.batches,
            accumulate=self.settings.accumulate, device=self.compute.device, autocast=self._autocast(),
        )  # fmt: skip

    def _figures(self) -> dict[str, float]:
        assert self.evaluate_model is not None
        self.model.eval()
        try:
            precision = autocast_context(self.compute.device, self._autocast())
            with undisturbed(), torch.no_grad(), precision, self.interrupts.abortable():
                return self.evaluate_model(self.model)
        finally:
            self.model.train()

    def _time_evaluation(self) -> float:
        if self.evaluate_model is None:
            return 0.0
        start = time.monotonic()
        self._figures()
        return time.monotonic() - start

    def _some_are_held(self, step: int) -> bool:
        """Whether a layer does not train yet at the update after `step` completed ones."""
        released = n_released(self.settings, step)
        return released is not None and any(group["depth"] > released for group in self.optimizer.param_groups)

    def _autocast(self) -> torch.dtype | None:
        return torch.bfloat16 if self.state.bf16 else None

    def _elapsed(self) -> float:
        return self.seconds_before + time.monotonic() - self.started

    def _environment(self) -> dict[str, str]:
        return {
            "torch": torch.__version__,
            "device": self.compute.device.type,
            "matmul precision": self.compute.matmul_precision,
            "threads": str(self.compute.n_threads),
        }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
