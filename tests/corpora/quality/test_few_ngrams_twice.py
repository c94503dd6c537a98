"""What the bounds pass, a count of all n-grams passes too."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanmo.corpora.quality import page as pages
from hanmo.corpora.quality.few_ngrams_twice import (
    MAX_DUPLICATE_NGRAMS,
    MAX_TOP_NGRAM,
    MIN_TOP_COUNT,
    has_few_ngrams_twice,
)
from hanmo.corpora.quality.page import Page
from hanmo.corpora.quality.repetition import repetition_problem
from hanmo.text.language import Language


def plain_problem(words: list[str], scale: float) -> bool:
    """The two bounds on n-grams, written plainly, for words or characters."""
    n_letters = sum(map(len, words))
    for n, share in MAX_TOP_NGRAM.items():
        width = round(n * scale)
        grams = ["".join(words[at : at + width]) for at in range(len(words) - width + 1)]
        most = max(map(grams.count, grams), default=0)
        if most < MIN_TOP_COUNT:
            break
        if any(grams.count(gram) == most and most * len(gram) > share * n_letters for gram in set(grams)):
            return True
    for n, share in MAX_DUPLICATE_NGRAMS.items():
        width, seen, covered = round(n * scale), set[str](), set[int]()
        for at in range(len(words) - width + 1):
            gram = "".join(words[at : at + width])
            covered |= set(range(at, at + width)) if gram in seen else set()
            seen.add(gram)
        if sum(len(words[at]) for at in covered) > share * n_letters:
            return True
    return False


def make_words(rng: random.Random, lang: Language) -> list[str]:
    """Words out of more or fewer, with a stretch of them repeated now and then."""
    if lang == "zh":
        pool = [chr(0x4E00 + rng.randrange(9000)) for _ in range(rng.choice([30, 200, 3000]))] + [
            "ab",
            "x9",
        ] * rng.randrange(2)
    else:
        pool = ["".join(rng.choices("abcdefgh", k=rng.randint(1, 6))) for _ in range(rng.choice([15, 100, 1000]))]
    words = rng.choices(
        pool, k=rng.choice([12, 30, 60, 110, 150, 300]) if lang == "zh" else rng.choice([6, 12, 25, 60])
    )
    for _ in range(rng.randrange(4)):
        at = rng.randrange(len(words))
        words += words[at : at + rng.randint(1, 14)]
    return words


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_what_is_passed_is_within_the_bounds(lang: Language) -> None:
    rng, outcomes = random.Random(5), set[tuple[bool, bool]]()
    for _ in range(400):
        words = make_words(rng, lang)
        text = (" " if lang == "en" else "，").join(words)
        if lang == "zh" and rng.random() < 0.5:
            text = "".join(word if ord(word[0]) > 0x7F else f" {word} " for word in words)
        problem = plain_problem(words, 1.6 if lang == "zh" else 1.0)
        passed = has_few_ngrams_twice(Page(text, lang))
        assert not (passed and problem), text
        assert (repetition_problem(Page(text, lang)) is not None) == problem, text
        outcomes.add((passed, problem))
    assert outcomes == {(True, False), (False, False), (False, True)}


@given(
    st.text(alphabet=st.sampled_from("的一是ab1ﬁＡé，。 ㈱𠮷") | st.characters(), max_size=400),
    st.sampled_from(["zh", "en", "other"]),
)
def test_passing_changes_no_verdict(text: str, lang: Language) -> None:
    verdict = repetition_problem(Page(text, lang))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hanmo.corpora.quality.repetition.has_few_ngrams_twice", lambda page: False)
        assert repetition_problem(Page(text, lang)) == verdict
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pages, "BRIEF", 0)
        assert repetition_problem(Page(text, lang)) == verdict
