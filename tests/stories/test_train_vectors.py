"""From a text to vectors in a folder: what is cut, joined, saved, interrupted and taken up again."""

from __future__ import annotations

import _thread
import gzip
import random
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hanmo.core.errors import ConfigError, DataError
from hanmo.stories.train_vectors import train_vectors
from hanmo.vectors import WordVectors, word2vec

SMALL: dict[str, Any] = {"dim": 8, "min_count": 1, "epochs": 2, "deterministic": True}
PEOPLE, PLACES = ["宝玉", "黛玉", "宝钗", "袭人"], ["北京", "上海", "长安", "洛阳"]


@pytest.fixture
def text(tmp_path: Path) -> Path:
    draw = random.Random(0)
    lines = [f"{draw.choice(PEOPLE)}笑道：“我来了。”{draw.choice(PEOPLE)}也笑了。" for _ in range(400)]
    lines += [f"他从{draw.choice(PLACES)}坐车到{draw.choice(PLACES)}去了。" for _ in range(400)]
    draw.shuffle(lines)
    path = tmp_path / "红楼.txt"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_a_chinese_text(text: Path, tmp_path: Path) -> None:
    vectors = train_vectors(text, tmp_path / "v", dim=16, epochs=30, min_count=5, sample=0, deterministic=True)
    saved = WordVectors.load(tmp_path / "v")
    assert saved.words == vectors.words
    np.testing.assert_array_equal(saved.matrix, vectors.matrix)
    assert saved.meta["source"] == {"path": str(text), "segmented": True, "phrases": 0}
    assert saved.meta["finished"]
    from hanmo.vectors.neighbours import similarity

    assert similarity(saved, "宝玉", "黛玉") > similarity(saved, "宝玉", "长安") + 0.2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["v", text.name]


def test_phrases_are_joined(tmp_path: Path) -> None:
    draw = random.Random(0)
    names = ["New York", "San Francisco"]
    (tmp_path / "e.txt").write_text(
        "\n".join(
            f"{draw.choice('abcdefgh')} goes to {draw.choice(names)} {draw.choice('ijklmn')} ." for _ in range(300)
        )
    )
    options: dict[str, Any] = {"phrases": 1, "phrase_threshold": 12.0, **SMALL, "min_count": 5}
    vectors = train_vectors(tmp_path / "e.txt", tmp_path / "v", **options)
    assert "New_York" in vectors
    assert "York" not in vectors
    lower = train_vectors(tmp_path / "e.txt", tmp_path / "l", lowercase=True, **options)
    assert "san_francisco" in lower
    assert "San_Francisco" not in lower


def test_a_start_from_other_vectors(text: Path, tmp_path: Path) -> None:
    WordVectors(["宝玉", "笑"], np.full((2, 8), 3.0)).save(tmp_path / "s.txt")
    vectors = train_vectors(text, tmp_path / "v.bin", start=tmp_path / "s.txt", **SMALL)
    assert np.linalg.norm(vectors["宝玉"]) > 5
    assert np.linalg.norm(WordVectors.load(tmp_path / "v.bin")["黛玉"]) < 5


def test_interrupted_and_resumed(text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C writes what is there; going on gives the same bits as never having stopped."""
    straight = train_vectors(text, tmp_path / "straight", **SMALL)
    real, calls = word2vec.train_stretch, []

    def train_stretch(*arguments: Any) -> None:
        calls.append(1)
        if len(calls) == 4:
            _thread.interrupt_main()
            time.sleep(0.3)  # or all may be done before the main thread looks up
        real(*arguments)

    monkeypatch.setattr(word2vec, "train_stretch", train_stretch)
    partly = train_vectors(text, tmp_path / "v", **SMALL)
    assert partly.meta["finished"] is False
    assert WordVectors.load(tmp_path / "v").meta["finished"] is False
    assert (tmp_path / "v.checkpoint").is_dir()
    monkeypatch.undo()
    with pytest.raises(ConfigError, match="something here already"):
        train_vectors(text, tmp_path / "v", **SMALL)
    whole = train_vectors(text, tmp_path / "v", resume=True, **SMALL)
    assert whole.meta["finished"]
    np.testing.assert_array_equal(whole.matrix, straight.matrix)
    assert not (tmp_path / "v.checkpoint").exists()


class Killed(BaseException):
    """What no program catches."""


def test_a_killed_training_is_not_begun_again_unasked(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = word2vec.save_state

    def save_then_die(*arguments: Any) -> None:
        real(*arguments)
        raise Killed

    monkeypatch.setattr(word2vec, "save_state", save_then_die)
    out, checkpoint = tmp_path / "v", tmp_path / "v.checkpoint"
    with pytest.raises(Killed):
        train_vectors(text, out, **SMALL)
    before = {path.name: path.read_bytes() for path in checkpoint.iterdir()}
    monkeypatch.undo()
    with pytest.raises(ConfigError, match=r"v\.checkpoint.*--resume.*--overwrite"):
        train_vectors(text, out, **SMALL)
    assert {path.name: path.read_bytes() for path in checkpoint.iterdir()} == before
    train_vectors(text, out, **{**SMALL, "dim": 4}, overwrite=True)
    assert WordVectors.load(out).dim == 4
    assert not checkpoint.exists()


def test_folders_of_something_else_stay(text: Path, tmp_path: Path) -> None:
    for name in ("论文", "v.checkpoint"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "thesis.txt").write_text("年")
    missing = tmp_path / "never read.txt"
    for out, words in [("论文", r"no words\.json"), ("v", r"no place\.json"), ("v.txt.gz", "packed")]:
        with pytest.raises(ConfigError, match=words):
            train_vectors(missing, tmp_path / out, overwrite=True, **SMALL)
    (tmp_path / "w.bin").mkdir()
    with pytest.raises(ConfigError, match="this is a folder"):
        train_vectors(missing, tmp_path / "w.bin", overwrite=True, **SMALL)
    assert all((tmp_path / name / "thesis.txt").read_text() == "年" for name in ("论文", "v.checkpoint"))


@pytest.mark.parametrize("phrases", [0, 1])
@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"min_count": "abc"}, "min_count = 'abc'"),
        ({"dims": 50}, "unknown key 'dims'"),
        ({"threads": 4096}, "4096 threads"),
        ({"method": "glove", "threads": 4096}, "4096 threads"),
        ({"method": "lsa"}, "unknown method 'lsa'"),
    ],
)
def test_settings_are_checked_before_the_text_is_read(
    tmp_path: Path, phrases: int, settings: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        train_vectors(tmp_path / "never read.txt", tmp_path / "v", phrases=phrases, **settings)


def test_refused_before_reading(text: Path, tmp_path: Path) -> None:
    for options, words in [
        ({"resume": True}, "no interrupted training"),
        ({"resume": True, "overwrite": True}, "no interrupted training"),
        ({"phrases": -1}, "-1 is no number of passes"),
        ({"dim": 0}, "dim"),
        ({"dims": 50}, "unknown key 'dims'; did you mean 'dim'"),
        ({"method": "lsa"}, "unknown method 'lsa'"),
    ]:
        with pytest.raises(ConfigError, match=words):
            train_vectors(text, tmp_path / "v", **options)  # type: ignore[arg-type] (what is tested)
    assert [path.name for path in tmp_path.iterdir()] == [text.name]


@pytest.mark.parametrize("content", ["", "\n\n", "宝玉", "a b\n"])
def test_too_little_text(tmp_path: Path, content: str) -> None:
    (tmp_path / "t.txt").write_text(content, encoding="utf-8")
    with pytest.raises(DataError):
        train_vectors(tmp_path / "t.txt", tmp_path / "v", dim=4)
    assert [path.name for path in tmp_path.iterdir()] == ["t.txt"]


def test_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("宝玉 来 了", encoding="utf-8")
    assert len(train_vectors(tmp_path / "t.txt", tmp_path / "v", **SMALL)) == 3


@pytest.mark.slow
def test_the_novels(data_root: Path, tmp_path: Path) -> None:
    from hanmo.vectors.neighbours import neighbours

    for name in ("红楼梦", "水浒传"):
        packed = data_root / "chinese_novels" / f"{name}.txt.gz"
        (tmp_path / f"{name}.txt").write_bytes(gzip.decompress(packed.read_bytes()))
    vectors = train_vectors(tmp_path, tmp_path / "v", epochs=10, seed=1)
    near = {word for word, _ in neighbours(vectors, "宝玉", 20)}
    assert len(near & {"黛玉", "林黛玉", "宝钗", "袭人", "晴雯", "贾母", "凤姐", "紫鹃", "湘云"}) >= 3
