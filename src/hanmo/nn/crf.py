"""Linear-chain conditional random field (Lafferty et al., 2001): the probability of a whole sequence of labels.

`p(y | x) = exp(score(x, y)) / Z(x)`, where `score = start[y₁] + Σ emission[t, y_t] + Σ transition[y_t, y_{t+1}] + end[y_T]`
and Z sums over all sequences (Lample et al., 2016, §2.2). A forbidden sequence has probability 0.

Shapes: B batch, T positions, C labels.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from hanmo.core.errors import ConfigError
from hanmo.nn.embedding import check_ids
from hanmo.nn.label_schemes import Limits
from hanmo.nn.losses import IGNORED
from hanmo.nn.ragged import Ragged, ragged

__all__ = [
    "CRF",
    "Chain",
    "best_paths_fast",
    "best_paths_plain",
    "log_partition_fast",
    "log_partition_plain",
    "posteriors_fast",
    "posteriors_plain",
]

_FORBIDDEN = -1e30
"""Finite, so that no gradient is NaN, and so low that the probability is 0 in every dtype."""
_NEVER = -1e29


class Chain(NamedTuple):
    """Scores that do not depend on the input; forbidden ones are -1e30."""

    transitions: Tensor
    """From the first label to the second, (C, C)."""
    start: Tensor
    """(C,)."""
    end: Tensor
    """(C,)."""


def log_partition_plain(emissions: Tensor, chain: Chain, lengths: Tensor) -> Tensor:
    """log Z, as it is written.

    Args:
        emissions: (B, T, C), finite after the end of a row, too.
        chain: the other scores.
        lengths: positions of each row, (B,).

    Returns:
        (B,); 0 for rows without positions.
    """
    alphas = _alphas(emissions, chain, lengths)
    return (alphas[-1] + chain.end).logsumexp(-1).where(lengths > 0, 0.0)


def log_partition_fast(emissions: Tensor, chain: Chain, lengths: Tensor) -> Tensor:
    """`log_partition_plain` on a CPU by compiled loops in fp64, gradients included (first order only)."""
    parts = (emissions, *chain)
    with_posteriors = torch.is_grad_enabled() and any(part.requires_grad for part in parts)
    sums = _path_sums(emissions, chain, lengths, with_posteriors)
    if sums is None:
        return log_partition_plain(emissions, chain, lengths)
    return _Partition.apply(*parts, *sums) if with_posteriors else sums[0].to(emissions.dtype)  # pyright: ignore[reportReturnType]


def posteriors_plain(emissions: Tensor, chain: Chain, lengths: Tensor) -> Tensor:
    """p(label at t | x), (B, T, C), by sums from both sides; zeros after the end of a row."""
    alphas, n_steps = _alphas(emissions, chain, lengths), emissions.shape[1]
    beta = chain.end.expand_as(alphas[0])
    found = [beta] * n_steps
    for t in range(n_steps - 2, -1, -1):
        ahead = (chain.transitions + (emissions[:, t + 1] + beta)[:, None]).logsumexp(-1)  # (B, C)
        beta = ahead.where((t + 1 < lengths)[:, None], chain.end)
        found[t] = beta
    joint = torch.stack(alphas, 1) + torch.stack(found, 1)  # (B, T, C)
    real = torch.arange(n_steps, device=emissions.device) < lengths[:, None]
    return (joint - joint.logsumexp(-1, keepdim=True)).exp() * real[..., None]


def posteriors_fast(emissions: Tensor, chain: Chain, lengths: Tensor) -> Tensor:
    """`posteriors_plain` on a CPU by compiled loops in fp64, without gradients."""
    sums = _path_sums(emissions, chain, lengths, True)
    return posteriors_plain(emissions, chain, lengths) if sums is None else sums[1].to(emissions.dtype)


def best_paths_plain(emissions: Tensor, chain: Chain, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """The best sequence of each row (Viterbi, 1967).

    Args:
        emissions, chain, lengths: as in `log_partition_plain`.

    Returns:
        Labels (B, T) int64, -100 after the end of a row, and their scores (B,).
    """
    n_steps = emissions.shape[1]
    best, before = chain.start + emissions[:, 0], []
    for t in range(1, n_steps):
        values, which = (best[:, :, None] + chain.transitions).max(1)  # (B, C) each
        goes_on = (t < lengths)[:, None]
        best = (values + emissions[:, t]).where(goes_on, best)
        # after the end each label follows itself, so that the way back passes through
        before.append(which.where(goes_on, torch.arange(which.shape[1], device=which.device)))
    scores, label = (best + chain.end).max(-1)
    labels = [label]
    for which in reversed(before):
        label = which.gather(1, label[:, None])[:, 0]
        labels.append(label)
    real = torch.arange(n_steps, device=emissions.device) < lengths[:, None]
    return torch.stack(labels[::-1], 1).where(real, IGNORED), scores.where(lengths > 0, 0.0)


def best_paths_fast(emissions: Tensor, chain: Chain, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """`best_paths_plain` on a CPU by compiled loops, in fp64: the same sums in the same order, so the same paths."""
    from hanmo.nn.crf_kernels import best_paths

    batch, n_steps = emissions.shape[:2]
    paths = torch.full((batch, n_steps), IGNORED)
    scores = torch.zeros(batch, dtype=torch.float64)
    exact, transitions, start, end = (part.detach().double() for part in (emissions, *chain))
    best_paths(exact, transitions, start, end, lengths, paths, scores)
    return paths, scores.to(emissions.dtype)


class CRF(nn.Module):
    """Scores of transitions, starts and ends, and what follows from them for a sequence of emissions."""

    def __init__(self, n_labels: int, *, limits: Limits | None = None):
        """Args:
        n_labels: C.
        limits: sequences that cannot be (see `hanmo.nn.label_schemes`), in training and decoding alike; none if None.

        Raises:
            ConfigError: if the limits are of another number of labels.
        """
        super().__init__()
        if limits is not None and len(limits.labels) != n_labels:
            raise ConfigError(f"limits of {len(limits.labels)} labels for a CRF of {n_labels}", where="limits")
        self.n_labels = n_labels
        self.limits = limits
        self._allowed: tuple[Tensor, ...] = ()
        if limits is not None:
            # not buffers: they follow from the names of the labels, and a plan on the meta device must know them too
            given = (limits.transitions, limits.start, limits.end)
            self._allowed = tuple(torch.tensor(part, device="cpu") for part in given)
        self.transitions = nn.Parameter(torch.zeros(n_labels, n_labels))
        self.start = nn.Parameter(torch.zeros(n_labels))
        self.end = nn.Parameter(torch.zeros(n_labels))

    def extra_repr(self) -> str:
        """What printing the module shows."""
        return f"{self.n_labels}, limited={self.limits is not None}"

    def chain(self, dtype: torch.dtype) -> Chain:
        """The parameters with what is forbidden put in."""
        parts = [part.to(dtype) for part in (self.transitions, self.start, self.end)]
        if self._allowed:
            parts = [
                part.masked_fill(~allowed.to(part.device), _FORBIDDEN)
                for part, allowed in zip(parts, self._allowed, strict=True)
            ]
        return Chain(*parts)

    def log_partition(self, emissions: Tensor, mask: Tensor | None = None) -> Tensor:
        """log Z of each row, (B,), fp32 (fp64 for fp64 emissions), as in what follows: 0 for rows without positions.

        Args:
            emissions: scores of the labels, (B, T, C), of any float dtype.
            mask: (B, T), 1 where there is a label. The others are left out of the chain, on whichever side or wherever
                between they are, so that their neighbours follow each other.

        Raises:
            ConfigError: if shapes do not fit, no row has a position, or no sequence is allowed for a row.
        """
        dtype = _result_dtype(emissions)
        emissions, _, lengths = self._rows(emissions, mask)
        return self._log_partition(emissions, self.chain(emissions.dtype), lengths).to(dtype)

    def score(self, emissions: Tensor, labels: Tensor, mask: Tensor | None = None) -> Tensor:
        """Score of the given labels (B, T) of each row, (B,); about -1e30 for a forbidden sequence.

        Other arguments and errors as in `log_partition`; labels outside of 0 … C - 1 are refused where the mask is 1.
        """
        dtype = _result_dtype(emissions)
        emissions, rows, lengths = self._rows(emissions, mask)
        labels = self._labels(labels, rows, lengths, emissions.shape[1])
        return self._score(emissions, labels, self.chain(emissions.dtype), lengths).to(dtype)

    def loss(
        self,
        emissions: Tensor,
        labels: Tensor,
        mask: Tensor | None = None,
        *,
        reduction: Literal["none", "sum", "mean"] = "mean",
    ) -> Tensor:
        """`-log p(labels | x)` in nats.

        Args:
            emissions, labels, mask: as in `score`.
            reduction: each row (B,), their sum, or the sum divided by the number of labels.

        Raises:
            ConfigError: as in `score`, and for labels that the limits forbid.
        """
        dtype = _result_dtype(emissions)
        emissions, rows, lengths = self._rows(emissions, mask)
        labels = self._labels(labels, rows, lengths, emissions.shape[1])
        self._check_allowed(labels, lengths)
        chain = self.chain(emissions.dtype)
        losses = self._log_partition(emissions, chain, lengths) - self._score(emissions, labels, chain, lengths)
        match reduction:
            case "none":
                return losses.to(dtype)
            case "sum":
                return losses.sum().to(dtype)
            case "mean":
                return (losses.sum() / lengths.sum()).to(dtype)

    @torch.no_grad()
    def decode(self, emissions: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The most probable labels.

        Args:
            emissions, mask: as in `log_partition`, as are the errors.

        Returns:
            Labels (B, T) int64, -100 where the mask is 0, and their scores (B,).
        """
        dtype = _result_dtype(emissions)
        form = best_paths_fast if emissions.device.type == "cpu" else best_paths_plain
        emissions, rows, lengths = self._rows(emissions, mask, clean=form is best_paths_plain)
        labels, scores = form(emissions, self.chain(emissions.dtype), lengths)
        self._check_possible(scores)
        return labels if rows is None else rows.back(labels), scores.to(dtype)

    @torch.no_grad()
    def marginals(self, emissions: Tensor, mask: Tensor | None = None) -> Tensor:
        """p(label at t | x), (B, T, C); zeros where the mask is 0. Arguments and errors as in `log_partition`."""
        dtype = _result_dtype(emissions)
        emissions, rows, lengths = self._rows(emissions, mask)
        chain = self.chain(emissions.dtype)
        if self.limits is not None:
            self._log_partition(emissions, chain, lengths)  # refuses rows that no sequence is allowed for
        form = posteriors_fast if emissions.device.type == "cpu" else posteriors_plain
        found = form(emissions, chain, lengths).to(dtype)
        return found if rows is None else rows.back(found)

    def _rows(
        self, emissions: Tensor, mask: Tensor | None, *, clean: bool = True
    ) -> tuple[Tensor, Ragged | None, Tensor]:
        """Emissions with the real positions first and zeros after them (what was there unless `clean`), how they were
        moved, and how many they are.

        On a CPU in fp64: log Z and score grow with the row, and the loss is their small difference.
        """
        if emissions.dim() != 3 or emissions.shape[-1] != self.n_labels or 0 in emissions.shape:
            raise ConfigError(
                f"emissions have shape {tuple(emissions.shape)}, expected (rows, positions, {self.n_labels})",
                where="emissions",
            )
        batch, n_steps = emissions.shape[:2]
        exact = emissions.dtype == torch.float64 or emissions.device.type == "cpu"
        emissions = emissions.to(torch.float64 if exact else torch.float32)
        rows = ragged(mask, batch, n_steps, where="mask")
        if rows is None:
            return emissions, None, torch.full((batch,), n_steps, device=emissions.device)
        if emissions.device.type == "cpu" and not bool(rows.lengths.any()):
            raise ConfigError("no position is left, so there is no sequence", where="mask", remedy="Look at the data.")
        moved = rows.front(emissions)
        return moved.masked_fill(~rows.real[..., None], 0.0) if clean else moved, rows, rows.lengths

    def _labels(self, labels: Tensor, rows: Ragged | None, lengths: Tensor, n_steps: int) -> Tensor:
        if labels.shape != (len(lengths), n_steps):
            raise ConfigError(
                f"labels have shape {tuple(labels.shape)}, expected {(len(lengths), n_steps)}", where="labels"
            )
        if rows is not None:
            labels = rows.front(labels).where(rows.real, 0)
        check_ids(labels, self.n_labels, training=True, where="labels", what="label")
        return labels

    def _log_partition(self, emissions: Tensor, chain: Chain, lengths: Tensor) -> Tensor:
        compiled = emissions.device.type == "cpu" and not torch.compiler.is_compiling()
        form = log_partition_fast if compiled else log_partition_plain
        total = form(emissions, chain, lengths)
        self._check_possible(total)
        return total

    def _score(self, emissions: Tensor, labels: Tensor, chain: Chain, lengths: Tensor) -> Tensor:
        real = torch.arange(labels.shape[1], device=labels.device) < lengths[:, None]
        emitted = (emissions.gather(2, labels[..., None])[..., 0] * real).sum(1)
        moved = (chain.transitions[labels[:, :-1], labels[:, 1:]] * real[:, 1:]).sum(1)
        last = labels.gather(1, (lengths - 1).clamp(min=0)[:, None])[:, 0]
        return emitted + moved + (chain.start[labels[:, 0]] + chain.end[last]) * real[:, 0]

    def _check_possible(self, totals: Tensor) -> None:
        if self.limits is None or totals.device.type != "cpu" or torch.compiler.is_compiling():
            return
        if bool((totals < _NEVER).any()):
            row = int((totals < _NEVER).nonzero()[0])
            raise ConfigError(f"no sequence of labels is allowed for row {row}", where="limits")

    def _check_allowed(self, labels: Tensor, lengths: Tensor) -> None:
        """Refuse true labels of probability 0, whose loss would be without bound."""
        if self.limits is None or labels.device.type != "cpu" or torch.compiler.is_compiling():
            return
        names, real = self.limits.labels, torch.arange(labels.shape[1]) < lengths[:, None]
        rows = torch.arange(len(labels))
        first, last = labels[:, 0], labels[rows, (lengths - 1).clamp(min=0)]
        may_follow, may_start, may_end = self._allowed
        moves = ~may_follow[labels[:, :-1], labels[:, 1:]] & real[:, 1:]
        where = "labels"
        if bool(moves.any()):
            row, t = (int(value) for value in moves.nonzero()[0])
            what = f"{names[int(labels[row, t + 1])]} after {names[int(labels[row, t])]}"
            where = f"labels[{row}]"
        elif bool((bad := ~may_start[first] & real[:, 0]).any()):
            what = f"{names[int(first[bad][0])]} at the start"
        elif bool((bad := ~may_end[last] & real[:, 0]).any()):
            what = f"{names[int(last[bad][0])]} at the end"
        else:
            return
        raise ConfigError(
            f"the labels have {what}, which their scheme does not allow", where=where,
            remedy="Write them in one scheme (IOB1 is not BIO), or build the CRF without limits.",
        )  # fmt: skip


class _Partition(torch.autograd.Function):
    """log Z whose derivatives are known: by an emission, the posterior of the label; by a transition, how often it is
    expected (Lafferty et al., 2001, §4)."""

    @staticmethod
    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor,
        total: Tensor, posteriors: Tensor, pairs: Tensor, ends: Tensor,
    ) -> Tensor:  # fmt: skip
        ctx.save_for_backward(posteriors, pairs, ends)
        ctx.dtype = emissions.dtype
        return total.to(emissions.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        posteriors, pairs, ends = ctx.saved_tensors
        grad = grad.to(posteriors.dtype)
        grads = (
            grad[:, None, None] * posteriors,
            (grad @ pairs.flatten(1)).view(pairs.shape[1:]),
            grad @ posteriors[:, 0],
            grad @ ends,
        )
        return *(part.to(ctx.dtype) for part in grads), None, None, None, None


def _result_dtype(emissions: Tensor) -> torch.dtype:
    return torch.float64 if emissions.dtype == torch.float64 else torch.float32


def _path_sums(
    emissions: Tensor, chain: Chain, lengths: Tensor, with_posteriors: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor] | None:
    """log Z (B,), posteriors (B, T, C), transitions (B, C, C), last posteriors (B, C); None where scaling will not do."""
    from hanmo.nn.crf_kernels import path_sums

    batch, n_steps, n_labels = emissions.shape
    parts = [part.detach().to(torch.float64).contiguous() for part in (emissions, *chain)]
    total = parts[0].new_zeros(batch)
    posteriors = parts[0].new_empty((batch, n_steps, n_labels) if with_posteriors else (0, 0, 0))
    pairs = parts[0].new_empty((batch, n_labels, n_labels) if with_posteriors else (0, 0, 0))
    arrays = [part.numpy() for part in (*parts, lengths)]
    if not path_sums(*arrays, _NEVER, total.numpy(), posteriors.numpy(), pairs.numpy(), with_posteriors):
        return None
    ends = posteriors
    if with_posteriors:
        ends = posteriors[torch.arange(batch), (lengths - 1).clamp(min=0)]
    return total, posteriors, pairs, ends


def _alphas(emissions: Tensor, chain: Chain, lengths: Tensor) -> list[Tensor]:
    """Log-sums over all sequences up to t that end in a label, T times (B, C); unchanged after the end of a row."""
    alpha = chain.start + emissions[:, 0]
    alphas = [alpha]
    for t in range(1, emissions.shape[1]):
        new = (alpha[:, :, None] + chain.transitions).logsumexp(1) + emissions[:, t]
        alpha = new.where((t < lengths)[:, None], alpha)
        alphas.append(alpha)
    return alphas
