"""Learning from the worst texts near those that there are (Miyato, Dai & Goodfellow, 2017).

B batch, T positions, E width of token vectors.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hanmo.training.interfaces import Loss

__all__ = ["adversarial_loss"]


def adversarial_loss(loss: Loss, size: float) -> Loss:
    """The mean of a loss and of the same after the token vectors of each row were pushed where it grows fastest.

    The push of a row is `size g / |g|` (eq. 5), with g the gradient of the loss with respect to all vectors of the row; it counts
    as a constant. A step takes a little more than twice as long.

    Args:
        loss: from a classifier of rows and its batch.
        size: length of the push, in units of the token vectors.
    """

    def pushed(model: nn.Module, batch: dict[str, Tensor]) -> tuple[Tensor, int | Tensor]:
        first, n = loss(seen := _Pushed(model, None), batch)
        assert seen.vectors is not None
        (gradient,) = torch.autograd.grad(first, seen.vectors, retain_graph=True)
        length = gradient.flatten(1).norm(dim=-1).clamp_min(torch.finfo(gradient.dtype).tiny)
        second, _ = loss(_Pushed(model, size * gradient / length[:, None, None]), batch)
        return (first + second) / 2, n

    return pushed


class _Pushed(nn.Module):
    """The model as the loss sees it: it reads vectors, and remembers them."""

    def __init__(self, model: nn.Module, push: Tensor | None):
        super().__init__()
        self._model, self._push = model, push
        self.vectors: Tensor | None = None

    def forward(self, input_ids: Tensor, **inputs: Tensor) -> Any:
        """As the model's own."""
        backbone: Any = self._model.backbone
        vectors = F.embedding(input_ids, backbone.token_weight)  # (B, T, E)
        if not vectors.requires_grad:  # a frozen table
            vectors.requires_grad_()
        self.vectors = vectors
        return self._model(inputs_embeds=vectors if self._push is None else vectors + self._push, **inputs)
