"""A disk that is full in one of the stages: one message, and nothing half-written under a good name."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hanmo.core.files import sha256_file
from hanmo.stories.train import train


@pytest.mark.parametrize(
    ("file_bytes", "missing"),
    [(12_000, "corpus/corpus.json"), (80_000, "checkpoints/step-00000012")],
)
def test_full_disk(
    file_bytes: int, missing: str, write_recipe: Callable[..., Path], hanmo_process: Callable[..., Any], tmp_path: Path
) -> None:
    recipe, run = write_recipe(), tmp_path / "run"
    code, out, err = hanmo_process("train", recipe, "--out", run, file_bytes=file_bytes).result()
    assert code == 1, err
    assert out == ""
    assert "Traceback" not in err
    (message,) = [line for line in err.splitlines() if line.startswith("hanmo: ")]
    assert "ulimit" in message
    assert str(run) in message
    assert not (run / missing).exists()
    assert not [path for path in run.rglob("*") if path.name.startswith(".hanmo-")]
    assert json.loads((run / "run.json").read_text(encoding="utf-8"))["status"] == "failed"

    # with room again, the run goes on where it stopped
    assert train(recipe, out=run, resume=True).status == "finished"
    whole = train(recipe, out=tmp_path / "whole")
    assert sha256_file(run / "model" / "model.safetensors") == sha256_file(whole.model / "model.safetensors")
