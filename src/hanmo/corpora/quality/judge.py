"""Documents judged by the quality rules that a recipe names."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from hanmo.corpora.quality.basic import basic_problem, is_short
from hanmo.corpora.quality.c4 import c4_lines, c4_problem
from hanmo.corpora.quality.fineweb import fineweb_problem
from hanmo.corpora.quality.gopher import gopher_problem
from hanmo.corpora.quality.links import link_lines, links_problem
from hanmo.corpora.quality.page import Page
from hanmo.corpora.quality.repetition import repetition_problem
from hanmo.corpora.quality.settings import QualitySettings
from hanmo.text.language import Language

__all__ = ["Verdict", "judge"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the rules say of a text."""

    text: str
    """The text without the lines that were taken out."""
    reason: str | None = None
    """Which rule the document fails first, with the name of its set in brackets; None if it passes."""
    removed_lines: Counter[str] = field(default_factory=Counter)
    """Lines that were taken out, by reason."""


def judge(text: str, lang: Language, settings: QualitySettings) -> Verdict:
    """Take out the lines that the rules do not keep, and say whether to keep the document.

    Args:
        text: repaired text.
        lang: as `hanmo.text.language.guess_language` gives it. Rules that ask for words of a language leave texts of others
            alone; those for text without spaces hold for Japanese too. Code has to pass the basic rules only.
        settings: the rules.
    """
    rules = set(settings.rules)
    page = Page(text, lang)
    if "basic" in rules and (reason := basic_problem(page)):
        return Verdict(text, reason)
    if lang == "code":
        return Verdict(text)
    removed: Counter[str] = Counter()
    if "links" in rules:
        text, removed, n_removed = link_lines(page)
        if reason := links_problem(page, n_removed, settings):
            return Verdict(text, reason, removed)
        page = Page(text, lang) if removed else page
    if "gopher_repetition" in rules and (reason := repetition_problem(page)):
        return Verdict(text, reason, removed)
    if "gopher_quality" in rules and (reason := gopher_problem(page, settings)):
        return Verdict(text, reason, removed)
    if "c4" in rules:
        text, by_c4 = c4_lines(page, settings)
        page, removed = (Page(text, lang), removed + by_c4) if by_c4 else (page, removed)
        if reason := c4_problem(page, settings):
            return Verdict(text, reason, removed)
    if "fineweb" in rules and (reason := fineweb_problem(page)):
        return Verdict(text, reason, removed)
    return Verdict(text, "too short" if removed and is_short(page) else None, removed)
