"""Wiki mark-up (MediaWiki) to plain text, in time linear in its length.

One pass over the brackets with a stack resolves templates, tables, links and Chinese conversion marks; short passes
after it handle tags, quotes, lists and headings. None of the patterns backtracks over more than it has just read.

Left out: templates (a few that stand for text are written as it), tables, references, comments, files, categories,
links to other languages, galleries, and the sections that hold only sources and links. Kept: the text of links,
formulas as LaTeX between dollar signs, code, lists with "- " or numbers, headings on a line of their own.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from hanmo.corpora.sources.wikitext_names import (
    HIDDEN_NAMESPACES,
    HIDDEN_SECTIONS,
    HIDDEN_TAGS,
    LITERAL_TAGS,
    PLAIN_TAGS,
    TEMPLATES,
    VARIANTS,
)

__all__ = ["remove_comments", "wikitext_to_text"]

_MAX_DEPTH = 60
"""Brackets nested deeper than this are text; MediaWiki stops at 40."""
_HOLD = "\x7f"
"""Stands around the number of a literal text that later passes must not touch."""

_TOKEN = re.compile(
    r"\{\{|\}\}|\[\[|\]\]"
    r"|-\{(?!\{)|\}-"
    r"|^[ \t:*#;]*\{\||^[ \t]*\|\}(?!\})"
    r"|<(?:" + "|".join(sorted(HIDDEN_TAGS | LITERAL_TAGS)) + r")\b[^<>]*>",
    re.MULTILINE | re.IGNORECASE,
)
_CLOSERS = {"}}": "{{", "]]": "[[", "}-": "-{", "|}": "{|"}
_TAG = re.compile(r"</?([a-zA-Z][a-zA-Z0-9]*)(?:[\s/][^<>]*)?>")
_BREAKS = frozenset(
    [
        "br",
        "p",
        "div",
        "li",
        "tr",
        "hr",
        "blockquote",
        "center",
        "poem",
        "dd",
        "dt",
        "ul",
        "ol",
        "dl",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
    ]
)
_SUPERSCRIPT = re.compile(r"<su([bp])>([0-9+\-−]{1,8})</su[bp]>", re.IGNORECASE)
_RAISED = str.maketrans("0123456789+-−", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻")
_LOWERED = str.maketrans("0123456789+-−", "₀₁₂₃₄₅₆₇₈₉₊₋₋")
_EXTERNAL = re.compile(r"\[(?:https?:|ftps?:|mailto:|news:|irc:|//)[^\s\[\]]*(?:[ \t]([^\[\]\n]*))?\]", re.IGNORECASE)
_MAGIC = re.compile(r"__[A-Z]{3,20}__|__[\u4e00-\u9fff]{2,10}__")
_QUOTES = re.compile(r"'{5}|'{2,3}")
_HEADING = re.compile(r"(={1,6})([^\n]*?)\1[ \t]*")
_EMPTY_BRACKETS = re.compile(r"[ \t]?[(（][\s;,:：；，、]*[)）]")
_AFTER_OPEN = re.compile(r"([(（])[\s;,；，、]+")
_BEFORE_CLOSE = re.compile(r"[ \t;,；，、]{1,20}([)）])")
_LEFT_OUT = re.compile(r"(?<=[,:;])(?: [,;])+| {1,9}(?=[,;]\s)")
"""What a template that was left out leaves in a list of things: its comma, the space before it."""
_SPACES = re.compile(r"(?<=\S)[ \t\xa0]+")
_REDIRECT = re.compile(r"\s*#\s*(?:redirect|重定向|重新導向|重新导向)\s*[:：]?\s*\[\[", re.IGNORECASE)


@dataclass(slots=True)
class _Frame:
    """A bracket that is open: how it was written, and what has come since."""

    kind: str
    opening: str
    parts: list[str] = field(default_factory=list)


class _Literals:
    """Texts that are final, each behind a mark."""

    def __init__(self) -> None:
        self._texts: list[str] = []

    def hold(self, text: str) -> str:
        self._texts.append(text)
        return f"{_HOLD}{len(self._texts) - 1}{_HOLD}"

    def restore(self, text: str) -> str:
        parts = text.split(_HOLD)
        for place in range(1, len(parts), 2):
            parts[place] = self._texts[int(parts[place])]
        return "".join(parts)


def wikitext_to_text(source: str, *, hidden_namespaces: Iterable[str] = ()) -> str | None:
    """The plain text of a page.

    Args:
        source: wiki mark-up, as it stands in a dump.
        hidden_namespaces: local names of files and categories beside the English and Chinese ones, in lower case.

    Returns:
        The text, maybe empty; None for a redirect.
    """
    if _REDIRECT.match(source):
        return None
    literals = _Literals()
    text = remove_comments(source.replace(_HOLD, "").replace("\r\n", "\n"))
    text = _resolve_brackets(text, literals, HIDDEN_NAMESPACES | frozenset(hidden_namespaces))
    text = _SUPERSCRIPT.sub(_script, text)
    text = _TAG.sub(_replace_tag, text)
    text = _EXTERNAL.sub(lambda found: (found[1] or "").strip(), text)
    text = _QUOTES.sub("", _MAGIC.sub("", text))
    text = html.unescape(text).replace("\xad", "").replace("\u200b", "")
    text = _AFTER_OPEN.sub(r"\1", _EMPTY_BRACKETS.sub("", text))
    text = _LEFT_OUT.sub("", _BEFORE_CLOSE.sub(r"\1", text))
    return literals.restore(_lay_out(text.split("\n"))).replace(_HOLD, "").strip()


def remove_comments(text: str) -> str:
    """A text without `<!-- ... -->`; one without end reaches to the end, as in MediaWiki."""
    parts, place = [], 0
    while (start := text.find("<!--", place)) >= 0:
        parts.append(text[place:start])
        end = text.find("-->", start + 4)
        if end < 0:
            return "".join(parts)
        place = end + 3
        # A comment alone on its line takes the line with it.
        if (not parts[-1] or parts[-1].endswith("\n")) and text.startswith("\n", place):
            place += 1
    parts.append(text[place:])
    return "".join(parts)


def _resolve_brackets(text: str, literals: _Literals, hidden: frozenset[str]) -> str:
    """Replace every template, link, table, conversion mark and tag with a content of its own by what it shows."""
    stack = [_Frame("", "")]
    open_kinds = dict.fromkeys(_CLOSERS.values(), 0)
    unclosed: set[str] = set()  # tags that are never closed from here on
    place = 0
    while found := _TOKEN.search(text, place):
        token = found[0].strip(" \t")
        start, place = found.start(), found.end()
        top = stack[-1]
        top.parts.append(text[found.pos : start])
        if token.startswith("<"):
            place = _skip_tag(text, found, top, literals, unclosed)
        elif token in _CLOSERS:
            kind = _CLOSERS[token]
            if not open_kinds[kind]:
                top.parts.append(found[0])
            elif token == "}}" and text.startswith("}}}", start) and not text.startswith(("}}}}", "}}}-"), start):
                top.parts.append("}")
                place = start + 1
            elif token == "]]" and text.startswith("]]]", start) and _has_open_bracket(top.parts[-1]):
                top.parts.append("]")  # the end of an external link inside
                place = start + 1
            else:
                _close(stack, open_kinds, kind, hidden)
        elif len(stack) > _MAX_DEPTH:
            top.parts.append(found[0])
        else:
            kind = "{|" if token.endswith("{|") else token
            open_kinds[kind] += 1
            stack.append(_Frame(kind, found[0]))
    stack[-1].parts.append(text[place:])
    parts = stack[0].parts
    for frame in stack[1:]:
        if frame.kind == "{|":  # a table without end reaches to the end
            break
        parts += frame.parts  # the bracket itself is no text
    return "".join(parts)


def _has_open_bracket(text: str) -> bool:
    return text.rfind("[") > text.rfind("]")


def _close(stack: list[_Frame], open_kinds: dict[str, int], kind: str, hidden: frozenset[str]) -> None:
    """Close the innermost bracket of a kind; what was opened in it and never closed is text of it."""
    level = max(number for number, frame in enumerate(stack) if frame.kind == kind)
    parts = stack[level].parts
    for frame in stack[level + 1 :]:
        open_kinds[frame.kind] -= 1
        parts += frame.parts if kind != "[[" else [frame.opening, *frame.parts]
    open_kinds[kind] -= 1
    del stack[level:]
    content = "".join(parts)
    if kind == "{{":
        shown = _template_text(content)
    elif kind == "[[":
        shown = _link_text(content, hidden)
    elif kind == "-{":
        shown = _variant_text(content)
    else:
        shown = ""
    stack[-1].parts.append(shown)


def _skip_tag(text: str, found: re.Match[str], top: _Frame, literals: _Literals, unclosed: set[str]) -> int:
    """Handle a tag whose content is no mark-up; returns where to go on."""
    place = found.end()
    name = re.split(r"[\s/>]", found[0][1:], maxsplit=1)[0].lower()
    if found[0].endswith("/>") or name in unclosed:
        return place
    end = re.compile(rf"</{name}\s*>", re.IGNORECASE).search(text, place)
    if end is None:
        unclosed.add(name)
        return place
    if name in LITERAL_TAGS:
        content = text[place : end.start()].strip("\n")
        if name in ("math", "chem", "ce"):
            content = f"${' '.join(content.split())}$"
        else:
            content = html.unescape(content)
        top.parts.append(literals.hold(content))
    return end.end()


def _template_text(content: str) -> str:
    """What a template shows, for the few that stand for text; else nothing."""
    name, *arguments = content.split("|")
    name = " ".join(name.split()).lower().replace("_", " ")
    shown = TEMPLATES.get(name) or (TEMPLATES["lang-"] if name.startswith("lang-") else None)
    if shown is None:
        return ""
    values = [argument.strip() for argument in arguments if not re.match(r"\s*[A-Za-z_]+\s*=", argument)]
    values += [argument.partition("=")[2].strip() for argument in arguments if re.match(r"\s*1\s*=", argument)]
    return shown(values)


def _link_text(content: str, hidden: frozenset[str]) -> str:
    """What `[[target|text]]` shows; nothing for files, categories and links to other languages."""
    target, bar, label = content.partition("|")
    target = target.strip()
    prefix, colon, _ = target.partition(":")
    prefix = prefix.strip().lower()
    if colon and prefix:
        is_language = re.fullmatch(r"[a-z]{2,3}(?:-[a-z]{2,10}){0,2}", prefix) and prefix not in ("mw", "wp")
        if prefix in hidden or is_language:
            return ""
    if bar:
        return label.strip() if label.strip() else ""
    return target.removeprefix(":").lstrip("#")


def _variant_text(content: str) -> str:
    """What `-{zh-hans:..;zh-hant:..}-` shows: the simplified form where there is one."""
    flags, bar, rest = content.partition("|")
    if bar and re.fullmatch(r"[A-Za-z\-;]{0,40}", flags):
        if set(flags) & set("HT-"):
            return ""
        content = rest
    forms: dict[str, str] = {}
    for part in content.split(";"):
        left, colon, right = part.partition(":")
        name = left.rpartition("=>")[2].strip().lower()
        if colon and name in VARIANTS:
            forms[name] = right.strip()
    for name in VARIANTS:
        if name in forms:
            return forms[name]
    return content


def _script(found: re.Match[str]) -> str:
    return found[2].translate(_RAISED if found[1] in "pP" else _LOWERED)


def _replace_tag(found: re.Match[str]) -> str:
    name = found[1].lower()
    if name in _BREAKS:
        return "\n"
    return "" if name in PLAIN_TAGS or name in HIDDEN_TAGS or name in LITERAL_TAGS else found[0]


def _lay_out(lines: list[str]) -> str:
    """Headings, lists and paragraphs; without sections that are empty or hold only sources and links."""
    out: list[str] = []
    headings: list[tuple[int, str]] = []  # those that no text has followed yet
    hidden_level, number = 7, 0
    for line in lines:
        line = line.strip(" \t\u3000") if not line.startswith("\u3000") else line.rstrip()
        heading = _HEADING.fullmatch(line) if line.startswith("=") else None
        if heading is not None and heading[2].strip(" ="):
            level, title = len(heading[1]), heading[2].strip(" =")
            if level <= hidden_level:
                hidden_level = level if title.lower() in HIDDEN_SECTIONS else 7
            headings = [item for item in headings if item[0] < level]
            if hidden_level == 7:
                headings.append((level, title))
            continue
        if hidden_level < 7:
            continue
        number = number + 1 if line.startswith("#") else 0
        line = _SPACES.sub(" ", _list_item(line, number))
        if line and (any(char.isalnum() for char in line) or _HOLD in line):
            for _, title in headings:
                out += ["", title, ""]
            headings.clear()
            out.append(line)
        elif out and out[-1]:
            out.append("")
    return "\n".join(line for place, line in enumerate(out) if line or (place and out[place - 1]))


def _list_item(line: str, number: int) -> str:
    marks = len(line) - len(line.lstrip("*#:;"))
    if not marks:
        return line
    text, last = line[marks:].strip(), line[marks - 1]
    if not text:
        return ""
    if last == "*":
        return "  " * min(line[:marks].count("*") - 1, 5) + "- " + text
    if last == "#":
        return f"{number}. {text}" if marks == 1 else f"- {text}"
    return text
