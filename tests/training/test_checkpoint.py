from __future__ import annotations

import builtins
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hanmo.core import files
from hanmo.core.errors import FormatError, HanmoError, StorageError, TrainingError
from hanmo.core.progress import set_quiet
from hanmo.training import checkpoint as module
from hanmo.training.checkpoint import (
    Checkpoint,
    delete_old_checkpoints,
    find_damage,
    latest_checkpoint,
    load_model_tensors,
    model_tensors,
    read_checkpoint,
    sweep_checkpoints,
    write_checkpoint,
)
from hanmo.training.randomness import RandomState


def make(step: int, value: float | None = None) -> Checkpoint:
    torch.manual_seed(step)
    return Checkpoint(
        step=step,
        identity={"data": "d", "名": "语料"},
        model={"weight": torch.full((3, 4), float(step) if value is None else value), "bias": torch.randn(4)},
        optimizer={"weight|step": torch.tensor(2.0), "weight|exp_avg": torch.randn(3, 4)},
        random=RandomState.capture(),
        state={"batches": {"epoch": 1, "position": 7}, "progress": {"loss": 0.1 + 0.2}},
    )


def equal(a: Checkpoint, b: Checkpoint) -> bool:
    pairs = [(a.model, b.model), (a.optimizer, b.optimizer), (a.random.tensors, b.random.tensors)]
    same = all(x.keys() == y.keys() and all(torch.equal(x[k], y[k]) for k in x) for x, y in pairs)
    return same and (a.step, a.identity, a.state, a.random.values) == (b.step, b.identity, b.state, b.random.values)


def test_round_trip_is_exact_and_holds_no_pickle(tmp_path):
    saved = make(123)
    path = write_checkpoint(tmp_path, saved)
    assert path.name == "step-00000123"
    assert equal(read_checkpoint(path), saved)
    assert not equal(read_checkpoint(path), make(124))
    assert sorted(p.name for p in path.iterdir()) == [
        "manifest.json", "model.safetensors", "optimizer.safetensors", "rng.safetensors", "state.json",
    ]  # fmt: skip
    assert [p.name for p in tmp_path.iterdir()] == ["step-00000123"]


def test_tied_tensors_are_stored_once_and_stay_tied(tiny):
    model, other = tiny.Model(), tiny.Model()
    stored = model_tensors(model)
    assert ("embedding.weight" in stored) != ("head.weight" in stored)
    load_model_tensors(other, {k: v.clone() for k, v in stored.items()})
    assert other.head.weight is other.embedding.weight
    assert torch.equal(other.head.weight, model.head.weight)
    with pytest.raises(FormatError, match="extra"):
        load_model_tensors(other, stored | {"extra": torch.zeros(1)})
    with pytest.raises(FormatError, match=r"norm\.bias"):
        load_model_tensors(other, stored | {"norm.bias": torch.zeros(1)})


def test_newest_complete_checkpoint_is_taken_and_old_ones_deleted(tmp_path):
    assert latest_checkpoint(tmp_path / "absent") is None
    for step in (0, 5, 10, 15):
        write_checkpoint(tmp_path, make(step))
    delete_old_checkpoints(tmp_path, keep=2, besides=0)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step-00000000", "step-00000010", "step-00000015"]
    newest = latest_checkpoint(tmp_path)
    assert newest is not None
    assert newest.name == "step-00000015"


def test_damaged_checkpoint_is_named_and_the_one_before_is_used(tmp_path, capsys):
    write_checkpoint(tmp_path, make(5))
    broken = write_checkpoint(tmp_path, make(10))
    (broken / "model.safetensors").write_bytes(b"x")
    set_quiet(False)
    newest = latest_checkpoint(tmp_path)
    set_quiet(True)
    assert newest is not None
    assert newest.name == "step-00000005"
    assert "step-00000010" in (said := capsys.readouterr().err)
    assert "model.safetensors" in said
    sweep_checkpoints(tmp_path, newest)
    assert not broken.exists()


def test_all_damaged_is_an_error_not_a_fresh_start(tmp_path):
    broken = write_checkpoint(tmp_path, make(10))
    (broken / "state.json").unlink()
    with pytest.raises(TrainingError, match="all 1 checkpoints are damaged"):
        latest_checkpoint(tmp_path)


def test_orphans_and_half_deleted_folders_are_swept(tmp_path):
    path = write_checkpoint(tmp_path, make(3))
    half = write_checkpoint(tmp_path, make(1))
    (half / "manifest.json").unlink()
    (tmp_path / ".hanmo-tmp-0123-step-00000004").mkdir()
    assert latest_checkpoint(tmp_path) == path
    sweep_checkpoints(tmp_path, path)
    assert list(tmp_path.iterdir()) == [path]


def test_truncation_and_bit_flips_are_always_detected(tmp_path):
    """RELIABILITY.md C6, on every file of the checkpoint: 64 truncations, 256 single bits."""
    path = write_checkpoint(tmp_path, make(7))
    rng = np.random.default_rng(0)
    for file in sorted(path.iterdir()):
        whole = file.read_bytes()
        for size in {int(x) for x in np.linspace(0, len(whole) - 1, 64)}:
            if whole[size:].strip() == b"":
                continue  # only the final newline of a JSON file is gone
            file.write_bytes(whole[:size])
            damage = find_damage(path)
            assert damage is not None
            assert file.name in damage
        for position in rng.integers(0, len(whole) * 8, size=256):
            flipped = bytearray(whole)
            flipped[position // 8] ^= 1 << (position % 8)
            file.write_bytes(flipped)
            damage = find_damage(path)
            assert damage is not None, (file.name, position)
            assert file.name in damage
            with pytest.raises(FormatError, match="damaged"):
                read_checkpoint(path)
        file.write_bytes(whole)
    assert find_damage(path) is None


def test_manifest_cannot_point_elsewhere(tmp_path):
    path = write_checkpoint(tmp_path, make(7))
    manifest = json.loads((path / "manifest.json").read_text())
    manifest.pop("sha256")
    manifest["files"][0]["name"] = "../../secret"
    (path / "manifest.json").write_text(json.dumps(manifest | {"sha256": module._digest(manifest)}))
    damage = find_damage(path)
    assert damage is not None
    assert "manifest.json" in damage


class Faults:
    """Fails the n-th of the operations that a save consists of."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, n: int):
        self.left, self.failed = n, ""
        for owner, name in [
            (os, "fsync"), (os, "replace"), (os, "mkdir"), (os, "unlink"), (os, "rmdir"), (os, "open"),
            (builtins, "open"), (module, "save_file"), (module, "sha256_file"), (Path, "write_bytes"),
        ]:  # fmt: skip
            self.wrap(monkeypatch, owner, name)

    def wrap(self, monkeypatch, owner, name):
        real = getattr(owner, name)

        def counted(*args, **kwargs):
            self.left -= 1
            if self.left == 0:
                self.failed = name
                paths = [str(value) for value in args if isinstance(value, str | Path)]
                raise OSError(28, "No space left on device", *paths[:1])  # as the system does: no name for a descriptor
            return real(*args, **kwargs)

        monkeypatch.setattr(owner, name, counted)


def test_failing_every_single_operation_keeps_the_previous_checkpoint(tmp_path):
    """RELIABILITY.md C3: fail the n-th write, fsync, rename, unlink for n = 1, 2, 3, ... until the save succeeds."""
    old, new = make(1), make(2)
    write_checkpoint(tmp_path / "start", old)
    failures: dict[str, int] = {}
    for n in range(1, 500):
        folder = tmp_path / f"n{n}"
        shutil.copytree(tmp_path / "start", folder)
        with pytest.MonkeyPatch.context() as patch:
            faults = Faults(patch, n)
            try:
                write_checkpoint(folder, new)
                delete_old_checkpoints(folder, keep=1, besides=None)
                error = None
            except HanmoError as caught:
                error = caught
        if not faults.failed:
            break
        failures[faults.failed] = failures.get(faults.failed, 0) + 1
        newest = latest_checkpoint(folder)
        assert newest is not None
        if error is None or newest.name == "step-00000002":  # the fault came after the rename
            assert equal(read_checkpoint(newest), new)
        else:
            assert isinstance(error, StorageError)
            assert "full" in str(error)
            assert equal(read_checkpoint(newest), old)
        sweep_checkpoints(folder, newest)
        assert equal(read_checkpoint(write_checkpoint(folder, make(3))), make(3))
        shutil.rmtree(folder)
    assert error is None
    assert [p.name for p in folder.iterdir()] == ["step-00000002"]
    assert failures["save_file"] == failures["replace"] == 3, failures
    assert failures["fsync"] >= 8, failures
    assert sum(failures.values()) > 25


FULL_DISK = """
import resource, sys
from pathlib import Path
import torch
from hanmo.training.checkpoint import Checkpoint, write_checkpoint
from hanmo.training.randomness import RandomState
folder = Path(sys.argv[1])
def save(step, size):
    write_checkpoint(folder, Checkpoint(step=step, identity={}, model={"w": torch.ones(size)}, optimizer={},
                                        random=RandomState.capture(), state={}))
save(1, 10)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
from hanmo.core.errors import StorageError
try:
    save(2, 100_000)
except StorageError as error:
    print(error)
    raise SystemExit(1)
"""


def test_full_disk_is_reported_and_nothing_partial_is_accepted(tmp_path):
    """RELIABILITY.md C4, with a file size limit in place of a small disk."""
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 1, done.stderr
    assert "larger than this system allows" in done.stdout
    assert [p.name for p in tmp_path.iterdir()] == ["step-00000001"]
    assert find_damage(tmp_path / "step-00000001") is None


@given(seed=st.integers(0, 2**32 - 1), draws=st.integers(0, 700))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_random_state_survives_the_disk(tmp_path, seed, draws):
    import random

    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    random.gauss(0, 1), np.random.randn(draws % 3), torch.randn(draws)
    state = RandomState.capture()
    path = files.Path(tmp_path) / "rng.safetensors"
    module._save_tensors(state.tensors, path)
    expected = [random.gauss(0, 1), random.random(), *np.random.randn(3), *torch.randn(3).tolist()]
    assert [random.gauss(0, 1), random.random(), *np.random.randn(3), *torch.randn(3).tolist()] != expected
    RandomState(module.load_file(path), json.loads(json.dumps(state.values))).restore()
    assert [random.gauss(0, 1), random.random(), *np.random.randn(3), *torch.randn(3).tolist()] == expected
