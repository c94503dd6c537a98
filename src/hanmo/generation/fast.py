"""One sequence decoded by the compiled kernels, with tokens guessed ahead and checked."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hanmo.core.errors import ModelError
from hanmo.core.progress import say
from hanmo.generation.layout import BYTES_PER_STEP, CHUNK, LINE, Plan, Room, Weights
from hanmo.generation.packing import packed_weights

__all__ = ["MAX_ROWS", "FastRow"]

MAX_ROWS = 4
"""Rows are computed one after the other; with more, matrices over all rows at once are faster."""
_N_DRAFT = 7
"""Tokens guessed ahead: with the one after them they fill eight lanes."""
_N_GRAM = 3


class FastRow:
    """One sequence on its way: give it the prompt, then ask for tokens (greedy) or for logits."""

    def __init__(
        self, model: Any, prompt: Sequence[int], max_len: int, *, n_draft: int = _N_DRAFT, n_threads: int | None = None
    ):
        """Args:
        model: one that `supports` says yes to.
        prompt: at least one token id.
        max_len: most tokens of prompt and continuation.
        n_draft: tokens guessed ahead by the draft weights; 0 computes each token by the exact weights alone.
        n_threads: threads that share each token; as many as torch uses if None.
        """
        from hanmo.generation.kernels import advance, is_compiled

        vocab_size = len(model.head_weight)
        if not all(0 <= token < vocab_size for token in prompt):
            bad = next(token for token in prompt if not 0 <= token < vocab_size)
            raise ModelError(
                f"token id {bad} is outside the vocabulary of {vocab_size}",
                remedy="Encode the text with the tokenizer that belongs to this model.",
            )
        if not is_compiled():
            say("Compiling the decoding kernels: some 10 seconds, once on this machine ...")
        self._advance = advance
        packed = packed_weights(model)
        self._weights = (packed.plan, packed.exact, packed.draft)
        self._n_threads = min(torch.get_num_threads(), 16) if n_threads is None else n_threads
        self._room = _room(packed.plan, packed.exact, max_len, self._n_threads)
        self._room.tokens[: len(prompt)] = prompt
        self._known, self._given, self._held = len(prompt), len(prompt), 0
        self._max_len, self._n_draft = max_len, n_draft
        self._n_copy, self._pause = _N_DRAFT, 0
        self._pool = ThreadPoolExecutor(self._n_threads - 1) if self._n_threads > 1 else None

    def next_greedy(self) -> int:
        """The next token that the exact weights find most probable."""
        if self._given == self._known:
            room_left = self._max_len - self._known - 1
            n_draft = min(self._n_draft, room_left) if self._held == self._known - 1 else 0
            n_copied = self._copy_guesses(room_left) if n_draft > 0 else 0
            count = self._run(self._held, self._known, -n_copied if n_copied else max(n_draft, 0))
            if n_copied:
                # A copy that was right is trusted further next time; one that was not is left out for a while.
                self._n_copy = CHUNK - 1 if count == n_copied + 1 else _N_DRAFT
                self._pause = 0 if count > 2 else 3
            self._held, self._known = self._known + count - 1, self._known + count
        token = int(self._room.tokens[self._given])
        self._given += 1
        return token

    def _copy_guesses(self, room_left: int) -> int:
        """Guess that the text goes on as it did after the same few tokens before; returns how many are guessed.

        Prompt lookup (Saxena, 2023): costs nothing, and code and lists repeat themselves.
        """
        self._pause -= 1
        known, tokens = self._known, self._room.tokens
        if self._pause >= 0 or known <= _N_GRAM:
            return 0
        same = np.ones(known - _N_GRAM, bool)
        for i in range(_N_GRAM):
            same &= tokens[i : known - _N_GRAM + i] == tokens[known - _N_GRAM + i]
        places = np.flatnonzero(same)
        if not len(places):
            return 0
        source, count = int(places[-1]) + _N_GRAM, min(self._n_copy, room_left)
        for i in range(count):  # one by one: a text that repeats itself is copied from its own copy
            tokens[known + i] = tokens[source + i]
        return count

    def next_logits(self, tokens: Sequence[int]) -> Tensor:
        """Logits after `tokens`: the prompt and everything chosen since; (V,) float32."""
        self._room.tokens[self._held : len(tokens)] = tokens[self._held :]
        count = (len(tokens) - 1 - self._held) % CHUNK + 1
        self._run(self._held, len(tokens), 0)
        self._held = self._known = self._given = len(tokens)
        lanes = 8 if count <= 8 else CHUNK
        vocab_size = self._weights[1].head.shape[1]
        return torch.from_numpy(self._room.logits[: vocab_size * lanes].reshape(vocab_size, lanes)[:, count - 1].copy())

    def _run(self, start: int, end: int, n_draft: int) -> int:
        arguments = (*self._weights, self._room, start, end, n_draft)
        others: list[Future[int]] = []
        done = False
        try:
            if self._pool is not None:
                others = [
                    self._pool.submit(self._advance, *arguments, rank, self._n_threads)
                    for rank in range(1, self._n_threads)
                ]
            count = self._advance(*arguments, 0, self._n_threads)
            for other in others:
                other.result()
            done = True
        finally:
            if not done:  # interrupted: the other threads must not wait for this one for ever
                self._room.sync[2 * LINE] = 1
        last = (end + abs(n_draft) - start - 1) % CHUNK
        if not np.isfinite(self._room.best_value[:, last - abs(n_draft) : last + 1].max(axis=0)).all():
            raise ModelError(
                "the model's output is not a number (NaN or infinite logits)",
                remedy="The weights are damaged or training diverged; load an earlier checkpoint.",
            )
        return count


def _room(plan: Plan, w: Weights, max_len: int, n_threads: int) -> Room:
    n_layers, d_model = w.qkv.shape[0], w.norms.shape[2]
    width = w.out.shape[2] // 4
    d_head, d_ff = width // plan.n_heads, w.down.shape[2] // 4
    widest = -(-max(d_model, width, d_ff) // BYTES_PER_STEP) * BYTES_PER_STEP

    def zeros(*shape: int, dtype: Any = np.float32) -> np.ndarray:
        return np.zeros(shape, dtype)

    return Room(
        tokens=zeros(max_len + CHUNK, dtype=np.int64),
        keys=zeros(n_layers, plan.n_kv_heads, d_head, max_len + CHUNK),
        values=zeros(n_layers, plan.n_kv_heads, max_len + CHUNK, d_head),
        x=zeros(d_model * CHUNK),
        h=zeros(n_threads, d_model * CHUNK),
        qkv=zeros(w.qkv.shape[1] * CHUNK),
        mixed=zeros(width * CHUNK),
        hidden=zeros(w.up.shape[1] * CHUNK),
        logits=zeros(w.head.shape[1] * CHUNK),
        scores=zeros(n_threads, max_len + CHUNK),
        vectors=zeros(n_threads, 2, d_head),
        coarse=zeros(n_threads, widest, dtype=np.int8),
        fine=zeros(n_threads, widest, dtype=np.int8),
        factors=zeros(n_threads, 3),
        best_value=zeros(n_threads, CHUNK),
        best_id=zeros(n_threads, CHUNK, dtype=np.int64),
        sync=zeros(3 * LINE, dtype=np.int64),
    )
