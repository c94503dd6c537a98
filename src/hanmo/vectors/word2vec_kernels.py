"""The training loop of word2vec over a stretch of text, compiled; one thread a stretch, all on the same matrices.

Words close together are trained as a small matrix product: all inputs of a position (for skip-gram the words around
it) against the same outputs (the word itself and the negative words that were drawn once for the position), as in Ji,
Satish, Li and Dubey (2016), "Parallelizing Word2Vec in Shared and Distributed Memory", §III. Each pair still meets
`negative` negative words, but rows are read and written once for all pairs. Threads update the matrices without locks
(Niu et al., 2011, "Hogwild!"): two rarely touch the same row at a time.

Measured (2 M words of English, dim 100, window 5, 5 negative words, cores of 2.5 GHz with AVX-512; words a second of
processor time): skip-gram 1.4 M, CBOW 1.7 M; gensim 4.4, pair by pair with BLAS, 0.19 M and 0.59 M. Asking for rows
`_AHEAD` positions early gains 5 %. `benchmarks/vectors.py` measures it again, with the quality of the vectors.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hanmo.core.compiled import compiled
from hanmo.vectors.lanes import GROUP, gather_mean, measure, prefetch_row, scatter_change, update

__all__ = ["MAX_SENTENCE", "train_stretch"]

MAX_SENTENCE = 1000
"""Words of a sentence, after sub-sampling, that are trained in one go; a longer one is cut (word2vec.c does so too)."""

_AHEAD = 2
"""Positions that rows are asked for before they are used."""


@compiled(inner=True)
def _next(state: Any) -> Any:
    """Linear congruential generator (Knuth, MMIX); the high bits are the random ones."""
    return state * np.uint64(6364136223846793005) + np.uint64(1442695040888963407)


@compiled(inner=True)
def _seed(seed: int, stretch: int) -> Any:
    """A state for each stretch of text (the finalizer of splitmix64: Steele et al., 2014)."""
    z = np.uint64(seed) + np.uint64(stretch + 1) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@compiled(inner=True)
def _draw_negative(state: Any, own: np.ndarray, other: np.ndarray) -> Any:
    """A word by the alias table: 40 random bits times V give the slot, and below the point the coin."""
    product = (state >> np.uint64(24)) * np.uint64(len(own))
    slot = np.int64(product >> np.uint64(40))
    coin = np.uint32((product >> np.uint64(8)) & np.uint64(0xFFFFFFFF))
    return np.int32(slot) if coin <= own[slot] else other[slot]


@compiled(inner=True)
def _train_position(
    x: np.ndarray, inputs: np.ndarray, n_inputs: int, y: np.ndarray, outputs: np.ndarray, n_outputs: int,
    labels: np.ndarray, rates: np.ndarray, errors: np.ndarray,
) -> None:  # fmt: skip
    """All inputs against all outputs; the errors are all taken before anything is changed."""
    for k in range(0, n_outputs, GROUP):
        n = min(GROUP, n_outputs - k)
        measure(x, inputs, n_inputs, y, outputs, k, n, labels, rates, errors)
    for k in range(0, n_outputs, GROUP):
        n = min(GROUP, n_outputs - k)
        update(x, inputs, n_inputs, y, outputs, k, n, errors)


@compiled()
def train_stretch(
    ids: np.ndarray, ends: np.ndarray, sentence: int, low: int, high: int,
    x: np.ndarray, y: np.ndarray, keep: np.ndarray, own: np.ndarray, other: np.ndarray,
    starts: np.ndarray, nodes: np.ndarray, turns: np.ndarray, piece_starts: np.ndarray, pieces: np.ndarray,
    window: int, negative: int, is_cbow: bool, first_lr: float, last_lr: float,
    seed: int, stretch: int,
) -> int:  # fmt: skip
    """Train on ids[low:high].

    Args:
        ids: the text, (N,) int32; -1, a word outside the vocabulary, is passed over.
        ends: sentence ends in it, (S,) int64.
        sentence: the first of them behind `low`.
        low: where to begin.
        high: where to stop.
        x: input vectors, (V + pieces, dim) float32, dim a multiple of LANES.
        y: output vectors of the words, or of the nodes of the tree, (W, dim) float32.
        keep: chance that a word is kept, in 2**32ths, (V,) uint32.
        own: alias table of the negative words, in 2**32ths, (V,) uint32.
        other: (V,) int32.
        starts: codes of hierarchical softmax as of `huffman_codes`; of length 0 for negative sampling.
        nodes: (C,) int32.
        turns: (C,) float32.
        piece_starts: rows of x that make up each word with its sub-words, (V + 1,) int64; of length 0 without.
        pieces: (P,) int32.
        window: words on each side, at most; how many is drawn from 1 to it at each position.
        negative: negative words a position.
        is_cbow: the mean of the words around against the word, rather than each against it.
        first_lr: at `low`.
        last_lr: at `high`.
        seed: of the training.
        stretch: number of this stretch, for its own random numbers.

    Returns:
        Pairs of inputs and positive outputs.
    """
    state = _seed(seed, stretch)
    words = np.empty(MAX_SENTENCE, np.int32)
    drawn = np.empty((MAX_SENTENCE + _AHEAD) * negative, np.int32)
    by_code, by_pieces = len(starts) > 0, len(piece_starts) > 0
    as_mean = is_cbow or by_pieces
    longest_code, most_pieces = 0, 1
    for w in range(len(starts) - 1):
        longest_code = max(longest_code, starts[w + 1] - starts[w])
    for w in range(len(piece_starts) - 1):
        most_pieces = max(most_pieces, piece_starts[w + 1] - piece_starts[w])
    most_outputs = (longest_code if by_code else 1) * (2 * window if as_mean and not is_cbow else 1) + negative
    n_groups = (most_outputs + GROUP - 1) // GROUP
    inputs = np.empty(2 * window * most_pieces, np.int32)
    outputs = np.zeros(n_groups * GROUP, np.int32)
    labels = np.zeros(n_groups * GROUP, np.float32)
    rates = np.zeros(n_groups * GROUP, np.float32)
    errors = np.zeros((n_groups, 2 * window, GROUP), np.float32)
    mean = np.zeros((2, x.shape[1]), np.float32)
    only = np.zeros(1, np.int32)
    one, zero = np.float32(1.0), np.float32(0.0)
    n_pairs = 0
    i = low
    while i < high:
        while sentence < len(ends) and ends[sentence] <= i:
            sentence += 1
        stop = min(high, ends[sentence]) if sentence < len(ends) else high
        n = 0
        while i < stop and n < MAX_SENTENCE:
            word = ids[i]
            i += 1
            if word < 0:
                continue
            state = _next(state)
            if np.uint32(state >> np.uint64(32)) <= keep[word]:
                words[n] = word
                n += 1
        if n < 2:
            continue
        for j in range(n * negative):
            state = _next(state)
            drawn[j] = _draw_negative(state, own, other)
        lr = np.float32(first_lr + (last_lr - first_lr) * (i - low) / (high - low))
        for t in range(n):
            if t + _AHEAD < n and not by_code:
                prefetch_row(y, np.int64(words[t + _AHEAD]))
                for j in range((t + _AHEAD) * negative, (t + _AHEAD + 1) * negative):
                    prefetch_row(y, np.int64(drawn[j]))
            state = _next(state)
            reach = window - np.int64(((state >> np.uint64(32)) * np.uint64(window)) >> np.uint64(32))
            begin, behind = max(0, t - reach), min(n, t + reach + 1)
            n_around = behind - begin - 1
            # inputs
            n_inputs = 0
            if by_pieces:
                for c in range(begin, behind) if is_cbow else range(t, t + 1):
                    if c != t or not is_cbow:
                        for p in range(piece_starts[words[c]], piece_starts[words[c] + 1]):
                            inputs[n_inputs] = pieces[p]
                            n_inputs += 1
            else:
                for c in range(begin, behind):
                    if c != t:
                        inputs[n_inputs] = words[c]
                        n_inputs += 1
            # outputs: of the word itself, or for the mean of its sub-words those of the words around
            n_outputs = 0
            turned = as_mean and not is_cbow
            for c in range(begin, behind) if turned else range(t, t + 1):
                if turned and c == t:
                    continue
                if by_code:
                    for p in range(starts[words[c]], starts[words[c] + 1]):
                        outputs[n_outputs], labels[n_outputs], rates[n_outputs] = nodes[p], one - turns[p], lr
                        n_outputs += 1
                else:
                    outputs[n_outputs], labels[n_outputs], rates[n_outputs] = words[c], one, lr
                    n_outputs += 1
            n_positive = n_outputs
            for j in range(t * negative, (t + 1) * negative):
                # one draw stands for one of each pair
                times = np.float32(n_positive) if turned else one
                for k in range(n_positive):
                    if outputs[k] == drawn[j]:
                        times -= one  # a word is no negative of itself
                outputs[n_outputs], labels[n_outputs], rates[n_outputs] = drawn[j], zero, max(times, zero) * lr
                n_outputs += 1
            n_pairs += n_around
            if as_mean:
                gather_mean(x, inputs, n_inputs, mean)
                _train_position(mean, only, 1, y, outputs, n_outputs, labels, rates, errors)
                scatter_change(x, inputs, n_inputs, mean)
            else:
                _train_position(x, inputs, n_inputs, y, outputs, n_outputs, labels, rates, errors)
    return int(n_pairs)
