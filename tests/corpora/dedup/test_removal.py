from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanmo.corpora.dedup.removal import remove_spans


@pytest.mark.parametrize(
    ("marked", "left"),
    [
        ("One.\n\n[Two.]\n\nThree.\n", "One.\n\nThree.\n"),
        ("One.\n[Two.]\nThree.", "One.\nThree."),
        ("[One.]\n\n  Two.", "  Two."),
        ("One.\n\n[Two.]\n", "One.\n"),
        ("One.\n\n[Two.]", "One."),
        ("[All of it.]\n", ""),
        ("One.\n\n[Two.]\n\n[Three.]\n\n\n\nFour.", "One.\n\nFour."),
        ("　　前文。\n[　　套话。]\n　　后文。", "　　前文。\n　　后文。"),
        ("前文。[套话。]后文。", "前文。后文。"),
        ("A word [or two ]here.", "A word here."),
        ("some[,thing]else", "some else"),
        ("中[文]字", "中字"),
        ("nothing", "nothing"),
    ],
)
def test_what_is_left_reads_on(marked: str, left: str) -> None:
    text, spans = "", []
    for char in marked:
        if char == "[":
            spans.append((len(text), 0))
        elif char == "]":
            spans[-1] = (spans[-1][0], len(text))
        else:
            text += char
    assert remove_spans(text, spans[::-1]) == left


@given(st.text("ab中。 \n　", max_size=40), st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=4))
def test_only_what_was_marked_and_white_space_goes(text: str, spans: list[tuple[int, int]]) -> None:
    spans = [(min(start, len(text)), min(end, len(text))) for start, end in spans]
    inside = {place for start, end in spans for place in range(start, end)}
    kept = [char for place, char in enumerate(text) if place not in inside]
    left = remove_spans(text, spans)
    assert "".join(left.split()) == "".join("".join(kept).split())
    if not inside:
        assert left == text
