"""Convolution over the positions of a text. B batch, T positions, E width in, D width out."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hanmo.nn.linear import Linear

__all__ = ["TextConvolution"]


class TextConvolution(nn.Module):
    """`relu(W [x_t-⌊(w-1)/2⌋ … x_t+⌊w/2⌋] + b)` for each of several widths w, side by side (Kim, 2014, eq. 2).

    What lies outside of the text, or is padding, is zeros.
    """

    def __init__(self, d_in: int, d_filters: int, widths: tuple[int, ...]):
        """Args:
        d_in: E.
        d_filters: outputs of each width; D is as many times their number.
        widths: positions that a filter sees.
        """
        super().__init__()
        self.widths = widths
        self.filters = nn.ModuleList([Linear(width * d_in, d_filters) for width in widths])

    def forward(self, x: Tensor, attention_mask: Tensor | None = None, seen: list[Tensor] | None = None) -> Tensor:
        """(B, T, E), mask (B, T) → (B, T, D); what it saw is added to `seen`."""
        if seen is not None:
            seen.append(x)
        if attention_mask is not None:
            x = x.masked_fill(~attention_mask.bool()[..., None], 0.0)
        out = []
        for width, layer in zip(self.widths, self.filters, strict=True):
            before = (width - 1) // 2
            windows = F.pad(x, (0, 0, before, width - 1 - before)).unfold(1, width, 1)  # (B, T, E, w)
            out.append(layer(windows.transpose(-1, -2).flatten(2)))
        return torch.cat(out, -1).relu()
