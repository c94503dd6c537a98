"""Compiled counting of n-grams, order after order, by the number of the shorter n-gram that they begin with.

An n-gram is found by two numbers, however long it is: that of its context (the same without the last word) among the
(n-1)-grams, and its last word. Numbers are given as n-grams are met, so the same text gives the same numbers.
"""

from __future__ import annotations

import numpy as np

from hanmo.core.compiled import compiled
from hanmo.ngrams.marks import BEGIN, END

__all__ = ["count_grams", "count_words", "enter_slots", "frame", "mix"]

_AHEAD = 64
"""Positions whose slots are read before the first of them is needed: memory answers them side by side."""

_NONE = -1
_WORD_BITS = np.uint64(32)


@compiled()
def mix(key: np.uint64) -> np.uint64:
    """A one-to-one scrambling of 64 bits (the finalizer of MurmurHash3: Appleby, 2011)."""
    key ^= key >> np.uint64(33)
    key *= np.uint64(0xFF51AFD7ED558CCD)
    key ^= key >> np.uint64(33)
    key *= np.uint64(0xC4CEB9FE1A85EC53)
    return key ^ (key >> np.uint64(33))


@compiled()
def frame(ids: np.ndarray, ends: np.ndarray, numbers: np.ndarray, text: np.ndarray) -> int:
    """Put the marks around every sentence that has words.

    Args:
        ids: words, (N,) any integer type; -1 is a word outside the vocabulary.
        ends: position behind the last word of each sentence, (S,) int64.
        numbers: number in the model of each word, (W,) int32, then that of the word outside.
        text: receives the sentences with their marks, (N + 2 S,) int32.

    Returns:
        How much of `text` is filled; -1 for a word that is not below W.
    """
    out = low = 0
    for s in range(len(ends)):
        if ends[s] > low:
            text[out] = BEGIN
            out += 1
            for i in range(low, ends[s]):
                word = np.int64(ids[i])
                if word >= len(numbers) - 1:
                    return -1
                text[out] = numbers[word]  # -1 is the last one
                out += 1
            text[out] = END
            out += 1
        low = ends[s]
    return out


@compiled()
def count_words(text: np.ndarray, counts: np.ndarray, ends: np.ndarray) -> None:
    """Add up how often each word occurs; the 1-gram that ends at a position is its word.

    Args:
        text: words, (N,) int32.
        counts: (V,) int32.
        ends: receives the number of the 1-gram that ends at each position, (N,) int32.
    """
    for i in range(len(text)):
        counts[text[i]] += 1
        ends[i] = text[i]


@compiled()
def count_grams(
    text: np.ndarray,
    ends: np.ndarray,
    slots: np.ndarray,
    keys: np.ndarray,
    suffixes: np.ndarray,
    counts: np.ndarray,
    state: np.ndarray,
    limit: int,
) -> None:
    """Go from (n-1)-grams to n-grams, over the positions state[0]..limit.

    Args:
        text: words, (N,) int32; each sentence between its marks.
        ends: number of the (n-1)-gram that ends at each position, -1 where the sentence is too short for one;
            receives that of the n-gram, (N,) int32.
        slots: number of the n-gram that hashes here, -1 where free, (M,) int32, M a power of two.
        keys: context and word of each n-gram, (M / 2,) uint64.
        suffixes: number of the n-gram without its first word, (M / 2,) int32.
        counts: (M / 2,) int32.
        state: (3,) int64: the next position; how many n-grams there are; the number that `ends` held before the
            next position. Comes back early with the first below `limit` where `slots` are nearly half full.
        limit: position to stop at.
    """
    mask = np.uint64(len(slots) - 1)
    i, n, before = state[0], state[1], state[2]
    found = np.empty(_AHEAD, np.int64)  # slot of each position, -1 for none
    wanted = np.empty(_AHEAD, np.uint64)
    while i < limit and 2 * (n + _AHEAD) <= len(slots):
        high = min(i + _AHEAD, limit)
        context = before
        touched = np.int32(0)
        for j in range(i, high):
            if context == _NONE or text[j] == BEGIN:
                found[j - i] = _NONE
            else:
                key = (np.uint64(context) << _WORD_BITS) | np.uint64(text[j])
                wanted[j - i] = key
                slot = np.int64(mix(key) & mask)
                found[j - i] = slot
                touched ^= slots[slot]
            context = ends[j]
        state[0] = touched  # is used, so that the reads are not left out
        for j in range(i, high):
            slot = found[j - i]
            number = _NONE
            if slot >= 0:
                key = wanted[j - i]
                number = slots[slot]
                while number >= 0 and keys[number] != key:
                    slot = np.int64(np.uint64(slot + 1) & mask)
                    number = slots[slot]
                if number < 0:
                    number = n
                    n += 1
                    slots[slot] = number
                    keys[number] = key
                    suffixes[number] = ends[j]
                    counts[number] = 0
                counts[number] += 1
            before = ends[j]
            ends[j] = number
        i = high
    state[0], state[1], state[2] = i, n, before


@compiled()
def enter_slots(slots: np.ndarray, keys: np.ndarray, n: int) -> None:
    """Enter the first `n` n-grams into new slots, all of which are free."""
    mask = np.uint64(len(slots) - 1)
    for number in range(n):
        slot = mix(keys[number]) & mask
        while slots[slot] >= 0:
            slot = (slot + np.uint64(1)) & mask
        slots[slot] = number
