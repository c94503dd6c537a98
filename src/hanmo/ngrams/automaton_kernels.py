"""Compiled building of the table of n-grams, and looking one up (layout: `automaton`)."""

from __future__ import annotations

import math

import numpy as np

from hanmo.core.compiled import compiled
from hanmo.ngrams.counting_kernels import mix
from hanmo.ngrams.prefetch import prefetch

__all__ = ["FREE", "LOG_UNIT", "MOST_STATES", "MOST_WORDS", "enter_grams", "entry_log", "find", "home", "name_states"]

MOST_WORDS = 2**24
MOST_STATES = 2**32 - 1
LOG_UNIT = 2.0**-33
"""log10 p is held as a whole multiple of this, above -128: to 1.2e-10 in 40 bits."""

FREE = np.uint64(0xFFFFFFFFFFFFFFFF)

_AHEAD = 32
_KEY = np.uint64(8)  # bits of the first number that are not key
_WORD = np.uint64(24)
_HALF = np.uint64(32)
_LOW = np.uint64(0xFFFFFFFF)
_BYTE = np.uint64(0xFF)
_MOST_LOG = 2.0**40 - 1


@compiled()
def home(hash_, size):
    """Where the search for a scrambled key begins: keys stand in the order of their hashes."""
    return np.int64(((hash_ >> _HALF) * np.uint64(size)) >> _HALF)


@compiled()
def find(table: np.ndarray, size: int, state: int, word: int) -> int:
    """Place of the n-gram (state, word) in the table, -1 if there is none."""
    key = (np.uint64(state) << _WORD) | np.uint64(word)
    hash_ = mix(key)
    place = home(hash_, size)
    while place < len(table):
        entry = table[place, 0]
        found = entry >> _KEY
        if found == key:
            return place
        if entry == FREE or mix(found) > hash_:
            return -1
        place += 1
    return -1


@compiled()
def entry_log(table: np.ndarray, place: int) -> float:
    """log10 p of an n-gram."""
    high, low = table[place, 0] & _BYTE, table[place, 1] >> _HALF
    return -LOG_UNIT * np.float64((high << _HALF) | low)


@compiled()
def _enter(table: np.ndarray, size: int, first: np.uint64, second: np.uint64) -> int:
    """Put an n-gram in its place; 1 if it was there before, 2 if the table is too short, else 0."""
    key = first >> _KEY
    hash_ = mix(key)
    place = home(hash_, size)
    moving = False
    while place < len(table):
        entry = table[place, 0]
        if entry == FREE:
            table[place, 0], table[place, 1] = first, second
            return 0
        found = entry >> _KEY
        if found == key and not moving:
            return 1
        if moving or mix(found) > hash_:  # all that follow move up by one
            other = table[place, 1]
            table[place, 0], table[place, 1] = first, second
            first, second = entry, other
            moving = True
        place += 1
    return 2


@compiled()
def name_states(
    kept: np.ndarray,
    is_state: np.ndarray,
    suffixes: np.ndarray,
    backoff: np.ndarray,
    shorter: np.ndarray,
    first: int,
    states: np.ndarray,
    backoffs: np.ndarray,
) -> None:
    """Number the states of one order and find where each n-gram leads to.

    Args:
        kept: which n-grams are part of the model, (n,) bool.
        is_state: which of them something can be said of as contexts, (n,) bool.
        suffixes: number of the n-gram without its first word, (n,) int32.
        backoff: their weights, (n,) fp64.
        shorter: state that each (n-1)-gram leads to, uint32.
        first: number of the first new state.
        states: receives the state that each n-gram leads to, (n,) uint32.
        backoffs: receives log10 of the weight of each new state, and the state of its longest suffix, at its number,
            (S, 2) fp64.
    """
    for i in range(len(kept)):
        if not kept[i]:
            continue
        states[i] = shorter[suffixes[i]]
        if is_state[i]:
            backoffs[first, 0] = math.log10(backoff[i])
            backoffs[first, 1] = states[i]
            states[i] = first
            first += 1


@compiled()
def enter_grams(
    keys: np.ndarray,
    kept: np.ndarray,
    p: np.ndarray,
    contexts: np.ndarray,
    states: np.ndarray,
    table: np.ndarray,
    size: int,
) -> int:
    """Enter the n-grams of one order (from 2 on) into the table.

    Args:
        keys: context and word, (n,) uint64.
        kept: which of them are part of the model, (n,) bool.
        p: (n,) fp64.
        contexts: the state of each (n-1)-gram, uint32.
        states: the state that each n-gram leads to, (n,) uint32.
        table: (size + spare, 2) uint64.
        size: homes are below it.

    Returns:
        0; or 1 if an n-gram is there twice; or 2 if the table is too short.
    """
    firsts = np.empty(_AHEAD, np.uint64)
    for low in range(0, len(keys), _AHEAD):
        high = min(low + _AHEAD, len(keys))
        for i in range(low, high):
            key = (np.uint64(contexts[keys[i] >> _HALF]) << _WORD) | (keys[i] & _LOW)
            firsts[i - low] = key << _KEY
            prefetch(table, home(mix(key), size))
        for i in range(low, high):
            if kept[i]:
                log = np.uint64(min(np.rint(-math.log10(p[i]) / LOG_UNIT), _MOST_LOG))
                second = ((log & _LOW) << _HALF) | np.uint64(states[i])
                problem = _enter(table, size, firsts[i - low] | (log >> _HALF), second)
                if problem != 0:
                    return problem
    return 0
