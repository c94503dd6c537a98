"""IA³: a frozen linear layer whose inputs or outputs are scaled one by one (Liu et al., 2022, "T-Few", §3.3)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from hanmo.nn.frozen_linear import compute_dtype, dense_bias, dense_weight, frozen_product

__all__ = ["IA3Linear", "Scaling"]


class Scaling(nn.Module):
    """Factors of some outputs of a matrix, or of its inputs; they begin with 1."""

    def __init__(self, n: int, *, start: int, of_inputs: bool):
        """Args:
        n: how many.
        start: number of the first output.
        of_inputs: whether inputs are scaled, all of them.
        """
        super().__init__()
        self.start, self.of_inputs = start, of_inputs
        self.factors = nn.Parameter(torch.ones((1, n) if of_inputs else (n, 1)))


class IA3Linear(nn.Module):
    """`(l_out ⊙ W)(l_in ⊙ x) + l_out ⊙ b`."""

    def __init__(self, base: nn.Module, parts: Sequence[Scaling]):
        """Args:
        base: `Linear` or `FrozenLinear`, whose values no training changes.
        parts: factors of different outputs, or those of the inputs.
        """
        super().__init__()
        self.base = base
        self.parts = nn.ModuleList(parts)

    def _factors(self) -> tuple[Tensor | None, Tensor | None]:
        """Of the inputs (D,), of the outputs (O,)."""
        weight = dense_weight(self.base)
        inputs: Tensor | None = None
        outputs, end = [], 0
        for part in self.parts:
            assert isinstance(part, Scaling)
            if part.of_inputs:
                inputs = part.factors.view(-1)
                continue
            outputs += [weight.new_ones(part.start - end), part.factors.view(-1)]
            end = part.start + part.factors.numel()
        return inputs, torch.cat([*outputs, weight.new_ones(len(weight) - end)]) if outputs else None

    def merged_weight(self) -> Tensor:
        """The matrix that does the same."""
        weight, (inputs, outputs) = dense_weight(self.base), self._factors()
        weight = weight if inputs is None else weight * inputs
        return weight if outputs is None else weight * outputs[:, None]

    def merged_bias(self) -> Tensor | None:
        """The bias that does."""
        bias, (_, outputs) = dense_bias(self.base), self._factors()
        return bias if bias is None or outputs is None else bias * outputs

    def forward(self, x: Tensor) -> Tensor:
        """(..., D) → (..., O)."""
        dtype = compute_dtype(x)
        inputs, outputs = self._factors()
        x = x.to(dtype) if inputs is None else x.to(dtype) * inputs.to(dtype)
        with torch.autocast(x.device.type, enabled=False):
            y = frozen_product(self.base, x)
            bias = dense_bias(self.base)
            y = y if bias is None else y + bias.to(dtype)
            return y if outputs is None else y * outputs.to(dtype)
