"""Learning from pairs: what belongs together must be closer than what does not (Radford et al., 2021)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hanmo.core.errors import ConfigError

__all__ = ["Temperature", "contrastive_loss"]


def contrastive_loss(logits: Tensor) -> Tensor:
    """Mean of the cross-entropies of finding each row's column and each column's row (Radford et al., 2021, fig. 3).

    Args:
        logits: similarities, (B, B); row i and column i belong together.

    Returns:
        Scalar in nats.

    Raises:
        ConfigError: if there are not as many rows as columns.
    """
    if logits.dim() != 2 or logits.shape[0] != logits.shape[1]:
        raise ConfigError(
            f"similarities of shape {tuple(logits.shape)} are not those of pairs", where="return_loss",
            remedy="Give as many images as texts, each image at the place of its text.",
        )  # fmt: skip
    pairs = torch.arange(logits.shape[0], device=logits.device)
    return (F.cross_entropy(logits, pairs) + F.cross_entropy(logits.t(), pairs)) / 2


class Temperature(nn.Module):
    """A learned factor of similarities, `exp(log_scale)`, which training does not push beyond a limit.

    The parameter itself is brought back at the start of each forward pass in training: similarities multiplied by more
    than that make training unstable (Radford et al., 2021, §2.5). In evaluation it is used as it is.
    """

    def __init__(self, log_scale: float, *, limit: float = 100.0):
        """Args:
        log_scale: at the start; ln(1 / 0.07) in the paper.
        limit: largest factor.
        """
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(log_scale))
        self.limit = limit

    def forward(self) -> Tensor:
        """The factor, scalar."""
        if self.training:
            with torch.no_grad():
                self.log_scale.clamp_(max=math.log(self.limit))
        return self.log_scale.exp()
