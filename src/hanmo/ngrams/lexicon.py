"""The words of a model: numbers to words and back, as arrays that can be mapped from a file."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hanmo.core.errors import DataError, FormatError
from hanmo.ngrams.lexicon_kernels import FREE, enter_words
from hanmo.ngrams.marks import BEGIN_WORD, END_WORD, N_MARKS, UNKNOWN_WORD

__all__ = ["Lexicon", "build_lexicon", "check_words"]

_SEPARATORS = re.compile(r"[ \t\n\r\v\f]")


@dataclass(frozen=True, eq=False)
class Lexicon:
    """Words by number; the three marks are the first."""

    starts: np.ndarray
    """Word i is `letters[starts[i]:starts[i + 1]]`, (V + 1,) int64."""
    letters: np.ndarray
    """UTF-8, (A,) uint8."""
    slots: np.ndarray
    """Upper half of the hash of a word and its number, all ones where free, (M,) uint64, M a power of two."""

    def __len__(self) -> int:
        return len(self.starts) - 1

    @cached_property
    def words(self) -> tuple[str, ...]:
        """All words, the marks included."""
        letters = self.letters.tobytes()
        try:
            return tuple(letters[low:high].decode() for low, high in itertools.pairwise(self.starts.tolist()))
        except UnicodeDecodeError as error:
            raise FormatError("this n-gram model is damaged: a word is not UTF-8", remedy="Copy it again.") from error

    @property
    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Slots, starts, letters: as the kernels take them."""
        return self.slots, self.starts, self.letters


def build_lexicon(words: Sequence[str]) -> Lexicon:
    """Number the words, behind the three marks.

    Raises:
        DataError: if one is there twice or is a mark, has white space in it, or is half of a surrogate pair.
    """
    check_words(words)
    encoded = _encode((UNKNOWN_WORD, BEGIN_WORD, END_WORD, *words))
    starts = np.zeros(len(encoded) + 1, np.int64)
    np.cumsum([len(word) for word in encoded], out=starts[1:])
    letters = np.frombuffer(b"".join(encoded), np.uint8)
    slots = np.full(max(8, 1 << (2 * len(encoded)).bit_length()), FREE)
    twice = enter_words(slots, starts, letters)
    if twice >= 0:
        raise DataError(f"the word {words[twice - N_MARKS]!r} is there twice, or is a mark of the model")
    starts.flags.writeable = slots.flags.writeable = False  # as where they are mapped: kernels are compiled once
    return Lexicon(starts, letters, slots)


def check_words(words: Sequence[str]) -> None:
    """Refuse words that no text and no ARPA file can spell, for white space separates words there.

    Raises:
        DataError: names the first one.
    """
    if _SEPARATORS.search("".join(words)) is None:
        return
    word = next(word for word in words if _SEPARATORS.search(word))
    raise DataError(
        f"the word {word!r} has white space in it, which separates words", remedy="Join its parts: New_York."
    )


def _encode(words: Iterable[str]) -> list[bytes]:
    try:
        return [word.encode() for word in words]
    except UnicodeEncodeError as error:
        raise DataError(f"the word {error.object!r} is no text (half of a surrogate pair)") from error
