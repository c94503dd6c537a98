"""The mean of the last checkpoints, and of no others."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from hanmo.core.errors import TrainingError
from hanmo.training.averaging import average_checkpoints
from hanmo.training.checkpoint import Checkpoint, write_checkpoint
from hanmo.training.randomness import RandomState


def checkpoint(step: int) -> Checkpoint:
    tensors = {"w": torch.full((2,), float(step)), "half": torch.full((1,), step, dtype=torch.bfloat16)}
    return Checkpoint(step=step, identity={}, model=tensors, optimizer={}, random=RandomState({}, {}), state={})


def test_the_last_are_averaged(tmp_path: Path) -> None:
    for step in (0, 10, 20, 40):
        write_checkpoint(tmp_path, checkpoint(step))
    mean, steps = average_checkpoints(tmp_path, last=2)
    assert steps == [20, 40]
    assert mean["w"].tolist() == [30.0, 30.0]
    assert mean["half"].dtype == torch.bfloat16
    assert average_checkpoints(tmp_path, last=9)[1] == [10, 20, 40]  # that before the first step is none of training
    with pytest.raises(TrainingError, match="no checkpoint"):
        average_checkpoints(tmp_path / "empty", last=2)
