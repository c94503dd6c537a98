"""A light guess at the language of a text, by its script: no model, no list of languages.

It separates what the rest of the project treats differently (Chinese, English, program code) from everything
else; it does not tell French from German. For a finer answer a language identifier is needed.
"""

from __future__ import annotations

import re
from typing import Literal

from hanmo.text.han import count_characters

__all__ = ["Language", "guess_language"]

Language = Literal["zh", "en", "code", "other", "und"]

_SAMPLE = 20_000
_ENGLISH_WORDS = (
    "the of and to in a is that for it as was with be by on not he his but at are this have from or had an they which "
    "one you were all her she there would their we him been has when who will no more if out so up said what its about "
    "than into them can only other time new some could these two may first then do any my now such like our over me "
    "even most made after also did many off before must well back through years where much your way i"
)
_ENGLISH = frozenset(_ENGLISH_WORDS.split())
_WORD = re.compile(r"[A-Za-zÀ-ɏ]+")


def guess_language(text: str, *, code: bool = False) -> Language:
    """Guess the language of a text from a sample of its beginning, middle and end.

    Args:
        text: any text.
        code: the text comes from a file of program source; the answer is then "code".

    Returns:
        "zh" (mostly Han, no kana), "en" (mostly Latin letters and English function words), "code", "other"
        (another language), or "und" (too few letters to tell).
    """
    if code:
        return "code"
    if len(text) > 3 * _SAMPLE:
        middle = len(text) // 2
        text = text[:_SAMPLE] + " " + text[middle : middle + _SAMPLE] + " " + text[-_SAMPLE:]
    counts = count_characters(text)
    if counts.letters < 2 or counts.letters < 0.1 * (counts.total - counts.space):
        return "und"
    # A Chinese word is about two characters and an English one about five letters: weigh by words.
    words = counts.han / 2 + counts.latin / 5 + (counts.kana + counts.hangul) / 2 + counts.other_letters / 5
    if counts.kana > 0.1 * (counts.han + counts.kana) and counts.kana / 2 > 0.1 * words:
        return "other"
    if counts.han / 2 >= 0.4 * words:
        return "zh"
    if counts.latin / 5 < 0.6 * words:
        return "other"
    found = _WORD.findall(text)
    share = sum(word.lower() in _ENGLISH for word in found) / max(len(found), 1)
    if len(found) >= 20:
        return "en" if share >= 0.15 else "other"
    return "en" if share > 0 or all(word.isascii() for word in found) else "other"
