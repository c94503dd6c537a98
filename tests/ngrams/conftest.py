"""Small texts and models for the tests of this folder, which must not change them."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from hanmo.ngrams import NgramModel, train


def _make_sentences(n: int, *, seed: int = 0, n_words: int = 300) -> list[str]:
    """Sentences of words w0, w1, ..., of which the first are frequent, each likely to be followed by its neighbour."""
    rng = random.Random(seed)
    sentences = []
    for _ in range(n):
        word, words = 0, []
        for _ in range(rng.randint(1, 12)):
            word = (word + 1) % n_words if rng.random() < 0.4 else int(n_words * rng.random() ** 3)
            words.append(f"w{word}")
        sentences.append(" ".join(words))
    return sentences


_CHINESE = [
    "老先生清早写完了一封长信，小徒弟把空白的本子卖掉了。",
    "小徒弟清早把长信写完了，老先生把本子卖掉了。",
    "一封长信写完了，老先生和小徒弟都很高兴。",
    "老先生说：清早写信最好。",
]


@pytest.fixture(scope="session")
def sentences() -> list[str]:
    return _make_sentences(400)


@pytest.fixture(scope="session")
def chinese() -> list[str]:
    return _CHINESE


@pytest.fixture(scope="session")
def model(sentences: list[str]) -> NgramModel:
    return train(sentences, order=4)


@pytest.fixture(scope="session")
def folder(model: NgramModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ngrams") / "model"
    model.save(path)
    return path


@pytest.fixture(scope="session")
def arpa(model: NgramModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ngrams") / "model.arpa"
    model.write_arpa(path)
    return path


_SMALL_ARPA = """\
\\data\\
ngram 1=6
ngram 2=5
ngram 3=2

\\1-grams:
-1.5\t<unk>
-99\t<s>\t-0.5
-0.9\t</s>
-0.7\t你好\t-0.25
-0.8\tworld\t-0.125
-1.1\tthere\t0.3

\\2-grams:
-0.3\t<s> 你好\t-0.2
-0.4\t你好 world\t-0.1
-0.6\t你好 there
-0.2\tworld </s>
-1.25\tthere world

\\3-grams:
-0.1\t<s> 你好 world
-5e-2\t你好 world </s>

\\end\\
"""


@pytest.fixture
def small_arpa(tmp_path: Path) -> Path:
    path = tmp_path / "small.arpa"
    path.write_text(_SMALL_ARPA, encoding="utf-8")
    return path
