"""Starting values of the weights."""

from __future__ import annotations

import math

from torch import Tensor, nn

from hanmo.nn.attention import CrossAttention, SelfAttention
from hanmo.nn.feedforward import FeedForward, GatedFeedForward
from hanmo.nn.norms import LayerNorm, RMSNorm

__all__ = ["draw", "init_normal", "init_residual_outputs"]


def init_normal(module: nn.Module, std: float) -> None:
    """Matrices and embeddings from N(0, std²), biases 0, norms 1; nothing on the meta device."""
    if any(parameter.is_meta for parameter in module.parameters()):
        return
    for part in module.modules():
        if isinstance(part, (nn.Linear, nn.Embedding, LayerNorm, RMSNorm)):
            for leaf, parameter in part.named_parameters(recurse=False):
                draw(parameter, part, leaf, std)


def draw(value: Tensor, owner: nn.Module, leaf: str, std: float) -> None:
    """Fill `value` with what the parameter `leaf` of `owner` starts from: see `init_normal`; any other is 0."""
    if leaf == "weight" and isinstance(owner, (nn.Linear, nn.Embedding)):
        nn.init.normal_(value, std=std)
    elif leaf == "weight" and isinstance(owner, (LayerNorm, RMSNorm)):
        nn.init.ones_(value)
    else:
        nn.init.zeros_(value)


def init_residual_outputs(module: nn.Module, std: float, n_sublayers: int) -> None:
    """Projections into the residual stream from N(0, std² / n_sublayers) (Radford et al., 2019, §2.3).

    The stream is a sum of that many outputs; so its variance does not grow with depth. Nothing on the meta device.
    """
    if any(parameter.is_meta for parameter in module.parameters()):
        return
    for part in module.modules():
        if isinstance(part, (SelfAttention, CrossAttention, FeedForward, GatedFeedForward)):
            nn.init.normal_(part.out.weight, std=std / math.sqrt(n_sublayers))
