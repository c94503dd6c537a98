"""Lines to the numbers of a model's words: words between white space, characters, or tokens of a tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

from hanmo.core.errors import DataError
from hanmo.ngrams.lexicon import Lexicon
from hanmo.ngrams.lexicon_kernels import number_words
from hanmo.ngrams.marks import N_MARKS, UNKNOWN
from hanmo.text.han import code_points
from hanmo.tokenizers.tokenizer import Tokenizer

__all__ = ["SPACE", "character_numbers", "character_spaces", "number_characters", "number_lines", "number_tokens"]

SPACE = "▁"
"""Stands for white space among characters: in ARPA files white space separates words."""

_KINDS = np.zeros(256, np.uint8)
_KINDS[list(b" \t\r\x0b\x0c")] = 1
_KINDS[ord("\n")] = 2


@cache
def character_spaces() -> np.ndarray:
    """Code points that are white space, int64; U+0000 is one to kenlm."""
    return np.array([0, *(point for point in range(0x3001) if chr(point).isspace())])


def character_numbers(lexicon: Lexicon) -> np.ndarray:
    """Number of each code point, 0 for those that are not in the lexicon, (0x110000,) int32."""
    numbers = np.full(0x110000, UNKNOWN, np.int32)
    for number, word in enumerate(lexicon.words[N_MARKS:], N_MARKS):
        if len(word) == 1:
            numbers[ord(word)] = number
    numbers[character_spaces()] = numbers[ord(SPACE)]
    return numbers


def number_lines(lines: Sequence[str], lexicon: Lexicon) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the words of lines, (N,) int32, and the position behind the last word of each, (S,) int64.

    Args:
        lines: text without line feeds; words stand between ASCII white space.
        lexicon: words that are not in it are 0.

    Raises:
        DataError: if there is a line feed in a line.
    """
    text = ("\n".join(lines) + "\n").encode("utf-8", "surrogatepass")
    if text.count(b"\n") != max(1, len(lines)):
        raise DataError("a line has a line feed in it", remedy="Texts of several lines are scored by score or bits.")
    data = np.frombuffer(text, np.uint8)
    ids, ends = np.empty(len(data) // 2 + 1, np.int32), np.empty(max(1, len(lines)), np.int64)
    n = number_words(data, _KINDS, *lexicon.arrays, ids, ends)
    return ids[:n], ends[: len(lines)]


def number_characters(lines: Sequence[str], numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the characters of lines, and their ends, as `number_lines`; `numbers`: `character_numbers`."""
    return numbers[code_points("".join(lines))], np.cumsum([len(line) for line in lines], dtype=np.int64)


def number_tokens(lines: Sequence[str], tokenizer: Tokenizer) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the tokens of lines, and their ends, as `number_lines`."""
    rows = tokenizer.encode_batch(list(lines))
    ids = np.array([number for row in rows for number in row], np.int32) + N_MARKS
    return ids, np.cumsum([len(row) for row in rows], dtype=np.int64)
