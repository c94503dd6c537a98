"""Long short-term memory (Hochreiter & Schmidhuber, 1997, with the forget gate of Gers et al., 2000).

Shapes: B batch, T positions, D input width, H width of a layer. Gates lie one below the other: input, forget, candidate,
output, as in torch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hanmo.core.errors import ConfigError
from hanmo.nn.dropout import dropped
from hanmo.nn.linear import Linear
from hanmo.nn.ragged import Ragged, ragged

__all__ = ["LSTM", "BiLSTM", "LSTMLayer", "LSTMState", "LayerState", "lstm_fused", "lstm_plain"]


class LayerState(NamedTuple):
    """What one layer remembers of the positions before."""

    hidden: Tensor
    """Its last output, (B, H)."""
    cell: Tensor
    """(B, H)."""


@dataclass
class LSTMState:
    """What a stack remembers: the place that keys and values have in attention. Empty at first."""

    layers: list[LayerState] | None = None
    """Of each layer, the first first."""
    length: int = 0
    """Positions taken in so far, padding included."""

    def detach(self) -> LSTMState:
        """The same values cut from the graph, for going on in training (truncated backpropagation through time)."""
        layers = [LayerState(h.detach(), c.detach()) for h, c in self.layers] if self.layers is not None else None
        return LSTMState(layers, self.length)

    def select(self, rows: Tensor) -> None:
        """Keep these rows, in this order; some may come twice (beam search)."""
        if self.layers is not None:
            self.layers = [LayerState(h[rows], c[rows]) for h, c in self.layers]

    def reset(self) -> None:
        """Forget everything."""
        self.layers, self.length = None, 0


class _Weights(NamedTuple):
    input: Tensor
    """(4H, D)."""
    hidden: Tensor
    """(4H, H)."""
    bias: Tensor
    """(4H,)."""


def lstm_plain(
    x: Tensor, state: LayerState, weights: _Weights, lengths: Tensor | None = None
) -> tuple[Tensor, LayerState]:
    """Step by step, as it is written.

    Args:
        x: (B, T, D).
        state: before the first position.
        weights: W (4H, D), U (4H, H) and b (4H,) of all gates.
        lengths: positions of each row that count, (B,); the state stays as it is after them. All if None.

    Returns:
        Outputs (B, T, H), and the state after the last position.
    """
    h, c = state
    outputs = []
    inputs = F.linear(x, weights.input, weights.bias)  # (B, T, 4H)
    for t in range(x.shape[1]):
        i, f, g, o = (inputs[:, t] + F.linear(h, weights.hidden)).chunk(4, dim=-1)  # (B, H) each
        new_c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        new_h = o.sigmoid() * new_c.tanh()
        if lengths is not None:
            goes_on = (t < lengths)[:, None]
            new_h, new_c = new_h.where(goes_on, h), new_c.where(goes_on, c)
        h, c = new_h, new_c
        outputs.append(h)
    return torch.stack(outputs, 1), LayerState(h, c)


def lstm_fused(x: Tensor, state: LayerState, weights: _Weights) -> tuple[Tensor, LayerState]:
    """`lstm_plain` over whole rows by torch's kernel for this device (oneDNN, cuDNN); never part of a compiled graph."""
    if torch.compiler.is_compiling():
        # traced, the kernel would be unrolled over all positions
        outside: Any = torch.compiler.disable(_fused)
        return outside(x, state, weights)
    return _fused(x, state, weights)


def _fused(x: Tensor, state: LayerState, weights: _Weights) -> tuple[Tensor, LayerState]:
    # the kernels add a second bias, which says nothing new
    parts = [weights.input, weights.hidden, weights.bias, torch.zeros_like(weights.bias)]
    if x.is_cuda:
        # cuDNN wants all weights in one piece
        whole = torch.cat([part.flatten() for part in parts])
        split = whole.split([part.numel() for part in parts])
        parts = [piece.view_as(part) for piece, part in zip(split, parts, strict=True)]
    start = (state.hidden[None].contiguous(), state.cell[None].contiguous())
    out, h, c = torch.lstm(x, start, parts, True, 1, 0.0, torch.is_grad_enabled(), False, True)
    return out, LayerState(h[0], c[0])


class LSTMLayer(nn.Module):
    """One layer in one direction."""

    def __init__(self, d_in: int, d_hidden: int, *, dropout_weights: float = 0.0):
        """`dropout_weights`: probability of dropping a weight between the steps in training (Merity et al., 2018, §2)."""
        super().__init__()
        gates = (d_hidden,) * 4
        self.d_hidden = d_hidden
        self.input = Linear(d_in, 4 * d_hidden, parts=gates)
        self.hidden = Linear(d_hidden, 4 * d_hidden, bias=False, parts=gates)
        self.dropout_weights = dropout_weights
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Matrices uniform within 1/√H, biases 0 but those of the forget gate, which are 1 (Gers et al., 2000)."""
        if self.hidden.weight.is_meta:
            return
        bound = 1 / math.sqrt(self.d_hidden)
        nn.init.uniform_(self.input.weight, -bound, bound)
        nn.init.uniform_(self.hidden.weight, -bound, bound)
        nn.init.zeros_(self.input.bias)
        with torch.no_grad():
            self.input.bias[self.d_hidden : 2 * self.d_hidden] = 1.0

    def weights(self) -> _Weights:
        """Of all gates; drawn anew at each call where some are dropped."""
        hidden = dropped(self.hidden.weight, self.dropout_weights, self.training)
        return _Weights(self.input.weight, hidden, self.input.bias)

    def start(self, x: Tensor) -> LayerState:
        """The state before anything was read: zeros."""
        # an autocast region computes in another dtype than that of the weights
        zeros = x.new_zeros(x.shape[0], self.d_hidden)
        return LayerState(zeros, zeros)

    def forward(
        self, x: Tensor, state: LayerState | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, LayerState]:
        """(B, T, D) → (B, T, H) and the state after it.

        Args:
            x: input.
            state: to go on from; zeros if None.
            lengths: where rows end, (B,), if the state is to be that after their own last position.
        """
        state = self.start(x) if state is None else state
        if lengths is None:
            return lstm_fused(x, state, self.weights())
        return lstm_plain(x, state, self.weights(), lengths)


class LSTM(nn.Module):
    """Layers one after another, each reading the outputs of the one below from the left."""

    def __init__(self, d_in: int, widths: Sequence[int], *, dropout: float = 0.0, dropout_weights: float = 0.0):
        """Args:
        d_in: D.
        widths: H of each layer.
        dropout: probability of dropping an element between layers in training (Zaremba et al., 2015, §3.1).
        dropout_weights: see `LSTMLayer`.
        """
        super().__init__()
        inputs = (d_in, *widths[:-1])
        self.layers = nn.ModuleList(
            LSTMLayer(d, width, dropout_weights=dropout_weights) for d, width in zip(inputs, widths, strict=True)
        )
        self.dropout = dropout

    def forward(
        self, x: Tensor, mask: Tensor | None = None, state: LSTMState | None = None, seen: list[Tensor] | None = None
    ) -> Tensor:
        """(B, T, D) → (B, T, H); zeros where there is padding.

        Args:
            x: input.
            mask: (B, T), 1 for real positions, None if all are: the others are passed over as if they were not there.
            state: what was remembered of earlier positions; these ones are added to it. The last layer's hidden part is
                the output at the last real position of each row.
            seen: if a list, the input of each layer is appended to it.

        Raises:
            ConfigError: if mask or state are of other rows.
        """
        batch, length = x.shape[:2]
        rows = ragged(mask, batch, length)
        before = state.layers if state is not None else None
        if before is not None and before[0].hidden.shape[0] != batch:
            raise ConfigError(
                f"this state holds {before[0].hidden.shape[0]} rows, the input has {batch}", where="past_key_values"
            )
        # the kernel's last state is that of the longest row: rows of their own length are stepped through where it
        # matters
        lengths = rows.lengths if rows is not None and state is not None else None
        x = x if rows is None else rows.front(x)
        after = []
        for depth, layer in enumerate(self.layers):
            if depth:
                x = dropped(x, self.dropout, self.training)
            if seen is not None:
                seen.append(_restored(x, rows))
            x, last = layer(x, before[depth] if before is not None else None, lengths)
            after.append(last)
        if state is not None:
            state.layers, state.length = after, state.length + length
        return _restored(x, rows)


class BiLSTM(nn.Module):
    """Layers that each read the one below from both ends (Graves & Schmidhuber, 2005)."""

    def __init__(self, d_in: int, d_hidden: int, n_layers: int, *, dropout: float = 0.0, dropout_weights: float = 0.0):
        """Args:
        d_in: D.
        d_hidden: H of each direction.
        n_layers: number of layers.
        dropout, dropout_weights: as in `LSTM`.
        """
        super().__init__()

        def layers() -> nn.ModuleList:
            widths = (d_in, *[2 * d_hidden] * (n_layers - 1))
            return nn.ModuleList(LSTMLayer(d, d_hidden, dropout_weights=dropout_weights) for d in widths)

        self.rightward = layers()
        self.leftward = layers()
        self.dropout = dropout

    def forward(self, x: Tensor, mask: Tensor | None = None, seen: list[Tensor] | None = None) -> Tensor:
        """(B, T, D) → (B, T, 2H), what has read up to a position from the left, then from the right.

        Zeros where there is padding, which may stand on either side. `seen` as in `LSTM`.

        Raises:
            ConfigError: if the mask is of other rows.
        """
        rows = ragged(mask, *x.shape[:2])
        x = x if rows is None else rows.front(x)
        mirror = rows.mirrored() if rows is not None else None
        for depth, (rightward, leftward) in enumerate(zip(self.rightward, self.leftward, strict=True)):
            if depth:
                x = dropped(x, self.dropout, self.training)
            if seen is not None:
                seen.append(_restored(x, rows))
            ahead, _ = rightward(x)
            back, _ = leftward(_mirror(x, mirror))
            x = torch.cat((ahead, _mirror(back, mirror)), dim=-1)
        return _restored(x, rows)


def _mirror(x: Tensor, mirror: Tensor | None) -> Tensor:
    return x.flip(1) if mirror is None else x.gather(1, mirror[..., None].expand_as(x))


def _restored(x: Tensor, rows: Ragged | None) -> Tensor:
    """Outputs where their inputs were, zeros elsewhere."""
    return x if rows is None else rows.back(x * rows.real[..., None])
