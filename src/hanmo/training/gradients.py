"""The gradient of the mean loss per token, over any number of micro-batches."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from hanmo.core.errors import TrainingError
from hanmo.training.interfaces import Batches, Loss

__all__ = ["Gradient", "autocast_context", "clip", "compute_gradient"]


@dataclass(frozen=True, slots=True)
class Gradient:
    """What one optimizer step knows about its gradient."""

    loss: float
    """Mean loss per token, in nats."""
    norm: float
    """Global L2 norm of the gradient of that mean, before clipping."""
    n_tokens: int
    """Tokens that counted in the loss."""


def autocast_context(device: torch.device, dtype: torch.dtype | None) -> contextlib.AbstractContextManager[object]:
    """Autocast to `dtype`, or nothing for None."""
    return torch.autocast(device.type, dtype) if dtype is not None else contextlib.nullcontext()


def compute_gradient(
    model: nn.Module,
    loss: Loss,
    batches: Batches,
    *,
    accumulate: int,
    device: torch.device,
    autocast: torch.dtype | None,
) -> Gradient:
    """Fill `.grad` with the gradient of (sum of all losses) / (number of all tokens).

    Dividing once by the tokens of all micro-batches, not each micro-batch by its own, is what makes
    accumulation over ragged micro-batches equal to one big batch.

    Raises:
        TrainingError: if there is nothing that the loss could change.
    """
    model.zero_grad(set_to_none=True)
    total: Tensor | None = None
    n_tokens: int | Tensor = 0
    for _ in range(accumulate):
        batch = {name: tensor.to(device, non_blocking=True) for name, tensor in batches.next().items()}
        with autocast_context(device, autocast):
            loss_sum, count = loss(model, batch)
        if not loss_sum.requires_grad:
            raise TrainingError(
                "the loss depends on no parameter that is trained", where="training",
                remedy="A model without a head of its own cannot begin with its head: leave unfreeze_every out.",
            )  # fmt: skip
        loss_sum.backward()
        total = loss_sum.detach() if total is None else total + loss_sum.detach()
        n_tokens = n_tokens + count
    assert total is not None
    n_tokens = int(n_tokens)
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    _scale(gradients, 1 / max(1, n_tokens))
    norm = torch.nn.utils.get_total_norm(gradients)
    loss_value, norm_value = torch.stack([total.to(norm.dtype), norm]).tolist()
    return Gradient(loss=loss_value / max(1, n_tokens), norm=norm_value, n_tokens=n_tokens)


def clip(model: nn.Module, norm: float, max_norm: float) -> None:
    """Scale all gradients so that their global norm is at most `max_norm` (Pascanu et al., 2013, algorithm 1)."""
    if norm > max_norm:
        _scale([p.grad for p in model.parameters() if p.grad is not None], max_norm / norm)


def _scale(tensors: Iterable[Tensor] | Sequence[Tensor], factor: float) -> None:
    for tensor in tensors:
        tensor.mul_(factor)
