"""What the letters of a word say about it: endings, capitals, digits."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hanmo.core.errors import ConfigError
from hanmo.nn.dropout import dropped
from hanmo.nn.embedding import check_ids
from hanmo.nn.linear import Linear, Lookup

__all__ = ["CharacterFeatures"]

_WIDTH = 3


class CharacterFeatures(nn.Module):
    """`max_t (W [c_t-1, c_t, c_t+1] + b)` over the characters of each word (Ma & Hovy, 2016, §2.1).

    B batch, T words, W characters of a word, C filters.
    """

    def __init__(self, n_characters: int, d_character: int, n_filters: int, *, length: int, dropout: float = 0.0):
        """Args:
        n_characters: ids are below it; 0 is no character.
        d_character: width of character vectors.
        n_filters: C.
        length: W, characters of a word that are looked at.
        dropout: probability of dropping an element of character vectors in training.
        """
        super().__init__()
        self.characters = Lookup(n_characters, d_character)
        self.filters = Linear(_WIDTH * d_character, n_filters)
        self.length = length
        self.dropout = dropout

    def forward(self, char_ids: Tensor) -> Tensor:
        """(B, T W) int64, word after word → (B, T, C); zeros for words without characters.

        Raises:
            ConfigError: for an id that there is not, or a row that is no multiple of W.
        """
        if char_ids.dim() != 2 or char_ids.shape[1] % self.length:
            raise ConfigError(
                f"char_ids have shape {tuple(char_ids.shape)}, expected (B, T * {self.length})", where="char_ids"
            )
        check_ids(char_ids, self.characters.num_embeddings, training=self.training, where="char_ids", what="character")
        words = char_ids.view(-1, self.length)  # (B T, W)
        there = words != 0
        x = F.embedding(words, self.characters.weight) * there[..., None]
        x = dropped(x, self.dropout, self.training)
        beside = F.pad(x, (0, 0, 1, 1))
        triples = torch.cat([beside[:, :-2], x, beside[:, 2:]], -1)  # (B T, W, 3 d)
        scores = self.filters(triples).masked_fill(~there[..., None], float("-inf"))
        best = scores.amax(1).masked_fill(~there.any(1)[:, None], 0.0)
        return best.view(len(char_ids), -1, best.shape[-1])
