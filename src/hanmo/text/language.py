"""The language of a text: a light guess by its script, and a name out of many by a model.

The guess separates what the rest of the project treats differently (Chinese, English, program code) from everything
else; it does not tell French from German, as `identify_language` does.
"""

from __future__ import annotations

import functools
import re
import threading
from typing import TYPE_CHECKING, Literal

from hanmo.core.errors import MissingExtraError
from hanmo.text.chinese_script import guess_script
from hanmo.text.han import count_characters

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

__all__ = ["Language", "guess_language", "identify_language"]

Language = Literal["zh", "en", "code", "other", "und"]

_SAMPLE = 20_000
_MODEL_SAMPLE = 1_000
"""Characters at the beginning, in the middle and at the end that the model reads; it is slow."""
_MIN_PROBABILITY = 0.2
"""Least probability of a name; the model gives one to any text."""
_CHINESE = frozenset({"zh", "yue", "wuu"})
_LOCK = threading.Lock()
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
    text = _sample(text, _SAMPLE)
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


def identify_language(text: str) -> tuple[str, float]:
    """Name the language of a text by py3langid (Lui & Baldwin, 2012), from a sample of it.

    Returns:
        The name (ISO 639: "en", "fr", "ja"; for Chinese "zh-Hans", "zh-Hant", or "zh" where no character tells which;
        "und" where there is too little to tell) and its probability in [0, 1], normalised over all languages. Text
        that is mostly Han characters without kana is Chinese; the probability is then that of all Chinese languages.

    Raises:
        MissingExtraError: if py3langid is not installed.
    """
    sample = _sample(text, _MODEL_SAMPLE)
    guess = guess_language(sample)
    if guess == "und":
        return "und", 0.0
    ranks = _identifier().rank(sample)
    if guess == "zh" or ranks[0][0] in _CHINESE:
        script = guess_script(sample)
        name = {"simplified": "zh-Hans", "traditional": "zh-Hant", None: "zh"}[script]
        return name, min(sum(probability for name, probability in ranks if name in _CHINESE), 1.0)
    name, probability = ranks[0]
    if probability < _MIN_PROBABILITY or name == "zxx":
        return "und", probability
    return name, min(probability, 1.0)


@functools.cache
def _load_identifier() -> LanguageIdentifier:
    try:
        from py3langid import langid
    except ImportError as error:
        raise MissingExtraError("py3langid", "corpus", "naming languages") from error
    return langid.LanguageIdentifier.from_model_file(langid.MODEL_FILE, norm_probs=True)


def _identifier() -> LanguageIdentifier:
    with _LOCK:  # half a second, once
        return _load_identifier()


def _sample(text: str, size: int) -> str:
    if len(text) <= 3 * size:
        return text
    middle = len(text) // 2
    return text[:size] + " " + text[middle : middle + size] + " " + text[-size:]
