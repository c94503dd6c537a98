"""Cut Chinese and English text into sentences, offsets kept: by rules, without a model.

Chinese ends a sentence with 。！？ or ……, and the quotation mark or bracket that closes after it belongs to it. In English a full
stop may also belong to an abbreviation, an initial, a number or an address; what stands around it decides (after the
features of Palmer & Hearst, 1997): the word before, and whether the next one looks like the beginning of a sentence.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

__all__ = ["sentence_spans", "sentences"]

_CLOSING = r"[\"'”’」』》〉)\]）】］]"
_HAN = re.compile("[々〇\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af]")
_END = re.compile(
    rf"(?P<marks>[.!?。！？｡．…‼⁇⁈⁉؟]+)(?P<closing>(?:\[\d{{1,3}}\])*{_CLOSING}*)(?P<space>[^\S\n]*\n?[^\S\n]*)"
)
_CHINESE_MARK = re.compile("[。！？｡…]")
_LINE_BREAK = re.compile(r"\n")
_EMPTY_LINE = re.compile(r"\n[^\S\n]*\n")
_OPENING = r"[\"'“‘「『《〈(\[（【［¿¡\-–—*_]*"
_NEXT = re.compile(rf"{_OPENING}([^\W_]+(?:['’][^\W_]+)?)?")
_LAST_WORD = re.compile(r"[^\s(\[“‘（「『]*$")
_GOES_ON = re.compile(r"[，、；：,;:。！？.!?）)]")
"""What follows a mark that does not end a sentence: 他喊“快跑！”，然后……"""


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_NEVER = _set(
    "mr mrs ms messrs mme mlle dr drs prof profs rev revd fr gen brig maj col lt sgt capt cmdr cpl adm sen rep gov pres hon st ste mt ft "
    "e.g i.e eg ie cf viz vs v al approx ca resp incl esp"
)
"""Abbreviations after which the sentence goes on."""
_BEFORE_NUMBER = _set("no nos nr art arts fig figs p pp pg vol vols sec sect ch chap eq eqs ver op para tab ext tel")
"""Words that are abbreviations where a number follows."""
_PERHAPS = _set(
    "etc p.s inc ltd co corp bros llc plc jr sr esq ph.d ph.d.s m.d b.a m.a d.c u.s u.k u.n u.s.a a.m p.m a.d b.c jan feb mar apr jun jul "
    "aug sep sept oct nov dec mon tue tues wed thu thur thurs fri sat sun ave blvd rd dept univ assn est min max mass calif conn ill tenn va "
    "pa fla ga tex ore ariz colo mich minn wis"
)
"""Abbreviations that may be the last word of a sentence."""
_STARTERS = _set(
    "the this that these those there then they their he she his her it its i i'm i've we we're our you your but and so or if in on at as a an "
    "when while after before since because although though however what who why how where which many most some all "
    "for from by with to no not yes one two is are was were do did does can could would should please thank thanks "
    "let it's he's she's they're that's there's what's mr mrs ms dr"
)
"""Words that, with a capital, begin a sentence after an abbreviation."""
_INITIALS = re.compile(r"(?:[^\W\d_]\.)*[^\W\d_]")


def sentences(text: str, *, wrapped: bool = False) -> list[str]:
    """The sentences of a text, without the white space between them.

    >>> sentences("Dr. Smith paid $3.50. “Fine!” he said. 他问：“你来吗？”我说：“来……”")
    ['Dr. Smith paid $3.50.', '“Fine!” he said.', '他问：“你来吗？”', '我说：“来……”']

    Args:
        text: Chinese, English or mixed.
        wrapped: lines were broken to fill a width, so that a line break is a space and only an empty line ends a
            sentence; otherwise every line break does.
    """
    return [text[start:end] for start, end in sentence_spans(text, wrapped=wrapped)]


def sentence_spans(text: str, *, wrapped: bool = False) -> list[tuple[int, int]]:
    """(start, end) of each sentence in characters of the text; what lies between them is white space.

    Args:
        text: see `sentences`.
        wrapped: see `sentences`.
    """
    spans = []
    for first, last in _paragraphs(text, _EMPTY_LINE if wrapped else _LINE_BREAK):
        start = first
        for match in _END.finditer(text, first, last):
            if match.end("closing") >= last or not _is_end(text, start, match, last):
                continue
            spans.append((start, match.end("closing")))
            start = match.end()
        if start < last:
            spans.append((start, last))
    return spans


def _paragraphs(text: str, separator: re.Pattern[str]) -> Iterator[tuple[int, int]]:
    """(start, end) of each stretch that no sentence reaches across, without the white space around it."""
    start = 0
    for end, after in [*((match.start(), match.end()) for match in separator.finditer(text)), (len(text), len(text))]:
        paragraph = text[start:end]
        if stripped := paragraph.strip():
            first = start + len(paragraph) - len(paragraph.lstrip())
            yield first, first + len(stripped)
        start = after


def _is_end(text: str, start: int, match: re.Match[str], last: int) -> bool:
    """Whether a sentence ends with these marks; text goes on behind them."""
    marks, closing, next_at = match["marks"], match["closing"], match.end()
    after = text[next_at]
    han_around = _is_han(after) or (match.start() > start and _is_han(text[match.start() - 1]))
    if _CHINESE_MARK.search(marks) and (han_around or marks.strip("…")):
        return _ends_chinese(marks, closing, after, text[match.start() - 1 : match.start()])
    if not match["space"]:  # 3.14, example.com, and Chinese with ASCII marks: 你好!今天…
        return han_around and _is_han(after) and (marks != "." or _is_han(text[match.start() - 1]))
    if _GOES_ON.match(after):
        return False
    if marks == "." and after.isdigit() and _before(text, start, match).lower() in _BEFORE_NUMBER:
        return False
    following = _NEXT.match(text, next_at, last)
    word = following[1] or "" if following else ""
    lower = word[:1].islower()
    if marks in ("...", "…", "..", "....", "……"):
        return not lower
    if marks != ".":
        return not (lower and closing.strip("]0123456789["))
    if lower and text[start].islower():  # written without capitals
        lower = False
    before = _before(text, start, match)
    is_first = match.start() - start == len(before)
    return _ends_english(before, word, lower, is_first)


def _ends_chinese(marks: str, closing: str, after: str, before: str) -> bool:
    if _GOES_ON.match(after) or (closing and after == "的"):
        return False
    if marks.strip("…") == "" and after == before:  # 我……我不知道
        return False
    if closing[-1:] in ("》", "〉"):  # 《谁动了我的奶酪？》 is a name
        return False
    if closing[-1:] in ("）", ")", "】", "］"):  # 他（真的！）来了
        return marks.endswith(("。", "｡"))
    return True


def _ends_english(before: str, word: str, lower: bool, is_first: bool) -> bool:
    """Whether a single full stop ends a sentence, by the word before it and the next one."""
    known = before.lower()
    if lower or known in _NEVER:
        return False
    if is_first and (before.isdigit() or len(before) == 1):  # 1. of a list
        return False
    if known in _PERHAPS or (_INITIALS.fullmatch(before) and before != "I"):
        return word.lower() in _STARTERS
    return True


def _before(text: str, start: int, match: re.Match[str]) -> str:
    """The word that the marks stand behind."""
    found = _LAST_WORD.search(text, max(start, match.start() - 30), match.start())
    return found[0].lstrip("\"'") if found else ""


def _is_han(character: str) -> bool:
    return _HAN.match(character) is not None
