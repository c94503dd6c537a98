from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.corpora.texts import CHARS

from hanmo.corpora.dedup import substrings
from hanmo.corpora.dedup.letters import fold
from hanmo.corpora.dedup.removal import remove_spans
from hanmo.corpora.dedup.substrings import fingerprints, repeated_spans

WORDS = [
    "the",
    "of",
    "and",
    "to",
    "in",
    "that",
    "was",
    "his",
    "he",
    "it",
    "with",
    "is",
    "for",
    "as",
    "had",
    "you",
    "not",
    "be",
    "her",
    "on",
    "at",
    "by",
    "which",
]


def words(seed: int, n: int) -> str:
    rng = random.Random(seed)
    return " ".join(rng.choice(WORDS) + rng.choice("abcdefgh") for _ in range(n))


def han(seed: int, n: int) -> str:
    return "".join(random.Random(seed).choices(CHARS, k=n))


def oracle(texts: list[str], size: int, wide: int) -> list[set[int]]:
    """Every letter that is in a stretch of `size` that stood earlier, by looking at all of them; letters by number."""
    seen: set[tuple[int, ...]] = set()
    result = []
    for text in texts:
        letters = fold(text)
        sizes, points = np.where(letters.wide, wide, 1).tolist(), letters.points.tolist()
        covered: set[int] = set()
        for start in range(len(points)):
            end, total = start, 0
            while end < len(points) and total < size:
                total += sizes[end]
                end += 1
            if total >= size:
                stretch = tuple(points[start:end])
                if stretch in seen:
                    covered |= set(range(start, end))
                seen.add(stretch)
        result.append(covered)
    return result


def covered_letters(texts: list[str]) -> list[set[int]]:
    result = []
    for text, spans in zip(texts, repeated_spans(texts), strict=True):
        places = fold(text).places.tolist()
        result.append({n for n, place in enumerate(places) if any(start <= place < end for start, end in spans)})
    return result


@settings(max_examples=150)
@given(st.lists(st.text("甲乙 ", max_size=40) | st.text("甲乙丙丁，", max_size=30), min_size=1, max_size=4))
def test_every_repeated_stretch_is_found_and_nothing_else(texts: list[str]) -> None:
    """The guarantee of winnowing, at a small size: fingerprints of three letters, four in a window, stretches of six."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("WIDTH", 3), ("WINDOW", 4), ("MIN_LETTERS", 12)):
            patch.setattr(substrings, name, value)
        assert covered_letters(texts) == oracle(texts, 12, 2)


@settings(max_examples=15)
@given(st.integers(0, 1_000), st.integers(-3, 3), st.booleans())
def test_the_guarantee_at_full_size(seed: int, more: int, chinese: bool) -> None:
    """A stretch at the border of the shortest length, between words or characters of its own."""
    if chinese:
        copied, texts = han(seed, 100 + more), [han(seed + n, 150) for n in (1, 2, 3, 4)]
        joined = [texts[0] + copied + texts[1], texts[2] + copied + texts[3]]
    else:
        copied, texts = words(seed, 52)[: 255 + more], [words(seed + n, 60) for n in (1, 2, 3, 4)]
        joined = [f"{texts[0]} {copied} {texts[1]}", f"{texts[2]} {copied} {texts[3]}"]
    expected = oracle(joined, 200, 2)
    found = covered_letters(joined)
    assert found[0] == expected[0] == set()
    assert found[1] <= expected[1]
    assert bool(found[1]) == bool(expected[1])
    assert len(expected[1] - found[1]) <= 12  # halves of words at the ends stay
    if chinese:
        assert found == expected


def test_a_copied_passage_goes_once_and_the_earlier_one_stays() -> None:
    passage = words(7, 80)
    texts = [f"{words(1, 30)}. {passage}. {words(2, 30)}.", f"{words(3, 30)}. {passage.upper()}! {words(4, 30)}."]
    first, second = (remove_spans(text, spans) for text, spans in zip(texts, repeated_spans(texts), strict=True))
    assert first == texts[0]
    assert second == f"{words(3, 30)}. {words(4, 30)}."


def test_a_repeat_within_one_text() -> None:
    passage = han(5, 120)
    text = f"{han(1, 50)}。{passage}。{han(2, 50)}。{passage}。{han(3, 50)}。"
    (spans,) = repeated_spans([text])
    assert remove_spans(text, spans) == f"{han(1, 50)}。{passage}。{han(2, 50)}。{han(3, 50)}。"


def test_a_run_of_one_letter_is_linear() -> None:
    text = "哈" * 200_000
    keys, places = fingerprints(text)
    assert len(keys) == len(places) <= len(text)
    (spans,) = repeated_spans([text])
    assert remove_spans(text, spans) == "哈"


def test_short_and_empty_texts() -> None:
    assert repeated_spans([]) == []
    assert repeated_spans(["", "，。", han(1, 99), han(1, 99), words(1, 30), words(1, 30)]) == [[]] * 6


def test_density_and_independence_of_what_stands_around() -> None:
    copied = han(9, 400)
    one, other = fingerprints(han(1, 5_000) + copied + han(2, 500)), fingerprints(han(3, 70) + copied)
    common = np.intersect1d(one[0], other[0])
    assert 8 <= len(common) <= 30
    assert 0.02 < len(one[0]) / 5_900 < 0.06


def test_a_passage_of_a_real_book_is_found(data_root: Path) -> None:
    from hanmo.corpora.settings import CorpusSettings
    from hanmo.corpora.sources.files import SourceFile, read_file

    path = data_root / "chinese_novels"
    book = sorted(path.glob("*.gz"))[0]
    text = next(
        item.text for item in read_file(SourceFile(book, book.name), CorpusSettings()) if hasattr(item, "text")
    )[:20_000]
    copy = "前面是别的话。" + text[5_000:5_400] + "后面也是别的话。"
    (own, spans) = repeated_spans([text, copy])
    assert own == []
    left = remove_spans(copy, spans)
    assert left.startswith("前面是别的话。")
    assert left.endswith("后面也是别的话。")
    assert len(left) < 30
