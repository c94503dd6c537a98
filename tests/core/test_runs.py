"""Run folders: made once, taken up again, recorded and logged without losing anything."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hanmo.core.errors import ConfigError, DataError, FormatError, StorageError
from hanmo.core.runs import RunFolder


def _events(run: RunFolder) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run.metrics.read_text(encoding="utf-8").splitlines()]


def test_create_record_resume(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "runs" / "实验")
    assert run.read() == {}
    run.record(status="running", seed=1)
    run.record(status="finished", note="好")
    assert run.read() == {"status": "finished", "seed": 1, "note": "好"}
    again = RunFolder.create(run.path, resume=True)
    assert again.read() == run.read()
    assert (run.checkpoints, run.model) == (run.path / "checkpoints", run.path / "model")
    assert {path.name for path in run.path.iterdir()} == {"run.json"}


def test_a_run_is_not_overwritten_by_mistake(tmp_path: Path) -> None:
    RunFolder.create(tmp_path / "a").record(seed=1)
    with pytest.raises(ConfigError, match=r"already holds a run.*--resume.*--overwrite.*--out"):
        RunFolder.create(tmp_path / "a")
    with pytest.raises(ConfigError, match="no run here to resume"):
        RunFolder.create(tmp_path / "b", resume=True)
    assert not (tmp_path / "b").exists()
    assert RunFolder(tmp_path / "a").read() == {"seed": 1}


def test_places_where_no_run_can_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match="in the way"):
        RunFolder.create(tmp_path / "file")
    with pytest.raises(StorageError, match="is a file, not a folder"):
        RunFolder.create(tmp_path / "file" / "run")

    def refuse(*arguments: Any, **options: Any) -> None:
        raise PermissionError(13, "Permission denied")

    for call in ("mkdir", "stat"):
        with monkeypatch.context() as patch:
            patch.setattr(os, call, refuse)
            with pytest.raises(StorageError, match="no permission"):
                RunFolder.create(tmp_path / call)


def test_creating_clears_up_after_killed_processes(tmp_path: Path) -> None:
    RunFolder.create(tmp_path / "a").record(seed=1)
    (tmp_path / "a" / ".hanmo-tmp-0-run.json").write_text("{")
    RunFolder.create(tmp_path / "a", resume=True)
    assert {path.name for path in (tmp_path / "a").iterdir()} == {"run.json"}


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "null"])
def test_a_damaged_record(tmp_path: Path, text: str) -> None:
    run = RunFolder.create(tmp_path)
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(FormatError, match=r"run\.json"):
        run.read()
    with pytest.raises(FormatError, match=r"run\.json"):
        run.record(seed=1)
    assert (tmp_path / "run.json").read_text() == text


def test_every_single_failure_of_a_record(tmp_path: Path, faults_at: Any) -> None:
    run = RunFolder.create(tmp_path)
    failures = 0
    for n in range(1, 30):
        (tmp_path / "run.json").write_text('{"seed": 1}')
        faults = faults_at(n)
        with pytest.MonkeyPatch.context() as patch:
            faults.install(patch)
            try:
                run.record(status="new")
            except StorageError:
                failures += 1
        assert run.read() in ({"seed": 1}, {"seed": 1, "status": "new"})
        if not faults.struck:
            break
    assert failures >= 6
    assert run.read() == {"seed": 1, "status": "new"}


def test_log(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path)
    run.log({"step": 1, "loss": 2.5})
    run.log({"step": 1, "eval": {"loss": 2.4}, "sample": "第一行\n第二行\u2028\udce9"})
    RunFolder(tmp_path).log({"step": 2, "loss": None})
    assert [event["step"] for event in map(json.loads, run.metrics.read_bytes().split(b"\n")[:-1])] == [1, 1, 2]
    assert "第一行" in run.metrics.read_text(encoding="utf-8")


def test_a_number_that_json_has_not_is_named(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path)
    run.log({"step": 1})
    with pytest.raises(DataError, match=r"metrics\.jsonl: loss = nan cannot be written"):
        run.log({"step": 2, "loss": math.nan})
    with pytest.raises(DataError, match=r"run\.json: training\.best = inf cannot be written"):
        run.record(training={"best": math.inf})
    assert _events(run) == [{"step": 1}]


def test_a_torn_line_spoils_only_itself(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path)
    run.metrics.write_text('{"step": 1}\n{"step": 2, "lo', encoding="utf-8")
    run.log({"step": 3})
    run.log({"step": 4})
    assert run.metrics.read_text().splitlines() == ['{"step": 1}', '{"step": 2, "lo', '{"step": 3}', '{"step": 4}']


@pytest.mark.parametrize("event", [{"step": 2}, {"step": 2, "eval": {"loss": 1.0}}])
def test_every_single_failure_of_a_log(tmp_path: Path, faults_at: Any, event: dict[str, Any]) -> None:
    run = RunFolder.create(tmp_path)
    failures = 0
    for n in range(1, 10):
        run.metrics.write_text('{"step": 1}\n')
        faults = faults_at(n)
        with pytest.MonkeyPatch.context() as patch:
            faults.install(patch)
            try:
                run.log(event)
            except StorageError as error:
                message = str(error)
                failures += 1
            else:
                message = ""
        assert not message or message.startswith(f"{run.metrics}: the disk is full")
        assert _events(run) == ([{"step": 1}] if message else [{"step": 1}, event]), faults.calls
        if not faults.struck:
            break
    assert failures == (3 if "eval" in event else 2)
    assert _events(run) == [{"step": 1}, event]


def test_a_full_disk_that_takes_a_part(tmp_path: Path) -> None:
    code = """
import resource, sys
from hanmo.core.errors import StorageError
from hanmo.core.runs import RunFolder
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
run = RunFolder.create(sys.argv[1])
try:
    for step in range(100):
        run.log({"step": step, "text": "x" * 70})
except StorageError as error:
    print(step, error)
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"{len(_events(RunFolder(tmp_path)))} {tmp_path}/metrics.jsonl: the file is larger")
    assert (tmp_path / "metrics.jsonl").read_bytes().endswith(b"}\n")


def test_log_without_a_folder(tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        RunFolder(tmp_path / "none").log({"step": 1})


def test_what_a_killed_stage_left_is_swept_one_folder_down_too(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "run")
    run.record(status="running")
    for folder in (run.path, run.path / "shards"):
        orphan = folder / ".hanmo-tmp-0123456789ab-heldout"
        orphan.mkdir(parents=True)
        (orphan / "tokens.bin").write_bytes(b"half")
    (run.path / "shards" / "train").mkdir()
    RunFolder.create(run.path, resume=True)
    assert not [path for path in run.path.rglob("*") if path.name.startswith(".hanmo-")]
    assert (run.path / "shards" / "train").is_dir()
