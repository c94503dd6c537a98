"""Heads: from the vectors of a stack to scores of tokens, rows, pairs and spans.

Shapes: B batch, T positions, D d_model, V vocabulary, C classes. A head is called with an `Encoded` and the labels that
it knows; other labels are an error.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hanmo.core.errors import ConfigError
from hanmo.nn.dropout import dropped
from hanmo.nn.embedding import check_ids
from hanmo.nn.feedforward import named_activation
from hanmo.nn.linear import Linear
from hanmo.nn.losses import IGNORED
from hanmo.nn.norms import LayerNorm
from hanmo.nn.outputs import (
    ClassifierOutput,
    EncoderOutput,
    MaskedLMOutput,
    Output,
    PretrainingOutput,
    SentenceOrderOutput,
    SpanOutput,
)
from hanmo.nn.pooling import pool_first, pool_last

__all__ = [
    "Encoded",
    "Head",
    "LinearLMHead",
    "MaskedLMHead",
    "MaskedLMScores",
    "NextSentenceHead",
    "PretrainingHead",
    "ProblemType",
    "RowClassifier",
    "SpanHead",
    "TokenClassifier",
    "first_token",
    "last_token",
    "row_loss",
]

ProblemType = Literal["regression", "single_label_classification", "multi_label_classification"]


@dataclass(frozen=True)
class Encoded:
    """What a head may look at."""

    output: EncoderOutput
    attention_mask: Tensor | None
    """(B, T), 1 for real tokens."""
    input_ids: Tensor | None
    """(B, T)."""
    token_weight: Tensor
    """Input vectors of the tokens, (V, E), for heads that are tied to them."""


class Head(nn.Module):
    """Base of heads: names the labels that it has no use for."""

    score: Callable[..., Output]
    """From an `Encoded` and the labels that this head knows to its output."""

    def forward(self, encoded: Encoded, **labels: Tensor) -> Output:
        known = self.score.__annotations__
        for name in labels:
            if name not in known:
                raise ConfigError(
                    f"{name.replace('pair_labels', 'labels of pairs')} were given to a {type(self).__name__}, "
                    "which has no use for them",
                    where=name,
                    remedy="Leave them out, or load the model with the head that they belong to.",
                )
        return self.score(encoded, **labels)


def first_token(encoded: Encoded) -> Tensor:
    """The vector of each row's first real token, (B, D); of the first virtual one, which stands there if there are any."""
    if encoded.output.virtual_hidden_state is not None:
        return encoded.output.virtual_hidden_state[:, 0]
    return pool_first(encoded.output.last_hidden_state, encoded.attention_mask)


def last_token(encoded: Encoded, *, pad_id: int | None) -> Tensor:
    """The vector of each row's last token that is not padding, (B, D), as `transformers` pools decoders.

    Padding is what has the id `pad_id`; without ids, or without such an id, what the mask leaves out.

    Raises:
        ConfigError: for several rows of ids where nothing says what is padding.
    """
    hidden, ids, mask = encoded.output.last_hidden_state, encoded.input_ids, encoded.attention_mask
    if ids is not None and pad_id is not None:
        return pool_last(hidden, ids != pad_id)
    if ids is not None and mask is None and len(ids) > 1:
        raise ConfigError(
            "nothing says which tokens are padding, so that no last token can be told",
            where="attention_mask",
            remedy="Give an attention_mask, or load the model with changes={'pad_id': ...}.",
        )
    return pool_last(hidden, mask)


class MaskedLMScores(nn.Module):
    """`act(h W + b)`, norm, then the token vectors as output matrix, with its own bias (Devlin et al., 2019, §3.1)."""

    def __init__(
        self, d_model: int, width: int, vocab_size: int, *, activation: str, norm_eps: float, tied: bool = True
    ):
        """Args:
        width: of the token vectors; differs from `d_model` where they are factorised.
        tied: whether the output matrix is that of the token vectors.
        """
        super().__init__()
        self.dense = Linear(d_model, width)
        self.act = named_activation(activation)
        self.norm = LayerNorm(width, eps=norm_eps)
        self.out = None if tied else Linear(width, vocab_size, bias=False)
        self.bias = nn.Parameter(torch.zeros(vocab_size))

    def forward(self, hidden: Tensor, token_weight: Tensor) -> Tensor:
        """(..., D) → scores (..., V)."""
        weight = token_weight if self.out is None else self.out.weight
        return F.linear(self.norm(self.act(self.dense(hidden))), weight, self.bias)


class MaskedLMHead(Head):
    """Which token stands at each position."""

    def __init__(self, scores: MaskedLMScores):
        super().__init__()
        self.tokens = scores

    def score(self, encoded: Encoded, labels: Tensor | None = None) -> MaskedLMOutput:
        """`labels` (B, T): the true token where one is to be guessed, -100 elsewhere."""
        logits = self.tokens(encoded.output.last_hidden_state, encoded.token_weight)
        loss = _class_loss(logits, labels, "labels") if labels is not None else None
        return MaskedLMOutput(loss, logits, encoded.output.hidden_states)


class LinearLMHead(Head):
    """Which token stands at each place: one matrix, the token vectors or its own, and a bias."""

    def __init__(self, d_model: int, vocab_size: int, *, tied: bool = True):
        super().__init__()
        self.out = None if tied else Linear(d_model, vocab_size, bias=False)
        self.bias = nn.Parameter(torch.zeros(vocab_size))

    def score(self, encoded: Encoded, labels: Tensor | None = None) -> MaskedLMOutput:
        """`labels` (B, T), one for each vector of the stack: the true token, or -100 where none is to be guessed."""
        weight = encoded.token_weight if self.out is None else self.out.weight
        logits = F.linear(encoded.output.last_hidden_state, weight, self.bias)
        loss = _class_loss(logits, labels, "labels") if labels is not None else None
        return MaskedLMOutput(loss, logits, encoded.output.hidden_states)


class PretrainingHead(Head):
    """Masked tokens and, from the pooled vector, the relation of two segments: whether the second follows the first
    (Devlin et al., 2019, §3.1), or whether they are in order (Lan et al., 2020, §3.1)."""

    def __init__(
        self,
        scores: MaskedLMScores,
        d_model: int,
        *,
        dropout: float = 0.0,
        output: type[PretrainingOutput] | type[SentenceOrderOutput] = PretrainingOutput,
    ):
        """Args:
        dropout: probability of dropping an element of the pooled vector.
        output: what is returned; the names of its fields tell the two relations apart.
        """
        super().__init__()
        self.tokens = scores
        self.pair = Linear(d_model, 2)
        self.dropout = dropout
        self.output = output

    def score(
        self, encoded: Encoded, labels: Tensor | None = None, pair_labels: Tensor | None = None
    ) -> PretrainingOutput | SentenceOrderOutput:
        """`labels` as for masked tokens; `pair_labels` (B,): 0 for the true relation, 1 for the other.

        Raises:
            ConfigError: if only one of them is given.
        """
        out = encoded.output
        tokens = self.tokens(out.last_hidden_state, encoded.token_weight)
        pair = self.pair(dropped(_pooled(out), self.dropout, self.training))
        if (labels is None) != (pair_labels is None):
            raise ConfigError(
                "labels of tokens and of pairs belong together",
                where="labels" if labels is None else "pair_labels",
                remedy="Give both, or load the model with the head for masked tokens alone.",
            )
        loss = None
        if labels is not None and pair_labels is not None:
            loss = _class_loss(tokens, labels, "labels") + _class_loss(pair, pair_labels.flatten(), "pair_labels")
        return self.output(loss, tokens, pair, out.hidden_states)


class NextSentenceHead(Head):
    """Whether the second segment follows the first."""

    def __init__(self, d_model: int):
        super().__init__()
        self.pair = Linear(d_model, 2)

    def score(
        self, encoded: Encoded, labels: Tensor | None = None, pair_labels: Tensor | None = None
    ) -> ClassifierOutput:
        """`labels` or, by its other name, `pair_labels` (B,): 0 if it follows, 1 if it was drawn at random.

        Raises:
            ConfigError: if both are given.
        """
        if labels is not None and pair_labels is not None:
            raise ConfigError("the same labels were given twice", where="pair_labels", remedy="Leave one of them out.")
        labels = pair_labels if labels is None else labels
        logits = self.pair(_pooled(encoded.output))
        loss = _class_loss(logits, labels.flatten(), "labels") if labels is not None else None
        return ClassifierOutput(loss, logits, encoded.output.hidden_states)


class RowClassifier(Head):
    """One vector per row → scores of classes, or one number."""

    def __init__(
        self,
        d_model: int,
        n_labels: int,
        *,
        pool: Callable[[Encoded], Tensor] | None = None,
        dense: bool = False,
        dropout: float = 0.0,
        bias: bool = True,
        problem_type: ProblemType | None = None,
    ):
        """Args:
        pool: makes the vector (B, D); the backbone's pooler if None.
        dense: put `tanh(W x + b)` between vector and scores.
        dropout: probability of dropping an element before each matrix.
        bias: whether the scores have one.
        problem_type: which loss; by the number of classes and the dtype of the labels if None.
        """
        super().__init__()
        self.pool = pool
        self.dense = Linear(d_model, d_model) if dense else None
        self.out = Linear(d_model, n_labels, bias=bias)
        self.dropout = dropout
        self.problem_type: ProblemType | None = problem_type

    def score(self, encoded: Encoded, labels: Tensor | None = None) -> ClassifierOutput:
        """`labels`: (B,) classes, -100 for none; (B, C) zeros and ones for several at once; (B,) or (B, C) numbers for
        regression."""
        x = _pooled(encoded.output) if self.pool is None else self.pool(encoded)
        if self.dense is not None:
            x = self.dense(dropped(x, self.dropout, self.training)).tanh()
        logits = self.out(dropped(x, self.dropout, self.training))
        loss = row_loss(logits, labels, self.problem_type) if labels is not None else None
        return ClassifierOutput(loss, logits, encoded.output.hidden_states)


class TokenClassifier(Head):
    """Scores of classes for each token."""

    def __init__(self, d_model: int, n_labels: int, *, dropout: float = 0.0):
        super().__init__()
        self.out = Linear(d_model, n_labels)
        self.dropout = dropout

    def score(self, encoded: Encoded, labels: Tensor | None = None) -> ClassifierOutput:
        """`labels` (B, T): a class, or -100 where none is scored."""
        logits = self.out(dropped(encoded.output.last_hidden_state, self.dropout, self.training))
        loss = _class_loss(logits, labels, "labels") if labels is not None else None
        return ClassifierOutput(loss, logits, encoded.output.hidden_states)


class SpanHead(Head):
    """Where an answer starts and ends (Devlin et al., 2019, §4.2)."""

    def __init__(self, d_model: int):
        super().__init__()
        self.out = Linear(d_model, 2)

    def score(
        self, encoded: Encoded, start_positions: Tensor | None = None, end_positions: Tensor | None = None
    ) -> SpanOutput:
        """`start_positions`, `end_positions` (B,): token indices; one past the row's end is not counted.

        Raises:
            ConfigError: if only one of them is given, or none counts.
        """
        start, end = self.out(encoded.output.last_hidden_state).unbind(-1)  # (B, T) each
        if (start_positions is None) != (end_positions is None):
            raise ConfigError("start_positions and end_positions belong together", where="start_positions")
        loss = None
        if start_positions is not None and end_positions is not None:
            first = _class_loss(start, _within(start_positions, start.shape[1], "start_positions"), "start_positions")
            last = _class_loss(end, _within(end_positions, end.shape[1], "end_positions"), "end_positions")
            loss = (first + last) / 2
        return SpanOutput(loss, start.contiguous(), end.contiguous(), encoded.output.hidden_states)


def row_loss(logits: Tensor, labels: Tensor, problem_type: ProblemType | None) -> Tensor:
    """Mean squared error, cross-entropy, or binary cross-entropy, by the type of problem.

    Args:
        logits: (B, C).
        labels: as in `RowClassifier`.
        problem_type: one number → regression, integer labels → one class, else several, if None.

    Raises:
        ConfigError: if labels do not fit the scores.
    """
    if problem_type is None:
        if logits.shape[-1] == 1:
            problem_type = "regression"
        elif labels.dtype in (torch.int64, torch.int32):
            problem_type = "single_label_classification"
        else:
            problem_type = "multi_label_classification"
    if problem_type not in get_args(ProblemType):
        raise ConfigError(f"unknown problem_type {problem_type!r}", where="problem_type")
    if problem_type == "single_label_classification":
        return _class_loss(logits, labels.flatten(), "labels")
    if problem_type == "regression" and logits.shape[-1] == 1 and labels.numel() == len(logits):
        labels = labels.reshape(logits.shape)
    if labels.shape != logits.shape:
        raise ConfigError(f"labels have shape {tuple(labels.shape)}, the scores {tuple(logits.shape)}", where="labels")
    if problem_type == "regression":
        return F.mse_loss(logits, labels.to(logits.dtype))
    return F.binary_cross_entropy_with_logits(logits, labels.to(logits.dtype))


def _pooled(out: EncoderOutput) -> Tensor:
    assert out.pooler_output is not None, "this head needs a backbone with a pooler"
    return out.pooler_output


def _within(positions: Tensor, length: int, where: str) -> Tensor:
    """Positions (B,) with -100 in the place of those past the end."""
    positions = positions.flatten()
    return positions.masked_fill(positions >= length, IGNORED)


def _class_loss(logits: Tensor, labels: Tensor, where: str) -> Tensor:
    """Mean cross-entropy of scores (..., C) over the labels (...) that are not -100."""
    if labels.shape != logits.shape[:-1]:
        raise ConfigError(f"labels have shape {tuple(labels.shape)}, expected {tuple(logits.shape[:-1])}", where=where)
    if labels.is_floating_point():
        raise ConfigError(f"labels are {str(labels.dtype).removeprefix('torch.')}, expected whole numbers", where=where)
    counted = labels != IGNORED
    if not torch.compiler.is_compiling() and labels.device.type == "cpu" and not bool(counted.any()):
        raise ConfigError(
            "every label is left out, so there is no loss", where=where,
            remedy="Look at the data: a text cut too short has no answer left to learn.",
        )  # fmt: skip
    check_ids(labels.where(counted, 0), logits.shape[-1], training=True, where=where, what="class")
    return F.cross_entropy(logits.flatten(0, -2), labels.flatten().long(), ignore_index=IGNORED)
