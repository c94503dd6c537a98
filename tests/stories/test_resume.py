"""Stopped in any way and resumed, a run ends with the same bytes; what cannot be resumed is left as it is."""

from __future__ import annotations

import json
import os
import random
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from hanmo.core.errors import ConfigError
from hanmo.core.files import sha256_file
from hanmo.core.progress import set_quiet
from hanmo.core.settings import load_settings
from hanmo.stories.recipe import PretrainRecipe
from hanmo.stories.result import PretrainResult
from hanmo.stories.train import train

STEPS = 300
LONG = {"n_steps": STEPS, "eval_every": 150, "checkpoint_steps": 20}
STAGES = ("corpus/train.jsonl.gz", "corpus/corpus.json", "tokenizer/tokenizer.json", "shards/train/shards.json")
PATIENCE = 60.0


def wait_until(there: Callable[[], bool], has_ended: Callable[[], bool]) -> None:
    start = time.monotonic()
    while not there():
        assert not has_ended(), "it ended before the moment to strike"
        assert time.monotonic() - start < PATIENCE, "the moment to strike did not come"
        time.sleep(0.001)


def steps_logged(run: Path) -> int:
    file = run / "metrics.jsonl"
    return file.read_bytes().count(b"\n") if file.exists() else 0


def record(run: Path) -> dict[str, Any]:
    return json.loads((run / "run.json").read_text(encoding="utf-8"))


def weights(run: Path) -> str:
    return sha256_file(run / "model" / "model.safetensors")


def test_killed_in_a_stage_and_in_training(
    write_recipe: Callable[..., Path], hanmo_process: Callable[..., Any], tmp_path: Path
) -> None:
    moment = random.Random()
    stage, step = moment.choice(STAGES), moment.randrange(2, STEPS // 2)
    print(f"killed after {stage} and at step {step}")
    recipe, run = write_recipe(training=LONG), tmp_path / "run"

    process = hanmo_process("train", recipe, "--out", run)
    wait_until((run / stage).exists, process.has_ended)
    process.send(signal.SIGKILL)
    assert process.result()[0] == -signal.SIGKILL
    assert not (run / "model").exists()

    process = hanmo_process("train", recipe, "--out", run, "--resume")
    wait_until(lambda: steps_logged(run) >= step, process.has_ended)
    process.send(signal.SIGKILL)
    assert process.result()[0] == -signal.SIGKILL
    assert 0 < steps_logged(run) < STEPS
    assert record(run)["status"] == "running"

    resumed = train(recipe, out=run, resume=True)
    whole = train(recipe, out=tmp_path / "whole")
    assert weights(run) == weights(tmp_path / "whole")
    assert resumed.evaluation == whole.evaluation
    assert not [path for path in run.rglob("*") if path.name.startswith(".hanmo-")]
    assert record(run)["status"] == "finished"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_a_signal_saves_and_says_how_to_go_on(
    number: signal.Signals,
    code: int,
    write_recipe: Callable[..., Path],
    hanmo_process: Callable[..., Any],
    tmp_path: Path,
) -> None:
    recipe, run = write_recipe(training={"n_steps": 100_000, "checkpoint_steps": None}), tmp_path / "run"
    process = hanmo_process("train", recipe, "--out", run)
    wait_until(lambda: steps_logged(run) >= 3, process.has_ended)
    process.send(number)
    exit_code, out, err = process.result()
    assert exit_code == code, err
    assert f"--out {run} --resume" in out
    assert "Traceback" not in err
    _check_stopped(run)


@pytest.mark.slow  # the signals are tested in process below
def test_ctrl_c_in_the_real_command(write_recipe: Callable[..., Path], tmp_path: Path) -> None:
    recipe, run = write_recipe(training={"n_steps": 100_000, "checkpoint_steps": None}), tmp_path / "run"
    process = subprocess.Popen(
        [sys.executable, "-m", "hanmo", "train", str(recipe), "--out", str(run), "--json"], text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    wait_until(lambda: steps_logged(run) >= 3, lambda: process.poll() is not None)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, err
    assert json.loads(out)["stopped_by"] == "SIGINT"
    assert "--resume" in err
    _check_stopped(run)
    command = shlex.split(str(record(run)["command"]))
    assert command == ["hanmo", "train", str(recipe), "--out", str(run), "--json"]


def _check_stopped(run: Path) -> None:
    newest = max((run / "checkpoints").iterdir())
    assert int(newest.name.removeprefix("step-")) >= 3
    info = record(run)
    assert info["status"] == "interrupted"
    assert info["training"]["stopped_by"] == "signal"


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_between_stages(
    name: str,
    write_recipe: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    recipe, run = write_recipe(), tmp_path / "run"

    def press(*arguments: object) -> None:
        os.kill(os.getpid(), signal.Signals[name])
        time.sleep(PATIENCE)  # the handler runs before this is over

    with monkeypatch.context() as patch:
        patch.setattr("hanmo.stories.pretrain.write_samples", press)
        set_quiet(False)
        with pytest.raises(KeyboardInterrupt):
            train(recipe, out=run)
    assert f"--out {run} --resume" in capsys.readouterr().err
    info = record(run)
    assert info["status"] == "interrupted"

    resumed = train(recipe, out=run, resume=True)
    assert resumed.status == "finished"
    # nothing was trained in the second session; the figures are those of the first
    assert resumed.tokens_per_s == info["training"]["tokens_per_s"] > 0
    assert resumed.seconds > info["seconds"]
    # two sessions have used more than the first
    assert record(run)["energy"]["kwh"] > info["energy"]["kwh"] > 0


def test_a_finished_run_stays_as_it_is(
    tiny: ModuleType, corpus: Path, english: PretrainResult, capsys: pytest.CaptureFixture[str]
) -> None:
    def state() -> dict[str, tuple[int, str]]:
        files = (path for path in english.run.rglob("*") if path.is_file())
        return {str(path): (path.stat().st_mtime_ns, sha256_file(path)) for path in files}

    before = state()
    set_quiet(False)
    again = train(tiny.tiny_recipe(corpus), out=english.run, resume=True)
    assert "already finished" in capsys.readouterr().err
    assert replace(again, seconds=0) == replace(english, seconds=0)
    assert again.seconds == pytest.approx(english.seconds, abs=1)
    assert state() == before


def test_a_finished_run_that_lost_its_report_gets_it_again(tiny: ModuleType, corpus: Path, tmp_path: Path) -> None:
    first = tiny.make_tiny_run(tmp_path / "run", corpus=corpus)
    first.report.unlink()
    again = train(tiny.tiny_recipe(corpus), out=first.run, resume=True)
    assert again.report.exists()
    assert again.evaluation == first.evaluation
    assert again.tokens_per_s == first.tokens_per_s


def test_half_a_tokenizer_is_no_tokenizer(
    tiny: ModuleType, corpus: Path, english: PretrainResult, tmp_path: Path
) -> None:
    """Killed between the two files that it consists of."""
    run = tmp_path / "run"
    shutil.copytree(english.run / "corpus", run / "corpus")
    shutil.copy(english.run / "run.json", run)
    (run / "tokenizer").mkdir()
    shutil.copy(english.run / "tokenizer" / "tokenizer.json", run / "tokenizer")
    train(tiny.tiny_recipe(corpus), out=run, resume=True)
    for name in ("tokenizer.json", "tokenizer_config.json", "model.safetensors"):
        assert sha256_file(run / "model" / name) == sha256_file(english.model / name)


def test_a_changed_recipe_is_refused_with_its_differences(
    tiny: ModuleType, corpus: Path, english: PretrainResult
) -> None:
    before = (english.run / "run.json").read_bytes()
    changed = tiny.tiny_recipe(corpus, training={"lr": 0.5}, seed=9)
    with pytest.raises(ConfigError, match=r"seed: 0 -> 9; training\.lr: 0\.01 -> 0\.5"):
        train(changed, out=english.run, resume=True)
    assert (english.run / "run.json").read_bytes() == before


def test_resume_needs_a_run(tiny: ModuleType, corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no run here to resume"):
        train(tiny.tiny_recipe(corpus), out=tmp_path / "none", resume=True)
    assert not (tmp_path / "none").exists()


def test_the_recipe_of_a_run_runs_again(english: PretrainResult) -> None:
    recipe = load_settings(PretrainRecipe, english.run / "recipe.toml")
    assert recipe.model_dump(mode="json") == record(english.run)["recipe"]
