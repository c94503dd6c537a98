"""Cross-entropy over a vocabulary, from hidden states: `-log softmax(h Wᵀ + b)[label]`.

Shapes: N tokens, D d_model, V vocabulary.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from hanmo.core.errors import ConfigError

__all__ = ["IGNORED", "chunked_cross_entropy", "cross_entropy"]

IGNORED = -100
"""The label of what is not scored, in torch and transformers alike."""

_FAST_TYPES = (torch.float32, torch.bfloat16)
"""What the compiled loops of `losses_kernels` take."""
_CHUNK_SCORES = 2**22
"""Scores alive at a time in the chunked form: 16 MiB in fp32, which stays in cache and still fills a matrix product."""


def cross_entropy(
    hidden: Tensor,
    weight: Tensor,
    labels: Tensor,
    *,
    ignore_index: int = IGNORED,
    reduction: Literal["sum", "mean"] = "sum",
    bias: Tensor | None = None,
    label_smoothing: float = 0.0,
) -> Tensor:
    """The plain form: all logits at once, softmax in fp32 (fp64 for fp64 input).

    Args:
        hidden: (N, D).
        weight: output matrix, (V, D).
        labels: (N,) int64; `ignore_index` leaves a token out.
        reduction: "sum" over tokens, or "mean" over those not left out.
        bias: added to the scores, (V,).
        label_smoothing: share ε of the target that is spread over the whole vocabulary, in [0, 1) (Szegedy et al., 2016,
            §7): the target is (1 - ε) onehot + ε / V.

    Returns:
        Scalar, fp32 (fp64 for fp64 input), in nats.

    Raises:
        ConfigError: for a label outside the vocabulary; for "mean" if every token is left out.
    """
    n_tokens = _check_labels(labels, weight.shape[0], ignore_index, reduction)
    logits = F.linear(hidden, weight, bias)
    total = F.cross_entropy(
        logits.to(_wide(logits)), labels, ignore_index=ignore_index, reduction="sum", label_smoothing=label_smoothing
    )
    return total if reduction == "sum" else total / n_tokens


def chunked_cross_entropy(
    hidden: Tensor,
    weight: Tensor,
    labels: Tensor,
    *,
    ignore_index: int = IGNORED,
    reduction: Literal["sum", "mean"] = "sum",
    bias: Tensor | None = None,
    label_smoothing: float = 0.0,
) -> Tensor:
    """The same value and gradients as `cross_entropy` without ever holding all logits.

    Scores are made for a slice of the tokens at a time, and their gradient with them: the same three matrix products,
    a fraction of the memory, and no softmax kept for the backward pass. Arguments, result and errors as there.
    """
    n_tokens = _check_labels(labels, weight.shape[0], ignore_index, reduction)
    device = hidden.device.type
    compute = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else hidden.dtype
    inputs = (hidden, weight) if bias is None else (hidden, weight, bias)
    needs_grad = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in inputs)
    total: Tensor = _ChunkedCrossEntropy.apply(  # pyright: ignore[reportAssignmentType]
        hidden, weight, bias, labels, ignore_index, label_smoothing, compute, needs_grad
    )
    return total if reduction == "sum" else total / n_tokens


class _ChunkedCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        labels: Tensor,
        ignore_index: int,
        smoothing: float,
        compute: torch.dtype,
        needs_grad: bool,
    ) -> Tensor:
        ctx.dtypes = hidden.dtype, weight.dtype, None if bias is None else bias.dtype
        hidden, weight = hidden.to(compute), weight.to(compute)
        bias = None if bias is None else bias.to(compute)
        wide = _wide(hidden)
        # elsewhere a look at the values would break a graph or stall an accelerator
        plain = hidden.device.type == "cpu" and not torch.compiler.is_compiling()
        score_rows = None
        if plain and compute in _FAST_TYPES:
            from hanmo.nn.losses_kernels import score_rows
        total = torch.zeros((), dtype=wide, device=hidden.device)
        grad_hidden = torch.empty_like(hidden) if needs_grad else None
        grad_weight = torch.zeros(weight.shape, dtype=wide, device=weight.device) if needs_grad else None
        grad_bias = torch.zeros_like(bias, dtype=wide) if needs_grad and bias is not None else None
        with torch.autocast(hidden.device.type, enabled=False):
            step = max(64, _CHUNK_SCORES // weight.shape[0])
            for start in range(0, hidden.shape[0], step):
                h, y = hidden[start : start + step], labels[start : start + step]
                scores = F.linear(h, weight, bias)  # (n, V)
                if score_rows is not None:
                    y = y.masked_fill(y == ignore_index, -1)
                    total += score_rows(scores, y, smoothing=smoothing, with_gradient=needs_grad).sum()
                    p = scores
                else:
                    found, p = _score_slice(scores, y, ignore_index, smoothing, plain)
                    total += found
                if grad_hidden is None or grad_weight is None:
                    continue
                if grad_bias is not None:
                    grad_bias += p.sum(0, dtype=wide)
                p = p.to(hidden.dtype)
                grad_hidden[start : start + step] = p @ weight
                if wide == p.dtype:
                    grad_weight.addmm_(p.t(), h)
                else:
                    grad_weight += p.t() @ h
        if grad_hidden is not None and grad_weight is not None:
            ctx.save_for_backward(grad_hidden, grad_weight, grad_bias)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        grad_hidden, grad_weight, grad_bias = ctx.saved_tensors
        hidden_dtype, weight_dtype, bias_dtype = ctx.dtypes
        grads = (grad_hidden * grad).to(hidden_dtype), (grad_weight * grad).to(weight_dtype)
        return *grads, None if grad_bias is None else (grad_bias * grad).to(bias_dtype), None, None, None, None, None


def _score_slice(
    scores: Tensor, labels: Tensor, ignore_index: int, smoothing: float, plain: bool
) -> tuple[Tensor, Tensor]:
    """The loss of some rows of scores and its gradient with respect to them, (n, V) in the wide type."""
    wide = _wide(scores)
    counted = (labels != ignore_index)[:, None]  # (n, 1)
    labels = labels[:, None].where(counted, 0)
    # one pass over each row while it is in cache, where logsumexp would make four over all of them
    logp = scores.to(wide).log_softmax(dim=-1)  # (n, V)
    total = -(1 - smoothing) * logp.gather(1, labels).where(counted, 0).sum()
    if smoothing:
        total -= smoothing * logp.mean(dim=-1, keepdim=True).where(counted, 0).sum()
    # d loss / d logits = softmax(logits) - target, and 0 where nothing is scored
    p = logp.exp_()
    p.scatter_add_(1, labels, torch.full_like(labels, smoothing - 1, dtype=wide))
    if smoothing:
        p -= smoothing / scores.shape[1]
    if not (plain and bool(counted.all())):
        p.masked_fill_(~counted, 0)
    return total, p


def _wide(x: Tensor) -> torch.dtype:
    return torch.float64 if x.dtype == torch.float64 else torch.float32


def _check_labels(labels: Tensor, vocab_size: int, ignore_index: int, reduction: str) -> Tensor | int:
    counted = labels != ignore_index
    n_tokens = counted.sum()
    if torch.compiler.is_compiling():
        return n_tokens
    if labels.device.type == "cpu" and not bool((~counted | ((labels >= 0) & (labels < vocab_size))).all()):
        bad = labels[counted & ((labels < 0) | (labels >= vocab_size))][0]
        raise ConfigError(f"label {int(bad)} is outside the vocabulary of {vocab_size}", where="labels")
    if reduction == "mean" and int(n_tokens) == 0:
        raise ConfigError(
            "every label is left out, so there is no loss",
            where="labels",
            remedy="Look at the data: a text cut too short has no answer left to learn.",
        )
    return n_tokens
