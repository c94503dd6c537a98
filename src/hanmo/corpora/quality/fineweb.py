"""What FineWeb adds to the rules of others (Penedo et al., 2024, §3.6), in English and Chinese."""

from __future__ import annotations

from collections import Counter

from hanmo.corpora.quality.page import Page

__all__ = ["fineweb_problem"]

MIN_ENDING_LINES = 0.12
"""Share of lines that end as a sentence does; no more than that is too few."""
MAX_DUPLICATE_LINE_CHARACTERS = 0.1
"""Share of characters in lines that stood earlier; that much is too many."""
MAX_SHORT_LINES = 0.67
"""Share of short lines; that many are too many."""
SHORT_LINE, SHORT_LINE_CHINESE = 30, 10
"""Fewer characters than these make a line short: a Chinese character says as much as three English letters."""
MIN_LINES = 4
"""With fewer lines, shares of lines say nothing: a post of one line has none or all."""


def fineweb_problem(page: Page) -> str | None:
    """Say which of the rules a text fails first, or None."""
    lines = page.lines
    if len(lines) < MIN_LINES:
        return None
    if page.ending_share <= MIN_ENDING_LINES:
        return "few lines end as a sentence does (fineweb)"
    short = SHORT_LINE_CHINESE if page.is_spaceless else SHORT_LINE
    if sum(len(line) < short for line in lines) >= MAX_SHORT_LINES * len(lines):
        return "mostly short lines (fineweb)"
    if len(set(lines)) < len(lines):
        repeated = sum(len(line) * (count - 1) for line, count in Counter(lines).items() if count > 1)
        if repeated >= MAX_DUPLICATE_LINE_CHARACTERS * page.n_line_characters:
            return "duplicate lines (fineweb)"
    return None
