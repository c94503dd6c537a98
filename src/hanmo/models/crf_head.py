"""A head that scores whole sequences of labels instead of each label by itself (Lample et al., 2016).

Shapes: B batch, T positions, C classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from hanmo.core.errors import ConfigError
from hanmo.models.heads import Encoded, Head
from hanmo.nn.crf import CRF
from hanmo.nn.dropout import dropped
from hanmo.nn.label_schemes import LabelScheme, guess_scheme, label_limits
from hanmo.nn.linear import Linear
from hanmo.nn.losses import IGNORED
from hanmo.nn.outputs import Output

__all__ = ["CrfHead", "CrfOutput"]


@dataclass
class CrfOutput(Output):
    """Of a classifier of tokens whose labels depend on each other."""

    loss: Tensor | None = None
    """-log p(labels) in nats for each label, scalar; with `labels`."""
    logits: Tensor | None = None
    """Emissions: scores of the classes at each token by itself, (B, T, C)."""
    decoded: Tensor | None = None
    """The most probable sequence of classes, (B, T) int64, -100 where there is none; not in training."""
    hidden_states: tuple[Tensor, ...] | None = None
    """As in `EncoderOutput`."""


class CrfHead(Head):
    """Emissions from each vector, and a CRF over them."""

    def __init__(self, d_model: int, labels: Sequence[str], *, scheme: LabelScheme | None = None, dropout: float = 0.0):
        """Args:
        d_model: D.
        labels: names of the classes.
        scheme: which sequences of them can be; by their names if None, without limits if the names follow no scheme.
        dropout: probability of dropping an element of the vectors in training.
        """
        super().__init__()
        scheme = guess_scheme(labels) if scheme is None else scheme
        self.out = Linear(d_model, len(labels))
        self.crf = CRF(len(labels), limits=label_limits(labels, scheme) if scheme is not None else None)
        self.dropout = dropout

    def score(self, encoded: Encoded, labels: Tensor | None = None, label_mask: Tensor | None = None) -> CrfOutput:
        """Emissions, the loss where there are labels, the best sequence outside of training.

        Args:
            encoded: what is labelled.
            labels: (B, T), -100 where a token has none (special tokens, later pieces of a word).
            label_mask: (B, T), 1 where a token is to get a label; those that have one if None, and without labels all
                real tokens. The others are left out of the chain: give it where they were left out in training.

        Raises:
            ConfigError: if shapes do not fit, or labels are not in the scheme.
        """
        logits = self.out(dropped(encoded.output.last_hidden_state, self.dropout, self.training))
        mask = encoded.attention_mask if label_mask is None else label_mask
        loss = None
        if labels is not None:
            if labels.shape != logits.shape[:2]:
                raise ConfigError(
                    f"labels have shape {tuple(labels.shape)}, expected {tuple(logits.shape[:2])}", where="labels"
                )
            mask = labels != IGNORED if label_mask is None else label_mask
            loss = self.crf.loss(logits, labels, mask)
        return CrfOutput(
            loss=loss,
            logits=logits,
            decoded=None if self.training else self.crf.decode(logits, mask)[0],
            hidden_states=encoded.output.hidden_states,
        )
