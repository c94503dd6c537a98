"""Compiled reading of the lines of an ARPA file."""

from __future__ import annotations

import numpy as np

from hanmo.core.compiled import compiled
from hanmo.ngrams.lexicon_kernels import find_word

__all__ = ["BAD_NUMBER", "DONE", "FIELDS", "POSITIVE", "UNKNOWN_WORD", "read_lines"]

DONE, FIELDS, BAD_NUMBER, POSITIVE, UNKNOWN_WORD = 0, 1, 2, 3, 4
"""What `read_lines` came back with."""

_TENS = np.array([10.0**n for n in range(23)])
"""Powers of ten that are exact."""


@compiled()
def _is_space(byte: int) -> bool:
    return byte == 32 or byte == 9 or byte == 13 or byte == 11 or byte == 12


@compiled()
def _read_number(data: np.ndarray, low: int, high: int) -> float:
    """The number data[low:high]; NaN for what is none."""
    i = low
    negative = False
    if i < high and (data[i] == 45 or data[i] == 43):
        negative = data[i] == 45
        i += 1
    digits, scale, n = np.int64(0), 0, 0
    after_point = False
    while i < high:
        byte = data[i]
        if 48 <= byte <= 57:
            if digits < 100_000_000_000_000_000:
                digits = 10 * digits + (byte - 48)
                scale -= after_point
            else:
                scale += not after_point
            n += 1
        elif byte == 46 and not after_point:
            after_point = True
        else:
            break
        i += 1
    if n == 0:
        return np.nan
    if i < high:
        if data[i] != 101 and data[i] != 69:  # e E
            return np.nan
        i += 1
        sign = 1
        if i < high and (data[i] == 45 or data[i] == 43):
            sign = -1 if data[i] == 45 else 1
            i += 1
        if i == high:
            return np.nan
        exponent = 0
        while i < high:
            if not 48 <= data[i] <= 57 or exponent > 9999:
                return np.nan
            exponent = 10 * exponent + (data[i] - 48)
            i += 1
        scale += sign * exponent
    value = np.float64(digits)
    if -22 <= scale <= 22:
        value = value / _TENS[-scale] if scale < 0 else value * _TENS[scale]
    else:
        value *= 10.0**scale
    return -value if negative else value


@compiled()
def read_lines(
    data: np.ndarray,
    n_words: int,
    is_longest: bool,
    slots: np.ndarray,
    starts: np.ndarray,
    letters: np.ndarray,
    words: np.ndarray,
    spans: np.ndarray,
    logs: np.ndarray,
    backoffs: np.ndarray,
    state: np.ndarray,
) -> int:
    """Read lines of n-grams up to one that begins a section, or to the end of the data.

    Args:
        data: (N,) uint8.
        n_words: order of the n-grams.
        is_longest: whether they may not have a back-off weight.
        slots: of the lexicon, as the next two; of order 1 not used.
        words: receives their numbers, (n, n_words) int32; of order 1 not written.
        spans: receives where the word stands, (n, 2) int64; of other orders not written.
        logs: receives log10 p, (n,) fp64.
        backoffs: receives log10 of the back-off weight, 0 where there is none, (n,) fp64.
        state: (4,) int64: the position, lines before it, n-grams so far; begin and end of the bad word come back in
            the position and the last.

    Returns:
        DONE, or what is wrong with the line at the position.
    """
    position, line, n = state[0], state[1], state[2]
    fields = np.empty((n_words + 2, 2), np.int64)
    problem = DONE
    while position < len(data):
        end = position
        while end < len(data) and data[end] != 10:
            end += 1
        count = 0
        i = position
        while i < end:
            if _is_space(data[i]):
                i += 1
                continue
            low = i
            while i < end and not _is_space(data[i]):
                i += 1
            if count < n_words + 2:
                fields[count, 0], fields[count, 1] = low, i
            count += 1
        if count == 0:  # a blank line
            position = end + 1
            line += 1
            continue
        if data[fields[0, 0]] == 92 and count == 1:  # a backslash
            break
        if n == len(logs):  # more than the header says
            break
        if count != n_words + 1 and (count != n_words + 2 or is_longest):
            problem = FIELDS
            break
        log = _read_number(data, fields[0, 0], fields[0, 1])
        backoff = 0.0
        if count == n_words + 2:
            backoff = _read_number(data, fields[n_words + 1, 0], fields[n_words + 1, 1])
        if not (np.isfinite(log) and np.isfinite(backoff)):
            problem = BAD_NUMBER
            break
        if log > 0:
            problem = POSITIVE
            break
        if n_words == 1:
            spans[n, 0], spans[n, 1] = fields[1, 0], fields[1, 1]
        else:
            for k in range(n_words):
                word = find_word(data, fields[k + 1, 0], fields[k + 1, 1], slots, starts, letters)
                if word < 0:
                    problem = UNKNOWN_WORD
                    position, state[3] = fields[k + 1, 0], fields[k + 1, 1]
                    break
                words[n, k] = word
            if problem != DONE:
                break
        logs[n], backoffs[n] = log, backoff
        n += 1
        position = end + 1
        line += 1
    state[0], state[1], state[2] = position, line, n
    return problem
