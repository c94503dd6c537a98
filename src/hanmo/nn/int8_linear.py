"""A linear layer whose product is one of 8-bit integers, for models that are applied and not trained."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hanmo.nn.linear import Linear

__all__ = ["Int8Linear"]


class Int8Linear(nn.Module):
    """`x Wᵀ + b` with W rounded to 8 bits once and x when it comes, each row of both by its own range.

    Vector-wise quantisation (Dettmers et al., 2022, §2.1), without its exception for outliers, and from the middle of its
    range for x, whose range after an activation function is lopsided: sums of whole numbers are exact, and what is lost is
    the rounding, about 1 % of x and W each. A row has the same bits in any batch. It pays on a CPU with instructions for
    products of bytes (AVX-512 VNNI): three to four times as fast there as float32.
    """

    weight: Tensor
    scale: Tensor
    sums: Tensor
    bias: Tensor

    def __init__(self, linear: Linear):
        """From a layer in float32 on the CPU, which is left as it is."""
        super().__init__()
        weight = linear.weight.detach()
        scale = (weight.abs().amax(1) / 127).clamp(min=torch.finfo(torch.float32).tiny)
        whole = (weight / scale[:, None]).round_().to(torch.int8)
        bias = torch.zeros(len(weight)) if linear.bias is None else linear.bias.detach().clone()
        self.register_buffer("weight", whole.t().contiguous())  # (in, out)
        self.register_buffer("scale", scale)
        self.register_buffer("sums", whole.sum(1, dtype=torch.int32) * scale)
        self.register_buffer("bias", bias)

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) float32 → (..., out) float32."""
        from hanmo.nn.int8_kernels import restore, round_rows

        rows = x.reshape(-1, x.shape[-1]).contiguous()
        if not len(rows):
            return x.new_empty(*x.shape[:-1], self.weight.shape[1])
        whole, scales, middles = (
            torch.empty(rows.shape, dtype=torch.int8),
            torch.empty(len(rows)),
            torch.empty(len(rows)),
        )
        round_rows(rows, whole, scales, middles)
        sums = torch._int_mm(whole, self.weight)  # pyright: ignore[reportPrivateUsage]
        restore(sums, scales, middles, self.scale, self.sums, self.bias)
        return sums.view(torch.float32).view(*x.shape[:-1], -1)
