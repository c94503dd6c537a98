"""Muon: momentum whose every update is made orthogonal (Jordan et al., 2024; scaled as in Liu et al., 2025, §2.2).

A gradient matrix of a language model has a few large singular values; AdamW's update has too, so rare directions
learn slowly. Muon replaces the update by the nearest semi-orthogonal matrix: all directions learn alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from hanmo.nn.linear import Linear

__all__ = ["HiddenMatrix", "Muon", "hidden_matrices", "orthogonalize"]

_COEFFICIENTS = 3.4445, -4.7750, 2.0315
"""Of the quintic a x + b x³ + c x⁵, steep at zero: five steps bring singular values from 0.002 to 1 near one."""
_STEPS = 5
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
    """Map the singular values of each matrix to about one, by Newton–Schulz steps.

    Args:
        matrices: (..., M, N), fp32 or wider.

    Returns:
        The same shape. Singular values end between 0.7 and 1.2, which is near enough for an update.
    """
    a, b, c = _COEFFICIENTS
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = (
        (matrices.mT if tall else matrices).flatten(0, -3)
        if matrices.dim() > 2
        else (matrices.mT if tall else matrices)[None]
    )
    x = x / (torch.linalg.matrix_norm(x, keepdim=True) + _TINY)  # spectral norm <= Frobenius norm = 1
    for _ in range(_STEPS):
        gram = x @ x.mT
        # a x + (b gram + c gram²) x, sums folded into the products
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x.mT if tall else x).reshape(matrices.shape)


class Muon(torch.optim.AdamW):
    """Muon for hidden matrices, AdamW for everything else, in one optimizer with one state.

    Args:
        matrices: from `hidden_matrices`.
        others: AdamW's parameter groups.
        lr: learning rate of AdamW's groups.
        muon_lr: learning rate of the matrices.
        momentum: decay of the mean of gradients.
        weight_decay: decoupled decay of the matrices.
        betas, eps, fused: AdamW's.
    """

    def __init__(
        self,
        matrices: Sequence[HiddenMatrix],
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
        muon = {"params": [m.weight for m in matrices], "lr": muon_lr, "weight_decay": weight_decay, "muon": True}
        groups = [group | {"muon": False} for group in others] + ([muon] if matrices else [])
        super().__init__(groups, lr=lr, betas=betas, eps=eps, fused=fused)
        self._momentum = momentum
        self._parts = {id(matrix.weight): matrix.parts for matrix in matrices}

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
