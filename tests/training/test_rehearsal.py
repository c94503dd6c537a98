from __future__ import annotations

import dataclasses

import pytest
import torch

from hanmo.core.progress import set_quiet
from hanmo.core.runs import RunFolder
from hanmo.training import TrainingSettings, latest_checkpoint, read_checkpoint, session
from hanmo.training import rehearsal as module
from hanmo.training.rehearsal import fitted_steps, rehearse, without_trace


def test_steps_fit_the_time_left():
    assert fitted_steps(100.0, 0.95, 0.0, None) == 100
    assert fitted_steps(100.0, 0.95, 10.0, None) == 90
    assert fitted_steps(100.0, 0.95, 10.0, 10) == 45
    assert fitted_steps(-3.0, 1.0, 0.0, None) == 1


def test_rehearsal_leaves_no_trace(tiny):
    model, batches = tiny.Model(), tiny.Batches()
    model.register_buffer("calls", torch.zeros(1))
    batches.next()
    torch.manual_seed(3)
    position, weights = batches.state(), model.mix.weight.detach().clone()
    expected = torch.rand(2)
    torch.manual_seed(3)
    with without_trace(model, batches):
        model.calls += 1
        total, _ = tiny.loss(model, batches.next())
        total.backward()
        assert model.mix.weight.grad is not None
        assert batches.state() != position
    assert batches.state() == position
    assert model.calls == 0
    assert model.mix.weight.grad is None
    assert torch.equal(torch.rand(2), expected)
    assert torch.equal(model.mix.weight, weights)


@pytest.mark.slow
def test_time_budget_fixes_the_steps_once_and_resume_keeps_them(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_MEASURED_SECONDS", 0.05)

    class Crash(Exception):
        pass

    def on_step(event):
        if event["step"] == 3:
            raise Crash

    budget = {"n_steps": None, "minutes": 0.05, "eval_every": 50, "checkpoint_steps": 2}
    with pytest.raises(Crash):
        tiny.train(tmp_path / "a", on_step=on_step, **budget)
    newest = latest_checkpoint(tmp_path / "a" / "checkpoints")
    assert newest is not None
    n_steps = read_checkpoint(newest).state["progress"]["n_steps"]
    assert RunFolder(tmp_path / "a").read()["training"]["n_steps"] == n_steps > 3
    result = tiny.train(tmp_path / "a", resume=True, **budget)
    assert result.status == "finished"
    assert result.step == result.n_steps == n_steps
    # the same weights as a run that was told the number
    tiny.train(tmp_path / "b", **(budget | {"n_steps": n_steps, "minutes": None}))
    a, b = tiny.trace(tmp_path / "a"), tiny.trace(tmp_path / "b")
    assert a["hashes"] == b["hashes"]
    assert a["log"] == b["log"]


def test_a_stable_phase_is_planned_again_and_resume_keeps_the_new_plan(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_MEASURED_SECONDS", 0.05)
    monkeypatch.setattr(session, "fitted_steps", lambda *_: 40)  # a first plan that is far too short

    class Crash(Exception):
        pass

    def on_step(event):
        if event["step"] == 17:
            raise Crash

    wsd = {"kind": "wsd", "decay_fraction": 0.5, "warmup_steps": 2}
    budget = {"n_steps": None, "minutes": 0.05, "eval_every": None, "checkpoint_steps": 5, "schedule": wsd}
    with pytest.raises(Crash):
        tiny.train(tmp_path / "a", on_step=on_step, **budget)
    newest = latest_checkpoint(tmp_path / "a" / "checkpoints")
    assert newest is not None
    planned = read_checkpoint(newest).state["progress"]
    assert planned["replanned"]
    assert planned["n_steps"] != 40  # new at step 16 = 0.8 of the 20 stable ones
    result = tiny.train(tmp_path / "a", resume=True, **budget)
    assert result.step == result.n_steps == planned["n_steps"]
    assert RunFolder(tmp_path / "a").read()["training"]["n_steps"] == result.n_steps
    # the stable phase knew nothing of the length: the same weights as a run that was told the number
    tiny.train(tmp_path / "b", **(budget | {"n_steps": result.n_steps, "minutes": None}))
    a, b = tiny.trace(tmp_path / "a"), tiny.trace(tmp_path / "b")
    assert a["hashes"] == b["hashes"]
    assert a["log"] == b["log"]


def test_failing_compilation_says_so_in_one_line_and_training_goes_on(tiny, tmp_path, monkeypatch, capsys):
    def broken(loss):
        def compiled(model, batch):
            raise RuntimeError("no C++ compiler\nlong trace")

        return compiled

    monkeypatch.setattr(torch, "compile", broken)
    set_quiet(False)
    result = tiny.train(tmp_path / "a", compile="on")
    said = [line for line in capsys.readouterr().err.splitlines() if "torch.compile" in line]
    assert said == ["torch.compile failed here (no C++ compiler); training goes on without it"]
    set_quiet(True)
    tiny.train(tmp_path / "b", compile="off")
    assert not result.compiled
    assert tiny.trace(tmp_path / "a")["hashes"] == tiny.trace(tmp_path / "b")["hashes"]


@pytest.mark.parametrize(
    ("mode", "seconds", "n_steps", "compiled"),
    [
        ("auto", {"plain": 1.0, "compiled": 0.5}, 1000, True),
        ("auto", {"plain": 1.0, "compiled": 0.99}, 1000, False),
        ("auto", {"plain": 1.0, "compiled": 0.5}, 10, False),
        ("on", {"plain": 1.0, "compiled": 2.0}, 10, True),
        ("off", {"plain": 1.0, "compiled": 0.1}, 1000, False),
    ],
)
def test_compilation_is_chosen_where_it_pays(monkeypatch, mode, seconds, n_steps, compiled):
    """Scripted times, no clock: what is measured decides."""
    plain, fast = object(), object()
    monkeypatch.setattr(torch, "compile", lambda loss: fast)
    monkeypatch.setattr(module, "_measure", lambda loss, step: seconds["compiled" if loss is fast else "plain"])
    settings = TrainingSettings(n_steps=n_steps, compile=mode)
    found = rehearse(plain, lambda loss: None, settings, can_compile=True)  # pyright: ignore[reportArgumentType]
    assert found.compiled is compiled
    assert found.loss is (fast if compiled else plain)
    assert not rehearse(plain, lambda loss: None, settings, can_compile=False).compiled or mode == "on"  # pyright: ignore[reportArgumentType]


@pytest.mark.slow
def test_compiled_training_resumes_bit_exactly_and_follows_the_plain_loss(tiny, tmp_path):
    class Crash(Exception):
        pass

    def on_step(event):
        if event["step"] == 6:
            raise Crash

    compute = dataclasses.replace(tiny.compute(), compile=True)
    whole = tiny.train(tmp_path / "whole", compile="on", compute=compute)
    assert whole.compiled
    with pytest.raises(Crash):
        tiny.train(tmp_path / "crash", compile="on", compute=compute, on_step=on_step)
    torch._dynamo.reset()
    tiny.train(tmp_path / "crash", compile="on", compute=compute, resume=True)
    assert tiny.trace(tmp_path / "crash") == tiny.trace(tmp_path / "whole")
    plain = tiny.train(tmp_path / "plain", compile="off")
    assert whole.loss == pytest.approx(plain.loss, abs=0.3)
