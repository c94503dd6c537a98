from __future__ import annotations

import json

import pytest
import torch

from hanmo.core.errors import TrainingError
from hanmo.training import latest_checkpoint, read_checkpoint
from hanmo.training.gradients import Gradient
from hanmo.training.guard import Guard

GOOD = Gradient(loss=1.0, norm=1.0, n_tokens=3)
BAD = [Gradient(loss=float("nan"), norm=1.0, n_tokens=3), Gradient(loss=1.0, norm=float("inf"), n_tokens=3)]


@pytest.mark.parametrize("bad", BAD)
def test_stop_names_step_and_samples(bad):
    with pytest.raises(TrainingError, match=r"position.*4.*step 7.*before the step"):
        Guard("stop").admits(bad, step=7, samples={"position": 4})


@pytest.mark.parametrize("bad", BAD)
def test_skip_gives_up_at_three_in_a_row_and_a_good_one_resets(bad):
    guard = Guard("skip")
    verdicts = [guard.admits(g, step=1, samples={}) for g in (bad, bad, GOOD, bad, bad)]
    assert verdicts == [False, False, True, False, False]
    with pytest.raises(TrainingError, match="3 bad steps in a row"):
        guard.admits(bad, step=1, samples={})


def test_resumed_guard_decides_like_the_one_that_never_stopped():
    guard, resumed, fresh = Guard("skip"), Guard("skip"), Guard("skip")
    for _ in range(2):
        guard.admits(BAD[0], step=1, samples={})
    resumed.restore(json.loads(json.dumps(guard.state())))
    assert not fresh.admits(BAD[0], step=1, samples={})
    with pytest.raises(TrainingError):
        resumed.admits(BAD[0], step=1, samples={})
    assert resumed.state()["skipped"] == 3


def test_a_batch_without_a_single_label_is_refused():
    with pytest.raises(TrainingError, match="all of them are masked"):
        Guard("skip").admits(Gradient(loss=0.0, norm=0.0, n_tokens=0), step=1, samples={})


def poisoned(tiny, where: str, steps: set[int]):
    """The loss of the tiny model, made NaN or infinite at the given calls."""
    calls = iter(range(1, 10**6))

    def loss(model, batch):
        total, count = tiny.loss(model, batch)
        if next(calls) in steps:
            if where == "loss":
                total = total * float("nan")
            elif where == "gradient":
                model.mix.bias.register_hook(lambda g: g * float("inf"))
            else:
                total = total + model.norm(torch.full((1, 8), float("inf"))).sum()
        return total, count

    return loss


@pytest.mark.parametrize("where", ["loss", "activation"])
def test_training_stops_before_the_step_and_the_weights_stay_finite(tiny, tmp_path, where):
    model = tiny.Model()
    weights: list[torch.Tensor] = []

    def remember(event):
        weights.append(model.mix.weight.detach().clone())

    with pytest.raises(TrainingError, match="step 3"):
        tiny.train(tmp_path, model=model, loss=poisoned(tiny, where, {3}), accumulate=1, on_step=remember)
    assert len(weights) == 2
    assert torch.equal(model.mix.weight, weights[-1])
    assert all(p.isfinite().all() for p in model.parameters())
    newest = latest_checkpoint(tmp_path / "checkpoints")
    assert newest is not None
    assert read_checkpoint(newest).step == 0


@pytest.mark.parametrize("where", ["loss", "activation", "gradient"])
def test_skip_leaves_the_step_out_and_goes_on(tiny, tmp_path, where):
    events, weights = [], []
    model = tiny.Model()

    def remember(event):
        events.append(event)
        weights.append(model.mix.weight.detach().clone())

    loss = poisoned(tiny, where, {4} if where == "gradient" else {4, 8})
    n_steps = 4 if where == "gradient" else 12
    result = tiny.train(
        tmp_path, model=model, loss=loss, accumulate=1, nan_policy="skip", on_step=remember, n_steps=n_steps
    )
    assert result.status == "finished"
    assert result.skipped == (1 if where == "gradient" else 2)
    assert events[3]["skipped"]
    assert torch.equal(weights[3], weights[2])
    assert not torch.equal(weights[2], weights[1])
    assert all(p.isfinite().all() for p in model.parameters())
    logged = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [e["step"] for e in logged if e.get("skipped")] == ([4] if where == "gradient" else [4, 8])


def test_three_bad_steps_in_a_row_stop_even_when_skipping(tiny, tmp_path):
    with pytest.raises(TrainingError, match=r"step 6.*3 bad steps in a row"):
        tiny.train(tmp_path, loss=poisoned(tiny, "loss", {4, 5, 6}), accumulate=1, nan_policy="skip")


def test_resume_remembers_the_bad_steps_before_it(tiny, tmp_path):
    """Steps 3 and 4 are skipped, the process dies, step 5 is the third in a row: the checkpoint has to know."""

    class Crash(Exception):
        pass

    def on_step(event):
        if event["step"] == 4:
            raise Crash

    settings = {"accumulate": 1, "nan_policy": "skip", "checkpoint_steps": 1}
    with pytest.raises(Crash):
        tiny.train(tmp_path, loss=poisoned(tiny, "loss", {3, 4}), on_step=on_step, **settings)
    # the checkpoint is that of step 3: on resume step 4 is the first call of the loss
    with pytest.raises(TrainingError, match=r"step 5.*3 bad steps in a row"):
        tiny.train(tmp_path, loss=poisoned(tiny, "loss", {1, 2}), resume=True, **settings)
