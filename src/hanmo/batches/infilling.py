"""Blocks of text, some of which are rearranged so that a model learns to fill in the middle (Bavarian et al., 2022)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hanmo.batches.blocks import TokenBlocks
from hanmo.batches.state import check_fingerprint, damaged_state
from hanmo.nn.losses import IGNORED
from hanmo.tokenizers.infilling import InfillTokens
from hanmo.tokenizers.tokenizer import Tokenizer

__all__ = ["FillInMiddle"]

_STREAM = 0xF17
"""Tells these draws from those of the blocks."""


class FillInMiddle:
    """Blocks as `TokenBlocks` gives them, a share of them cut in three at two characters and rearranged (§4.3, at the level of
    the context: what a model is asked for lies within its sight).

    Of a block that spans documents the longest piece is taken. What is left over at the end of a row does not count.
    Which blocks, and where they are cut, follows from (seed, number of the row) alone.

    Args:
        blocks: the blocks.
        tokenizer: what made them.
        marks: its tokens for the three parts.
        share: of the blocks, 0..1.
        spm_share: of these, that have the end first, 0..1.
        seed: of the draws.
    """

    def __init__(
        self,
        blocks: TokenBlocks,
        tokenizer: Tokenizer,
        marks: InfillTokens,
        *,
        share: float,
        spm_share: float,
        seed: int,
    ):
        assert tokenizer.eos_id is not None
        self._blocks, self._tokenizer, self._marks, self._eos_id = blocks, tokenizer, marks, tokenizer.eos_id
        self._share, self._spm_share, self._seed, self._n = share, spm_share, seed, 0
        told = f"{blocks.fingerprint} {marks} {share} {spm_share} {seed}"
        self.fingerprint: str = hashlib.sha256(told.encode()).hexdigest()
        """Of the blocks and of every setting that changes what is made of them."""

    def next(self) -> dict[str, Tensor]:
        """The next batch: `input_ids` and `labels`, both (B, T) int64."""
        batch = self._blocks.next()
        rows = torch.cat([batch["input_ids"][:, :1], batch["labels"]], dim=1)  # (B, T + 1)
        labels = rows.clone()
        for number, row in enumerate(rows):
            draw = np.random.Generator(np.random.PCG64(np.random.SeedSequence([self._seed, _STREAM, self._n + number])))
            if draw.random() >= self._share:
                continue
            ids = self._rearranged(row.tolist(), draw)
            row[: len(ids)], row[len(ids) :] = torch.tensor(ids), self._eos_id
            labels[number] = row
            labels[number, len(ids) :] = IGNORED
        self._n += len(rows)
        return {"input_ids": rows[:, :-1].contiguous(), "labels": labels[:, 1:].contiguous()}

    def state(self) -> dict[str, Any]:
        """Where the next batch begins; JSON."""
        return {"blocks": self._blocks.state(), "rows": self._n, "fingerprint": self.fingerprint}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a state.

        Raises:
            TrainingError: if it belongs to other data or settings, or is damaged.
        """
        check_fingerprint(state, self.fingerprint)
        n, blocks = state.get("rows"), state.get("blocks")
        if not isinstance(n, int) or n < 0 or not isinstance(blocks, Mapping):
            raise damaged_state(state)
        self._blocks.restore(blocks)
        self._n = n

    def _rearranged(self, ids: list[int], draw: np.random.Generator) -> list[int]:
        """At most as many ids; the characters are those of the longest piece, maybe without the last few."""
        pieces: list[list[int]] = [[]]
        for token in ids:
            if token == self._eos_id:
                pieces.append([])
            else:
                pieces[-1].append(token)
        text = self._tokenizer.decode(max(pieces, key=len)).strip("\ufffd")  # a block may begin within a character
        cuts = draw.random(2)
        order = "spm" if draw.random() < self._spm_share else "psm"
        while True:
            first, second = sorted(int(cut * (len(text) + 1)) for cut in cuts)
            parts = [text[:first], text[first:second], text[second:]]
            beginning, middle, end = self._tokenizer.encode_batch(parts)
            found = [*self._marks.arrange(beginning, end, order), *middle, self._eos_id]
            if (surplus := len(found) - len(ids)) <= 0:
                return found
            text = text[: -max(surplus, 1)]  # a token may be less than a character: as often as it takes
