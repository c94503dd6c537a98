"""Compiled counting of words in bytes: a hash table with open addresses over slices of one long array.

A table is eight arrays, in this order wherever they are handed over:
    slots: (M,) int32, number of the word that hashes here, -1 where free; M is a power of two.
    hashes: (C,) uint64, of each word.
    starts: (C + 1,) int64; word i is `letters[starts[i]:starts[i + 1]]`.
    counts: (C,) int64.
    first: (C,) int64, where the word was met first.
    letters: (A,) uint8, the bytes of all words.
    used: (1,) int64, number of words.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hanmo.core.compiled import compiled

__all__ = ["DONE", "GROW", "INVALID", "MAX_WORD_BYTES", "TOO_LONG", "add_words", "count_words", "rehash", "renumber"]

DONE, GROW, INVALID, TOO_LONG = 0, 1, 2, 3
"""What `count_words` came back with."""

MAX_WORD_BYTES = 65_536

_BASIS = np.uint64(0xCBF29CE484222325)
_PRIME = np.uint64(0x100000001B3)


@compiled(inner=True)
def _is_utf8(data: np.ndarray, low: int, high: int) -> bool:
    """Whether data[low:high] is UTF-8 (Unicode 15, table 3-7: no surrogates, nothing written longer than needed)."""
    i = low
    while i < high:
        lead = data[i]
        i += 1
        if lead < 0x80:
            continue
        least, most = 0x80, 0xBF
        if 0xC2 <= lead <= 0xDF:
            n = 1
        elif 0xE0 <= lead <= 0xEF:
            n = 2
            if lead == 0xE0:
                least = 0xA0
            elif lead == 0xED:
                most = 0x9F
        elif 0xF0 <= lead <= 0xF4:
            n = 3
            if lead == 0xF0:
                least = 0x90
            elif lead == 0xF4:
                most = 0x8F
        else:
            return False
        if i + n > high or data[i] < least or data[i] > most:
            return False
        for j in range(i + 1, i + n):
            if data[j] < 0x80 or data[j] > 0xBF:
                return False
        i += n
    return True


@compiled(inner=True)
def _slot_of(
    hash_: Any,
    data: np.ndarray,
    low: int,
    high: int,
    slots: np.ndarray,
    hashes: np.ndarray,
    starts: np.ndarray,
    letters: np.ndarray,
) -> Any:
    """The slot that holds the word data[low:high], or the free one where it belongs."""
    mask = np.uint64(len(slots) - 1)
    # the low bits of an FNV hash depend on the low bits of the letters only: mix the high ones in
    slot = (hash_ ^ (hash_ >> np.uint64(29))) & mask
    while True:
        word = slots[slot]
        if word < 0:
            return slot
        if hashes[word] == hash_:
            begin = starts[word]
            if starts[word + 1] - begin == high - low:
                same = True
                for j in range(high - low):
                    if letters[begin + j] != data[low + j]:
                        same = False
                        break
                if same:
                    return slot
        slot = (slot + np.uint64(1)) & mask


@compiled(inner=True)
def _insert(
    slot: Any,
    hash_: Any,
    data: np.ndarray,
    low: int,
    high: int,
    slots: np.ndarray,
    hashes: np.ndarray,
    starts: np.ndarray,
    letters: np.ndarray,
    used: np.ndarray,
) -> Any:
    """Take up the word data[low:high]; its number."""
    word = used[0]
    used[0] = word + 1
    slots[slot] = word
    hashes[word] = hash_
    begin = starts[word]
    for j in range(high - low):
        letters[begin + j] = data[low + j]
    starts[word + 1] = begin + high - low
    return word


@compiled(inner=True)
def _is_full(
    n_bytes: int, slots: np.ndarray, hashes: np.ndarray, starts: np.ndarray, letters: np.ndarray, used: np.ndarray
) -> bool:
    n = used[0]
    return bool(n >= len(hashes) or 2 * n >= len(slots) or starts[n] + n_bytes > len(letters))


@compiled()
def count_words(
    data: np.ndarray,
    kinds: np.ndarray,
    base: int,
    slots: np.ndarray,
    hashes: np.ndarray,
    starts: np.ndarray,
    counts: np.ndarray,
    first: np.ndarray,
    letters: np.ndarray,
    used: np.ndarray,
    ids: np.ndarray,
    ends: np.ndarray,
    done: np.ndarray,
) -> int:
    """Number the words of `data`, whose last byte is not inside a word (FNV-1a hash: Fowler, Noll and Vo, 1991).

    Args:
        data: (N,) uint8.
        kinds: (256,) uint8; 0 a byte of a word, 1 one between words, 2 one that ends a sentence.
        base: position of `data` in all that is read, for `first`.
        slots: the table begins.
        ids: receives the numbers of the words, (N / 2,) or longer.
        ends: receives, for each sentence that ends here, the number of words so far, (N,) or longer.
        done: (3,) int64: bytes, words and sentences that are done; the next call goes on from there.

    Returns:
        DONE, or GROW where a larger table is needed, or INVALID or TOO_LONG for the word that begins at done[0].
    """
    i, n_ids, n_ends = done[0], done[1], done[2]
    n = len(data)
    status = DONE
    while i < n:
        byte = data[i]
        kind = kinds[byte]
        if kind != 0:
            if kind == 2:
                ends[n_ends] = n_ids
                n_ends += 1
            i += 1
            continue
        low = i
        hash_ = _BASIS
        beyond_ascii = np.uint8(0)
        while kind == 0:
            hash_ = (hash_ ^ np.uint64(byte)) * _PRIME
            beyond_ascii |= byte
            i += 1
            if i >= n:
                break
            byte = data[i]
            kind = kinds[byte]
        slot = _slot_of(hash_, data, low, i, slots, hashes, starts, letters)
        word = slots[slot]
        if word < 0:
            if i - low > MAX_WORD_BYTES:
                status = TOO_LONG
            elif beyond_ascii >= 0x80 and not _is_utf8(data, low, i):
                status = INVALID
            elif _is_full(i - low, slots, hashes, starts, letters, used):
                status = GROW
            if status != DONE:
                i = low
                break
            word = _insert(slot, hash_, data, low, i, slots, hashes, starts, letters, used)
            counts[word] = 0
            first[word] = base + low
        counts[word] += 1
        ids[n_ids] = word
        n_ids += 1
    done[0], done[1], done[2] = i, n_ids, n_ends
    return status


@compiled()
def rehash(slots: np.ndarray, hashes: np.ndarray, used: np.ndarray) -> None:
    """Enter all words into new slots, all of which are free."""
    mask = np.uint64(len(slots) - 1)
    for word in range(used[0]):
        slot = (hashes[word] ^ (hashes[word] >> np.uint64(29))) & mask
        while slots[slot] >= 0:
            slot = (slot + np.uint64(1)) & mask
        slots[slot] = word


@compiled()
def add_words(other_hashes: np.ndarray, other_starts: np.ndarray, other_counts: np.ndarray, other_first: np.ndarray, other_letters: np.ndarray, other_used: np.ndarray, slots: np.ndarray, hashes: np.ndarray, starts: np.ndarray, counts: np.ndarray, first: np.ndarray, letters: np.ndarray, used: np.ndarray, numbers: np.ndarray) -> None:  # fmt: skip
    """Add the words of another table to one that has room for them all; `numbers` receives theirs in it."""
    for other in range(other_used[0]):
        low, high = other_starts[other], other_starts[other + 1]
        hash_ = other_hashes[other]
        slot = _slot_of(hash_, other_letters, low, high, slots, hashes, starts, letters)
        word = slots[slot]
        if word < 0:
            word = _insert(slot, hash_, other_letters, low, high, slots, hashes, starts, letters, used)
            counts[word] = 0
            first[word] = other_first[other]
        counts[word] += other_counts[other]
        first[word] = min(first[word], other_first[other])
        numbers[other] = word


@compiled()
def renumber(
    ids: np.ndarray,
    low: int,
    high: int,
    out: int,
    numbers: np.ndarray,
    keep_unknown: bool,
    ends: np.ndarray,
    ends_out: np.ndarray,
) -> int:
    """Give the words ids[low:high] their final numbers, from ids[out] on (out <= low).

    Args:
        ids: (N,) int32, changed in place.
        low: first word of this part.
        high: behind its last word.
        out: where its first word goes.
        numbers: new number of each old one, -1 for a word outside the vocabulary.
        keep_unknown: write -1 rather than leaving the word out.
        ends: (S,) int64, sentence ends counted from `low`.
        ends_out: receives them counted from the start of `ids`.

    Returns:
        Where the next part goes.
    """
    s = 0
    for i in range(low, high):
        while s < len(ends) and ends[s] == i - low:
            ends_out[s] = out
            s += 1
        number = numbers[ids[i]]
        if number >= 0 or keep_unknown:
            ids[out] = number
            out += 1
    while s < len(ends):
        ends_out[s] = out
        s += 1
    return out
