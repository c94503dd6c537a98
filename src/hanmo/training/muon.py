"""Muon: momentum whose every update is made orthogonal (Jordan et al., 2024; scaled as in Liu et al., 2025, §2.2).

A gradient matrix of a language model has a few large singular values; AdamW's update has too, so rare directions
learn slowly. Muon replaces the update by the nearest semi-orthogonal matrix: all directions learn alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from hanmo.nn.linear import Linear

__all__ = ["HiddenMatrix", "Muon", "hidden_matrices", "orthogonalize"]

_QUINTICS = (8.0934, -23.6204, 17.4462), (3.6366, -2.7219, 0.5365), (2.6613, -1.9772, 0.4526)
"""a, b, c of a x + b x³ + c x⁵ for each step: the best of their kind one after another (Amsel et al., 2025, theorem
3.1) for singular values between 0.01 and 1, which end between 0.73 and 1.27. Two steps less than with one polynomial
that is steep at zero (Jordan et al., 2024), for the same loss (docs/design-notes.md)."""
_MARGIN = 1.01
"""By which the bound on the largest singular value is stretched: rounding must not carry it past 1."""
_RMS = 0.2
"""Root mean square of an update at learning rate 1, about AdamW's; the same decay and rates then suit both."""
_TINY = 1e-7


@dataclass(frozen=True)
class HiddenMatrix:
    """A weight between embedding and head."""

    weight: nn.Parameter
    parts: tuple[int, ...]
    """Rows of each projection that is stacked in it."""


def hidden_matrices(model: nn.Module) -> list[HiddenMatrix]:
    """The trained matrices of the layers of `model`: its `hanmo.nn` linear layers, without embeddings and head.

    Each layer counts once, however often it is shared. A layer that is called `head`, or shares its weight with an
    embedding, maps to tokens: its rows are words, not directions, and AdamW suits them better.
    """
    embeddings = {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)}
    found: dict[int, HiddenMatrix] = {}
    for name, module in model.named_modules():
        if not isinstance(module, Linear) or name.rsplit(".", 1)[-1] == "head" or not module.weight.requires_grad:
            continue
        if id(module.weight) not in embeddings:
            assert isinstance(module.weight, nn.Parameter)
            found.setdefault(id(module.weight), HiddenMatrix(module.weight, module.parts))
    return list(found.values())


def orthogonalize(matrices: Tensor) -> Tensor:
    """Map the singular values of each matrix to about one, by polynomials of it (Newton–Schulz steps).

    Args:
        matrices: (..., M, N), fp32 or wider.

    Returns:
        The same shape. Singular values above a hundredth of the largest end between 0.73 and 1.27, near enough for an update.
    """
    tall = matrices.shape[-2] > matrices.shape[-1]
    wide = matrices.mT if tall else matrices
    x = wide.reshape(-1, *wide.shape[-2:])
    gram = x @ x.mT
    # spectral norm = sqrt of that of the Gram matrix <= sqrt of its Frobenius norm
    norm = _MARGIN * torch.linalg.matrix_norm(gram, keepdim=True).sqrt() + _TINY
    x = _by_gram(x, gram, norm) if x.shape[-1] >= 2 * x.shape[-2] else _by_matrix(x, gram, norm)
    x = x.reshape(wide.shape)
    return x.mT if tall else x


def _by_matrix(x: Tensor, gram: Tensor, norm: Tensor) -> Tensor:
    """x ← (a + b x xᵀ + c (x xᵀ)²) x, as it is written."""
    x, gram = x / norm, gram / norm**2
    for step, (a, b, c) in enumerate(_QUINTICS):
        if step:
            gram = x @ x.mT
        # sums folded into the products
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x


def _by_gram(x: Tensor, gram: Tensor, norm: Tensor) -> Tensor:
    """The same polynomials on the small Gram matrix alone, whose product then meets x once: cheaper for wide x."""
    gram = gram / norm**2
    product = None
    for step, (a, b, c) in enumerate(_QUINTICS):
        factor = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        factor.diagonal(dim1=-2, dim2=-1).add_(a)
        product = factor if product is None else factor @ product
        if step < len(_QUINTICS) - 1:
            gram = factor @ gram @ factor
    assert product is not None
    return (product / norm) @ x


class Muon(torch.optim.AdamW):
    """Muon for hidden matrices, AdamW for everything else, in one optimizer with one state.

    Args:
        matrices: from `hidden_matrices`, by their distance from the head; all under None where that makes no difference.
        others: AdamW's parameter groups.
        lr: learning rate of AdamW's groups.
        muon_lr: learning rate of the matrices.
        momentum: decay of the mean of gradients.
        weight_decay: decoupled decay of the matrices.
        betas, eps, fused: AdamW's.
    """

    def __init__(
        self,
        matrices: Mapping[int | None, Sequence[HiddenMatrix]],
        others: Iterable[dict[str, Any]],
        *,
        lr: float,
        muon_lr: float,
        momentum: float,
        weight_decay: float,
        betas: tuple[float, float],
        eps: float,
        fused: bool,
    ):
        muon = {"lr": muon_lr, "weight_decay": weight_decay, "muon": True}
        groups = [group | {"muon": False} for group in others]
        for depth, several in matrices.items():
            own = muon | {"params": [matrix.weight for matrix in several]}
            groups.append(own if depth is None else own | {"depth": depth})
        super().__init__(groups, lr=lr, betas=betas, eps=eps, fused=fused)
        self._momentum = momentum
        self._parts = {id(matrix.weight): matrix.parts for several in matrices.values() for matrix in several}

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """One update of every parameter that has a gradient."""
        assert closure is None
        groups = self.param_groups
        self.param_groups = [group for group in groups if not group["muon"]]
        try:
            super().step()
        finally:
            self.param_groups = groups
        for group in groups:
            if group["muon"]:
                self._step_matrices([p for p in group["params"] if p.grad is not None], group)

    def _step_matrices(self, parameters: list[nn.Parameter], group: dict[str, Any]) -> None:
        rate, decay = group["lr"], group["weight_decay"]
        pieces: dict[torch.Size, list[tuple[Tensor, Tensor]]] = {}
        for parameter in parameters:
            state = self.state[parameter]
            if not state:
                # AdamW's own loading code looks for a step count in every state
                state["momentum"], state["step"] = torch.zeros_like(parameter), torch.zeros(())
            state["step"] += 1
            mean = state["momentum"]
            assert parameter.grad is not None
            mean.lerp_(parameter.grad, 1 - self._momentum)
            update = parameter.grad.lerp(mean, self._momentum)  # Nesterov: look one step ahead
            parameter.mul_(1 - rate * decay)
            parts = list(self._parts[id(parameter)])
            for rows, piece in zip(parameter.split(parts), update.split(parts), strict=True):
                pieces.setdefault(piece.shape, []).append((rows, piece))
        for shape, pairs in pieces.items():
            # matrices of one shape go through Newton-Schulz as one batch
            updates = orthogonalize(torch.stack([piece for _, piece in pairs]))
            for (rows, _), update in zip(pairs, updates, strict=True):
                rows.add_(update, alpha=-rate * _RMS * max(shape) ** 0.5)
