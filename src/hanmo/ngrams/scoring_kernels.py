"""Compiled scoring of sentences: several at a time, so that memory answers for one while another is computed."""

from __future__ import annotations

import numpy as np

from hanmo.core.compiled import compiled
from hanmo.ngrams.automaton_kernels import FREE, LOG_UNIT, entry_log, find, home
from hanmo.ngrams.counting_kernels import mix
from hanmo.ngrams.marks import BEGIN, END, UNKNOWN
from hanmo.ngrams.prefetch import prefetch

__all__ = ["distribution", "score_sentences", "walk"]

_LANES = 12
_KEY = np.uint64(8)
_WORD = np.uint64(24)
_HALF = np.uint64(32)
_LOW = np.uint64(0xFFFFFFFF)
_BYTE = np.uint64(0xFF)


@compiled()
def walk(state, word, word_logs, word_states, backoffs, table, size):
    """log10 p(word | state), and the next state; one look-up after the other.

    Raises:
        ValueError: if a number in the arrays leads out of them.
    """
    log_p = 0.0
    while state != 0:
        place = find(table, size, state, word)
        if place >= 0:
            following = np.int64(table[place, 1] & _LOW)
            if following >= len(backoffs):
                raise ValueError
            return log_p + entry_log(table, place), following
        log_p += backoffs[state, 0]
        lower = np.int64(backoffs[state, 1])
        if not 0 <= lower < state:
            raise ValueError
        state = lower
    return log_p + word_logs[word], np.int64(word_states[word])


@compiled()
def score_sentences(
    ids: np.ndarray,
    ends: np.ndarray,
    word_logs: np.ndarray,
    word_states: np.ndarray,
    backoffs: np.ndarray,
    table: np.ndarray,
    size: int,
    sums: np.ndarray,
    log_ps: np.ndarray,
) -> bool:
    """log10 p of sentences, their ends included (arrays of the model: `automaton.Automaton`).

    Args:
        ids: words, (N,) int32, 0 for unknown ones.
        ends: position behind the last word of each sentence, (S,) int64.
        sums: receives for each sentence log10 p of all of it, the part of its unknown words, the part of its end, and
            how many words were unknown, (S, 4) fp64.
        log_ps: receives log10 p of each word and, behind those of its sentence, of the end, (N + S,) fp64; or (0,).

    Returns:
        False if a number leads out of the arrays: the model is damaged.
    """
    n_sentences = len(ends)
    keep = len(log_ps) > 0
    n_states = len(backoffs)
    sentence = np.zeros(_LANES, np.int64)
    position = np.zeros(_LANES, np.int64)  # of the word that is looked up
    end = np.zeros(_LANES, np.int64)
    state = np.zeros(_LANES, np.int64)
    word = np.zeros(_LANES, np.int64)
    place = np.zeros(_LANES, np.int64)
    paid = np.zeros(_LANES)  # back-off weights of this word so far
    begin = np.int64(word_states[BEGIN])
    started = 0
    busy = 0
    while busy < _LANES and started < n_sentences:
        low = ends[started - 1] if started else 0
        sentence[busy], position[busy], end[busy], state[busy] = started, low, ends[started], begin
        word[busy] = ids[low] if low < ends[started] else END
        place[busy] = home(mix((np.uint64(begin) << _WORD) | np.uint64(word[busy])), size)
        started += 1
        busy += 1
    while busy > 0:
        lane = 0
        while lane < busy:
            here, known = state[lane], word[lane]
            log_p, following = 0.0, np.int64(-1)
            if here == 0:
                log_p, following = word_logs[known], np.int64(word_states[known])
            else:
                key = (np.uint64(here) << _WORD) | np.uint64(known)
                hash_ = mix(key)
                p = place[lane]
                while p < len(table):
                    entry = table[p, 0]
                    found = entry >> _KEY
                    if found == key:
                        second = table[p, 1]
                        log_p = -LOG_UNIT * np.float64(((entry & _BYTE) << _HALF) | (second >> _HALF))
                        following = np.int64(second & _LOW)
                        break
                    if entry == FREE or mix(found) > hash_:
                        break
                    p += 1
                if following < 0:
                    paid[lane] += backoffs[here, 0]
                    lower = np.int64(backoffs[here, 1])
                    if not 0 <= lower < here:
                        return False
                    state[lane] = lower
                    p = home(mix((np.uint64(lower) << _WORD) | np.uint64(known)), size)
                    place[lane] = p
                    if lower != 0:
                        prefetch(table, p)
                        prefetch(backoffs, lower)
                    lane += 1
                    continue
            if following >= n_states:
                return False
            log_p += paid[lane]
            paid[lane] = 0.0
            s, i = sentence[lane], position[lane]
            sums[s, 0] += log_p
            at_end = i == end[lane]
            if at_end:
                sums[s, 2] = log_p
            elif known == UNKNOWN:
                sums[s, 1] += log_p
                sums[s, 3] += 1
            if keep:
                log_ps[i + s] = log_p
            if at_end:
                if started == n_sentences:  # the last lane moves in here, and is looked at next
                    busy -= 1
                    sentence[lane], position[lane], end[lane] = sentence[busy], position[busy], end[busy]
                    state[lane], word[lane], place[lane] = state[busy], word[busy], place[busy]
                    paid[lane] = paid[busy]
                    continue
                i = ends[started - 1] if started else 0
                sentence[lane], end[lane] = started, ends[started]
                following = begin
                started += 1
            else:
                i += 1
            known = np.int64(ids[i]) if i < end[lane] else END
            position[lane], state[lane], word[lane] = i, following, known
            p = home(mix((np.uint64(following) << _WORD) | np.uint64(known)), size)
            place[lane] = p
            prefetch(table, p)
            prefetch(backoffs, following)
            lane += 1
    return True


@compiled()
def distribution(state, word_logs, word_states, backoffs, table, size, log_ps) -> None:
    """log10 p(word | state) of every word, (V,) fp64."""
    for word in range(len(word_logs)):
        log_ps[word], _ = walk(state, word, word_logs, word_states, backoffs, table, size)
