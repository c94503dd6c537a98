"""Repair, redaction and simple quality filters, each counted, those that drop with a reason.

The filters are conservative: they drop what no reader would call text (tables of numbers, encoded binary data, the
same line over and over) and leave style alone. Chinese has thresholds of its own, since it has no spaces to count
words by. The rules are in the spirit of Gopher's (Rae et al., 2021, appendix A.1.1) at looser bounds.
"""

from __future__ import annotations

import dataclasses
import re
from collections import Counter

from hanmo.corpora.documents import Document
from hanmo.corpora.pii.redact import redact
from hanmo.corpora.pii.spans import KINDS
from hanmo.corpora.settings import CorpusSettings
from hanmo.text.chinese_script import convert_script
from hanmo.text.han import CharacterCounts, count_characters
from hanmo.text.language import guess_language, identify_language
from hanmo.text.repair import repair

__all__ = ["clean", "quality_problem"]

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

_WORD = re.compile(r"[^\W\d_]+")
_ENCODED = re.compile(r"[A-Za-z0-9+/=\\]{76,}")


def clean(document: Document, settings: CorpusSettings) -> tuple[Document, str | None]:
    """Repair the text of a document, redact it if asked to, guess its language, and judge it.

    Returns:
        The cleaned document, and the reason to drop it or None. Of program code only line ends are altered, and what
        `settings.redact` asks for.
    """
    is_code = document.meta.get("kind") == "py"
    meta = document.meta
    repaired = repair(document.text, code=is_code, mojibake=settings.repair_mojibake)
    text = repaired.text
    if repaired.n_mojibake:
        meta = {**meta, "mojibake_lines": repaired.n_mojibake}
    if settings.redact:
        redacted = redact(text, KINDS if settings.redact == "all" else settings.redact)
        text = redacted.text
        if redacted.spans:
            meta = {**meta, "redacted": redacted.counts}
    if not is_code:
        text = text.strip("\n \t\u3000") if text[:1].isspace() or text[-1:].isspace() else text
    lang = guess_language(text, code=is_code)
    if lang == "zh" and settings.chinese_script != "keep":
        text = convert_script(text, settings.chinese_script)
    cleaned = dataclasses.replace(document, text=text, lang=lang, meta=meta)
    if not text or text.isspace():
        return cleaned, "empty"
    if settings.languages:
        name = "code" if is_code else identify_language(text)[0]
        if not {name, name.partition("-")[0]} & set(settings.languages):
            return cleaned, f"language not wanted: {name}"
    return cleaned, quality_problem(text, lang) if settings.quality_filters else None


def quality_problem(text: str, lang: str) -> str | None:
    """Say why a text is not worth training on, or None.

    Args:
        text: repaired text.
        lang: as `hanmo.text.language.guess_language` gives it.
    """
    counts = count_characters(text)
    if _is_short(text, lang, counts):
        return "too short"
    visible = counts.total - counts.space
    if counts.letters < (MIN_LETTER_SHARE_CODE if lang == "code" else MIN_LETTER_SHARE) * visible:
        return "mostly symbols or digits"
    if sum(len(run) for run in _ENCODED.findall(text)) > MAX_ENCODED_SHARE * visible:
        return "encoded binary data"
    if _repeated_share(text) > MAX_REPEATED_SHARE:
        return "repetitive lines"
    return None


def _is_short(text: str, lang: str, counts: CharacterCounts) -> bool:
    if counts.han + counts.kana + counts.hangul >= MIN_HAN:
        return False
    if lang == "zh":
        return True
    if counts.total > 100 * MIN_WORDS and lang != "code":
        return False  # long enough in any script; what it is made of is the next question
    return sum(1 for _, _ in zip(_WORD.finditer(text), range(MIN_WORDS), strict=False)) < MIN_WORDS


def _repeated_share(text: str) -> float:
    lines = [line for line in map(str.strip, text.split("\n")) if line]
    if len(lines) < 10:
        return 0.0
    total = sum(map(len, lines))
    repeated = sum(len(line) * (count - 1) for line, count in Counter(lines).items() if count > 1)
    return repeated / total
