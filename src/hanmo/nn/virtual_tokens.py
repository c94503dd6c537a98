"""Positions in front of a text that are learned, while the model stays as it is: soft prompts and prefixes.

B batch, T positions of the text, n virtual tokens, D width of token vectors, L layers, G key/value heads, K d_head.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hanmo.nn.cache import Cache

__all__ = ["Prefix", "SoftPrompt", "VirtualTokens"]

_STD = 0.02


class VirtualTokens(nn.Module):
    """Base of both: what a model must know to count them. They have the first positions; those of a text come after."""

    def __init__(self, vectors: Tensor):
        """`vectors`: one row for each token, (n, ·)."""
        super().__init__()
        self.vectors = nn.Parameter(vectors)

    @property
    def n_tokens(self) -> int:
        """n."""
        return len(self.vectors)

    def real(self, attention_mask: Tensor | None) -> Tensor | None:
        """The mask of a text (B, S) with the virtual tokens before it, which are never padding, (B, n + S)."""
        if attention_mask is None:
            return None
        return torch.cat((attention_mask.new_ones(len(attention_mask), self.n_tokens), attention_mask), 1)


class SoftPrompt(VirtualTokens):
    """Vectors in front of those of the text's tokens (Lester et al., 2021, §2)."""

    def before(self, vectors: Tensor) -> Tensor:
        """(B, T, D) → (B, n + T, D)."""
        own = self.vectors.to(vectors.dtype).expand(len(vectors), -1, -1)
        return torch.cat((own, vectors), 1)


class Prefix(VirtualTokens):
    """Keys and values in front of those of every layer (Li & Liang, 2021, eq. 3)."""

    def __init__(self, n_tokens: int, *, n_layers: int, n_heads: int, d_head: int, of_decoder: bool = False):
        """Args:
        n_tokens: n.
        n_layers: L.
        n_heads: G.
        d_head: K.
        of_decoder: of a decoder beside an encoder. There PEFT hands layer l the pair of keys and values 2l mod L, so that
            two layers may share one and others are not read; files mean that.
        """
        super().__init__(torch.randn(n_tokens, 2 * n_layers * n_heads * d_head) * _STD)
        self.n_layers, self.n_heads, self.d_head, self.of_decoder = n_layers, n_heads, d_head, of_decoder

    def fill(self, cache: Cache, batch: int, dtype: torch.dtype) -> None:
        """Put them into a cache that holds nothing yet, for so many rows."""
        vectors = self.vectors if torch.is_grad_enabled() else self.vectors.detach()  # a view would ask for gradients
        held = vectors.to(dtype).view(self.n_tokens, 2 * self.n_layers, self.n_heads, self.d_head)
        held = held.permute(1, 2, 0, 3)[:, None].expand(-1, batch, -1, -1, -1)  # (2L, B, G, n, K)
        for layer in range(self.n_layers):
            pair = 2 * layer % self.n_layers if self.of_decoder else layer
            cache.update(layer, held[2 * pair], held[2 * pair + 1])
        cache.advance(self.n_tokens)
