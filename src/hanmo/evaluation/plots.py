"""Line plots and bars as inline SVG that fits any width without shrinking its labels.

Lines live in a stretched view box with strokes that do not scale; ticks and labels are placed by percentages in
an SVG without one. Colours come from the page by CSS class, so a plot follows light, dark and print by itself,
and hovering shows numbers through `<title>`, without a script.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from hanmo.evaluation.markup import Html, element, join

__all__ = ["Line", "bar_plot", "line_plot", "share_bar", "smooth", "thin", "ticks"]

_GRAIN = 1000
"""Units of the stretched view box along each axis."""
_MAX_POINTS = 900
_HOVER_STRIPS = 60


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of a plot."""

    name: str
    """What the legend says; "" leaves it out there."""
    points: Sequence[tuple[float, float]]
    """(x, y), x rising whole numbers."""
    cls: str
    """CSS class that colours it."""
    faint: bool = False
    """A background line: no legend figure, not in the hover text."""
    dots: bool = False
    """Mark every point, for few measurements."""


def smooth(points: Sequence[tuple[float, float]], half_width: int) -> list[tuple[float, float]]:
    """Moving average over up to `half_width` points on either side.

    The window grows from nothing over the first points, so that the steep start of a loss curve is not dragged.
    """
    sums = [0.0]
    for _, y in points:
        sums.append(sums[-1] + y)
    out = []
    for i, (x, _) in enumerate(points):
        reach = min(half_width, i // 4)
        first, end = i - reach, min(i + reach + 1, len(points))
        out.append((x, (sums[end] - sums[first]) / (end - first)))
    return out


def thin(points: Sequence[tuple[float, float]], limit: int = _MAX_POINTS) -> list[tuple[float, float]]:
    """At most about `limit` points that draw the same picture: the lowest and highest of each stretch."""
    if len(points) <= limit:
        return list(points)
    kept: list[tuple[float, float]] = [points[0]]
    stretch = len(points) / (limit / 2)
    for i in range(limit // 2):
        part = range(int(i * stretch), min(int((i + 1) * stretch), len(points)))
        low, high = min(part, key=lambda j: points[j][1]), max(part, key=lambda j: points[j][1])
        kept += [points[j] for j in sorted({low, high})]
    return [*kept, points[-1]] if kept[-1] != points[-1] else kept


_TINY = 1e-100
"""Values nearer to zero are drawn as zero: the smallest floats have no tenth and no logarithm of a power."""


def ticks(low: float, high: float, about: int = 5, *, whole: bool = False) -> list[float]:
    """Round numbers from `low` to `high`, about `about` of them.

    Steps are 1, 2, 2.5 or 5 times a power of ten; with `whole`, whole numbers only.
    """
    if not high > low:
        return [low]
    raw = max((high - low) / max(about, 1), 1.0 if whole else 0.0)
    power = 10.0 ** math.floor(math.log10(raw))
    factors = (1, 2, 5, 10) if whole else (1, 2, 2.5, 5, 10)
    step = next(factor * power for factor in factors if factor * power >= raw * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    return [round(i * step, 12) for i in range(first, math.floor(high / step + 1e-9) + 1)]


def _log_ticks(low: float, high: float) -> list[float]:
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    many = [m * 10.0**p for p in powers for m in (1, 2, 5)]
    inside = [value for value in many if low * (1 - 1e-9) <= value <= high * (1 + 1e-9)]
    return [v for v in inside if f"{v:e}"[0] == "1"] if len(inside) > 7 else inside


def _percent(share: float) -> str:
    return f"{100 * share:.2f}%".replace(".00%", "%")


def line_plot(
    lines: Sequence[Line],
    *,
    title: str,
    x_label: str,
    x_text: Callable[[float], str],
    y_text: Callable[[float], str],
    value_text: Callable[[float], str] | None = None,
    tip_head: Callable[[float], str] | None = None,
    scale: Literal["linear", "log"] = "linear",
    from_zero: bool = False,
    headroom: float = 0.04,
    size: str = "tall",
) -> Html:
    """Draw lines over a common x axis.

    Args:
        lines: drawn in order, later ones on top; empty ones are left out.
        title: name of the y quantity, set above the plot.
        x_label: name of the x quantity, set below its axis.
        x_text, y_text: write a tick.
        value_text: writes a value in the legend and hover texts; default `y_text`.
        tip_head: first line of a hover text, from x.
        scale: of the y axis; "log" leaves out values that are not above 0.
        from_zero: start a linear y axis at 0.
        headroom: share of the y range left free above and below.
        size: CSS class of the plot's height, "tall" or "low".

    Returns:
        A `<figure>`; empty markup where no line has a point.
    """
    value_text, log = value_text or y_text, scale == "log"
    flat = [(line, [(x, y if abs(y) >= _TINY else 0.0) for x, y in line.points]) for line in lines]
    drawn = [(line, [(x, y) for x, y in points if y > 0 or not log]) for line, points in flat]
    drawn = [(line, points) for line, points in drawn if points]
    if not drawn:
        return Html("")
    warp = math.log10 if log else float
    xs = [x for _, points in drawn for x, _ in points]
    x0, x1 = min(xs), max(xs)
    ys = [warp(y) for _, points in drawn for _, y in points]
    y0, y1 = min(ys), max(ys)
    pad = (y1 - y0) * headroom if y1 > y0 else abs(y1) * 0.1 or 1.0
    y0, y1 = y0 - pad, y1 + pad
    if from_zero and not log:
        y0, y1 = 0.0, y1 + pad

    def across(x: float) -> float:
        return (x - x0) / (x1 - x0) if x1 > x0 else 0.5

    def down(y: float) -> float:
        return 1 - (warp(y) - y0) / (y1 - y0)

    marks = _log_ticks(10**y0, 10**y1) if log else ticks(y0, y1)
    grid = [
        join(
            (
                element("line", x1="0", x2="100%", y1=_percent(down(y)), y2=_percent(down(y)), cls="grid"),
                element("text", y_text(y), x="0", dx="-8", y=_percent(down(y)), dy=".35em", cls="end"),
            )
        )
        for y in marks
    ]
    for x in ticks(x0, x1, 5, whole=True):
        anchor = "end" if across(x) > 0.97 else "mid" if across(x) > 0.03 else None
        grid.append(element("text", x_text(x), x=_percent(across(x)), y="100%", dy="1.5em", cls=anchor))
    grid.append(element("line", x1="0", x2="100%", y1="100%", y2="100%", cls="axis"))

    paths, dots = [], []
    for line, points in drawn:
        shown = thin(points)
        path = "M" + "L".join(f"{_GRAIN * across(x):.1f} {_GRAIN * down(y):.1f}" for x, y in shown)
        paths.append(
            element(
                "path",
                d=path,
                cls=f"line {line.cls}{' faint' if line.faint else ''}",
                vector_effect="non-scaling-stroke",
            )
        )
        marked = points if line.dots and len(points) <= 60 else points[-1:] if not line.faint else []
        dots += [
            element("circle", cx=_percent(across(x)), cy=_percent(down(y)), r="3", cls=line.cls) for x, y in marked
        ]
    figures = [
        element(
            "span",
            element("i", cls=line.cls + (" faint" if line.faint else "")),
            line.name,
            None if line.faint else element("b", value_text(points[-1][1])),
            cls="key",
        )
        for line, points in drawn
        if line.name
    ]
    svg = element(
        "svg",
        *grid,
        element(
            "svg", *paths, viewbox=f"0 0 {_GRAIN} {_GRAIN}", preserveaspectratio="none", width="100%", height="100%"
        ),
        *dots,
        *_hover_strips(drawn, x0, x1, across, value_text, tip_head or x_text),
        role="img",
        aria_label=title,
    )
    heading = element("figcaption", element("span", title, cls="what"), *figures)
    return element(
        "figure", heading, element("div", svg, cls="frame"), element("div", x_label, cls="xlabel"), cls=f"plot {size}"
    )


def _hover_strips(
    drawn: Sequence[tuple[Line, list[tuple[float, float]]]],
    x0: float,
    x1: float,
    across: Callable[[float], float],
    value_text: Callable[[float], str],
    tip_head: Callable[[float], str],
) -> list[Html]:
    """Upright strips that show, on hovering, each line's value nearest to their middle."""
    if not x1 > x0:
        return []
    strips = []
    for i in range(_HOVER_STRIPS):
        middle = x0 + (x1 - x0) * (i + 0.5) / _HOVER_STRIPS
        tip = [tip_head(round(middle))]
        for line, points in drawn:
            if not line.faint:
                nearest = min(points, key=lambda point: abs(point[0] - middle))
                tip.append(f"{line.name} {value_text(nearest[1])}")
        box = {"x": _percent(i / _HOVER_STRIPS), "width": _percent(1 / _HOVER_STRIPS), "y": "0", "height": "100%"}
        strips.append(element("rect", element("title", "\n".join(tip)), cls="hit", **box))
    return strips


def bar_plot(
    bins: Sequence[str],
    series: Sequence[tuple[str, str, Sequence[float]]],
    *,
    title: str,
    x_label: str,
    value_text: Callable[[float], str],
    every: int = 1,
) -> Html:
    """Draw stacked bars.

    Args:
        bins: what stands under the bars.
        series: (name, CSS class, value of each bin), from the bottom to the top.
        title: name of the quantity, set above the plot.
        x_label: what the bins are, set below.
        value_text: writes a value.
        every: label every so many bins.

    Returns:
        A `<figure>`; empty markup where nothing is above 0.
    """
    sums = [sum(values) for values in zip(*(values for _, _, values in series), strict=True)]
    top = max(sums, default=0)
    if not top > 0:
        return Html("")
    marks: list[Html] = []
    for value in ticks(0, top, 4, whole=True):
        y = _percent(1 - value / (1.05 * top))
        marks.append(element("line", x1="0", x2="100%", y1=y, y2=y, cls="grid" if value else "axis"))
        marks.append(element("text", value_text(value), x="-8", y=y, dy="0.32em", cls="end"))
    width = 1 / len(bins)
    for place, label in enumerate(bins):
        below = 0.0
        for name, cls, values in series:
            height = values[place] / (1.05 * top)
            if height > 0:
                tip = element("title", f"{label}\n{name} {value_text(values[place])}")
                box = {"x": _percent((place + 0.08) * width), "width": _percent(0.84 * width)}
                marks.append(
                    element("rect", tip, cls=cls, y=_percent(1 - below - height), height=_percent(height), **box)
                )
            below += height
        if place % every == 0:
            marks.append(element("text", label, x=_percent((place + 0.5) * width), y="100%", dy="1.5em", cls="mid"))
    keys = [element("span", element("i", cls=cls), name, cls="key") for name, cls, values in series if sum(values)]
    caption = element("figcaption", element("span", title, cls="what"), *keys)
    svg = element("svg", *marks, role="img", aria_label=title)
    frame = element("div", svg, cls="frame")
    return element("figure", caption, frame, element("div", x_label, cls="xlabel"), cls="plot low")


def share_bar(parts: Sequence[tuple[str, float, str, str]], *, label: str) -> Html:
    """One bar cut into shares of a whole, with a legend.

    Args:
        parts: (name, amount, the amount as text, CSS class); amounts of 0 appear in no bar but in the legend.
        label: what the whole is, for screen readers.
    """
    whole = sum(amount for _, amount, _, _ in parts)
    if not whole > 0:
        return Html("")
    bars, position = [], 0.0
    for name, amount, text, cls in parts:
        if amount > 0:
            title = element("title", f"{name}: {text} ({100 * amount / whole:.1f} %)")
            bars.append(
                element(
                    "rect", title, x=_percent(position), width=_percent(amount / whole), y="0", height="100%", cls=cls
                )
            )
            position += amount / whole
    legend = [
        element("span", element("i", cls=cls), name, element("b", text), cls="key") for name, _, text, cls in parts
    ]
    bar = element("svg", *bars, role="img", aria_label=label)
    return element("figure", element("div", bar, cls="bar"), element("figcaption", *legend), cls="share")
