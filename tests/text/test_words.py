"""What is known of words: stop words, stems, lemmas, parts of speech, readings."""

from __future__ import annotations

import builtins
import gzip
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from hanmo.core.errors import ConfigError, MissingExtraError
from hanmo.text.lemmas import lemma
from hanmo.text.part_of_speech import tag_chinese
from hanmo.text.pinyin import _syllables, pinyin
from hanmo.text.segment import segment
from hanmo.text.stems import stem
from hanmo.text.stop_words import is_stop_word, remove_stop_words, stop_words


def test_stop_words_are_tidy() -> None:
    for lang, some in (("zh", {"的", "了", "我们"}), ("en", {"the", "of", "don't"})):
        words = stop_words(lang)
        assert some <= words
        assert all(word and word == unicodedata.normalize("NFC", word).strip().lower() for word in words)
        assert not any("”" in word for word in words if word != "”")
    with pytest.raises(ConfigError, match="zh or en"):
        stop_words("fr")  # pyright: ignore[reportArgumentType]


def test_without_stop_words() -> None:
    assert remove_stop_words(segment("我们的模型，是最好的。The models don’t WORK!")) == ["模型", "最好", "models"]
    assert is_stop_word("The")
    assert not is_stop_word("翰墨")


@pytest.mark.parametrize(
    ("word", "expected"),
    [("running", "run"), ("Runs", "run"), ("generously", "generous"), ("dog’s", "dog"), ("关系", "关系"), ("", "")],
)
def test_stems(word: str, expected: str) -> None:
    assert stem(word) == expected


def test_stems_from_many_threads() -> None:
    words = [f"{word}{end}" for word in ("play", "work", "jump", "look") for end in ("s", "ed", "ing")] * 200
    stem.cache_clear()
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(stem.__wrapped__, words))
    assert set(found) == {"play", "work", "jump", "look"}


@pytest.mark.parametrize(
    ("word", "expected"), [("mice", "mouse"), ("went", "go"), ("studies", "study"), ("老鼠", "老鼠"), ("3.5", "3.5")]
)
def test_lemmas(word: str, expected: str) -> None:
    assert lemma(word) == expected


def test_tags_of_chinese() -> None:
    assert tag_chinese("我爱北京天安门，and 3.5！") == [
        ("我", "r"), ("爱", "v"), ("北京", "ns"), ("天安门", "ns"), ("，", "x"), ("and", "eng"), ("3.5", "m"), ("！", "x"),
    ]  # fmt: skip


def test_tagged_words_are_those_of_segment(data_root: Path) -> None:
    with gzip.open(
        data_root / "clue_corpus_small_sample" / "CLUECorpusSmall_sampled.txt.gz", "rt", encoding="utf-8"
    ) as file:
        text = file.read(20_000)
    assert [word for word, _ in tag_chinese(text)] == segment(text)


@pytest.mark.parametrize(
    ("text", "readings"),
    [
        ("重庆银行的行长很重要", "chóngqìng yínháng de hángzhǎng hěn zhòngyào"),
        ("西安，长安", "xī'ān ， cháng'ān"),
        ("他长大了", "tā zhǎngdà le"),
        ("绿色女装", "lǜsè nǚzhuāng"),
        ("银行 bank", "yínháng bank"),
        ("", ""),
    ],
)
def test_pinyin(text: str, readings: str) -> None:
    assert [reading.text for reading in pinyin(text)] == readings.split()


def test_styles_of_pinyin() -> None:
    assert pinyin("中国的", "numbers")[0].syllables == ("zhong1", "guo2")
    assert [reading.text for reading in pinyin("中国的", "plain")] == ["zhongguo", "de"]
    assert pinyin("hanmo")[0].syllables == ()
    with pytest.raises(ConfigError, match="marks, numbers or plain"):
        pinyin("中", "tone")  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("library", "call"), [("pypinyin", lambda: pinyin("中")), ("simplemma", lambda: lemma("mice"))]
)
def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch, library: str, call: Callable[[], Any]) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == library:
            raise ImportError("no such thing")
        return real(name, *rest)

    _syllables.cache_clear()
    lemma.cache_clear()
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match=rf"'{library}'.*hanmo\[corpus\]"):
        call()
