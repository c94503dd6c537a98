from __future__ import annotations

import unicodedata

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmo.corpora.dedup.letters import fold, fold_words, hash_stretches


def plain_fold(text: str) -> list[tuple[str, int]]:
    """The definition, written plainly."""
    return [
        (letter, place)
        for place, char in enumerate(text)
        for letter in unicodedata.normalize("NFKC", char).casefold()
        if letter.isalnum() or 0x20000 <= ord(letter) < 0x40000  # Han, also that of a later Unicode
    ]


TEXTS = st.text(alphabet=st.characters() | st.sampled_from("aＡﬁ①½㎏ẞ中，。 \n٣𝟘𠮷丽ﷺ한"), max_size=40)


@settings(max_examples=60)
@given(TEXTS)
def test_letters_equal_the_plain_definition(text: str) -> None:
    letters = fold(text)
    assert list(zip(map(chr, letters.points), letters.places.tolist(), strict=True)) == plain_fold(text)


@settings(max_examples=60)
@given(TEXTS)
def test_words_of_a_brief_text_are_runs_of_neighbouring_letters(text: str) -> None:
    runs, last = [""], -1
    for letter, place in plain_fold(text):
        runs[-1:] = [runs[-1] + letter] if place <= last + 1 else [runs[-1], letter]
        last = place
    assert fold_words(text) == [run for run in runs if run]


def test_width_case_and_marks_do_not_count() -> None:
    assert fold("Ｈｅｌｌｏ， ﬁne Straße！").points.tolist() == fold("hello fine STRASSE").points.tolist()


def test_words_begin_where_a_reader_sees_them() -> None:
    text = "It's 2024年，ﬁne𠮷野家 Python3"
    letters = fold(text)
    assert [text[place] for place in letters.places[letters.words]] == list("Is2年ﬁ𠮷野家P")


@settings(max_examples=40)
@given(st.text("ab中", min_size=1, max_size=30), st.data())
def test_equal_stretches_have_equal_hashes_and_others_do_not(text: str, data: st.DataObject) -> None:
    hashes = hash_stretches(fold(text).points)
    pairs = [(start, end) for start in range(len(text)) for end in range(start + 1, len(text) + 1)]
    keys = hashes(np.array([start for start, _ in pairs]), np.array([end for _, end in pairs])).tolist()
    assert len(set(keys)) == len({text[start:end] for start, end in pairs})
    assert len(set(zip(keys, [text[start:end] for start, end in pairs], strict=True))) == len(set(keys))
    width = data.draw(st.integers(1, len(text) + 1))
    assert hashes.of_width(width).tolist() == [k for k, (s, e) in zip(keys, pairs, strict=True) if e - s == width]


def test_hashes_are_fixed() -> None:
    """Golden: arrays of them are handed from one process and machine to another."""
    letters = fold("Ink and 笔墨")
    assert int(hash_stretches(letters.points)(np.array([0]), np.array([len(letters.points)]))[0]) == GOLDEN


GOLDEN = 16788187841594841430
