"""Scaled dot-product attention on a CPU in one compiled pass, and one for its gradient."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

__all__ = ["attention_cpu", "fits_cpu"]

_ROUNDS = 16
"""What the width of a head must be a multiple of: the most lanes of a register."""
_FEW_SCORES = 1 << 17
"""Below, torch's kernel takes less than a millisecond: not worth the second in which a process loads compiled functions."""


def fits_cpu(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> bool:
    """Whether `attention_cpu` computes this: float32, whole registers, and a mask over keys alone."""
    if q.device.type != "cpu" or torch.compiler.is_compiling() or torch.is_autocast_enabled("cpu"):
        return False
    if q.dtype != torch.float32 or k.dtype != torch.float32 or v.dtype != torch.float32:
        return False
    if not _learns(q, k, v) and q.shape[0] * q.shape[1] * q.shape[2] * k.shape[2] < _FEW_SCORES:
        return False
    if q.shape[2] == 1 or q.shape[3] % _ROUNDS or v.shape[3] != q.shape[3] or not q.numel() or not k.shape[2]:
        return False  # a single query is a matrix times a vector: nothing to gain
    return mask is None or (mask.dtype == torch.bool and mask.ndim == 4 and mask.shape[1:3] == (1, 1))


def _learns(*tensors: Tensor) -> bool:
    return torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)


def attention_cpu(
    q: Tensor, k: Tensor, v: Tensor, *, mask: Tensor | None = None, causal: bool = False, scale: float | None = None,
    dropout: float = 0.0,
) -> Tensor:  # fmt: skip
    """The same function as `attention_plain`, for what `fits_cpu`. The gradient has none itself.

    Args:
        q: (B, H, T, K).
        k: (B, G, S, K).
        v: (B, G, S, K).
        mask: (B or 1, 1, 1, S) bool.
        causal: as there.
        scale: as there.
        dropout: as there. Which weights are dropped is drawn from torch's generator, but not the same ones.

    Returns:
        (B, H, T, K).
    """
    first, second = torch.randint(1 << 32, (2,)).tolist() if dropout else (0, 0)
    scale = 1 / math.sqrt(q.shape[3]) if scale is None else scale
    seen = None if mask is None else mask[:, 0, 0].expand(q.shape[0], -1)
    q, k, v = (x.transpose(1, 2) for x in (q, k, v))
    out = _Attention.apply(q, k, v, seen, scale, causal, (first, second, dropout))
    return out.transpose(1, 2)  # pyright: ignore[reportOptionalMemberAccess]


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, q: Tensor, k: Tensor, v: Tensor, seen: Tensor | None, scale: float, causal: bool,
        draw: tuple[int, int, float],
    ) -> Tensor:  # fmt: skip
        from hanmo.nn.attention_kernels import attend

        q, k, v = (x if x.stride(3) == 1 else x.contiguous() for x in (q, k, v))
        if k.stride() != v.stride():
            k, v = k.contiguous(), v.contiguous()
        learns = any(ctx.needs_input_grad)
        out, stats = attend(q, k, v, seen, scale=scale, causal=causal, draw=draw, keep=learns)
        if learns:
            ctx.save_for_backward(q, k, v, seen, out, stats)
            ctx.settings = {"scale": scale, "causal": causal, "draw": draw}
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        from hanmo.nn.attention_kernels import learn

        q, k, v, seen, out, stats = ctx.saved_tensors
        d_out = gradients[0].contiguous()
        return *learn(q, k, v, seen, out, stats, d_out, **ctx.settings), None, None, None, None
