"""The rules that stand unless a recipe asks for others.

They drop what no reader would call text (tables of numbers, encoded binary data, the same line over and over) and leave style
alone. Chinese has thresholds of its own, since it has no spaces to count words by. The rules are in the spirit of Gopher's (Rae
et al., 2021, appendix A.1.1) at looser bounds.
"""

from __future__ import annotations

import re
from collections import Counter

import numpy as np

from hanmo.corpora.quality.page import Page
from hanmo.text.han import code_points

__all__ = ["basic_problem", "is_short"]

MIN_HAN = 10
"""Fewest Han characters of a Chinese document."""
MIN_WORDS = 5
"""Fewest words of a document in another language, or of code."""
MIN_LETTER_SHARE = 0.35
"""Least share of letters among the visible characters of prose."""
MIN_LETTER_SHARE_CODE = 0.25
"""The same for code, which has more punctuation."""
MAX_REPEATED_SHARE = 0.7
"""Largest share of characters in lines that have occurred before in the document."""
MAX_ENCODED_SHARE = 0.5
"""Largest share of characters in long unbroken runs of letters and digits (base64, hexadecimal)."""
MIN_ENCODED_RUN = 76
"""Fewest characters of such a run: the length of a line of MIME base64."""

_WORD = re.compile(r"[^\W\d_]+")
_ENCODED = re.compile(rf"[A-Za-z0-9+/=\\]{{{MIN_ENCODED_RUN},}}")


def basic_problem(page: Page) -> str | None:
    """Say why a text is not worth training on, or None."""
    text, lang, characters = page.text, page.lang, page.characters
    if is_short(page):
        return "too short"
    visible = characters.n - characters.n_space
    if characters.n_letters < (MIN_LETTER_SHARE_CODE if lang == "code" else MIN_LETTER_SHARE) * visible:
        return "mostly symbols or digits"
    if _may_be_encoded(page, visible) and sum(map(len, _ENCODED.findall(text))) > MAX_ENCODED_SHARE * visible:
        return "encoded binary data"
    if _repeated_share(page.lines) > MAX_REPEATED_SHARE:
        return "repetitive lines"
    return None


def is_short(page: Page) -> bool:
    """Whether a text says next to nothing."""
    if page.characters.n_wide_letters >= MIN_HAN:
        return False
    if page.lang == "zh":
        return True
    if page.characters.n > 100 * MIN_WORDS and page.lang != "code":
        return False  # long enough in any script; what it is made of is the next question
    return sum(1 for _, _ in zip(_WORD.finditer(page.text), range(MIN_WORDS), strict=False)) < MIN_WORDS


def _repeated_share(lines: list[str]) -> float:
    if len(lines) < 10:
        return 0.0
    total = sum(map(len, lines))
    repeated = sum(len(line) * (count - 1) for line, count in Counter(lines).items() if count > 1)
    return repeated / total


def _may_be_encoded(page: Page, visible: int) -> bool:
    """Whether enough characters may be in encoded runs: seldom so in text of words, where spaces stand closer."""
    if len(page.text) < MIN_ENCODED_RUN or visible - page.characters.n_wide_letters <= MAX_ENCODED_SHARE * visible:
        return False
    points = code_points(page.text)
    spaces = np.concatenate([[-1], (points <= 0x20).nonzero()[0], [len(points)]])
    return int((spaces[1:] - spaces[:-1]).max()) > MIN_ENCODED_RUN
