"""Scores of texts in words, characters and tokens; samples; what filters of a corpus use."""

from __future__ import annotations

import gzip
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hanmo.core.errors import ConfigError, DataError, FormatError
from hanmo.ngrams import NgramModel, load, train, train_on_ids
from hanmo.ngrams.sampling import join_words
from hanmo.tokenizers.bpe import train_bpe


def test_the_figures_of_a_score(model: NgramModel) -> None:
    text = "w1 w2 never\n\nw3 w4\n"
    found = model.score(text)
    logs = model.token_logs(text)
    assert [word for word, _ in logs] == ["w1", "w2", "<unk>", "</s>", "w3", "w4", "</s>"]
    total, end, unknown = (sum(log for word, log in logs if word in kind) for kind in (
        {"w1", "w2", "w3", "w4", "<unk>", "</s>"}, {"</s>"}, {"<unk>"},
    ))  # fmt: skip
    assert (found.n_words, found.n_sentences, found.n_unknown) == (5, 2, 1)
    assert (found.n_characters, found.n_bytes) == (len(text), len(text))
    assert found.log10 == pytest.approx(total)
    assert found.perplexity == pytest.approx(10 ** (-total / 7))
    assert found.perplexity_without_ends == pytest.approx(10 ** ((end - total) / 5))
    assert found.perplexity_known == pytest.approx(10 ** ((unknown - total) / 6))
    assert found.bits_per_word == pytest.approx(math.log2(found.perplexity))
    assert found.bits_per_byte == pytest.approx(-total * math.log2(10) / len(text))
    assert found.to_dict()["perplexity"] == found.perplexity


def test_many_sentences_side_by_side(model: NgramModel, sentences: list[str]) -> None:
    lines = [*sentences, "", "w1", "nothing known here", "  "]
    logs = model.log10(lines)
    one_by_one = [sum(log for _, log in model.token_logs(line)) for line in lines]
    np.testing.assert_allclose(logs, one_by_one, atol=1e-9)
    assert logs[-4] == logs[-1] == 0
    assert model.log10([]).shape == (0,)


@pytest.mark.parametrize("text", ["", "\n\n", "   "])
def test_nothing_to_score(model: NgramModel, text: str) -> None:
    with pytest.raises(DataError, match="no words"):
        model.score(text)


def test_a_line_feed_inside_a_line(model: NgramModel) -> None:
    with pytest.raises(DataError, match="line feed"):
        model.log10(["w1 w2", "w1\nw2"])


def test_a_file_is_scored_as_its_text(model: NgramModel, sentences: list[str], tmp_path: Path) -> None:
    text = "\n".join(sentences) + "\n"
    plain, packed = tmp_path / "text.txt", tmp_path / "text.txt.gz"
    plain.write_text(text, encoding="utf-8")
    packed.write_bytes(gzip.compress(text.encode()))
    expected = model.score(text)
    for found in (model.perplexity(plain), model.perplexity(str(packed)), model.perplexity([plain])):
        assert found.to_dict() == pytest.approx(expected.to_dict())
    assert model.perplexity(iter(sentences)).log10 == pytest.approx(expected.log10)
    with pytest.raises(DataError, match="no such file"):
        model.perplexity(tmp_path / "none.txt")
    plain.write_bytes(b"w1 w2\nw3\n\xff\n")
    with pytest.raises(FormatError, match=r"text\.txt:3: byte 0xff"):
        model.perplexity(plain)


def test_lines_longer_than_a_block(model: NgramModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "long.txt"
    text = " ".join(f"w{i % 50}" for i in range(500)) + "\nw1 w2\n" + "w7 " * 400
    path.write_text(text, encoding="utf-8")
    expected = model.score(text)
    monkeypatch.setattr("hanmo.tokenizers.word_blocks.BLOCK_BYTES", 64)
    found = model.perplexity(path)
    assert found.log10 == pytest.approx(expected.log10)
    assert (found.n_words, found.n_sentences) == (902, 3)


def test_bits_for_filters(chinese: list[str]) -> None:
    model = train(chinese, order=3)
    texts = [chinese[0], chinese[0] + "\n" + chinese[1], "", "\n", "掉卖了本子空把白小弟徒"]
    bits = model.bits(texts)
    assert bits[0] == pytest.approx(model.score(texts[0]).bits_per_character)
    assert bits[1] == pytest.approx(model.score(texts[1]).bits_per_character)
    assert np.isinf(bits[2:4]).all()
    assert bits[4] > bits[0]  # the same characters in another order
    assert model.bits(texts, per="byte")[0] == pytest.approx(model.score(texts[0]).bits_per_byte)
    assert model.bits(texts, per="word")[1] == pytest.approx(model.score(texts[1]).bits_per_word)
    assert model.bits([]).shape == (0,)
    with pytest.raises(ConfigError, match="page"):
        model.bits(texts, per="page")  # type: ignore[arg-type]


def test_chinese_is_taken_by_character(chinese: list[str], tmp_path: Path) -> None:
    model = train(chinese, order=4)
    assert model.unit == "character"
    assert {"老", "。", "，"} <= set(model.words)
    found = model.score(chinese[0])
    assert found.n_words == len(chinese[0]) == found.n_characters
    assert found.n_unknown == 0
    assert model.score("老龘").n_unknown == 1
    path = tmp_path / "text.txt"
    path.write_text("\n".join(chinese), encoding="utf-8")
    assert train(path, order=4).score(chinese[0]).log10 == found.log10


def test_chinese_words(chinese: list[str]) -> None:
    model = train(chinese, order=2, unit="word")
    assert model.info.segmented
    assert {"先生", "徒弟"} & {word[-2:] for word in model.words}
    assert model.score(chinese[0]).n_unknown == 0
    assert model.score(chinese[0]).n_words < len(chinese[0])
    cut = [" ".join(chinese[0][i : i + 2] for i in range(0, 20, 2))] * 3
    assert not train(cut, order=2).info.segmented  # it has white space between its words


def test_white_space_is_one_character() -> None:
    model = train(["a b\u3000a\tb", "b a"], order=2, unit="character")
    assert model.words[3:] == ("▁", "a", "b")
    assert model.score("a b").log10 == pytest.approx(model.score("a\u3000b").log10)
    assert model.score("a\0b").n_unknown == 0


def test_tokens(sentences: list[str]) -> None:
    tokenizer = train_bpe(sentences, 300)
    model = train(sentences, order=3, tokenizer=tokenizer)
    assert model.unit == "token"
    found = model.score(sentences[0])
    assert found.n_words == len(tokenizer.encode(sentences[0]))
    assert "".join(word for word, _ in model.token_logs(sentences[0])[:-1]) == sentences[0]
    assert found.n_unknown == 0
    assert model.sample(seed=1, max_words=20)
    with pytest.raises(ConfigError, match="no tokenizer"):
        train_on_ids(np.array([1, 2, 1]), n_ids=3, end_id=0, order=2).score("a")
    with pytest.raises(ConfigError, match="model of words"):
        train(sentences, unit="word", tokenizer=tokenizer)
    with pytest.raises(ConfigError, match="has chosen its tokens"):
        train(sentences, tokenizer=tokenizer, min_count=2)


def test_a_text_cannot_write_marks(model: NgramModel) -> None:
    assert model.score("w1 <s> </s> <unk>").n_unknown == 3


def test_samples(model: NgramModel, chinese: list[str]) -> None:
    assert model.sample(seed=3) == model.sample(seed=3)
    assert len({model.sample(seed=seed) for seed in range(5)}) > 2
    assert model.sample("w1 w2", seed=1).startswith("w1 w2")
    assert set(model.sample(seed=5).split()) <= set(model.words[3:])
    assert len(model.sample(max_words=2, seed=8).split()) <= 2
    greedy = model.sample(temperature=0, max_words=5)
    state, expected = model.automaton.begin, []
    for _ in range(5):
        logs = model.distribution(state)
        logs[0] = -np.inf
        if model.words[logs.argmax()] == "</s>":
            break
        expected.append(model.words[logs.argmax()])
        state = model.step(state, int(logs.argmax()))[1]
    assert greedy == " ".join(expected)
    assert " " not in train(chinese, order=3).sample("老", seed=1)


def test_samples_follow_the_model() -> None:
    model = train(["a b"] * 30 + ["a c"] * 10 + ["b"], order=2)
    p = 10.0 ** model.distribution(model.state(["a"], begin=True))
    share = np.mean([model.sample("a", seed=seed, max_words=1) == "a b" for seed in range(600)])
    known = 1 - p[0]
    assert share == pytest.approx(p[model.words.index("b")] / known, abs=0.06)
    colder = np.mean([model.sample("a", seed=s, max_words=1, temperature=0.3) == "a b" for s in range(200)])
    assert colder > share


@pytest.mark.parametrize(
    ("options", "words"),
    [({"temperature": -1}, "temperature"), ({"temperature": math.nan}, "temperature"), ({"seed": -1}, "seed"),
     ({"max_words": 0}, "max_words")],
)  # fmt: skip
def test_samples_that_cannot_be(model: NgramModel, options: dict[str, float], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        model.sample(**options)  # type: ignore[arg-type]


def test_join_words() -> None:
    assert join_words(["I", "say", "你好", "，", "world", "!"]) == "I say你好，world !"


@pytest.mark.parametrize("numbers", [np.array([3, 4, 5, 6, 7]), [3, 4, 5, 6, 7], np.array([3, 4, 5, 6, 7], np.uint16)])
def test_ids_of_any_integer_type(model: NgramModel, numbers: Any) -> None:
    words = model.words
    found = model.score_ids(numbers, np.array([2, 2, 5]))
    logs = model.log10([" ".join(words[3:5]), " ".join(words[5:8])])
    assert found[[0, 2]] == pytest.approx(logs)
    assert found[1] < 0  # of a sentence without words its end is scored
    assert model.score_ids([], []).shape == (0,)


@pytest.mark.parametrize(
    ("numbers", "ends", "words"),
    [
        ([3, 4], [10**10], "ends"),
        ([3, 4], [3], "ends"),
        ([3, 4], [1], "ends"),  # the last word belongs to no sentence
        ([3, 4], [], "ends"),
        ([3, 4], [-1, 2], "ends"),
        ([3, 4], [2, 1, 2], "ends"),
        ([], [1], "ends"),
        ([3, 4], [[1], [2]], "ends"),
        ([3, 4], [0.5, 2.0], "ends"),
        ([[3], [4]], [2], "numbers"),
        ([3.5, 4.0], [2], "numbers"),
        ([3, 10**5], [2], "not below"),
        ([3, 2**40 + 3], [2], "not below"),
        ([3, -1], [2], "below 0"),
    ],
)
def test_ids_that_cannot_be(model: NgramModel, numbers: list[int], ends: list[int], words: str) -> None:
    with pytest.raises(DataError, match=words):
        model.score_ids(np.array(numbers), np.array(ends))


def test_words_and_states_that_there_are_not(model: NgramModel) -> None:
    n_words, n_states = len(model.words), len(model.automaton.backoffs)
    assert model.step(n_states - 1, n_words - 1)[1] < n_states
    for state, number in ((0, n_words), (0, 10**5), (0, -1), (n_states, 3), (-1, 3), (10**12, 3)):
        with pytest.raises(DataError, match=r"no (word|state) of this model"):
            model.step(state, number)
    for state in (-1, n_states, 2**40):
        with pytest.raises(DataError, match="no state of this model"):
            model.distribution(state)


def test_word_logs_of_a_source_as_it_is_read(chinese: list[str], tmp_path: Path) -> None:
    model = train(chinese, order=3)
    path = tmp_path / "红楼.txt.gz"
    path.write_bytes(gzip.compress(("\n".join(chinese) + "\n").encode()))
    told: list[list[tuple[str, float]]] = []
    found = model.perplexity(path, tell=told.append)
    assert found.to_dict() == model.perplexity(path).to_dict()
    assert [pair for part in told for pair in part] == model.token_logs("\n".join(chinese))
    told.clear()
    model.perplexity((line for line in chinese * 2), tell=told.append)
    assert [pair for part in told for pair in part] == model.token_logs("\n".join(chinese * 2))


def test_load_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="no such n-gram model"):
        load(tmp_path / "none")
    with pytest.raises(Exception, match=r"ngram\.json is missing"):
        load(tmp_path)


def test_the_perplexity_of_the_penn_treebank(data_root: Path) -> None:
    """141.2 with KN5 (Mikolov and Zweig, 2012, table 1): sentence ends counted, <unk> a word like others."""
    folder = data_root / "ptb"
    model = train(folder / "ptb.train.txt.gz", order=5)
    found = model.perplexity(folder / "ptb.test.txt.gz")
    assert (found.n_words, found.n_sentences) == (78_669, 3_761)
    assert found.perplexity == pytest.approx(141.2, rel=0.01)
    assert found.perplexity == pytest.approx(141.186, abs=1e-3)  # lmplz and query of kenlm: 141.1862
