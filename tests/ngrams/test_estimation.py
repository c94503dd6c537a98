"""Counts and probabilities, against the plain form and against what probabilities must be."""

from __future__ import annotations

import math
import signal
from collections import Counter
from itertools import count, pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hanmo.core.errors import ConfigError, DataError, FormatError
from hanmo.core.progress import set_quiet
from hanmo.ngrams import NgramModel, train, train_on_ids
from hanmo.ngrams.counting import count_ngrams, framed
from hanmo.ngrams.discounts import estimate_discounts
from hanmo.ngrams.marks import BEGIN, BEGIN_WORD, END, N_MARKS, UNKNOWN
from hanmo.ngrams.plain import PlainNgrams

CORPORA = st.lists(st.lists(st.sampled_from("abcde"), max_size=8), min_size=1, max_size=25).filter(any)
PRUNES = st.sampled_from([(0,), (0, 0, 1), (0, 1), (0, 0, 1, 2)])


def plain_of(model: NgramModel, corpus: list[list[str]], prune: tuple[int, ...]) -> PlainNgrams:
    numbers = {word: number for number, word in enumerate(model.words)}
    thresholds = [prune[min(n, len(prune) - 1)] for n in range(model.order)]
    sentences = [[numbers[word] for word in sentence] for sentence in corpus if sentence]
    return PlainNgrams(sentences, len(model.words), model.order, thresholds)


def contexts_of(corpus: list[list[str]], order: int) -> list[tuple[str, ...]]:
    """Every history that occurs, and some that do not."""
    found = {("a", "b", "a"), ("e", "e"), ("?",), ()}
    for sentence in corpus:
        text = (BEGIN_WORD, *sentence)
        found |= {text[max(0, i - order) : i] for i in range(1, len(text) + 1)}
    return sorted(found)


@settings(max_examples=60)
@given(CORPORA, st.integers(1, 5), PRUNES)
@example([["a"]], 5, (0,))
@example([["a", "a", "a", "a", "a", "a"], [], ["a"]], 3, (0, 1))
def test_probabilities_sum_to_one_and_are_those_of_the_plain_form(
    corpus: list[list[str]], order: int, prune: tuple[int, ...]
) -> None:
    model = train(corpus, order=order, unit="word", prune=prune)
    plain = plain_of(model, corpus, prune)
    numbers = {word: number for number, word in enumerate(model.words)}
    for context in contexts_of(corpus, order):
        at_begin = context[:1] == (BEGIN_WORD,)
        logs = model.distribution(model.state(context[at_begin:], begin=at_begin))
        p = 10.0**logs
        assert p.sum() == pytest.approx(1, abs=1e-9)
        assert p[BEGIN] == 0
        assert p[UNKNOWN] > 0
        known = tuple(BEGIN if word == BEGIN_WORD else numbers.get(word, UNKNOWN) for word in context)
        expected = [plain.p(word, known) if word != BEGIN else 0.0 for word in range(len(model.words))]
        np.testing.assert_allclose(p, expected, rtol=2e-9, atol=1e-15)


def test_every_context_of_a_larger_text(model: NgramModel, sentences: list[str]) -> None:
    corpus = [sentence.split() for sentence in sentences]
    plain = plain_of(model, corpus, (0,))
    assert model.info.fallback_orders == ()
    found = [(d.one, d.two, d.more) for d in plain.discounts]
    np.testing.assert_allclose(model.info.discounts, found)
    numbers = {word: number for number, word in enumerate(model.words)}
    for sentence in [*sentences[:50], "w1 w2 never w299 w298", "never"]:
        words = [numbers.get(word, UNKNOWN) for word in sentence.split()]
        logs = [log for _, log in model.token_logs(sentence)]
        np.testing.assert_allclose(logs, plain.log10(words), atol=1e-9)
        assert model.score(sentence).log10 == pytest.approx(sum(logs))


def test_counts_are_those_of_a_dictionary(sentences: list[str]) -> None:
    rows = [[int(word[1:]) for word in sentence.split()] for sentence in sentences]
    ids, ends = np.concatenate(rows).astype(np.int32), np.cumsum([len(row) for row in rows])
    text = framed(ids, ends, np.arange(N_MARKS, 304, dtype=np.int32))
    levels = count_ngrams(text, 303, 4).levels
    spelled: list[tuple[int, ...]] = [(word,) for word in range(303)]
    for n, level in enumerate(levels[1:], 2):
        contexts, words = level.keys >> np.uint64(32), level.keys & np.uint64(0xFFFFFFFF)
        shorter = spelled
        spelled = [(*shorter[c], w) for c, w in zip(contexts.tolist(), words.tolist(), strict=True)]
        expected: Counter[tuple[int, ...]] = Counter()
        for row in rows:
            framed_row = (BEGIN, *(word + N_MARKS for word in row), END)
            expected.update(framed_row[i - n : i] for i in range(n, len(framed_row) + 1))
        assert dict(zip(spelled, level.counts.tolist(), strict=True)) == expected
        assert [gram[1:] for gram in spelled] == [shorter[suffix] for suffix in level.suffixes]


def test_growing_tables(monkeypatch: pytest.MonkeyPatch, sentences: list[str], model: NgramModel) -> None:
    monkeypatch.setattr("hanmo.ngrams.counting._FIRST_SLOTS", 1024)
    monkeypatch.setattr("hanmo.ngrams.counting._STEP", 100)
    again = train(sentences, order=4)
    assert (again.automaton.table == model.automaton.table).all()
    assert (again.automaton.backoffs == model.automaton.backoffs).all()


def test_discounts_of_chen_and_goodman() -> None:
    found = estimate_discounts([100, 40, 20, 12], (0.5, 1.0, 1.5))
    y = 100 / 180
    assert (found.one, found.two) == pytest.approx((1 - 2 * y * 0.4, 2 - 3 * y * 0.5))
    assert found.more == pytest.approx(3 - 4 * y * 0.6)
    assert [found.of(count) for count in (0, 1, 2, 3, 9)] == [0, found.one, found.two, found.more, found.more]


@pytest.mark.parametrize("counts", [[0, 3, 2, 1], [3, 0, 2, 1], [3, 2, 0, 1], [5, 5, 50, 1], [10, 5, 2, 50]])
def test_discounts_that_cannot_be_estimated(counts: list[int]) -> None:
    found = estimate_discounts(counts, (0.4, 0.9, 1.2))
    assert (found.one, found.two, found.more) == (0.4, 0.9, 1.2)
    assert found.problem


def test_the_fallback_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    set_quiet(False)
    model = train(["a b c"], order=3)
    assert model.info.fallback_orders == (1, 2, 3)
    said = capsys.readouterr().err
    assert "The discounts of the 3-grams cannot be estimated" in said
    assert "0.5, 1.0, 1.5" in said


def test_pruning_keeps_what_occurs_often(sentences: list[str], model: NgramModel) -> None:
    pruned = train(sentences, order=4, prune=(0, 0, 1))
    assert pruned.info.n_grams[:2] == model.info.n_grams[:2]
    assert all(few < many for few, many in zip(pruned.info.n_grams[2:], model.info.n_grams[2:], strict=True))
    counts = Counter(gram for s in sentences for gram in pairwise(["<s>", *s.split(), "</s>"]))
    assert pruned.info.n_grams[1] == len(counts)


def test_rare_words_are_the_unknown_word() -> None:
    model = train(["a b a", "a b c", "b a d"], order=2, min_count=2)
    assert model.words == ("<unk>", "<s>", "</s>", "a", "b")
    assert model.score("a d").n_unknown == 1
    assert train(["a b a", "b a c"], order=2, max_words=1).words[3:] == ("a",)


def test_a_text_that_writes_the_unknown_word() -> None:
    corpus = ["a <unk> b", "b <unk> a", "<unk> a"]
    model = train(corpus, order=3)
    renamed = train([line.replace("<unk>", "X") for line in corpus], order=3)
    assert set(model.words) == {"<unk>", "<s>", "</s>", "a", "b"}
    # it has its own count and the share of what was never seen, which X leaves to the mark
    assert model.score("a <unk> b").log10 > renamed.score("a Y b").log10
    assert model.score("a <unk> b").log10 == model.score("a Y b").log10


def test_words_are_numbered_the_same_whatever_comes_first() -> None:
    one, other = train(["b a", "a b c"], order=2), train(iter([["b", "a"], ["a", "b", "c"]]), order=2)
    assert one.words == other.words
    assert (one.automaton.table == other.automaton.table).all()


def test_order_beyond_the_sentences() -> None:
    model = train(["a b", "b a"], order=9)
    assert model.info.n_grams == (5, 6, 4, 2, 0, 0, 0, 0, 0)
    assert (10.0 ** model.distribution(model.state(["a", "b"], begin=True))).sum() == pytest.approx(1, abs=1e-9)


def test_token_ids() -> None:
    ids = np.array([5, 6, 7, 0, 5, 6, 0, 0, 6, 7], np.uint16)
    model = train_on_ids(ids, n_ids=9, end_id=0, order=3)
    same = train([["5", "6", "7"], ["5", "6"], ["6", "7"]], order=3)
    assert len(model.words) == 9 + N_MARKS
    assert model.info.n_read == same.info.n_read == 7
    log = model.score_ids(np.array([5, 6]) + N_MARKS, np.array([2]))
    assert log[0] == pytest.approx(same.score("5 6").log10, abs=0.2)  # their vocabularies differ
    assert (10.0 ** model.distribution(model.state([], begin=True))).sum() == pytest.approx(1, abs=1e-9)
    with pytest.raises(DataError, match="not below 12"):
        model.score_ids(np.array([12]), np.array([1]))


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ([], "no words"),
        (["", "  ", "\t"], "no words"),
        (["a <s> b"], "'<s>' is in the text"),
        (["a", "x </s>"], "'</s>' is in the text"),
        (["a", 3], "sentence 2"),
        (["a", "\ud800"], "sentence 2"),
    ],
)
def test_bad_texts(source: list[str], words: str) -> None:
    with pytest.raises(DataError, match=words):
        train(source, unit="word")


def test_bad_files(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    with pytest.raises(DataError, match="no such file"):
        train(path)
    path.write_bytes(b"")
    with pytest.raises(DataError, match="no words"):
        train(path)
    path.write_bytes(b"good line\nbad \xff\xfe line\n")
    for unit in ("word", "character"):
        with pytest.raises(FormatError, match=r"text\.txt:2: .*UTF-8"):
            train(path, unit=unit)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"order": 0}, "order"),
        ({"order": 13}, "order"),
        ({"prune": (0, 2, 1)}, "may not fall"),
        ({"prune": (1,)}, "begins with 0"),
        ({"prune": ()}, "needs one count"),
        ({"min_count": 0}, "min_count"),
        ({"fallback": (0.5, 3.0, 1.0)}, "discount"),
        ({"unit": "token"}, "tokenizer"),
        ({"colour": 1}, "colour"),
    ],
)
def test_settings_that_cannot_be(options: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        train(["a b"], **options)  # type: ignore[arg-type]


def test_ids_out_of_range() -> None:
    with pytest.raises(DataError, match="between 0 and 4"):
        train_on_ids(np.array([1, 5]), n_ids=5, end_id=0)
    with pytest.raises(ConfigError, match="min_count"):
        train_on_ids(np.array([1]), n_ids=5, end_id=0, min_count=2)


def test_too_little_memory(monkeypatch: pytest.MonkeyPatch, sentences: list[str]) -> None:
    from dataclasses import replace

    from hanmo.core.machine import describe_machine

    monkeypatch.setattr("hanmo.ngrams.counting._FIRST_SLOTS", 1024)
    little = replace(describe_machine(), memory_bytes=10_000)
    monkeypatch.setattr("hanmo.ngrams.counting.describe_machine", lambda: little)
    with pytest.raises(DataError, match="order below 4"):
        train(sentences, order=4)


_STEPS, _ORDER = 5, 4
_WAVES = _STEPS + _ORDER - 2
"""Each of the 3 counters is a step of the text behind the one before it."""


@pytest.fixture
def framed_sentences(sentences: list[str], monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """A text that is counted in `_STEPS` steps."""
    rows = [[int(word[1:]) for word in sentence.split()] for sentence in sentences]
    ids, ends = np.concatenate(rows).astype(np.int32), np.cumsum([len(row) for row in rows])
    text = framed(ids, ends, np.arange(N_MARKS, 304, dtype=np.int32))
    monkeypatch.setattr("hanmo.ngrams.counting._STEP", -(-len(text) // _STEPS))
    return text


def _press(monkeypatch: pytest.MonkeyPatch, wave: int) -> None:
    """Ctrl-C when a wave begins, of those in which all orders are counted side by side."""
    waves = count()

    def pressed(*_: object) -> None:
        if next(waves) == wave:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("hanmo.ngrams.counting._check_memory", pressed)


@pytest.mark.parametrize("wave", range(_WAVES))
def test_ctrl_c_keeps_what_is_counted(
    framed_sentences: np.ndarray, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], wave: int
) -> None:
    text = framed_sentences
    _press(monkeypatch, wave)
    set_quiet(False)
    counts = count_ngrams(text, 303, _ORDER, keep_interrupted=True)
    assert counts.share == pytest.approx(min(1, (wave + 1) / _STEPS), abs=0.01)
    assert ("Interrupted" in capsys.readouterr().err) == (counts.share < 1)
    whole = count_ngrams(text[: round(counts.share * len(text))], 303, _ORDER)
    assert whole.share == 1
    for found, expected in zip(counts.levels, whole.levels, strict=True):
        assert (found.keys == expected.keys).all()
        assert (found.counts == expected.counts).all()
        assert (found.suffixes == expected.suffixes).all()


def test_ctrl_c_ends_what_is_not_kept(framed_sentences: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    _press(monkeypatch, 1)
    with pytest.raises(KeyboardInterrupt):
        count_ngrams(framed_sentences, 303, _ORDER)


class _Said:
    """A bar that adds up what it is told."""

    def __init__(self) -> None:
        self.done = 0.0

    def advance(self, n: float = 1, **info: object) -> None:
        self.done += n

    def set_total(self, total: float) -> None: ...


@pytest.mark.parametrize("wave", [None, 1, _WAVES - 1])
def test_the_bar_is_told_of_all_that_is_counted(
    framed_sentences: np.ndarray, monkeypatch: pytest.MonkeyPatch, wave: int | None
) -> None:
    if wave is not None:
        _press(monkeypatch, wave)
    bar = _Said()
    counts = count_ngrams(framed_sentences, 303, _ORDER, bar, keep_interrupted=True)
    words = 1 / _ORDER  # are counted to the end of the text before the rest
    assert bar.done / len(framed_sentences) == pytest.approx(words + counts.share * (1 - words))


@pytest.mark.parametrize("word", ["New York", "纽约\t市", "a\nb", "a\x0bb", " a"])
def test_words_with_white_space(word: str) -> None:
    """Scoring splits texts at white space and could never find them."""
    with pytest.raises(DataError, match="has white space in it") as caught:
        train([["我", "住", "在", word], ["a", "b"]], order=2, unit="word")
    assert repr(word) in str(caught.value)
    # the ideographic space is a letter to the readers of words
    model = train([["纽约\u3000市", "大"]], order=2, unit="word")
    assert model.score("纽约\u3000市 大").n_unknown == 0


def test_no_word_is_lost_between_order_and_length() -> None:
    # a context whose only continuation is pruned leaves everything to the shorter one
    model = train(["a b c", "a b d", "x b c", "x b c"], order=3, prune=(0, 0, 1))
    state = model.state(["a", "b"])
    assert math.isclose((10.0 ** model.distribution(state)).sum(), 1, abs_tol=1e-9)
