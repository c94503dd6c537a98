"""Compiled reading and writing of vectors as bytes: decimal numbers both ways, and the rows of word2vec's binary form."""

from __future__ import annotations

import math

import numpy as np

from hanmo.core.compiled import compiled

__all__ = ["BYTES_A_NUMBER", "copy_rows", "format_rows", "parse_rows"]

_POWERS = np.array([float(f"1e{i}") for i in range(61)])
_LAST_POWER = 60
_MOST_DIGITS = 19
"""Digits that fit in 64 bits."""
_LARGEST = float(np.finfo(np.float32).max)
BYTES_A_NUMBER = 18
"""Longest number that `format_rows` writes, with the space before it."""

_TAB, _NEWLINE, _RETURN, _SPACE = 9, 10, 13, 32
_PLUS, _MINUS, _POINT, _ZERO, _NINE, _E, _SMALL_E = 43, 45, 46, 48, 57, 69, 101


@compiled()
def _scaled(mantissa: float, exponent: int) -> float:
    """mantissa × 10^exponent, for |exponent| up to 60."""
    return mantissa * _POWERS[exponent] if exponent >= 0 else mantissa / _POWERS[-exponent]


@compiled()
def _parse_number(data: np.ndarray, i: int) -> tuple[float, int]:
    """(number, position behind it) of the decimal number at data[i]; position -1 for what is none, or too odd.

    The nearest float64, or its neighbour where there are more than 15 digits or the exponent is beyond 22 (Clinger,
    1990): either gives the same float32 but for one number in some hundred million.
    """
    negative = data[i] == _MINUS
    if negative or data[i] == _PLUS:
        i += 1
    mantissa, n_digits, exponent, seen = np.uint64(0), 0, 0, False
    behind_point = False
    while True:  # a line ends with a newline, which is no digit
        byte = data[i]
        if _ZERO <= byte <= _NINE:
            seen = True
            if byte != _ZERO or n_digits:
                n_digits += 1
            mantissa = mantissa * np.uint64(10) + np.uint64(byte - _ZERO)
            exponent -= behind_point
        elif byte == _POINT and not behind_point:
            behind_point = True
        else:
            break
        i += 1
    if not seen or n_digits > _MOST_DIGITS:
        return 0.0, -1
    if data[i] == _E or data[i] == _SMALL_E:
        i += 1
        falling = data[i] == _MINUS
        if falling or data[i] == _PLUS:
            i += 1
        power, start = 0, i
        while _ZERO <= data[i] <= _NINE and i - start < 4:
            power = 10 * power + data[i] - _ZERO
            i += 1
        if i == start:
            return 0.0, -1
        exponent += -power if falling else power
    if n_digits and not -_LAST_POWER <= exponent <= _LAST_POWER:
        return 0.0, -1
    value = _scaled(float(mantissa), exponent) if n_digits else 0.0
    if value > _LARGEST:
        return 0.0, -1
    return -value if negative else value, i


@compiled()
def parse_rows(
    data: np.ndarray, start: int, rows: np.ndarray, words: np.ndarray, lines: np.ndarray, done: np.ndarray
) -> bool:
    """Read lines `word number number …` until the data or the rows end.

    Args:
        data: (N,) uint8, whole lines, the last with its newline.
        start: where the first line begins.
        rows: receives the numbers, (R, D) float32.
        words: receives where each word begins and ends in `data`, (R, 2) int64.
        lines: receives the number of lines before each row, (R,) int64; empty lines count.
        done: (3,) int64, receives the position behind the last line, the rows and the lines that were read.

    Returns:
        False where the line at done[0] is not of this shape: a wrong number of fields, or a number that is not finite
        or unusually written.
    """
    capacity, dim = rows.shape
    i, row, line = start, 0, 0
    regular = True
    while i < len(data) and row < capacity:
        first = i
        while data[i] > _SPACE or (
            data[i] != _SPACE and data[i] != _TAB and data[i] != _NEWLINE and data[i] != _RETURN
        ):
            i += 1
        words[row, 0], words[row, 1] = first, i
        n = 0
        while True:
            while data[i] == _SPACE or data[i] == _TAB or data[i] == _RETURN:
                i += 1
            if data[i] == _NEWLINE:
                break
            if n == dim:
                regular = False
                break
            value, i = _parse_number(data, i)
            if i < 0 or data[i] > _SPACE:
                regular = False
                break
            rows[row, n] = value
            n += 1
        empty = words[row, 0] == words[row, 1]
        if not regular or (n != dim and not (n == 0 and empty)) or (n and empty):
            i, regular = first, False
            break
        lines[row] = line
        if not empty:
            row += 1
        line += 1
        i += 1
    done[0], done[1], done[2] = i, row, line
    return regular


@compiled()
def _write_digits(out: np.ndarray, i: int, mantissa: int, n_digits: int) -> int:
    for place in range(i + n_digits - 1, i - 1, -1):
        out[place] = _ZERO + mantissa % 10
        mantissa //= 10
    return i + n_digits


@compiled()
def _format_number(value: float, out: np.ndarray, i: int) -> int:
    """Write the fewest digits, from 6 to 9, that read back as the same float32; the position behind them."""
    if value == 0.0:
        out[i] = _ZERO
        return i + 1
    if value < 0.0:
        out[i] = _MINUS
        i += 1
        value = -value
    exponent = math.floor(math.log10(value))
    mantissa, n_digits = 0, 0
    for n_digits in range(6, 10):
        mantissa = round(_scaled(value, n_digits - 1 - exponent))
        if np.float32(_scaled(float(mantissa), exponent - n_digits + 1)) == np.float32(value):
            break
    while mantissa % 10 == 0:
        mantissa //= 10
        n_digits -= 1
    # the logarithm of a number just below a power of ten is that of the power: count the digits
    exponent -= n_digits - 1
    n_digits = 1
    while mantissa >= _POWERS[n_digits]:
        n_digits += 1
    exponent += n_digits - 1
    if 0 <= exponent < 9 and n_digits <= exponent + 1:  # 120
        i = _write_digits(out, i, mantissa, n_digits)
        for _ in range(exponent + 1 - n_digits):
            out[i] = _ZERO
            i += 1
    elif 0 <= exponent < 9:  # 1.25
        whole = int(_POWERS[n_digits - 1 - exponent])
        i = _write_digits(out, i, mantissa // whole, exponent + 1)
        out[i] = _POINT
        i = _write_digits(out, i + 1, mantissa % whole, n_digits - 1 - exponent)
    elif -5 <= exponent < 0:  # 0.00125
        out[i], out[i + 1] = _ZERO, _POINT
        i += 2
        for _ in range(-1 - exponent):
            out[i] = _ZERO
            i += 1
        i = _write_digits(out, i, mantissa, n_digits)
    else:  # 1.25e-20
        whole = int(_POWERS[n_digits - 1])
        i = _write_digits(out, i, mantissa // whole, 1)
        if n_digits > 1:
            out[i] = _POINT
            i = _write_digits(out, i + 1, mantissa % whole, n_digits - 1)
        out[i] = _SMALL_E
        out[i + 1] = _MINUS if exponent < 0 else _PLUS
        i = _write_digits(out, i + 2, abs(exponent), 2)
    return i


@compiled()
def format_rows(rows: np.ndarray, words: np.ndarray, ends: np.ndarray, out: np.ndarray) -> int:
    """Write lines `word number number …`; the number of bytes.

    Args:
        rows: (R, D) float32, finite.
        words: bytes of all words, (N,) uint8.
        ends: where each word ends in `words`, (R,) int64.
        out: receives the lines, uint8: N + R (D × BYTES_A_NUMBER + 1) bytes are enough.
    """
    i, start = 0, 0
    for row in range(len(rows)):
        for j in range(start, ends[row]):
            out[i] = words[j]
            i += 1
        start = ends[row]
        for column in range(rows.shape[1]):
            out[i] = _SPACE
            i = _format_number(float(rows[row, column]), out, i + 1)
        out[i] = _NEWLINE
        i += 1
    return i


@compiled()
def copy_rows(data: np.ndarray, start: int, rows: np.ndarray, words: np.ndarray, max_word: int) -> tuple[int, int]:
    """Read rows `word`, space, numbers of word2vec's binary form; a newline before a word is skipped.

    Args:
        data: (N,) uint8.
        start: where the first row begins.
        rows: receives the bytes of the numbers, (R, 4 D) uint8.
        words: receives where each word begins and ends in `data`, (R, 2) int64.
        max_word: bytes of the longest word.

    Returns:
        The rows that were read whole, and the position behind them; -1 rows where a word is longer than `max_word`.
    """
    n, size = len(data), rows.shape[1]
    row, behind = 0, start
    while row < len(rows):
        i = behind
        while i < n and data[i] == _NEWLINE:
            i += 1
        first = i
        while i < n and data[i] != _SPACE:
            i += 1
            if i - first > max_word:
                return -1, first
        if i + 1 + size > n:
            break
        words[row, 0], words[row, 1] = first, i
        for j in range(size):
            rows[row, j] = data[i + 1 + j]
        row, behind = row + 1, i + 1 + size
    return row, behind
