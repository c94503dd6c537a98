"""Three words that no text can write: they have the first numbers in every model."""

from __future__ import annotations

__all__ = ["BEGIN", "BEGIN_WORD", "END", "END_WORD", "N_MARKS", "UNKNOWN", "UNKNOWN_WORD"]

UNKNOWN, BEGIN, END = 0, 1, 2
UNKNOWN_WORD, BEGIN_WORD, END_WORD = "<unk>", "<s>", "</s>"
N_MARKS = 3
