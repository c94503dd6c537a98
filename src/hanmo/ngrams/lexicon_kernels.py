"""Compiled look-up of words in bytes (layout: `lexicon`)."""

from __future__ import annotations

import numpy as np

from hanmo.core.compiled import compiled
from hanmo.ngrams.marks import N_MARKS, UNKNOWN
from hanmo.ngrams.prefetch import prefetch

__all__ = ["FREE", "enter_words", "find_word", "number_words"]

FREE = np.uint64(0xFFFFFFFFFFFFFFFF)

_BASIS = np.uint64(0xCBF29CE484222325)
_PRIME = np.uint64(0x100000001B3)
_HALF = np.uint64(32)
_LOW = np.uint64(0xFFFFFFFF)

_STEP = 8
"""Words between two questions to memory about the same word: its slot, its letters, and then the comparison."""
_RING = 32
"""Words that are on their way; a power of 2 above 3 steps."""


@compiled()
def _finish(hash_: np.uint64) -> np.uint64:
    # the low bits of an FNV hash depend on the low bits of the letters only
    return hash_ ^ (hash_ >> np.uint64(29))


@compiled()
def _find(hash_, data, low, high, slots, starts, letters):
    """Number of the word data[low:high], or -1 - the free slot where it belongs."""
    mask = np.uint64(len(slots) - 1)
    slot = hash_ & mask
    upper = hash_ >> _HALF
    for _ in range(len(slots)):  # a damaged file may have no free slot, and any number in one
        entry = slots[slot]
        if entry == FREE:
            return -1 - np.int64(slot)
        word = np.int64(entry & _LOW)
        if entry >> _HALF == upper and word < len(starts) - 1:
            begin = starts[word]
            if starts[word + 1] - begin == high - low:
                j = 0
                while j < high - low and letters[begin + j] == data[low + j]:
                    j += 1
                if j == high - low:
                    return word
        slot = (slot + np.uint64(1)) & mask
    return np.int64(-1)


@compiled()
def find_word(data, low, high, slots, starts, letters) -> int:
    """Number of the word data[low:high]; below 0 if it is not there (FNV-1a hash: Fowler, Noll and Vo, 1991)."""
    hash_ = _BASIS
    for i in range(low, high):
        hash_ = (hash_ ^ np.uint64(data[i])) * _PRIME
    return _find(_finish(hash_), data, low, high, slots, starts, letters)


@compiled()
def enter_words(slots: np.ndarray, starts: np.ndarray, letters: np.ndarray) -> int:
    """Enter all words into free slots; returns the first that is there a second time, or -1."""
    for word in range(len(starts) - 1):
        low, high = starts[word], starts[word + 1]
        hash_ = _BASIS
        for i in range(low, high):
            hash_ = (hash_ ^ np.uint64(letters[i])) * _PRIME
        hash_ = _finish(hash_)
        found = _find(hash_, letters, low, high, slots, starts, letters)
        if found >= 0:
            return word
        slots[-1 - found] = (hash_ >> _HALF << _HALF) | np.uint64(word)
    return -1


@compiled()
def _number(hash_, data, low, high, slots, starts, letters):
    word = _find(hash_, data, low, high, slots, starts, letters)
    return word if word >= N_MARKS else UNKNOWN  # no text can write a mark


@compiled()
def number_words(data, kinds, slots, starts, letters, ids, ends) -> int:
    """Numbers of the words of a text.

    Args:
        data: (N,) uint8; the last byte ends a sentence.
        kinds: (256,) uint8; 0 a byte of a word, 1 one between words, 2 one that ends a sentence.
        ids: receives the numbers, 0 for words that are not there, (N / 2 + 1,) int32.
        ends: receives the position behind the last word of each sentence, one for each end, int64.

    Returns:
        How many words there are.
    """
    hashes = np.empty(_RING, np.uint64)
    lows = np.empty(_RING, np.int64)
    highs = np.empty(_RING, np.int64)
    mask = np.uint64(len(slots) - 1)
    ring = _RING - 1
    n_ids = n_ends = 0
    i, n = 0, len(data)
    while i < n:
        kind = kinds[data[i]]
        if kind != 0:
            if kind == 2:
                ends[n_ends] = n_ids
                n_ends += 1
            i += 1
            continue
        low = i
        hash_ = _BASIS
        while kind == 0:
            hash_ = (hash_ ^ np.uint64(data[i])) * _PRIME
            i += 1
            kind = kinds[data[i]]
        hash_ = _finish(hash_)
        place = n_ids & ring
        hashes[place], lows[place], highs[place] = hash_, low, i
        prefetch(slots, np.int64(hash_ & mask))
        n_ids += 1
        if n_ids > _STEP:
            word = np.int64(slots[hashes[(n_ids - 1 - _STEP) & ring] & mask] & _LOW)
            if word < len(starts) - 1:
                prefetch(starts, word)
        if n_ids > 2 * _STEP:
            word = np.int64(slots[hashes[(n_ids - 1 - 2 * _STEP) & ring] & mask] & _LOW)
            if word < len(starts) - 1 and 0 <= starts[word] < len(letters):
                prefetch(letters, starts[word])
        if n_ids > 3 * _STEP:
            k = n_ids - 1 - 3 * _STEP
            place = k & ring
            ids[k] = _number(hashes[place], data, lows[place], highs[place], slots, starts, letters)
    for k in range(max(0, n_ids - 3 * _STEP), n_ids):
        place = k & ring
        ids[k] = _number(hashes[place], data, lows[place], highs[place], slots, starts, letters)
    return n_ids
