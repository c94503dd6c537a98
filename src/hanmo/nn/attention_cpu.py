"""Scaled dot-product attention on a CPU in one compiled pass, and one for its gradient."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, library
from torch.utils.flop_counter import register_flop_formula

__all__ = ["attention_cpu", "fits_cpu"]

_TYPES = (torch.float32, torch.bfloat16)
_ROUNDS = 16
"""What the width of a head must be a multiple of: the most lanes of a register."""
_FEW_SCORES = 1 << 17
"""Below, torch's kernel takes less than a millisecond: not worth the second in which a process loads compiled functions."""


def fits_cpu(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, dropout: float) -> bool:
    """Whether `attention_cpu` computes this: float32 or bfloat16, whole registers, a mask over keys alone."""
    if q.device.type != "cpu":
        return False
    if dropout and torch.compiler.is_compiling():
        return False  # a graph cannot hold the numbers that are drawn
    if any(x.dtype not in _TYPES for x in (q, k, v)):
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
        (B, H, T, K); as autocast or, without it, the queries have it. Within, all numbers are float32.
    """
    dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else q.dtype
    first, second = torch.randint(1 << 32, (2,)).tolist() if dropout else (0, 0)
    scale = 1 / math.sqrt(q.shape[3]) if scale is None else scale
    seen = None if mask is None else mask[:, 0, 0].expand(q.shape[0], -1)
    q, k, v = (x.transpose(1, 2).float() for x in (q, k, v))
    out, _ = _attend(q, k, v, seen, scale, causal, first, second, dropout, _learns(q, k, v))
    return out.transpose(1, 2).to(dtype)


# Operators of torch's own kind, so that `torch.compile` takes them into its graphs without looking inside.


@library.custom_op("hanmo::attend", mutates_args=(), device_types="cpu")
def _attend(
    q: Tensor, k: Tensor, v: Tensor, seen: Tensor | None, scale: float, causal: bool, first: int, second: int,
    dropout: float, learns: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    from hanmo.nn.attention_kernels import attend

    q, k, v = _laid_out(q, k, v)
    out, stats = attend(q, k, v, seen, scale=scale, causal=causal, draw=(first, second, dropout), keep=learns)
    return out, torch.empty(0) if stats is None else stats


@library.custom_op("hanmo::attend_gradient", mutates_args=(), device_types="cpu")
def _attend_gradient(
    q: Tensor, k: Tensor, v: Tensor, seen: Tensor | None, out: Tensor, stats: Tensor, d_out: Tensor, scale: float,
    causal: bool, first: int, second: int, dropout: float,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    from hanmo.nn.attention_kernels import learn

    q, k, v = _laid_out(q, k, v)
    draw = (first, second, dropout)
    return learn(q, k, v, seen, out, stats, d_out.contiguous(), scale=scale, causal=causal, draw=draw)


def _laid_out(q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """With the numbers of a head beside each other, keys and values alike."""
    q, k, v = (x if x.stride(3) == 1 else x.contiguous() for x in (q, k, v))
    return (q, k, v) if k.stride() == v.stride() else (q, k.contiguous(), v.contiguous())


@_attend.register_fake
def _(q: Tensor, k: Tensor, v: Tensor, seen: Any, scale: Any, causal: Any, first: Any, second: Any, dropout: Any,
      learns: bool) -> tuple[Tensor, Tensor]:  # fmt: skip
    n = q.shape[0] * q.shape[1] * q.shape[2]
    return q.new_empty(q.shape), q.new_empty((n, 2) if learns else (0,))


@_attend_gradient.register_fake
def _(q: Tensor, k: Tensor, v: Tensor, *others: Any) -> tuple[Tensor, Tensor, Tensor]:
    return q.new_empty(q.shape), k.new_empty(k.shape), v.new_empty(v.shape)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    q, k, v, seen, *settings, _ = inputs
    ctx.save_for_backward(q, k, v, seen, *output)
    ctx.settings = settings


def _learn(ctx: Any, d_out: Tensor, _: Any) -> Any:
    return *_attend_gradient(*ctx.saved_tensors, d_out, *ctx.settings), *[None] * 7


_attend.register_autograd(_learn, setup_context=_keep)


@register_flop_formula(torch.ops.hanmo.attend)
def _flops(q: Any, k: Any, *_: Any, **__: Any) -> int:
    """For torch's `FlopCounterMode`: two products of every query with every key, as it counts its own kernels."""
    return 4 * q[0] * q[1] * q[2] * q[3] * k[1]


@register_flop_formula(torch.ops.hanmo.attend_gradient)
def _gradient_flops(q: Any, k: Any, *_: Any, **__: Any) -> int:
    """Five products: the scores again, and four gradients."""
    return 5 * _flops(q, k) // 2
