"""Navigation and link spam: menus, lists of headlines, notices of sites, addresses.

No published recipe has these rules. Extraction of the main text takes most menus out of well-made pages, and leaves those of
others; Chinese pages of Common Crawl consist of them to a large part. A line goes for what it is made of (names of menus,
addresses), or because it stands in a run of short lines without punctuation, as no prose and hardly any verse does.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter

from hanmo.corpora.quality.navigation_words import MENU_NAMES
from hanmo.corpora.quality.page import Page, without_gaps
from hanmo.corpora.quality.settings import QualitySettings

__all__ = ["link_lines", "links_problem"]

MIN_RUN = 8
"""Fewest short lines in a row, without punctuation, that are a menu or a list of links."""
MAX_WORDS_IN_ITEM, MAX_CHARACTERS_IN_ITEM = 4, 12
"""Longest line of such a run: words, or characters of Chinese."""
MIN_SEPARATORS = 3
"""Fewest separators of a menu that stands in one line."""
MAX_LINK_SHARE = 0.2
"""Largest share of visible characters in addresses of the web."""
MIN_LINKS = 3
"""Fewer addresses than these are no spam in a text of any length."""

_SEPARATORS = str.maketrans(dict.fromkeys("/·•>›»<«＞＜｜:：–—,，、[]【】()（）!！*↑…\t", "|"))
_POINTER = re.compile(
    r"(?:[上下前后後]一[篇页章则則条條頁]|(?:当前|當前|您的|目前|您现在的)位置|相关推荐|相关阅读|相關閱讀|[本原]文(?:链接|地址|网址)"
    r"|版权所有|版權所有|备案号|copyright|©|you are here|posted in|filed under|tagged|previous post|next post)\s?[:：©>»\-\d(（]",
    re.IGNORECASE,
)
_NOTICE = re.compile(r"all rights reserved|icp[备備證证]")
_MENU = re.compile(r"(?:[^|｜›»>。！？!?]{0,24}[|｜›»>])+[^|｜›»>。！？!?]{0,24}")
_LINK = re.compile(
    r"(?:https?://|www\.)[^\s<>\"'，。；）)\]】|]+"
    r"|\b[a-z0-9-]{2,40}\.(?:com|net|org|cn|cc|tv|info|top|xyz|vip|me)\b(?:/[^\s，。）)]*)?",
    re.IGNORECASE,
)
_DOMAIN = re.compile(r"\.(?:com|net|org|cn|cc|tv|info|top|xyz|vip|me)\b|://")
"""Stands in most of what `_LINK` finds, and is quick to look for."""
_DATE = re.compile(r"\d{4}[-/.年]\d{1,2}[-/.月]\d{1,2}")
_ENDS_PROSE = tuple(",;.!?:，；。．！？：、…”’\"')）」』》—")
_BRACKETS = frozenset("©(（[【")
_FIRST_WORDS = frozenset(name.split()[0] for name in MENU_NAMES)
_MAX_ITEM, _MAX_NOTICE = 80, 200


def link_lines(page: Page) -> tuple[str, Counter[str], int]:
    """Take out lines of navigation and links.

    Returns:
        What is left, how many lines went by reason, and how many characters these had.
    """
    removed: Counter[str] = Counter()
    n_removed = 0
    kept: list[str] = []
    run: list[int] = []  # places in `kept` of the short lines since the last one that was none
    n_in_row = 0  # those, and what was taken out among them

    def end_run() -> None:
        nonlocal n_removed, n_in_row
        if run and n_in_row >= MIN_RUN:
            removed["menu or list of links (links)"] += len(run)
            for place in run:
                n_removed += len(kept[place].strip())
                kept[place] = ""
        run.clear()
        n_in_row = 0

    for line in page.text.split(page.separator):
        stripped = line.strip()
        if not stripped:
            kept.append(line)
            continue
        ends_prose = stripped.endswith(_ENDS_PROSE)
        reason = None if ends_prose and stripped[0] not in _BRACKETS else _line_problem(stripped)
        if reason is not None:
            removed[reason] += 1
            n_removed += len(stripped)
            n_in_row += 1
            continue
        if not ends_prose and _is_item(stripped, page.is_spaceless):
            run.append(len(kept))
            n_in_row += 1
        else:
            end_run()
        kept.append(line)
    end_run()
    if not removed:
        return page.text, removed, 0
    return without_gaps(page.separator.join(kept)), removed, n_removed


def _line_problem(line: str) -> str | None:
    if len(line) <= _MAX_NOTICE:
        lower = line.lower()
        if _is_navigation(lower) or _POINTER.match(line) or _NOTICE.search(lower):
            return "navigation (links)"
        n_separators = line.count("|") + line.count("｜") + line.count(">") + line.count("›") + line.count("»")
        # a row of a table begins with the bar that ends it
        if n_separators >= MIN_SEPARATORS and line[0] != "|" and _MENU.fullmatch(line):
            return "menu or list of links (links)"
    if _DOMAIN.search(line) and 2 * sum(len(match[0]) for match in _LINK.finditer(line)) > len(line):
        return "address of the web (links)"
    return None


def _is_navigation(line: str) -> bool:
    """Whether a line in lower case is made of names of menus and nothing else."""
    if len(line) > _MAX_ITEM:
        return False
    first = line.split(None, 1)[0]
    if first.isalpha() and first not in _FIRST_WORDS:
        return False  # there is no separator in it, so the first item begins with this word
    items = [
        item for item in map(str.strip, line.translate(_SEPARATORS).replace(" - ", "|").lstrip("- ").split("|")) if item
    ]
    if not items:
        return False
    if items[0] in MENU_NAMES and (">" in line or "›" in line or "»" in line):
        return True  # the way from the first page to this one
    return all(item in MENU_NAMES or MENU_NAMES.issuperset(item.split()) for item in items)


def _is_item(line: str, is_spaceless: bool) -> bool:
    if len(line) > _MAX_ITEM:
        return False
    if is_spaceless:
        return len(line) <= MAX_CHARACTERS_IN_ITEM or _DATE.search(line) is not None
    return len(line.split(None, MAX_WORDS_IN_ITEM)) <= MAX_WORDS_IN_ITEM or _DATE.search(line) is not None


def links_problem(page: Page, n_removed: int, settings: QualitySettings) -> str | None:
    """Say that a document is made of navigation or links, or None.

    Args:
        page: the document as it was.
        n_removed: characters of the lines that `link_lines` took out of it.
    """
    if n_removed > settings.max_navigation_share * page.n_line_characters:
        return "mostly navigation (links)"
    if page.text.count(".") + page.text.count("://") < MIN_LINKS:
        return None  # one of these is in all that `_DOMAIN` finds
    if len(list(itertools.islice(_DOMAIN.finditer(page.text), MIN_LINKS))) == MIN_LINKS:
        links = [len(match[0]) for match in _LINK.finditer(page.text)]
        if len(links) >= MIN_LINKS and sum(links) > MAX_LINK_SHARE * page.n_line_characters:
            return "mostly addresses of the web (links)"
    return None
