from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from hanmo.corpora.sources.pieces import cut_stream, cut_text


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet="ab 中。\n", max_size=400), st.integers(2, 50))
def test_pieces_join_to_the_text(text: str, size: int) -> None:
    pieces = list(cut_text(text, piece_chars=size))
    assert "".join(pieces) == text
    assert all(0 < len(piece) <= max(size * 3 // 2, 1) for piece in pieces)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(alphabet="ab 中。\n", max_size=60)), st.integers(2, 50))
def test_blocks_give_the_same_pieces_as_the_whole(blocks: list[str], size: int) -> None:
    assert "".join(cut_stream(blocks, piece_chars=size)) == "".join(blocks)


def test_cuts_at_the_best_place() -> None:
    assert next(iter(cut_text("aaaa bbb.\n\ncc cc\ncccc", piece_chars=12))) == "aaaa bbb.\n\n"
    assert next(iter(cut_text("春天来了。花都开了。我们去看花吧，好吗", piece_chars=11))) == "春天来了。花都开了。"
    assert next(iter(cut_text("x" * 40, piece_chars=10))) == "x" * 10
