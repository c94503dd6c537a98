"""Compiled listing of the n-grams of an automaton, and their lines in an ARPA file."""

from __future__ import annotations

import numpy as np

from hanmo.core.compiled import compiled
from hanmo.ngrams.automaton_kernels import FREE, entry_log

__all__ = ["LONGEST_NUMBER", "list_grams", "name_parents", "write_lines"]

LONGEST_NUMBER = 16
"""Bytes of a number, at most."""

_BLOCK = 64
_STATE = np.uint64(32)
_WORD = np.uint64(8)
_WORD_MASK = np.uint64(0xFFFFFF)
_LOW = np.uint64(0xFFFFFFFF)


@compiled()
def name_parents(
    table: np.ndarray, word_states: np.ndarray, order_ends: np.ndarray, parents: np.ndarray, words: np.ndarray
) -> bool:
    """How each state is spelled: the state of its context, (S,) uint32, and its last word, (S,) int32.

    Returns:
        False if a number leads out of the arrays: the model is damaged.
    """
    for word in range(len(word_states)):
        state = word_states[word]
        if state > 0:
            parents[state], words[state] = 0, word
    for place in range(len(table)):
        entry = table[place, 0]
        if entry == FREE:
            continue
        context, following = np.int64(entry >> _STATE), np.int64(table[place, 1] & _LOW)
        word = np.int64((entry >> _WORD) & _WORD_MASK)
        if max(context, following) >= len(parents) or word >= len(word_states):
            return False
        if _length(following, order_ends) == _length(context, order_ends) + 1:
            parents[following], words[following] = context, word
    return True


@compiled()
def _length(state: int, order_ends: np.ndarray) -> int:
    """Words of a state."""
    n = 0
    while state >= order_ends[n]:
        n += 1
    return n


@compiled()
def list_grams(table: np.ndarray, low: int, high: int, places: np.ndarray) -> int:
    """Places of the n-grams whose context is a state from `low` to below `high`; returns how many there are."""
    n = 0
    for place in range(len(table)):
        entry = table[place, 0]
        if entry != FREE and low <= np.int64(entry >> _STATE) < high:
            places[n] = place
            n += 1
    return n


@compiled()
def _write_number(value: float, out: np.ndarray, at: int) -> int:
    """A number of less than 1000 in 9 decimals or fewer; the position behind it."""
    units = np.int64(np.rint(abs(value) * 1e9))
    if value < 0 and units > 0:
        out[at] = 45  # -
        at += 1
    whole, rest = units // 1_000_000_000, units % 1_000_000_000
    for divisor in (100, 10, 1):
        if whole >= divisor or divisor == 1:
            out[at] = 48 + whole // divisor % 10
            at += 1
    if rest == 0:
        return at
    out[at] = 46  # .
    last = at
    for k in range(9, 0, -1):  # from the last digit: dividing by the constant 10 is a multiplication
        digit = rest % 10
        rest //= 10
        out[at + k] = 48 + digit
        if digit > 0 and last == at:
            last = at + k
    return last + 1


@compiled()
def write_lines(
    places: np.ndarray,
    first: int,
    n_words: int,
    table: np.ndarray,
    state_backoffs: np.ndarray,
    order_ends: np.ndarray,
    parents: np.ndarray,
    words: np.ndarray,
    starts: np.ndarray,
    letters: np.ndarray,
    out: np.ndarray,
    done: np.ndarray,
) -> None:
    """Write the lines of n-grams of one order (from 2 on) as long as there is room.

    Args:
        places: of the n-grams in the table, (n,) int64.
        first: n-gram to begin with.
        n_words: their order.
        state_backoffs: of the automaton, as `table` and `order_ends`.
        parents: as `name_parents` gives them, as `words`.
        starts: of the lexicon, as `letters`.
        out: receives the bytes.
        done: (2,) int64, receives the n-gram to go on with and how many bytes there are.
    """
    # the words of some n-grams are found together, one of each after the other: memory answers them side by side
    spelled, contexts = np.empty((_BLOCK, n_words), np.int64), np.empty(_BLOCK, np.int64)
    backoffs = np.empty(_BLOCK)
    at, i, full = 0, first, False
    while i < len(places) and not full:
        high = min(i + _BLOCK, len(places))
        for b in range(high - i):
            entry, following = table[places[i + b], 0], np.int64(table[places[i + b], 1] & _LOW)
            contexts[b] = np.int64(entry >> _STATE)
            spelled[b, n_words - 1] = np.int64((entry >> _WORD) & _WORD_MASK)
            backoffs[b] = state_backoffs[following, 0] if _length(following, order_ends) == n_words else np.nan
        for k in range(n_words - 2, -1, -1):
            for b in range(high - i):
                spelled[b, k] = words[contexts[b]]
                contexts[b] = parents[contexts[b]]
        for b in range(high - i):
            size = 2 * LONGEST_NUMBER + 2
            for k in range(n_words):
                size += starts[spelled[b, k] + 1] - starts[spelled[b, k]] + 1
            if at + size > len(out):
                full = True
                break
            at = _write_number(entry_log(table, places[i]), out, at)
            for k in range(n_words):
                out[at] = 32 if k else 9
                at += 1
                for j in range(starts[spelled[b, k]], starts[spelled[b, k] + 1]):
                    out[at] = letters[j]
                    at += 1
            if not np.isnan(backoffs[b]):
                out[at] = 9
                at = _write_number(backoffs[b], out, at + 1)
            out[at] = 10
            at += 1
            i += 1
    done[0], done[1] = i, at
