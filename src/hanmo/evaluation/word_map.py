"""A map of words: dots on a plane with labels that do not overlap, as an SVG that stands alone or on a page."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hanmo.evaluation.markup import Html, element, join, raw
from hanmo.evaluation.report_page import page

__all__ = ["MapGroup", "MapWord", "map_page", "map_svg"]

_WIDTH = 1000.0
_MARGIN = 46.0
_LEGEND = 34.0
_FONT = 15.0
_DOT = 3.6
_COLOURS = ("seal", "blue", "green", "ochre", "plum", "grey", "teal", "rose", "olive", "slate")

_CSS = """
.wordmap{--m-paper:#fbfbf9;--m-ink:#1d2126;--m-seal:#ad3428;--m-blue:#3b6291;--m-green:#3f7a58;--m-ochre:#986a10;
--m-plum:#7d5a86;--m-grey:#6d757e;--m-teal:#2b7a80;--m-rose:#b04a78;--m-olive:#69701f;--m-slate:#4d5fa0;
font-family:system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue","PingFang SC","Noto Sans CJK SC","Microsoft YaHei",sans-serif}
@media (prefers-color-scheme:dark){.wordmap{--m-paper:#15171a;--m-ink:#e4e4df;--m-seal:#ea7563;--m-blue:#83aedd;--m-green:#7fb996;
--m-ochre:#d5a850;--m-plum:#b795c0;--m-grey:#98a1aa;--m-teal:#6cc0c5;--m-rose:#e58fb5;--m-olive:#b9c067;--m-slate:#9dabe8}}
.wordmap .paper{fill:var(--m-paper)}
.wordmap text{font-size:15px;font-family:inherit;fill:var(--m-c,var(--m-ink));font-variant-numeric:normal}
.wordmap .dot{fill:var(--m-c);stroke:var(--m-paper);stroke-width:1.2}
.wordmap .bare .dot{opacity:.55}
.wordmap .key{font-size:16px;font-weight:600}
.wordmap .word:hover text{font-weight:700}.wordmap .word:hover .dot{stroke:var(--m-c);stroke-width:5;opacity:1}
""" + "".join(f".wordmap .g{i}{{--m-c:var(--m-{name})}}" for i, name in enumerate(_COLOURS))


@dataclass(frozen=True, kw_only=True)
class MapWord:
    """A word on the map."""

    text: str
    x: float
    y: float
    group: int
    """Number of its group, which gives its colour."""
    note: str = ""
    """Shown on hovering, under the word."""


@dataclass(frozen=True, kw_only=True)
class MapGroup:
    """Words of one colour."""

    name: str


def map_svg(words: Sequence[MapWord], groups: Sequence[MapGroup], *, title: str, legend: bool = True) -> Html:
    """Draw words; both axes have the same scale.

    Args:
        words: drawn in order: where labels would overlap, the earlier one is written; of a later one there is the dot,
            and its name on hovering.
        groups: their names, by number.
        title: what it shows, for screen readers.
        legend: whether the names of the groups are written above.
    """
    head = _LEGEND if legend else 0.0
    places, height = _fit(np.array([(word.x, word.y) for word in words], np.float64), head)
    labels = _place_labels(places, [word.text for word in words], height, head)
    drawn = []
    for word, (x, y), label in zip(words, places.tolist(), labels, strict=True):
        text = None
        if label is not None:
            text = element("text", word.text, x=f"{label[0]:.1f}", y=f"{label[1]:.1f}")
        drawn.append(
            element(
                "g",
                element("title", f"{word.text}\n{word.note}" if word.note else word.text),
                element("circle", cx=f"{x:.1f}", cy=f"{y:.1f}", r=_DOT, cls="dot"),
                text,
                cls=f"word g{word.group % len(_COLOURS)}{'' if label else ' bare'}",
            )
        )
    return element(
        "svg",
        element("title", title),
        element("style", raw(_CSS)),
        element("rect", width="100%", height="100%", cls="paper"),
        *(_legend(groups) if legend else ()),
        *drawn,
        xmlns="http://www.w3.org/2000/svg",
        viewbox=f"0 0 {_WIDTH:.0f} {height:.0f}",
        role="img",
        cls="wordmap",
    )


def _fit(points: np.ndarray, head: float) -> tuple[np.ndarray, float]:
    """Points in units of the picture, (N, 2), y downwards; and the height of the picture."""
    low, high = points.min(0), points.max(0)
    span = np.maximum(high - low, 1e-12)
    inner = _WIDTH - 2 * _MARGIN
    scale = inner / span[0]
    inner_height = float(np.clip(scale * span[1], 0.5 * inner, 0.85 * inner))
    scale = min(scale, inner_height / span[1])
    middle = (low + high) / 2
    centre = np.array((_WIDTH / 2, head + _MARGIN + inner_height / 2))
    return centre + (points - middle) * (scale, -scale), head + inner_height + 2 * _MARGIN


def _width(text: str) -> float:
    """Of a label, in units of the picture: a wide character is as wide as it is high."""
    return _FONT * sum(1.0 if unicodedata.east_asian_width(char) in "WF" else 0.56 for char in text)


def _place_labels(
    places: np.ndarray, texts: Sequence[str], height: float, head: float
) -> list[tuple[float, float] | None]:
    """Start of each label's base line: right, left, above or below its dot, where it covers nothing; None if nowhere."""
    gap, up, down = _DOT + 3, 0.8 * _FONT, 0.25 * _FONT
    dots = np.column_stack((places - _DOT, places + _DOT))  # x0 y0 x1 y1
    taken = np.empty((0, 4))
    found: list[tuple[float, float] | None] = []
    for number, (text, (x, y)) in enumerate(zip(texts, places.tolist(), strict=True)):
        width = _width(text)
        starts = (
            (x + gap, y + 0.35 * _FONT),
            (x - gap - width, y + 0.35 * _FONT),
            (x - width / 2, y - gap - down + 1),
            (x - width / 2, y + gap + up - 2),
            (x + 0.6 * gap, y - 0.6 * gap),
            (x - 0.6 * gap - width, y - 0.6 * gap),
            (x + 0.6 * gap, y + 0.6 * gap + 0.7 * _FONT),
            (x - 0.6 * gap - width, y + 0.6 * gap + 0.7 * _FONT),
        )
        others = np.delete(dots, number, 0)
        spot = None
        for start in starts:
            box = np.array((start[0], start[1] - up, start[0] + width, start[1] + down))
            inside = box[0] > 2 and box[2] < _WIDTH - 2 and box[1] > head and box[3] < height - 2
            if inside and not _covers(box, taken) and not _covers(box, others):
                spot, taken = start, np.vstack((taken, box))
                break
        found.append(spot)
    return found


def _covers(box: np.ndarray, others: np.ndarray) -> bool:
    return bool(
        ((box[0] < others[:, 2]) & (box[2] > others[:, 0]) & (box[1] < others[:, 3]) & (box[3] > others[:, 1])).any()
    )


def _legend(groups: Sequence[MapGroup]) -> list[Html]:
    x, parts = _MARGIN / 2, []
    for number, group in enumerate(groups):
        dot = element("circle", cx=f"{x + 5:.1f}", cy="24", r="5", cls="dot")
        text = element("text", group.name, x=f"{x + 16:.1f}", y="29.5", cls="key")
        parts.append(element("g", dot, text, cls=f"g{number % len(_COLOURS)}"))
        x += 46 + 1.07 * _width(group.name)
    return parts


_TEXTS = {
    "en": {
        "kind": "Word map",
        "contents": "Contents",
        "map": "Map",
        "groups": "Groups",
        "hint": "Hover a dot for the words nearest to it in all dimensions.",
    },
    "zh": {
        "kind": "词语地图",
        "contents": "目录",
        "map": "地图",
        "groups": "分组",
        "hint": "将鼠标移到圆点上，可看到该词在原始维度中的近邻。",
    },
}


def map_page(
    words: Sequence[MapWord],
    groups: Sequence[MapGroup],
    *,
    title: str,
    about: Sequence[str],
    lang: str,
    legend: bool = True,
) -> str:
    """A self-contained page with the map and the words of each group.

    Args:
        words: see `map_svg`.
        groups: see `map_svg`.
        title: heading.
        about: sentences on how it was made.
        lang: "en" or "zh".
        legend: see `map_svg`.
    """
    texts = _TEXTS[lang]
    rows = []
    for number, group in enumerate(groups):
        members = [word.text for word in words if word.group == number]
        rows.append(element("tr", element("th", group.name, scope="row"), element("td", "  ".join(members))))
    return page(
        lang="zh-Hans" if lang == "zh" else "en",
        title=title,
        kind=texts["kind"],
        contents=texts["contents"],
        sections=(
            (
                "map",
                texts["map"],
                join(
                    (
                        element("p", texts["hint"], cls="soft"),
                        element("div", map_svg(words, groups, title=title, legend=legend)),
                    )
                ),
            ),
            ("groups", texts["groups"], element("table", element("tbody", *rows))),
        ),
        head=element("p", about[0], cls="lead"),
        foot=join(element("p", sentence) for sentence in about[1:]),
    )
