"""A recurrent decoder that looks at its source in every step.

Shapes: B batch, T target positions, S source positions, D d_model.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from hanmo.nn.additive_attention import AdditiveAttention, DotAttention, GeneralAttention, Source
from hanmo.nn.dropout import dropped
from hanmo.nn.linear import Linear
from hanmo.nn.recurrent import LSTM, LayerState, LSTMState

__all__ = ["AttentiveDecoder", "DecoderState"]


@dataclass
class DecoderState:
    """What is kept from step to step: the place that a cache has in attention. Empty at first."""

    source: Source | None = None
    """What is looked at."""
    own: LSTMState = field(default_factory=LSTMState)
    """Of the layers."""
    fed: Tensor | None = None
    """Output of the last step, (B, D)."""

    @property
    def length(self) -> int:
        """Target positions taken in so far."""
        return self.own.length

    def select(self, rows: Tensor) -> None:
        """Make the i-th row a copy of what is now row `rows[i]`; there may be more rows afterwards, or fewer."""
        self.source = self.source.select(rows) if self.source is not None else None
        self.own.select(rows)
        self.fed = self.fed[rows] if self.fed is not None else None


class AttentiveDecoder(nn.Module):
    """Target vectors → vectors that know the target so far and the part of the source that matters.

    In the order of Bahdanau et al. (2015) the state of the step before asks, and the answer `c` enters the layers with
    the token: `h = LSTM([y; c])`. In that of Luong et al. (2015) the new state asks: `h = LSTM([y; o])` with the output
    `o` of the step before, or `LSTM(y)`. Both return `o = tanh(W [c; h])`.
    """

    def __init__(
        self,
        d_model: int,
        n_layers: int,
        attention: AdditiveAttention | DotAttention | GeneralAttention,
        *,
        ask_first: bool,
        input_feeding: bool = True,
        dropout: float = 0.0,
    ):
        """Args:
        d_model: D, of token vectors, layers and source.
        n_layers: number of layers.
        attention: compares states with the source.
        ask_first: Bahdanau's order; else Luong's.
        input_feeding: whether a step sees the output of the one before, in Luong's order (his §3.3).
        dropout: probability of dropping an element between layers and of the output in training.
        """
        super().__init__()
        feeds = ask_first or input_feeding
        self.layers = LSTM(2 * d_model if feeds else d_model, [d_model] * n_layers, dropout=dropout)
        self.attention = attention
        self.readout = Linear(2 * d_model, d_model)
        self.bridge = Linear(d_model, 2 * n_layers * d_model, parts=(d_model,) * (2 * n_layers))
        self.ask_first, self.feeds = ask_first, feeds
        self.dropout = dropout

    def start(self, state: DecoderState, values: Tensor, mask: Tensor | None, summary: Tensor) -> None:
        """Fill an empty state with what is known before the first step.

        Args:
            state: to be filled.
            values: source, (B, S, D).
            mask: its real positions, (B, S).
            summary: what the states of the layers are made of, (B, D).
        """
        hidden, cell = self.bridge(summary).chunk(2, dim=-1)  # (B, L D) each
        n_layers = len(self.layers.layers)
        states = zip(hidden.tanh().chunk(n_layers, dim=-1), cell.chunk(n_layers, dim=-1), strict=True)
        state.own = LSTMState([LayerState(h, c) for h, c in states])
        state.source, state.fed = self.attention.prepare(values, mask), None

    def forward(self, y: Tensor, state: DecoderState) -> Tensor:
        """(B, T, D) → (B, T, D); the state, which `start` has filled, goes on by T steps."""
        assert state.source is not None
        if not self.feeds:
            h = self.layers(y, None, state.own)
            return self._output(self.attention(h, state.source).context, h)
        outputs = []
        for step in y.split(1, dim=1):  # (B, 1, D) each
            if self.ask_first:
                assert state.own.layers is not None
                context = self.attention(state.own.layers[-1].hidden[:, None], state.source).context
                h = self.layers(torch.cat((step, context), dim=-1), None, state.own)
            else:
                fed = torch.zeros_like(step) if state.fed is None else state.fed[:, None].to(step.dtype)
                h = self.layers(torch.cat((step, fed), dim=-1), None, state.own)
                context = self.attention(h, state.source).context
            output = self._output(context, h)
            state.fed = output[:, 0]
            outputs.append(output)
        return torch.cat(outputs, 1)

    def _output(self, context: Tensor, h: Tensor) -> Tensor:
        x = self.readout(torch.cat((context, h), dim=-1)).tanh()
        return dropped(x, self.dropout, self.training)
