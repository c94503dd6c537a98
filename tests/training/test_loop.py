from __future__ import annotations

import json
import os
import shutil
import signal
import threading

import pytest
import torch

from hanmo.core.errors import ConfigError, TrainingError
from hanmo.core.runs import RunFolder
from hanmo.training import latest_checkpoint


class Crash(Exception):
    """Ends a run between two steps, without any warning to it."""


def crash_at(step: int):
    def on_step(event):
        if event["step"] == step:
            raise Crash

    return on_step


def crash(tiny, path, step, **settings):
    with pytest.raises(Crash):
        tiny.train(path, on_step=crash_at(step), **settings)


def test_log_result_and_files(tiny, tmp_path):
    seen = []
    result = tiny.train(tmp_path, on_step=seen.append)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    steps = [line for line in lines if "eval" not in line]
    assert steps == seen
    assert [line["step"] for line in steps] == list(range(1, 13))
    assert set(steps[0]) == {"step", "loss", "lr", "grad_norm", "tokens", "tokens_per_s", "seconds", "samples"}
    assert steps[0]["samples"] == {"epoch": 0, "position": 0}
    assert steps[1]["samples"]["position"] == 9
    assert [line["step"] for line in lines if "eval" in line] == [5, 10, 12]
    assert result.status == "finished"
    assert result.step == result.n_steps == 12
    assert result.n_tokens == steps[-1]["tokens"]
    assert result.evaluation == lines[-1]["eval"]
    assert result.loss == steps[-1]["loss"]
    assert RunFolder(tmp_path).read()["training"]["n_steps"] == 12
    assert sorted(p.name for p in (tmp_path / "checkpoints").iterdir()) == ["step-00000008", "step-00000012"]


def test_loss_falls(tiny, tmp_path):
    result = tiny.train(tmp_path, n_steps=60, eval_every=1, lr=3e-2, checkpoint_steps=None)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert lines[-2]["loss"] < 0.9 * lines[0]["loss"]
    assert result.tokens_per_s > 0


def test_same_seed_same_run_and_another_seed_another(tiny, tmp_path):
    runs = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        torch.rand(len(runs) * 100)  # what came before does not matter
        tiny.train(tmp_path / name, seed=seed)
        runs.append(tiny.trace(tmp_path / name))
    assert runs[0] == runs[1]
    assert runs[0]["hashes"]["model.safetensors"] != runs[2]["hashes"]["model.safetensors"]


def test_resume_is_bit_exact_at_every_step(tiny, tmp_path):
    """RELIABILITY.md C1 in one process: mid-epoch, dropout, accumulation 3, a checkpoint every 4 steps."""
    tiny.train(tmp_path / "whole")
    whole = tiny.trace(tmp_path / "whole")
    for step in range(1, 13):
        path = tmp_path / f"crash{step}"
        crash(tiny, path, step)
        result = tiny.train(path, resume=True)
        assert result.status == "finished"
        assert tiny.trace(path) == whole, step


def test_many_crashes_in_one_run_change_nothing(tiny, tmp_path):
    tiny.train(tmp_path / "whole")
    path = tmp_path / "crashes"
    crash(tiny, path, 3)
    for step in (2, 7, 6, 11, 9, 12):
        crash(tiny, path, step, resume=True)
    tiny.train(path, resume=True)
    assert tiny.trace(path) == tiny.trace(tmp_path / "whole")


def test_a_checkpoint_without_its_generators_would_not_be_exact(tiny, tmp_path, monkeypatch):
    """Negative control of the tests above: dropout does depend on the restored state."""
    from hanmo.training.randomness import RandomState

    tiny.train(tmp_path / "whole")
    crash(tiny, tmp_path / "crash", 6)
    monkeypatch.setattr(RandomState, "restore", lambda self: None)
    tiny.train(tmp_path / "crash", resume=True)
    assert tiny.trace(tmp_path / "crash")["hashes"] != tiny.trace(tmp_path / "whole")["hashes"]


def test_evaluating_more_often_does_not_change_training(tiny, tmp_path):
    for name, every in (("a", 1), ("b", None)):
        tiny.train(tmp_path / name, eval_every=every)
    a, b = tiny.trace(tmp_path / "a"), tiny.trace(tmp_path / "b")
    assert a["hashes"] == b["hashes"]


def test_evaluation_sees_eval_mode_and_training_train_mode(tiny, tmp_path):
    modes = []

    def evaluate(model):
        modes.append((model.training, torch.is_grad_enabled()))
        return {"loss": 1.0}

    model = tiny.Model()
    tiny.train(tmp_path, model=model, evaluate=evaluate, on_step=lambda event: modes.append(model.training), n_steps=5)
    assert modes == [True] * 5 + [(False, False)]


def test_finished_run_resumes_to_the_same_result(tiny, tmp_path):
    first = tiny.train(tmp_path)
    before = tiny.trace(tmp_path)
    again = tiny.train(tmp_path, resume=True)
    assert again.status == "finished"
    assert again.step == first.step
    assert tiny.trace(tmp_path) == before


def test_killed_before_the_first_checkpoint_starts_again_cleanly(tiny, tmp_path):
    tiny.train(tmp_path / "whole")
    crash(tiny, tmp_path / "crash", 2)
    shutil.rmtree(tmp_path / "crash" / "checkpoints")
    tiny.train(tmp_path / "crash", resume=True)
    assert tiny.trace(tmp_path / "crash") == tiny.trace(tmp_path / "whole")


def test_damaged_newest_checkpoint_costs_steps_not_exactness(tiny, tmp_path):
    tiny.train(tmp_path / "whole")
    crash(tiny, tmp_path / "crash", 11)
    newest = latest_checkpoint(tmp_path / "crash" / "checkpoints")
    assert newest is not None
    assert newest.name == "step-00000008"
    (newest / "optimizer.safetensors").write_bytes(b"")
    tiny.train(tmp_path / "crash", resume=True)
    assert tiny.trace(tmp_path / "crash") == tiny.trace(tmp_path / "whole")


def test_new_run_does_not_touch_an_old_one(tiny, tmp_path):
    tiny.train(tmp_path)
    with pytest.raises(TrainingError, match="already holds checkpoints"):
        tiny.train(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"identity": {"tokenizer": "t1", "world size": "1"}}, r"tokenizer: t0 -> t1"),
        ({"identity": {"tokenizer": "t0", "world size": "2"}}, r"world size: 1 -> 2"),
        ({"identity": {"tokenizer": "t0"}}, r"world size: 1 -> \(absent\)"),
        ({"lr": 0.5}, r"training\.lr: 0\.01 -> 0\.5"),
        ({"n_steps": 13}, r"training\.n_steps: 12 -> 13"),
    ],
)
def test_resume_with_something_changed_is_refused_with_a_diff(tiny, tmp_path, change, message):
    crash(tiny, tmp_path, 5)
    with pytest.raises(TrainingError, match=message):
        tiny.train(tmp_path, resume=True, **change)


def test_resume_with_other_data_is_refused_and_with_other_habits_is_not(tiny, tmp_path):
    tiny.train(tmp_path / "whole", log_every=1)
    crash(tiny, tmp_path / "crash", 5)
    with pytest.raises(TrainingError, match="batches: ragged-3-0-20 -> ragged-2-0-20"):
        tiny.train(tmp_path / "crash", resume=True, batches=tiny.Batches(batch_size=2))
    tiny.train(tmp_path / "crash", resume=True, keep_checkpoints=5, checkpoint_seconds=0)
    assert tiny.trace(tmp_path / "crash") == tiny.trace(tmp_path / "whole")


def test_early_stopping_returns_to_the_best_weights(tiny, tmp_path):
    figures = iter([3.0, 2.0, 2.5, 2.4, 9.9])
    model, kept = tiny.Model(), {}

    def remember(event):
        kept[event["step"]] = model.mix.weight.detach().clone()

    result = tiny.train(
        tmp_path, model=model, evaluate=lambda m: {"loss": next(figures)}, eval_every=2, patience=2, n_steps=40,
        checkpoint_steps=None, keep_checkpoints=1, on_step=remember,
    )  # fmt: skip
    assert (result.status, result.step, result.best, result.best_step) == ("early_stopped", 8, 2.0, 4)
    assert torch.equal(model.mix.weight, kept[4])
    assert not torch.equal(kept[8], kept[4])
    assert sorted(p.name for p in (tmp_path / "checkpoints").iterdir()) == ["step-00000004", "step-00000008"]


def test_patience_survives_a_crash(tiny, tmp_path):
    for name in ("whole", "crash"):
        script = {2: 3.0, 4: 2.0, 6: 2.5, 8: 2.6}
        settings = {"eval_every": 2, "patience": 2, "n_steps": 40, "checkpoint_steps": 1}
        step = [0]

        def evaluate(model, script=script, step=step):
            return {"loss": script[step[0]]}

        def on_step(event, step=step, name=name):
            step[0] = event["step"]
            if name == "crash" and event["step"] == 7 and not step[1:]:
                step.append(1)
                raise Crash

        if name == "crash":
            with pytest.raises(Crash):
                tiny.train(tmp_path / name, evaluate=evaluate, on_step=on_step, **settings)
        result = tiny.train(tmp_path / name, evaluate=evaluate, on_step=on_step, resume=name == "crash", **settings)
        assert (result.status, result.step, result.best_step) == ("early_stopped", 8, 4)
    assert tiny.trace(tmp_path / "crash") == tiny.trace(tmp_path / "whole")


@pytest.mark.parametrize(("monitor", "best"), [("f1", 6), ("names_error", 2), ("loss", 2)])
def test_large_is_good_of_what_measures_right(tiny, tmp_path, monitor, best):
    values = iter([0.3, 0.5, 0.9, 0.4])
    result = tiny.train(
        tmp_path, n_steps=8, eval_every=2, patience=4, monitor=monitor, evaluate=lambda model: {monitor: next(values)}
    )
    assert (result.step, result.best_step) == (8, best)
    assert result.best == {"f1": 0.9}.get(monitor, 0.3)


def test_monitor_that_does_not_exist_is_named(tiny, tmp_path):
    with pytest.raises(ConfigError, match=r"no 'f1'.*It gives: loss"):
        tiny.train(tmp_path, patience=1, monitor="f1")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_finishes_the_step_saves_and_resumes_exactly(tiny, tmp_path, number):
    tiny.train(tmp_path / "whole")
    before = signal.getsignal(number)

    def interrupt(event):
        if event["step"] == 6:
            os.kill(os.getpid(), number)

    result = tiny.train(tmp_path / "stopped", on_step=interrupt)
    assert (result.status, result.stopped_by, result.step) == ("stopped", number.name, 6)
    assert result.checkpoint is not None
    assert result.checkpoint.name == "step-00000006"
    assert signal.getsignal(number) is before
    assert tiny.train(tmp_path / "stopped", resume=True).status == "finished"
    assert tiny.trace(tmp_path / "stopped") == tiny.trace(tmp_path / "whole")


def test_second_ctrl_c_aborts_at_once(tiny, tmp_path):
    def interrupt(event):
        if event["step"] == 6:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        tiny.train(tmp_path, on_step=interrupt)
    newest = latest_checkpoint(tmp_path / "checkpoints")
    assert newest is not None
    assert newest.name == "step-00000004"


@pytest.mark.parametrize("cut", [5, 12])
def test_signal_in_an_evaluation_does_not_wait_for_it_and_it_is_done_on_resume(tiny, tmp_path, cut):
    tiny.train(tmp_path / "whole")
    step = [0]

    def evaluate(model):
        if step[0] == cut:
            os.kill(os.getpid(), signal.SIGTERM)
            raise AssertionError("the evaluation went on after the signal")
        return tiny.evaluate(model)

    torch.manual_seed(0)
    model = tiny.Model()
    result = tiny.train(
        tmp_path / "cut", model=model, evaluate=evaluate, on_step=lambda event: step.__setitem__(0, event["step"])
    )
    assert result.status == "stopped"
    assert result.step == cut
    assert model.training
    assert tiny.train(tmp_path / "cut", resume=True).status == "finished"
    cut_run, whole = tiny.trace(tmp_path / "cut"), tiny.trace(tmp_path / "whole")
    assert cut_run["log"] == whole["log"]
    assert cut_run["hashes"] == whole["hashes"]


def test_outside_the_main_thread_handlers_are_left_alone(tiny, tmp_path):
    results = []
    thread = threading.Thread(target=lambda: results.append(tiny.train(tmp_path)))
    thread.start()
    thread.join()
    assert results[0].status == "finished"


def test_autocast_and_determinism_are_applied_and_put_back(tiny, tmp_path):
    seen = set()

    def loss(model, batch):
        seen.add((model.mix(torch.ones(1, 8)).dtype, torch.are_deterministic_algorithms_enabled()))
        return tiny.loss(model, batch)

    tiny.train(tmp_path / "on", loss=loss, autocast="bf16", deterministic=True)
    assert seen == {(torch.bfloat16, True)}
    assert not torch.are_deterministic_algorithms_enabled()
    seen.clear()
    tiny.train(tmp_path / "off", loss=loss, autocast="auto")
    assert seen == {(torch.float32, False)}


def test_log_every_thins_the_log_but_not_the_callback(tiny, tmp_path):
    seen = []
    tiny.train(tmp_path, log_every=5, evaluate=None, on_step=seen.append)
    lines = [json.loads(line)["step"] for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert lines == [5, 10, 12]
    assert len(seen) == 12
