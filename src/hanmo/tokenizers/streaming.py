"""Ids to text one token at a time: whole characters only, and never a piece of a stop string."""

from __future__ import annotations

import codecs
from collections.abc import Sequence

from hanmo.core.errors import ConfigError
from hanmo.tokenizers.tokenizer import Tokenizer

__all__ = ["StreamDecoder", "cut_at_stop"]


def cut_at_stop(text: str, stop: Sequence[str]) -> tuple[str, str | None]:
    """Cut a finished text where a stream of it would have stopped.

    Generation stops at the first character that completes a stop string; of several completed there, the
    longest counts. This does not depend on how the text was cut into tokens.

    Returns:
        The text before the stop string, and that stop string (None: none found, the text is whole).
    """
    matches = [(start + len(item), start, item) for item in stop if (start := text.find(item)) >= 0]
    if not matches:
        return text, None
    _, start, item = min(matches)
    return text[:start], item


class StreamDecoder:
    """Decode a stream of ids; the joined parts equal the whole text cut at the first stop string.

    A character whose bytes have not all come is held back; bytes that can no longer become a character come
    out as U+FFFD at once. Of the text, only the longest end that may still grow into a stop string is held.
    Special tokens are skipped.

    Args:
        tokenizer: one whose tokens are byte strings (byte-level or SentencePiece).
        stop: texts at which to stop; they are not part of the output.

    Raises:
        ConfigError: for an empty stop string, or one string instead of a sequence of strings.
    """

    def __init__(self, tokenizer: Tokenizer, stop: Sequence[str] = ()):
        if isinstance(stop, str) or not all(isinstance(item, str) and item for item in stop):
            raise ConfigError(f"cannot stop at {stop!r}", where="stop", remedy="Pass a list of non-empty strings.")
        self._tokenizer = tokenizer
        self._special = tokenizer.special_ids
        self._stop = tuple(stop)
        self._bytes = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""
        self._finished = False
        self.stop_string: str | None = None
        """The stop string that was met."""

    @property
    def stopped(self) -> bool:
        """True once a stop string has been met; nothing comes out any more."""
        return self.stop_string is not None

    def push(self, token_id: int) -> str:
        """Take one id; return the text that is now certain, often empty.

        Raises:
            DataError: for an id that the tokenizer does not have.
        """
        if self.stopped or token_id in self._special:
            return ""
        return self._take(self._bytes.decode(self._tokenizer.token_bytes(token_id)))

    def finish(self) -> str:
        """Return what was held back; a character that never became whole is U+FFFD."""
        if self.stopped or self._finished:
            return ""
        self._finished = True
        text = self._take(self._bytes.decode(b"", final=True))
        held, self._held = self._held, ""
        return text if self.stopped else text + held

    def _take(self, text: str) -> str:
        if not self._stop:
            return text
        text, self.stop_string = cut_at_stop(self._held + text, self._stop)
        if self.stopped:
            self._held = ""
            return text
        n_held = max(_overlap(text, item) for item in self._stop)
        self._held = text[len(text) - n_held :]
        return text[: len(text) - n_held]


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` that is a proper beginning of `stop`."""
    longest = min(len(text), len(stop) - 1)
    return next((n for n in range(longest, 0, -1) if text.endswith(stop[:n])), 0)
