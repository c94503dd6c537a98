"""Plots: right places, right numbers, any data."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hanmo.evaluation.plots import Line, line_plot, share_bar, smooth, thin, ticks


def plot(*lines: Line, **options):
    options = {"title": "损失 <loss>", "x_label": "step", "x_text": str, "y_text": lambda y: f"{y:g}"} | options
    return line_plot(lines, **options)


def line(points, **options):
    return Line(**{"name": "n", "cls": "c-train", "points": points} | options)


def path_points(markup: str) -> list[tuple[float, float]]:
    found = re.search(r'd="M([^"]+)"', markup)
    assert found is not None
    return [tuple(map(float, pair.split())) for pair in found[1].split("L")]  # pyright: ignore[reportReturnType]


def test_points_lie_where_they_belong():
    points = path_points(plot(line([(0, 1.0), (50, 3.0), (100, 2.0)]), headroom=0.0))
    assert points == [(0.0, 1000.0), (500.0, 0.0), (1000.0, 500.0)]


def test_log_scale_spaces_powers_evenly_and_leaves_out_zero():
    points = path_points(plot(line([(0, 1.0), (1, 10.0), (2, 100.0), (3, 0.0)]), scale="log", headroom=0.0))
    assert [y for _, y in points] == [1000.0, 500.0, 0.0]
    linear = path_points(plot(line([(0, 1.0), (1, 10.0), (2, 100.0)]), headroom=0.0))
    assert linear[1][1] == pytest.approx(1000 * 90 / 99, abs=0.1)


def test_from_zero_starts_at_zero():
    markup = plot(line([(0, 50.0), (1, 100.0)]), from_zero=True, headroom=0.0)
    assert path_points(markup) == [(0.0, 500.0), (1000.0, 0.0)]
    assert ">0</text>" in markup


def test_hover_texts_and_legend_give_the_numbers():
    markup = plot(
        line([(1, 4.0), (2, 3.0)], name="held out"), value_text=lambda y: f"<{y:.2f}>", tip_head=lambda x: f"step {x}"
    )
    assert "held out &lt;3.00&gt;" in markup
    assert markup.count("<title>step 1\nheld out &lt;4.00&gt;") == 30
    assert "<b>&lt;3.00&gt;</b>" in markup


def test_faint_lines_are_not_in_hover_texts():
    markup = plot(line([(1, 4.0), (2, 3.0)], name="raw", faint=True), line([(1, 1.0), (2, 2.0)], name="smooth"))
    assert "smooth 1" in markup
    assert "raw 4" not in markup


@settings(deadline=None, max_examples=40)
@example([0.0, 5e-324], "linear", False, False)
@example([5e-324], "log", False, False)
@example([1e-100, 2e-100], "log", False, False)
@given(
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50),
    st.sampled_from(["linear", "log"]),
    st.booleans(),
    st.booleans(),
)
def test_any_values_give_well_formed_markup_within_the_frame(values, scale, from_zero, dots):
    values = [abs(value) if from_zero else value for value in values]
    markup = plot(line(list(enumerate(values)), dots=dots), scale=scale, from_zero=from_zero)
    if not markup:
        assert scale == "log"
        assert max(values) < 1e-100
        return
    ET.fromstring(markup)
    assert "nan" not in markup
    assert all(-0.1 <= x <= 1000.1 and -0.1 <= y <= 1000.1 for x, y in path_points(markup))


def test_nothing_to_draw_gives_nothing():
    assert plot(line([])) == ""
    assert share_bar([("a", 0, "0", "c")], label="x") == ""


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0, 10, [0, 2, 4, 6, 8, 10]), (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1.0]), (3.1, 10.2, [4, 6, 8, 10]), (5, 5, [5])],
)
def test_ticks_are_round(low, high, expected):
    assert ticks(low, high) == pytest.approx(expected)


def test_ticks_of_whole_numbers_are_whole():
    assert ticks(1, 12, whole=True) == [5, 10]
    assert ticks(1, 12) == [2.5, 5, 7.5, 10]
    assert ticks(1, 3, whole=True) == [1, 2, 3]


@settings(deadline=None, max_examples=60)
@given(st.floats(-1e9, 1e9), st.floats(1e-6, 1e9))
def test_ticks_lie_inside_and_are_few(low, width):
    found = ticks(low, low + width)
    slack = 1e-6 * (abs(low) + width)
    assert all(low - slack <= tick <= low + width + slack for tick in found)
    assert len(found) <= 7


def test_smoothing_keeps_a_constant_and_the_start_and_calms_noise():
    constant = [(x, 2.0) for x in range(100)]
    assert [y for _, y in smooth(constant, 5)] == pytest.approx([2.0] * 100)
    assert [x for x, _ in smooth(constant, 5)] == list(range(100))
    noisy = [(x, math.sin(97 * x)) for x in range(400)]
    calm = smooth(noisy, 10)
    assert [y for _, y in calm[:4]] == pytest.approx([y for _, y in noisy[:4]])
    assert max(abs(y) for _, y in calm[100:]) < 0.3 < max(abs(y) for _, y in noisy[100:])


def test_smoothing_does_not_drag_a_steep_start():
    steep = [(x, 6 * math.exp(-x / 10)) for x in range(200)]
    assert max(abs(a[1] - b[1]) for a, b in zip(smooth(steep, 5), steep, strict=True)) < 0.15


def test_thinning_keeps_ends_and_spikes():
    points = [(float(x), 1.0) for x in range(50_000)]
    points[31_415] = (31_415.0, 9.0)
    kept = thin(points, 500)
    assert len(kept) < 1100
    assert kept[0] == points[0]
    assert kept[-1] == points[-1]
    assert points[31_415] in kept
    assert [x for x, _ in kept] == sorted(x for x, _ in kept)
    assert thin(points[:100], 500) == points[:100]


def test_share_bar_shares():
    markup = share_bar([("训练", 3, "3", "a"), ("none", 0, "0", "b"), ("rest", 1, "1", "c")], label="whole")
    assert 'x="0%" width="75%"' in markup.replace('" y=', '" y=')
    assert 'x="75%" width="25%"' in markup
    assert "训练: 3 (75.0 %)" in markup
    assert markup.count("<rect") == 2
    assert markup.count('class="key"') == 3
