"""Low-rank changes of a frozen matrix: LoRA, with rsLoRA's scale or DoRA's magnitudes.

N rows of input, D inputs, O outputs of the matrix; a part changes o of these outputs with rank r. A matrix that is several
projections below each other has a part for each of them that is changed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hanmo.nn.dropout import dropped
from hanmo.nn.frozen_linear import compute_dtype, dense_bias, dense_weight, frozen_product

__all__ = ["LoraLinear", "LowRank"]


class LowRank(nn.Module):
    """`W' = W + s B A` of some rows (Hu et al., 2022, eq. 3); with magnitudes `W' = m (W + s B A) / ‖W + s B A‖`, each row
    by its own norm (Liu et al., 2024, "DoRA", eq. 5)."""

    def __init__(self, d_in: int, rows: int, *, start: int, rank: int, scale: float):
        """Args:
        d_in: inputs.
        rows: outputs that are changed.
        start: number of the first of them.
        rank: r.
        scale: s; alpha / r, or alpha / √r, which keeps gradients alike whatever the rank (Kalajdzievski, 2023).
        """
        super().__init__()
        self.start, self.rows, self.scale = start, rows, scale
        self.a = nn.Parameter(torch.empty(rank, d_in))
        self.b = nn.Parameter(torch.zeros(rows, rank))  # so that nothing changes at first
        self.magnitude: nn.Parameter | None = None
        nn.init.kaiming_uniform_(self.a, a=math.sqrt(5))

    @property
    def span(self) -> slice:
        """Rows of the matrix."""
        return slice(self.start, self.start + self.rows)

    def add_magnitude(self, weight: Tensor) -> None:
        """Begin with the norms of the rows (o, D) as they are."""
        self.magnitude = nn.Parameter(self.norms(weight))

    def norms(self, weight: Tensor) -> Tensor:
        """‖W + s B A‖ of each row, (o,), without making that matrix; no gradient goes through it (§4.3 there)."""
        with torch.no_grad():
            wide = torch.promote_types(self.a.dtype, torch.float32)
            a, b, weight = self.a.to(wide), self.b.to(wide) * self.scale, weight.to(wide)
            squares = weight.square().sum(1) + 2 * (weight @ a.T * b).sum(1) + (b @ (a @ a.T) * b).sum(1)
            return squares.clamp(min=0).sqrt().to(self.a.dtype)

    def changed(self, weight: Tensor) -> Tensor:
        """W' of the rows (o, D)."""
        new = weight + (self.b @ self.a * self.scale).to(weight.dtype)
        if self.magnitude is None:
            return new
        return new * (self.magnitude / new.detach().norm(dim=1)).to(weight.dtype)[:, None]


class LoraLinear(nn.Module):
    """A frozen linear layer with low-rank changes of some of its rows."""

    def __init__(self, base: nn.Module, parts: Sequence[LowRank], *, dropout: float = 0.0):
        """Args:
        base: `Linear` or `FrozenLinear`, whose values no training changes.
        parts: changes of different rows, by their first row.
        dropout: probability of dropping an input of the changes in training.
        """
        super().__init__()
        self.base = base
        self.parts = nn.ModuleList(parts)
        self.dropout = dropout

    def _parts(self) -> list[LowRank]:
        return list(self.parts)  # pyright: ignore[reportReturnType]

    def merged_weight(self) -> Tensor:
        """W' (O, D): this layer in its plain form."""
        weight = dense_weight(self.base)
        pieces, end = [], 0
        for part in self._parts():
            pieces += [weight[end : part.start], part.changed(weight[part.span])]
            end = part.start + part.rows
        return torch.cat([*pieces, weight[end:]])

    def forward(self, x: Tensor) -> Tensor:
        """(..., D) → (..., O): the same as a product with `merged_weight`, at the cost of the frozen one and little more."""
        dtype = compute_dtype(x)
        x = x.to(dtype)
        thinned = dropped(x, self.dropout, self.training)
        with torch.autocast(x.device.type, enabled=False):
            if any(part.magnitude is not None for part in self._parts()):
                return self._with_magnitudes(x, thinned)
            parts = self._parts()
            own = [matrix.to(dtype) for part in parts for matrix in (part.a, part.b)]
            places = [(part.span, part.scale) for part in parts]
            other = None if thinned is x else thinned
            return _LowRankProduct.apply(x, other, self.base, places, *own)  # pyright: ignore[reportReturnType]

    def _with_magnitudes(self, x: Tensor, thinned: Tensor) -> Tensor:
        weight, y = dense_weight(self.base), frozen_product(self.base, x)
        pieces, end = [], 0
        for part in self._parts():
            piece = y[..., part.span] + F.linear(F.linear(thinned, part.a.to(x.dtype)), part.b.to(x.dtype)) * part.scale
            if part.magnitude is not None:
                piece = piece * (part.magnitude / part.norms(weight[part.span])).to(x.dtype)
            pieces += [y[..., end : part.start], piece]
            end = part.start + part.rows
        y = torch.cat([*pieces, y[..., end:]], dim=-1)
        bias = dense_bias(self.base)
        return y if bias is None else y + bias.to(y.dtype)


class _LowRankProduct(torch.autograd.Function):
    """`x Wᵀ + b + Σ s (x Aᵀ) Bᵀ`, each in its rows; W has no gradient. Either the sums are made in place, or, where there
    are many rows of input, W' is made for one product at a time: r D O operations instead of r N (D + O)."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, thinned: Tensor | None, base: nn.Module, places: list[tuple[slice, float]], *own: Tensor
    ) -> Tensor:
        rows = x.reshape(-1, x.shape[-1])
        low = rows if thinned is None else thinned.reshape(rows.shape)
        bias = dense_bias(base)
        bias = None if bias is None else bias.to(x.dtype)
        weight = dense_weight(base, x.dtype)
        merged = thinned is None and _worth_merging(rows, weight)
        if merged:
            y = F.linear(rows, _merged(weight, places, own), bias)
        else:
            y = F.linear(rows, weight, bias)
            h, end = torch.cat(own[::2]) @ low.T, 0  # (Σ r, N)
            for (span, scale), b in zip(places, own[1::2], strict=True):
                start, end = end, end + b.shape[1]
                y[:, span].addmm_(h[start:end].T, b.T, alpha=scale)
        ctx.save_for_backward(low, *own)
        ctx.base, ctx.places, ctx.shape, ctx.apart, ctx.merged = base, places, x.shape, thinned is not None, merged
        return y.view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        low, *own = ctx.saved_tensors
        g = gradients[0].reshape(-1, gradients[0].shape[-1])
        a = torch.cat(own[::2])
        # narrow products with their few rows first: the same numbers in a quarter of the time of the other order
        h = a @ low.T  # (Σ r, N)
        g_h, end, found = torch.empty_like(h), 0, []
        for (span, scale), b in zip(ctx.places, own[1::2], strict=True):
            start, end = end, end + b.shape[1]
            torch.mm((b * scale).T, g[:, span].T, out=g_h[start:end])
            found.append((start, end, (h[start:end] @ g[:, span]).mul_(scale).T))
        g_a = g_h @ low
        own_gradients = [matrix for start, end, g_b in found for matrix in (g_a[start:end], g_b)]
        g_x = g_low = None
        if ctx.needs_input_grad[0]:
            weight = dense_weight(ctx.base, g.dtype)
            g_x = g @ (_merged(weight, ctx.places, own) if ctx.merged else weight)
        if ctx.apart:
            g_low = (g_h.T @ a).view(ctx.shape) if ctx.needs_input_grad[1] else None
        elif g_x is not None and not ctx.merged:
            g_x.addmm_(g_h.T, a)
        return None if g_x is None else g_x.view(ctx.shape), g_low, None, None, *own_gradients


def _worth_merging(rows: Tensor, weight: Tensor) -> bool:
    """Whether W' costs less than the sums, forward and back. In half precision a small change would be lost in it."""
    d_out, d_in = weight.shape
    return rows.dtype == torch.float32 and len(rows) * (d_in + d_out) > 2 * d_in * d_out


def _merged(weight: Tensor, places: Sequence[tuple[slice, float]], own: Sequence[Tensor]) -> Tensor:
    """W' (O, D), a new tensor."""
    new = weight.clone()
    for (span, scale), a, b in zip(places, own[::2], own[1::2], strict=True):
        new[span].addmm_(b, a, alpha=scale)
    return new
