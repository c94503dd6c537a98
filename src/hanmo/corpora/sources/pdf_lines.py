"""From the lines of printed pages to paragraphs: running heads, hyphens and line breaks are undone."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

__all__ = ["join_pages"]

_EDGE_LINES = 2
"""Lines at the top and at the bottom of a page that may be a running head or a page number."""
_MIN_PAGES = 3
"""On how many pages a line has to be to be taken out, of those around it."""
_NEAR_PAGES = 5
"""How many pages in front and behind are looked at; a running head changes with the chapter."""
_FULL_SHARE = 0.9
"""Share of the usual width from which a line is full, its successor's first word included."""
_END_SHARE = 0.75
"""Share of the usual width up to which a line that ends a sentence ends a paragraph."""
_COMPATIBLE = {  # ligatures, and the radicals that many programs write instead of Chinese characters
    point: unicodedata.normalize("NFKC", chr(point))
    for first, last in ((0x2E80, 0x2FD5), (0xFB00, 0xFB06))
    for point in range(first, last + 1)
}
_NUMBER = re.compile(r"[0-9]+|\b[ivxlcdm]+\b|[一二三四五六七八九十百〇零]+")
_WIDE = r"\u2e80-\u303f\u3041-\u30ff\u3400-\u9fff\uf900-\ufaff\uff01-\uff65“”‘’…—"
_WIDE_END = re.compile(rf"[{_WIDE}]\Z")
_WIDE_START = re.compile(rf"[{_WIDE}]")
_SENTENCE_END = re.compile(r"[.!?:。！？：；…][\"'”’」』）)]*\Z")
_HYPHEN_END = re.compile(r"([^\W\d_]+)[-\u00ad\u2010]\Z")
_WORD_START = re.compile(r"[^\W\d_]+")
_HYPHENATED = re.compile(r"[^\W\d_]+-[^\W\d_]+")
_ITEM = re.compile(
    r"(?:[•▪●○■◆·–*]|[0-9]{1,3}[.)、]|[(（][0-9一二三四五六七八九十]{1,3}[)）]|第[0-9一二三四五六七八九十百]{1,5}[章节回条])\s?"
)
"""How an item of a list, or a Chinese heading, begins."""


def join_pages(pages: list[str]) -> str:
    """Join the lines of pages to paragraphs, one per line.

    A line that is full goes on in the next one, also over a page break: with a space between words, with none between
    Chinese characters. A hyphen at the end of a line is left out where the other half begins in lower case, unless the
    word is written with it elsewhere. Lines that repeat at the top or bottom of most pages, but for numbers, go.

    Args:
        pages: the text of each page, with line ends.
    """
    lines = [line for page in _without_heads([_lines(page) for page in pages]) for line in page]
    widths = sorted(_width(line) for line in lines if line)
    if not widths:
        return ""
    usual = widths[(len(widths) - 1) * 9 // 10]
    hyphenated = {word.lower() for line in lines for word in _HYPHENATED.findall(line)}
    paragraphs: list[str] = []
    parts: list[str] = []
    previous = ""
    for line in lines:
        if parts and line and _goes_on(previous, line, usual):
            _append(parts, line, hyphenated)
        else:
            if parts:
                paragraphs.append("".join(parts))
            parts = [line] if line else []
        previous = line
    if parts:
        paragraphs.append("".join(parts))
    return "\n".join(paragraphs)


def _lines(page: str) -> list[str]:
    return [line.strip() for line in page.translate(_COMPATIBLE).replace("\x00", "").strip().split("\n")]


def _width(line: str) -> int:
    """Width in columns: 2 for a wide character."""
    return len(line) + len(re.findall(rf"[{_WIDE}]", line))


def _without_heads(pages: list[list[str]]) -> list[list[str]]:
    """Take out the lines that repeat at the edges of the pages around."""
    edges = [_edges(page) for page in pages]
    near: Counter[tuple[bool, str]] = Counter()
    result = []
    for number in range(-_NEAR_PAGES, len(pages)):
        if number + _NEAR_PAGES < len(pages):
            near.update({(top, form) for _, top, form in edges[number + _NEAR_PAGES]})
        if number - _NEAR_PAGES > 0:
            near.subtract({(top, form) for _, top, form in edges[number - _NEAR_PAGES - 1]})
        if number >= 0:
            out = {place for place, top, form in edges[number] if near[top, form] >= _MIN_PAGES}
            result.append([line for place, line in enumerate(pages[number]) if place not in out])
    return result


def _edges(page: list[str]) -> list[tuple[int, bool, str]]:
    """(place, at the top, text without numbers) of the lines at the edges of a page."""
    places = [place for place, line in enumerate(page) if line]
    edges = [(place, True) for place in places[:_EDGE_LINES]] + [(place, False) for place in places[-_EDGE_LINES:]]
    return [(place, top, " ".join(_NUMBER.sub("#", page[place].lower()).split())) for place, top in edges]


def _goes_on(line: str, following: str, usual: int) -> bool:
    """Whether a line was broken because the next word did not fit."""
    if _ITEM.match(following):
        return False
    if _HYPHEN_END.search(line) and following[:1].islower():
        return True
    width = _width(line)
    if _SENTENCE_END.search(line) and width <= _END_SHARE * usual:
        return False
    word = 2 if _WIDE_START.match(following) else 1 + len(following.split(" ", 1)[0])
    return width + word >= _FULL_SHARE * usual


def _append(parts: list[str], line: str, hyphenated: set[str]) -> None:
    last = parts[-1]
    half = _HYPHEN_END.search(last)
    rest = _WORD_START.match(line)
    if half and rest and rest[0][:1].islower():
        if f"{half[1]}-{rest[0]}".lower() not in hyphenated:
            parts[-1] = last[:-1]
    elif not (_WIDE_END.search(last) and _WIDE_START.match(line)):
        parts.append(" ")
    parts.append(line)
