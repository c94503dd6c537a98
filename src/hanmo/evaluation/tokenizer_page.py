"""A page that shows tokenizers side by side: figures, shared vocabulary, and the same text cut by each."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import count
from pathlib import PurePath
from typing import Literal

from hanmo.evaluation.markup import Html, element, join
from hanmo.evaluation.report_page import page
from hanmo.evaluation.tokenizer_figures import Comparison, TokenizerFigures
from hanmo.tokenizers.cutting import Piece

__all__ = ["display_names", "tokenizer_page"]

_MARKS = {" ": "·", "\n": "↵", "\t": "⇥", "\u3000": "□"}
_BYTES = re.compile(r"<[0-9A-F]{2}( [0-9A-F]{2})*>")

_TEXTS = {
    "en": {
        "title": "Tokenizers compared", "kind": "tokenizers", "contents": "Contents", "figures": "Figures",
        "lead": "{n} tokenizers on the same {characters} characters.",
        "length": "Characters per token", "length_note": "More is shorter: a model reads more text in the same context.",
        "unknown": "Characters lost as unknown", "unknown_note": "What a model can neither see nor write.",
        "about": "About them", "name": "tokenizer", "type": "kind", "size": "tokens", "speed": "tokens/s",
        "overlap": "Shared vocabulary",
        "overlap_note": "Of the tokens of a row, the share that the column has too; marks of word borders do not count.",
        "cut": "The same text, cut", "tokens": "{tokens} tokens, {characters} characters",
        "cut_note": "· space, ↵ line end, ⇥ tab, □ wide space, <E4 B8> a part of a character; red: unknown.",
        "zh": "Chinese", "en": "English", "other": "other languages", "und": "signs, numbers, blanks", "code": "code",
        "foot": "Made by hanmo tokenizer compare. The page loads nothing from elsewhere.",
    },
    "zh": {
        "title": "分词器对比", "kind": "分词器", "contents": "目录", "figures": "数字",
        "lead": "{n} 个分词器，同样的 {characters} 个字符。",
        "length": "每个词元的字符数", "length_note": "越大，文本越短，同样的上下文里模型能读到的越多。",
        "unknown": "变成未知词元的字符", "unknown_note": "这些字模型看不见，也写不出。",
        "about": "基本情况", "name": "分词器", "type": "类型", "size": "词表大小", "speed": "词元/秒",
        "overlap": "词表重合",
        "overlap_note": "行中分词器的词元有多大比例也在列中的词表里；词边界记号不计。",
        "cut": "同一段文字的切分", "tokens": "{tokens} 个词元，{characters} 个字符",
        "cut_note": "· 空格，↵ 换行，⇥ 制表符，□ 全角空格，<E4 B8> 半个字的字节；红色：未知。",
        "zh": "中文", "en": "英文", "other": "其他语言", "und": "符号、数字、空行", "code": "代码",
        "foot": "由 hanmo tokenizer compare 生成，不加载任何外部内容。",
    },
}  # fmt: skip


def display_names(names: Sequence[str]) -> list[str]:
    """The last part of each path, or the whole where that does not tell them apart."""
    short = [PurePath(name).name or name for name in names]
    return short if len(set(short)) == len(short) else list(names)


def tokenizer_page(comparison: Comparison, *, lang: Literal["en", "zh"] = "en") -> str:
    """A self-contained page.

    Args:
        comparison: what was measured.
        lang: language of the page.
    """
    say, found = _TEXTS[lang], comparison.tokenizers
    names = display_names([figures.name for figures in found])
    n_characters = sum(held.characters for held in found[0].languages.values())
    columns = [
        element(
            "div", element("h3", name), element("p", join(_chips(figures.shown)), cls="chips"),
            element("p", say["tokens"].format(
                tokens=f"{sum(piece.id is not None for piece in figures.shown):,}", characters=f"{len(comparison.text):,}"
            ), cls="chipnote"),
        )
        for name, figures in zip(names, found, strict=True)
    ]  # fmt: skip
    figures = (
        element("h3", say["length"]), _bars(found, names, say, lost=False), element("p", say["length_note"], cls="chipnote"),
        element("h3", say["unknown"]), _bars(found, names, say, lost=True), element("p", say["unknown_note"], cls="chipnote"),
        element("h3", say["about"]), _about(found, names, say),
        *((element("h3", say["overlap"]), _overlap(comparison, names), element("p", say["overlap_note"], cls="chipnote"))
          if len(found) > 1 else ()),
    )  # fmt: skip
    cut = (element("div", *columns, cls="two"), element("p", say["cut_note"], cls="chipnote"))
    return page(
        lang="zh-Hans" if lang == "zh" else "en", title=say["title"], kind=say["kind"], contents=say["contents"],
        sections=(("figures", say["figures"], join(figures)), ("cut", say["cut"], join(cut))),
        head=element("p", say["lead"].format(n=len(found), characters=f"{n_characters:,}"), cls="lead"),
        foot=element("p", say["foot"]),
    )  # fmt: skip


def _chips(pieces: Sequence[Piece]) -> list[Html]:
    chips: list[Html] = []
    for piece in pieces:
        if piece.id is None:
            chips.append(element("em", _spaces(piece.text)))
        elif piece.text:
            kind = "unknown" if piece.unknown else "byte" if _BYTES.fullmatch(piece.text) else None
            chips.append(element("span", _spaces(piece.text), cls=kind, title=str(piece.id)))
        if "\n" in piece.text:
            chips.append(element("br"))
    return chips


def _spaces(text: str) -> Html:
    parts = re.split(r"([ \n\t\u3000])", text)
    return join(element("em", _MARKS[part]) if part in _MARKS else part for part in parts if part)


def _bars(found: Sequence[TokenizerFigures], names: Sequence[str], say: dict[str, str], *, lost: bool) -> Html:
    """For each language a bar for each tokenizer."""

    def value(figures: TokenizerFigures, language: str) -> float:
        held = figures.languages[language]
        return held.unknown_share if lost else held.characters_per_token

    languages = list(found[0].languages)
    top = max((value(figures, language) for figures in found for language in languages), default=0) or 1.0
    rows = []
    for language in languages:
        for number, name, figures in zip(count(), names, found):
            amount = value(figures, language)
            bar = element("span", cls="hbar", style=f"width:{100 * amount / top:.1f}%")
            rows.append(
                element(
                    "tr", element("th", say.get(language, language) if number == 0 else "", scope="row"),
                    element("td", name), element("td", bar, cls="wide"),
                    element("td", f"{amount:.2%}" if lost else f"{amount:.2f}", cls="n"), cls="lean",
                )
            )  # fmt: skip
    return element("div", element("table", element("tbody", *rows), cls="bits"), cls="scroll")


def _about(found: Sequence[TokenizerFigures], names: Sequence[str], say: dict[str, str]) -> Html:
    head = element(
        "tr", element("th", say["name"]), element("th", say["type"]), element("th", say["size"], cls="n"),
        element("th", say["speed"], cls="n"),
    )  # fmt: skip
    rows = [
        element(
            "tr", element("th", name, scope="row"), element("td", figures.kind),
            element("td", f"{figures.vocab_size:,}", cls="n"), element("td", f"{figures.tokens_per_s:,.0f}", cls="n"),
        )
        for name, figures in zip(names, found, strict=True)
    ]  # fmt: skip
    return element("div", element("table", element("thead", head), element("tbody", *rows)), cls="scroll")


def _overlap(comparison: Comparison, names: Sequence[str]) -> Html:
    head = element("tr", element("th"), *(element("th", name, cls="n") for name in names))
    rows = [
        element("tr", element("th", name, scope="row"), *(element("td", f"{share:.1%}", cls="n") for share in shares))
        for name, shares in zip(names, comparison.overlap, strict=True)
    ]
    return element("div", element("table", element("thead", head), element("tbody", *rows)), cls="scroll")
