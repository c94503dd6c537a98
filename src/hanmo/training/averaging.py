"""The mean of the weights of the last checkpoints of a run."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from hanmo.core.errors import TrainingError
from hanmo.training.checkpoint import checkpoint_path, checkpoint_steps, read_checkpoint

__all__ = ["average_checkpoints"]


def average_checkpoints(folder: Path, *, last: int) -> tuple[dict[str, Tensor], list[int]]:
    """Average the weights of the newest checkpoints (Vaswani et al., 2017, §6.1), in float64.

    Args:
        folder: where they are.
        last: how many; all where there are fewer. The one before the first step is left out.

    Returns:
        The tensors by name, in their dtype, and the steps they are of.

    Raises:
        TrainingError: if there is none.
        FormatError: if one is damaged.
    """
    steps = [step for step in checkpoint_steps(folder) if step][-last:]
    if not steps:
        raise TrainingError("there is no checkpoint to average", where=folder)
    total: dict[str, Tensor] = {}
    dtypes: dict[str, torch.dtype] = {}
    for step in steps:
        for name, tensor in read_checkpoint(checkpoint_path(folder, step)).model.items():
            dtypes[name] = tensor.dtype
            total[name] = total[name] + tensor.double() if name in total else tensor.double()
    return {name: (tensor / len(steps)).to(dtypes[name]) for name, tensor in total.items()}, steps
