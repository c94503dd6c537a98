"""The steps of a beam search by compiled kernels: all beams of all sources from a token to the best next ones.

Shapes: B sources, N rows (the beams of each source after each other), T positions held, C candidates of a row.
"""

from __future__ import annotations

from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hanmo.core.progress import say
from hanmo.generation.beam import Best
from hanmo.generation.beam_layout import Room, Rows, Source
from hanmo.generation.beam_packing import packed_decoder, up_to_panels
from hanmo.nn.evaluating import evaluating

__all__ = ["FAST_FROM", "FastSteps"]

FAST_FROM = 8
"""Fewest sources that are worth loading the compiled kernels (a second or so)."""
_ROWS_AT_ONCE = 160
"""Rows that a thread takes through all layers together: enough to read each weight seldom, few enough to stay in its cache."""
_FIRST_POSITIONS = 48
"""Positions of all beams that there is room for at first: addresses, memory only once they are written. Twice as many each time that
there is none left."""


class FastSteps:
    """What `hanmo.generation.beam` asks of a model, for one that `beam_refusal` has nothing against."""

    device = torch.device("cpu")

    def __init__(
        self,
        model: Any,
        input_ids: Tensor,
        attention_mask: Tensor | None,
        *,
        num_beams: int,
        n_best: int,
        limit: int,
        banned_ids: Collection[int] = (),
    ):
        """Args:
        model: an encoder-decoder.
        input_ids: sources, (B, S) int64.
        attention_mask: (B, S), 1 for real tokens.
        num_beams: of each source.
        n_best: next tokens of a row that are wanted.
        limit: most tokens of a text.
        banned_ids: tokens that are never chosen, nor part of the probabilities.
        """
        from hanmo.generation.beam_kernels import is_compiled, step
        from hanmo.generation.beam_lanes import TILE

        if not is_compiled():
            say("Compiling the kernels of beam search: some 20 seconds, once on this machine ...")
        self._step = step
        self._plan, self._weights = packed_decoder(model)
        self._start = model.config.start_id
        self._source, self._n_sources = _read(model, input_ids, attention_mask, banned_ids), len(input_ids)
        self._n_best = min(n_best, len(model.head_weight))
        n_layers, _, _, d_model = self._weights.norms.shape
        self._held = np.empty((len(input_ids) * num_beams * _FIRST_POSITIONS, n_layers, 2 * d_model), np.float32)
        self._n_held = 0
        self._n_threads = torch.get_num_threads()
        self._pool = ThreadPoolExecutor(self._n_threads - 1) if self._n_threads > 1 else None
        width, wide = up_to_panels(d_model), max(self._weights.qkv_bias.shape[1], self._weights.up_bias.shape[1])
        longest = max(limit + 1, int(np.diff(self._source.starts).max()))

        def room(*shape: int, dtype: Any = np.float32) -> np.ndarray:
            return np.zeros((self._n_threads, *shape), dtype)

        rows = _ROWS_AT_ONCE
        self._room = Room(
            x=room(rows, width), mixed=room(rows, width), wide=room(rows, wide), tile=room(rows, TILE),
            scores=room(up_to_panels(longest)), places=room(longest, dtype=np.int64),
            tops=room(rows), sums=room(rows), found=room(2), flags=room(1 + TILE, dtype=np.int64),
        )  # fmt: skip

    def first(self) -> Best:
        """The best first tokens of each source, (B, C)."""
        n = self._n_sources
        self._sources, self._ancestors = np.arange(n), np.empty((n, 0), np.int64)
        return self._run(np.full(n, self._start))

    def next(self, rows: Tensor, tokens: Tensor) -> Best:
        """Row i goes on from what was row `rows[i]` with `tokens[i]`; its best next tokens, (N, C)."""
        chosen = rows.numpy()
        last = self._n_held - len(self._ancestors) + np.arange(len(self._ancestors))
        self._ancestors = np.concatenate((self._ancestors, last[:, None]), axis=1)[chosen]
        self._sources = self._sources[chosen]
        return self._run(tokens.numpy())

    def _run(self, tokens: np.ndarray) -> Best:
        n = len(tokens)
        if self._n_held + n > len(self._held):
            self._held = np.concatenate((self._held, np.empty_like(self._held)))
        rows = Rows(
            tokens=np.ascontiguousarray(tokens), sources=self._sources, ancestors=self._ancestors, held=self._held,
            first_slot=self._n_held, values=np.empty((n, self._n_best), np.float32),
            ids=np.empty((n, self._n_best), np.int64), totals=np.empty(n, np.float32), begun=np.zeros(1, np.int64),
        )  # fmt: skip
        arguments = (self._plan, self._weights, self._source, rows, self._room)
        ranks = range(1, self._n_threads)
        others = (
            [self._pool.submit(self._step, *arguments, rank, self._n_threads) for rank in ranks] if self._pool else []
        )
        self._step(*arguments, 0, self._n_threads)
        for other in others:
            other.result()
        self._n_held += n
        return Best(torch.from_numpy(rows.values - rows.totals[:, None]), torch.from_numpy(rows.ids))


def _read(model: Any, input_ids: Tensor, attention_mask: Tensor | None, banned_ids: Collection[int]) -> Source:
    """Encode the sources, and make keys and values of their real positions for each layer of the decoder."""
    with evaluating(model), torch.inference_mode():
        encoded = model.encoder(input_ids, attention_mask).last_hidden_state
        real = torch.ones_like(input_ids, dtype=torch.bool) if attention_mask is None else attention_mask.bool()
        vectors = encoded[real]  # (P, D)
        rows = torch.cat([layer.cross_attention.inner.kv(vectors) for layer in model.decoder.layers])  # (L P, 2 D)
        lengths = real.sum(1)
    bias = np.full(up_to_panels(len(model.head_weight)), -np.inf, np.float32)
    bias[: len(model.head_weight)] = 0.0 if model.logits_bias is None else model.logits_bias.detach().numpy()
    bias[sorted(banned_ids)] = -np.inf
    starts = np.concatenate(([0], lengths.cumsum(0).numpy()))
    return Source(np.ascontiguousarray(rows.numpy()), starts, bias)
