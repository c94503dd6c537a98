"""Gopher's rules for quality (Rae et al., 2021, appendix A.1.1), in English and Chinese.

Chinese has no spaces, so three rules have another form. Words are counted by characters. The length of words becomes that of the
stretches between two marks: keywords strung together are short, text whose punctuation was lost is long. Two of eight English
stop words are in any English text; two Chinese function characters are in any list of keywords as well, so what counts is the
share of such characters, which is low where there are no sentences.
"""

from __future__ import annotations

import re

from hanmo.corpora.quality.page import Page
from hanmo.corpora.quality.settings import QualitySettings

__all__ = ["gopher_problem"]

MAX_WORDS = 100_000
"""Most words of a document."""
MIN_WORD_LENGTH, MAX_WORD_LENGTH = 3, 10
"""Mean length of English words, in characters."""
MIN_CLAUSE_LENGTH, MAX_CLAUSE_LENGTH = 2.5, 40
"""Mean length of the stretches between two marks in Chinese, in characters."""
MAX_SYMBOLS_PER_WORD = 0.1
"""Most hash signs, or ellipses, for each word."""
MAX_BULLET_LINES = 0.9
"""Largest share of lines that begin with a bullet."""
MAX_CUT_OFF_LINES = 0.3
"""Largest share of lines that end in an ellipsis."""
MIN_WORDS_WITH_LETTER = 0.8
"""Least share of words that hold a letter."""
MIN_STOP_WORDS = 2
"""Fewest of the English stop words."""
MIN_FUNCTION_SHARE = 0.02
"""Least share of function characters among Han characters."""

STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")
"""English words of which a document has at least `MIN_STOP_WORDS`."""

_STOP_WORD = re.compile(rf"\b(?:{'|'.join(STOP_WORDS)})\b", re.IGNORECASE)
_BULLETS = frozenset("•‣●○■□◆◇▪▫►▶▸★☆※→·・*-+➢➤✓")


def gopher_problem(page: Page, settings: QualitySettings) -> str | None:
    """Say which of the rules a text fails first, or None."""
    words = page.words
    if words.n < settings.min_words:
        return "too few words (gopher_quality)"
    if words.n > MAX_WORDS:
        return "too many words (gopher_quality)"
    problem = _length_problem(page)
    if problem is not None:
        return problem
    most = MAX_SYMBOLS_PER_WORD * words.n
    if page.text.count("#") > most or _count_ellipses(page.text) > most:
        return "too many hash signs or ellipses (gopher_quality)"
    if sum(line[0] in _BULLETS for line in page.lines) > MAX_BULLET_LINES * len(page.lines):
        return "mostly bullet points (gopher_quality)"
    if page.cut_off_share > MAX_CUT_OFF_LINES:
        return "lines cut off with an ellipsis (gopher_quality)"
    if words.letter_share < MIN_WORDS_WITH_LETTER:
        return "words without letters (gopher_quality)"
    return None if _has_function_words(page) else "hardly any function words (gopher_quality)"


def _length_problem(page: Page) -> str | None:
    if page.is_spaceless:
        if not MIN_CLAUSE_LENGTH <= page.words.length <= MAX_CLAUSE_LENGTH:
            return "clauses too short or too long (gopher_quality)"
    elif page.lang == "en" and not MIN_WORD_LENGTH <= page.words.length <= MAX_WORD_LENGTH:
        return "words too short or too long (gopher_quality)"
    return None


def _count_ellipses(text: str) -> int:
    """Ellipses, the two characters of a Chinese one as one."""
    return text.count("...") + text.count("…") - text.count("……") + text.count("。。。")


def _has_function_words(page: Page) -> bool:
    if page.lang == "zh":
        return page.characters.function_share >= MIN_FUNCTION_SHARE
    if page.lang != "en":
        return True
    found: set[str] = set()
    for match in _STOP_WORD.finditer(page.text):
        found.add(match[0].lower())
        if len(found) >= MIN_STOP_WORDS:
            return True
    return False
