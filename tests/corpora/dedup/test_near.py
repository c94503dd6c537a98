from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.corpora.texts import CHARS

from hanmo.corpora.dedup.near import NearDuplicates, exact_key, jaccard, shingles, signature


def words(seed: int, n: int = 400) -> list[str]:
    rng = random.Random(seed)
    return ["".join(rng.choices("abcdefgh", k=rng.randint(2, 8))) for _ in range(n)]


def han(seed: int, n: int = 400) -> list[str]:
    return random.Random(seed).choices(CHARS, k=n)


def changed(tokens: list[str], n: int, seed: int = 1) -> list[str]:
    rng, tokens = random.Random(seed), list(tokens)
    for place in rng.sample(range(len(tokens)), n):
        tokens[place] = "变" if tokens[place] in CHARS else "changed"
    return tokens


def plain_shingles(text: str) -> set[tuple[str, ...]]:
    """The definition, written plainly."""
    tokens: list[str] = []
    word = ""
    for char in text.lower() + " ":
        if char.isalnum() and not ("\u3040" <= char <= "\u9fff" or char >= "\U00020000"):
            word += char
            continue
        if word:
            tokens.append(word)
            word = ""
        if char.isalnum():
            tokens.append(char)
    return {tuple(tokens[i : i + 5]) for i in range(len(tokens) - 4)} if len(tokens) >= 20 else set()


@pytest.mark.parametrize(("join", "make"), [(" ", words), ("", han)])
def test_jaccard_equals_the_plain_definition(join: str, make) -> None:
    first = join.join(make(0))
    for n in (0, 3, 20, 100):
        second = join.join(changed(make(0), n)).upper()
        a, b = plain_shingles(first), plain_shingles(second)
        assert len(shingles(first)) == len(a)
        assert jaccard(shingles(first), shingles(second)) == len(a & b) / len(a | b)


def test_mixed_scripts_and_punctuation() -> None:
    text = "Python 3.11 是一门语言，它的名字来自 Monty Python。" * 3 + "还有𠮷野家"
    assert len(shingles(text)) == len(plain_shingles(text)) > 20
    assert jaccard(shingles(text), shingles(text.replace("，", " , ").replace("。", "  "))) == 1.0


@given(st.text(alphabet=st.sampled_from("ab1é的一𠮷カ ，.A"), min_size=20, max_size=120))
def test_any_text_has_the_shingles_of_the_plain_definition(text: str) -> None:
    found = shingles(text)
    assert len(found) == len(plain_shingles(text))
    assert (found[1:] > found[:-1]).all()


def test_short_texts_have_no_shingles() -> None:
    assert len(shingles("only a few words are here")) == 0
    assert jaccard(shingles(""), shingles("")) == 0.0


def test_exact_key_folds_white_space_only() -> None:
    assert exact_key("a  b\nc ") == exact_key("a b c")
    assert exact_key("a b c") != exact_key("a b C")


def test_signature_estimates_jaccard() -> None:
    base = words(3, 3000)
    errors = []
    for n in (0, 60, 150, 300, 600):
        a, b = shingles(" ".join(base)), shingles(" ".join(changed(base, n)))
        errors.append(np.mean(signature(a) == signature(b)) - jaccard(a, b))
    assert errors[0] == 0
    assert np.abs(errors).max() < 0.2


@pytest.mark.parametrize(("join", "make"), [(" ", words), ("", han)])
def test_near_duplicates_are_found_and_others_kept(join: str, make) -> None:
    kept: dict[int, str] = {}
    index = NearDuplicates(kept.__getitem__, 0.8)
    found_wrong = missed = n_near = 0
    for number in range(60):
        text = join.join(make(number))
        kept[number] = text
        assert index.find_or_keep(number, signature(shingles(text))) is None
    for number in range(60):
        for n in (2, 8, 30):
            text = join.join(changed(make(number), n, seed=number))
            similarity = jaccard(shingles(text), shingles(kept[number]))
            asked = len(kept)
            kept[asked] = text
            found = index.find_or_keep(asked, signature(shingles(text)))
            found = None if found is not None and found >= 60 else found  # a changed text that was kept before
            n_near += similarity >= 0.8
            missed += similarity >= 0.8 and found != number
            found_wrong += similarity < 0.8 and found is not None
    assert n_near >= 60
    assert missed == 0
    assert found_wrong == 0


def test_hashes_are_fixed() -> None:
    """Golden: the same answer on every machine and in every process, whatever PYTHONHASHSEED is."""
    text = " ".join(str(n) for n in range(40))
    assert len(shingles(text)) == 36
    assert int(shingles(text)[0]) == GOLDEN_SHINGLE
    assert int(signature(shingles(text))[0]) == GOLDEN_MINIMUM


GOLDEN_SHINGLE = 711007124547041224
GOLDEN_MINIMUM = 27875243


def test_shingles_and_signatures_are_fixed() -> None:
    """Golden: what one process signs, another on another machine compares."""
    text = "老先生清早写完了第三封长信，小徒弟把第七号空白的本子卖给了邻居。The old teacher wrote letter number 9 before sunrise, and sold notebook 12."
    found = shingles(text)
    assert (len(found), int(found[0]), int(found[-1])) == (39, 0x365B34134BAA2F2, 0xFE475E0E05B25EA4)
    assert signature(found)[:2].tolist() == [54625000, 281225320]
