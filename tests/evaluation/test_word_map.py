"""Labels on a map do not cover each other, and stay inside."""

from __future__ import annotations

import re

import numpy as np

from hanmo.evaluation.word_map import MapGroup, MapWord, map_svg


def boxes(svg: str) -> list[tuple[float, float, float, float]]:
    """(x0, y0, x1, y1) of every label, from what is written."""
    found = []
    for x, y, text in re.findall(r'<text x="([\d.]+)" y="([\d.]+)">([^<]*)</text>', svg):
        width = sum(15 if char > "\u2e80" else 15 * 0.56 for char in text)
        found.append((float(x), float(y) - 12, float(x) + width, float(y) + 3.75))
    return found


def test_labels_do_not_overlap() -> None:
    rng = np.random.default_rng(0)
    words = [
        MapWord(text=f"词语{i}" if i % 2 else f"word{i}", x=float(x), y=float(y), group=i % 3)
        for i, (x, y) in enumerate(rng.standard_normal((250, 2)))
    ]
    svg = map_svg(words, [MapGroup(name=name) for name in "甲乙丙"], title="图")
    labels = boxes(svg)
    assert 80 < len(labels) < 250
    height = float(re.findall(r'viewBox="0 0 1000 (\d+)"', svg)[0])
    for i, one in enumerate(labels):
        assert one[0] >= 0
        assert one[2] <= 1000
        assert one[3] <= height
        for other in labels[:i]:
            apart = one[0] >= other[2] or other[0] >= one[2] or one[1] >= other[3] or other[1] >= one[3]
            assert apart


def test_one_place_for_all() -> None:
    svg = map_svg([MapWord(text="同", x=1.0, y=1.0, group=0)] * 3, [MapGroup(name="一")], title="图", legend=False)
    assert svg.count("<circle") == 3
