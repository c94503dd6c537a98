"""A linear layer that no training changes, held in half or a quarter of the memory.

Its numbers are widened when a product needs them, for that product only: the gradient of its input is exact for the
numbers that are held, and nothing but these is kept for it (Dettmers et al., 2023, "QLoRA", eq. 5 and 6).
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["FrozenLinear", "compute_dtype", "dense_bias", "dense_weight", "frozen_product"]


class FrozenLinear(nn.Module):
    """`x Wᵀ + b` with W (O, D) in bfloat16, or in 8 bits with a scale for each row."""

    weight: Tensor
    scale: Tensor | None
    bias: Tensor | None

    def __init__(self, linear: nn.Linear, *, dtype: Literal["bfloat16", "int8"]):
        """From a layer in float32, which is left as it is."""
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        weight = linear.weight.detach()
        scale = None
        if dtype == "int8":
            scale = (weight.abs().amax(1) / 127).clamp(min=torch.finfo(torch.float32).tiny)
            held = (weight / scale[:, None]).round_().to(torch.int8)
        else:
            held = weight.to(torch.bfloat16)
        self.register_buffer("weight", held)
        self.register_buffer("scale", scale)
        self.register_buffer("bias", None if linear.bias is None else linear.bias.detach())

    def dense(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """W (O, D), widened."""
        wide = self.weight.to(dtype)
        return wide if self.scale is None else wide.mul_(self.scale.to(dtype)[:, None])

    def forward(self, x: Tensor) -> Tensor:
        """(..., D) → (..., O)."""
        x = x.to(compute_dtype(x))
        with torch.autocast(x.device.type, enabled=False):
            y = frozen_product(self, x)
            return y if self.bias is None else y + self.bias.to(y.dtype)


def compute_dtype(x: Tensor) -> torch.dtype:
    """What a product with this input is computed in: autocast's dtype where that is on, else its own."""
    kind = x.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype


def dense_weight(base: nn.Module, dtype: torch.dtype | None = None) -> Tensor:
    """W (O, D) of a linear layer of any kind, in float32 or the layer's own dtype if None."""
    if isinstance(base, FrozenLinear):
        return base.dense(dtype or torch.float32)
    assert isinstance(base, nn.Linear)
    weight = base.weight.detach()
    return weight if dtype is None else weight.to(dtype)


def dense_bias(base: nn.Module) -> Tensor | None:
    """b (O,) of a linear layer of any kind."""
    bias = base.bias
    return bias.detach() if isinstance(bias, Tensor) else None


def frozen_product(base: nn.Module, x: Tensor) -> Tensor:
    """`x Wᵀ` without the bias, where only x may have a gradient."""
    return _FrozenProduct.apply(x, base)  # pyright: ignore[reportReturnType]


class _FrozenProduct(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, base: nn.Module) -> Tensor:
        ctx.base = base
        return F.linear(x, dense_weight(base, x.dtype))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        return gradients[0] @ dense_weight(ctx.base, gradients[0].dtype), None
