"""Names of MediaWiki that `hanmo.corpora.sources.wikitext` knows: tags, templates, namespaces, sections, variants."""

from __future__ import annotations

from collections.abc import Callable

__all__ = [
    "HIDDEN_NAMESPACES",
    "HIDDEN_SECTIONS",
    "HIDDEN_TAGS",
    "LITERAL_TAGS",
    "PLAIN_TAGS",
    "TEMPLATES",
    "VARIANTS",
]

HIDDEN_TAGS = frozenset(
    [
        "ref",
        "references",
        "gallery",
        "timeline",
        "score",
        "imagemap",
        "hiero",
        "graph",
        "mapframe",
        "maplink",
        "templatedata",
        "templatestyles",
        "style",
        "script",
        "categorytree",
        "inputbox",
        "indicator",
        "charinsert",
        "section",
    ]
)
"""Tags that are left out with their content."""
LITERAL_TAGS = frozenset(["nowiki", "pre", "math", "chem", "ce", "code", "source", "syntaxhighlight"])
"""Tags whose content is taken as it is."""
PLAIN_TAGS = frozenset(
    [
        "abbr",
        "b",
        "bdi",
        "bdo",
        "big",
        "cite",
        "data",
        "del",
        "dfn",
        "em",
        "font",
        "i",
        "ins",
        "kbd",
        "mark",
        "noinclude",
        "includeonly",
        "onlyinclude",
        "q",
        "rb",
        "rbc",
        "rp",
        "rt",
        "rtc",
        "ruby",
        "s",
        "samp",
        "small",
        "span",
        "strike",
        "strong",
        "sub",
        "sup",
        "table",
        "tbody",
        "td",
        "tfoot",
        "th",
        "thead",
        "time",
        "tt",
        "u",
        "var",
        "wbr",
        "a",
        "img",
        "translate",
        "tvar",
        "languages",
        "caption",
        "col",
        "colgroup",
    ]
)
"""Tags that are left out, with their content kept."""

HIDDEN_NAMESPACES = frozenset(
    {"file", "image", "media", "category", "special", "文件", "檔案", "档案", "图像", "圖像", "图片", "媒体", "媒體"}
    | {"分类", "分類", "特殊"}
)
"""Prefixes of links that are no text, in lower case."""

HIDDEN_SECTIONS = frozenset(
    {"references", "notes", "footnotes", "citations", "sources", "notes and references", "references and notes"}
    | {"external links", "further reading", "see also", "bibliography", "works cited", "gallery", "explanatory notes"}
    | {"参考文献", "參考文獻", "参考资料", "參考資料", "参考来源", "參考來源", "参考", "參考", "注释", "注釋", "註釋"}
    | {"注解", "註解", "脚注", "腳註", "外部链接", "外部連結", "外部鏈接", "外部链结", "参见", "參見", "参看", "參看"}
    | {"相关条目", "相關條目", "延伸阅读", "延伸閱讀", "扩展阅读", "擴展閱讀", "资料来源", "資料來源", "引用", "来源"}
    | {"來源", "参考书目", "參考書目", "注释与参考文献", "图集", "圖集"}
)
"""Headings, in lower case, of sections that hold sources and links and no text."""

VARIANTS = ("zh-cn", "zh-hans", "zh-sg", "zh-my", "zh", "zh-hant", "zh-tw", "zh-hk", "zh-mo")
"""Chinese variants of conversion marks; the first that is there is taken."""


def _first(values: list[str]) -> str:
    return values[0] if values else ""


def _second(values: list[str]) -> str:
    return values[1] if len(values) > 1 else ""


def _last(values: list[str]) -> str:
    return values[-1] if values else ""


def _measure(values: list[str]) -> str:
    """`{{convert|12|km|mi}}`: 12 km; `{{convert|3|to|5|km}}`: 3 to 5 km."""
    if len(values) >= 4 and values[1] in ("to", "-", "–", "and", "by", "x", "or", "to(-)"):
        middle = {"-": "–", "to(-)": "–", "x": " × "}.get(values[1], f" {values[1]} ")
        return f"{values[0]}{middle.replace('  ', ' ')}{values[2]} {values[3]}"
    return " ".join(values[:2])


_LOWERED = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


def _constant(text: str) -> Callable[[list[str]], str]:
    return lambda values: text


TEMPLATES: dict[str, Callable[[list[str]], str]] = {
    **dict.fromkeys(("lang", "transl", "transliteration", "langx", "script", "lang-latn"), _second),
    **dict.fromkeys(
        ("lang-", "nowrap", "nobr", "small", "big", "smaller", "larger", "abbr", "tooltip", "math", "mvar", "nihongo"),
        _first,
    ),
    **dict.fromkeys(
        ("quote", "blockquote", "cquote", "quotation", "bq", "val", "num", "em", "strong", "visible anchor"), _first
    ),
    **dict.fromkeys(("link-en", "link-ja", "link-de", "link-fr", "le", "link", "internal link helper", "le2"), _first),
    **dict.fromkeys(("lj", "lk", "lf", "ld", "es", "zh-hans", "zh-hant"), _first),
    "tsl": lambda values: next(filter(None, reversed(values)), ""),
    **dict.fromkeys(("convert", "cvt", "cvrt"), _measure),
    **dict.fromkeys(("nbsp", "space", "spaces", "thinsp", "pad"), _constant(" ")),
    **dict.fromkeys(("ndash", "en dash", "–", "nsndns"), _constant("–")),
    **dict.fromkeys(("spaced ndash", "snd", "spnd", "spaced en dash"), _constant(" – ")),
    **dict.fromkeys(("mdash", "em dash", "—"), _constant("—")),
    **dict.fromkeys(("'", "apostrophe"), _constant("’")),
    "'s": _constant("’s"),
    "·": _constant(" · "),
    "!": _constant("|"),
    "=": _constant("="),
    "frac": lambda values: "/".join(values[-2:]) if len(values) < 3 else f"{values[0]} {values[1]}/{values[2]}",
    "circa": lambda values: f"c. {_first(values)}".strip(),
    "c.": lambda values: f"c. {_first(values)}".strip(),
    "as of": lambda values: f"As of {'-'.join(values)}",
    **dict.fromkeys(("ipa", "ipa link", "ipalink", "ipa-all", "angle bracket", "angbr"), _first),
    **dict.fromkeys(("chem", "chem2"), lambda values: "".join(values).translate(_LOWERED)),
    **dict.fromkeys(("sup", "sub"), _first),
    "ruby": _first,
    "zy": _first,
}
"""What templates that stand for text show, by name in lower case, given their unnamed arguments."""
