"""Tokens as shown."""

from __future__ import annotations

import pytest

from hanmo.evaluation.segmentations import show_tokens


class Bytes:
    """One token per `size` bytes."""

    def __init__(self, size: int):
        self.size = size
        self.pieces: list[bytes] = []

    def encode(self, text: str) -> list[int]:
        data = text.encode()
        self.pieces = [data[i : i + self.size] for i in range(0, len(data), self.size)]
        return list(range(len(self.pieces)))

    def token_bytes(self, id: int) -> bytes:
        return self.pieces[id]


@pytest.mark.parametrize(("text", "size"), [("plain words\n", 2), ("今天天气", 3)])
def test_whole_characters_are_shown_and_join(text, size):
    shown = show_tokens(Bytes(size), text)
    assert "".join(shown) == text
    assert len(shown) == len(text.encode()) / size


def test_parts_of_characters_are_bytes():
    assert show_tokens(Bytes(2), "中a") == ["<E4 B8>", "<AD 61>"]
