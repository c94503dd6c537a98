"""GloVe: gradients, compiled against plain, the same bits on any number of threads, resuming, bad input."""

from __future__ import annotations

import gzip
import itertools
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hanmo.core.errors import ConfigError, DataError, FormatError, TrainingError
from hanmo.text.segment import words_of_lines
from hanmo.tokenizers.word_ids import WordIds, read_word_ids
from hanmo.vectors import glove, learning, train
from hanmo.vectors.glove import train_glove
from hanmo.vectors.glove_counts import Tiles, count_tiles
from hanmo.vectors.glove_plain import Weights, count_plain, gradients, losses, train_plain
from hanmo.vectors.glove_settings import GloveSettings
from hanmo.vectors.glove_state import new_glove
from hanmo.vectors.learning import padded
from hanmo.vectors.neighbours import neighbours, similarity
from hanmo.vectors.word_vectors import WordVectors

ANIMALS, CITIES = ["cat", "dog", "猫", "狗", "horse"], ["rome", "paris", "北京", "上海", "oslo"]
THINGS = {"animal": (ANIMALS, ["eats", "runs", "吃"]), "city": (CITIES, ["street", "mayor", "地铁"])}
QUICK: dict[str, Any] = {"dim": 20, "window": 3, "x_max": 500.0, "lr": 0.2, "epochs": 20}


def sentences(n: int = 3000, seed: int = 0) -> list[list[str]]:
    """Animals stand beside what animals do, cities beside what cities have."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(n):
        names, others = THINGS[str(rng.choice(list(THINGS)))]
        found.append([str(rng.choice(names if rng.random() < 0.5 else others)) for _ in range(6)] + ["the"])
    return found


@pytest.fixture(scope="module")
def text() -> WordIds:
    return read_word_ids(sentences())


@pytest.fixture(scope="module")
def whole(text: WordIds) -> WordVectors:
    return train_glove(text, GloveSettings(**QUICK))


def contrast(vectors: WordVectors) -> float:
    """How much closer words of one kind are than words of two, in cosine."""
    unit = vectors.matrix / np.linalg.norm(vectors.matrix, axis=1, keepdims=True)
    rows = [[vectors.index[word] for word in kind] for kind in (ANIMALS, CITIES)]
    within = np.mean([unit[a] @ unit[b] for kind in rows for a in kind for b in kind if a != b])
    return float(within - np.mean([unit[a] @ unit[b] for a in rows[0] for b in rows[1]]))


def random_weights(rng: np.random.Generator, n_words: int, dim: int) -> Weights:
    shapes = ((n_words, dim), (n_words, dim), (n_words,), (n_words,))
    return Weights(*(rng.normal(size=shape) for shape in shapes))


def test_gradients_are_the_slopes_of_the_loss() -> None:
    rng = np.random.default_rng(0)
    counts = np.where(rng.random((4, 4)) < 0.7, rng.gamma(1.0, 100.0, (4, 4)), 0.0)
    weights = random_weights(rng, 4, 3)
    found = gradients(weights, counts, 100.0, 0.75)
    for values, gradient in zip(weights.parts(), found.parts(), strict=True):
        for place in np.ndindex(*values.shape):
            sides = []
            for delta in (1e-5, -1e-5):
                values[place] += delta
                sides.append(losses(weights, counts, 100.0, 0.75).sum())
                values[place] -= delta
            assert (sides[0] - sides[1]) / 2e-5 == pytest.approx(gradient[place], rel=1e-6, abs=1e-6)


def test_one_plain_step_goes_down_the_gradient() -> None:
    rng = np.random.default_rng(1)
    counts = np.zeros((3, 3))
    counts[0, 2] = 40.0
    weights = random_weights(rng, 3, 4)
    before = Weights(*(part.copy() for part in weights.parts()))
    slope = gradients(weights, counts, 100.0, 0.75)
    squares = Weights(*(np.full(part.shape, 4.0) for part in weights.parts()))
    loss = train_plain(weights, squares, [(0, 2, np.log(40.0), 0.4**0.75)], 0.05)
    assert loss == pytest.approx(losses(before, counts, 100.0, 0.75).sum())
    for new, old, gradient, rate in zip(
        weights.parts(), before.parts(), slope.parts(), (0.05, 0.05, 1, 1), strict=True
    ):
        assert new == pytest.approx(old - rate * gradient / 2)
    assert squares.x[0] == pytest.approx(4 + (0.05 * slope.x[0]) ** 2)


def in_order(tiles: Tiles, seed: int, n_epochs: int) -> Iterator[list[tuple[int, int, float, float]]]:
    """Co-occurrences in the order in which they are learnt from, epoch by epoch."""
    n = len(tiles.starts)
    for epoch in range(n_epochs):
        rng = np.random.default_rng([seed, epoch])
        rows, columns = rng.permutation(n), rng.permutation(n)
        found = []
        for shift in range(n):
            for i, j in zip(rows, np.roll(columns, shift), strict=True):
                part = tiles.records[tiles.starts[i, j] : tiles.starts[i, j + 1]]
                first = tiles.bounds[i], tiles.bounds[j]
                found += [
                    (first[0] + r["row"], first[1] + r["column"], float(r["log"]), float(r["weight"])) for r in part
                ]
        yield found


def test_compiled_is_plain(text: WordIds) -> None:
    settings = GloveSettings(dim=20, window=3, epochs=2, lr=0.2, x_max=500.0)
    state, dim = new_glove(text, settings, None), 20
    start = (state.x[:, :dim], state.y[:, :dim], state.x_biases[:, 0], state.y_biases[:, 0])
    weights = Weights(*(part.astype(np.float64) for part in start))
    squares = Weights(*(np.ones(part.shape) for part in start))
    tiles = count_tiles(text, settings, padded(dim), 1)
    expected = [train_plain(weights, squares, epoch, settings.lr) for epoch in in_order(tiles, settings.seed, 2)]
    found = train_glove(text, settings)
    assert found.meta["losses"] == pytest.approx(np.array(expected) / len(tiles.records), rel=1e-5)
    np.testing.assert_allclose(found.matrix, weights.x + weights.y, atol=1e-4)
    assert np.abs(weights.x).max() > 0.1
    one_set = train_glove(text, settings.model_copy(update={"sum_sets": False}))
    np.testing.assert_allclose(one_set.matrix, weights.x, atol=1e-4)


def test_each_epoch_learns_from_all_once(text: WordIds) -> None:
    settings = GloveSettings(window=3)
    tiles = count_tiles(text, settings, 16, 1)
    expected = {(int(i), int(j)) for i, j in np.argwhere(count_plain(text, 3) > 0)}
    first, second = in_order(tiles, 1, 2)
    assert {record[:2] for record in first} == {record[:2] for record in second} == expected
    assert len(first) == len(second) == len(expected)
    assert first != second


def test_words_of_one_kind_are_near(whole: WordVectors) -> None:
    assert contrast(whole) > 0.3
    found = whole.meta["losses"]
    assert len(found) == QUICK["epochs"]
    assert found[-1] < 0.2 * found[0]
    assert whole.meta["method"] == "glove"
    assert whole.meta["finished"]


def test_same_bits_on_any_number_of_threads(text: WordIds, whole: WordVectors, monkeypatch: pytest.MonkeyPatch) -> None:
    class Many:
        cores = 4

    monkeypatch.setattr(learning, "describe_machine", Many)
    for threads in (1, 2, 4):
        again = train_glove(text, GloveSettings(**QUICK, threads=threads))
        assert (again.matrix == whole.matrix).all()
        assert again.meta["losses"] == whole.meta["losses"]
    other = train_glove(text, GloveSettings(**QUICK, seed=2))
    assert (other.matrix != whole.matrix).any()
    assert other.meta["losses"][-1] == pytest.approx(whole.meta["losses"][-1], rel=0.1)


def test_any_dim(text: WordIds) -> None:
    for dim in (1, 16, 33):
        found = train_glove(text, GloveSettings(dim=dim, window=3, epochs=1))
        assert found.matrix.shape == (len(text.words), dim)
        assert np.abs(found.matrix).min() > 0


def test_train_takes_glove(whole: WordVectors) -> None:
    found = train(sentences(), "glove", min_count=1, deterministic=True, **QUICK)
    assert (found.matrix == whole.matrix).all()
    with pytest.raises(ConfigError, match=r"deterministic|always"):
        train(sentences(), "glove", deterministic=False)


def interrupt_after(rounds: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Press Ctrl-C when so many rounds are done."""
    plain = glove._Training._train

    def train_round(self: Any, *arguments: Any) -> None:
        plain(self, *arguments)
        if self.state.done == rounds:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(glove._Training, "_train", train_round)


@pytest.mark.parametrize("part", [0.1, 0.52])
def test_interrupted_and_resumed(
    text: WordIds, whole: WordVectors, part: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, folder = GloveSettings(**QUICK), tmp_path / "c"
    n_blocks = len(count_tiles(text, settings, padded(20), 1).bounds) - 1
    with monkeypatch.context() as patch:
        interrupt_after(int(part * n_blocks * QUICK["epochs"]), patch)
        half = train_glove(text, settings, checkpoint=folder)
    assert not half.meta["finished"]
    assert len(half.meta["losses"]) == int(part * QUICK["epochs"])
    assert (half.matrix != whole.matrix).any()
    again = train_glove(text, settings, checkpoint=folder, resume=True)
    assert again.meta["finished"]
    assert (again.matrix == whole.matrix).all()
    assert again.meta["losses"] == whole.meta["losses"]
    # what is finished stays as it is
    assert (train_glove(text, settings, checkpoint=folder, resume=True).matrix == whole.matrix).all()


def test_interrupted_without_a_folder(text: WordIds, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupt_after(30, monkeypatch)
    assert not train_glove(text, GloveSettings(**QUICK)).meta["finished"]


def test_written_from_time_to_time(
    text: WordIds, whole: WordVectors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved: list[int] = []
    monkeypatch.setattr(glove, "_SAVE_SECONDS", 0.0)
    monkeypatch.setattr(glove, "save_glove", lambda folder, state, *_: saved.append(state.done))
    settings = GloveSettings(**QUICK | {"epochs": 2})
    found = train_glove(text, settings, checkpoint=tmp_path)
    assert len(saved) > 20
    assert saved == list(range(1, len(saved) + 1))
    assert (found.matrix == train_glove(text, settings).matrix).all()


def test_resume_refuses_what_does_not_belong(text: WordIds, tmp_path: Path) -> None:
    settings, folder = GloveSettings(**QUICK), tmp_path / "c"
    with pytest.raises(ConfigError, match="no interrupted training"):
        train_glove(text, settings, checkpoint=folder, resume=True)
    with pytest.raises(ConfigError, match="resume needs the folder"):
        train_glove(text, settings, resume=True)
    train_glove(text, settings.model_copy(update={"epochs": 1}), checkpoint=folder)
    with pytest.raises(ConfigError, match="epochs 1 -> 20"):
        train_glove(text, settings, checkpoint=folder, resume=True)
    one = settings.model_copy(update={"epochs": 1})
    with pytest.raises(ConfigError, match="another text"):
        train_glove(read_word_ids(sentences(100)), one, checkpoint=folder, resume=True)
    (folder / "matrices.safetensors").write_bytes(b"x")
    with pytest.raises(FormatError, match="damaged"):
        train_glove(text, one, checkpoint=folder, resume=True)
    (folder / "place.json").write_text("{}", encoding="utf-8")
    with pytest.raises(FormatError, match="damaged"):
        train_glove(text, one, checkpoint=folder, resume=True)


@pytest.mark.parametrize("sum_sets", [True, False])
def test_warm_start(text: WordIds, sum_sets: bool) -> None:
    dim = 4
    start = WordVectors(["猫", "nowhere", "rome"], np.arange(12, dtype=np.float32).reshape(3, 4))
    settings = GloveSettings(dim=dim, window=3, sum_sets=sum_sets)
    state = new_glove(text, settings, start)
    own = (state.x + state.y if sum_sets else state.x)[:, :dim]
    for word in ("猫", "rome"):
        assert own[text.words.index(word)] == pytest.approx(start[word], abs=1e-6)
    cold = new_glove(text, settings, None)
    assert (state.x[text.words.index("cat")] == cold.x[text.words.index("cat")]).all()
    assert (state.x != state.y)[:, :dim].any(1).all()
    with pytest.raises(ConfigError, match="have dim 4"):
        train_glove(text, GloveSettings(dim=5), start=start)
    stranger = WordVectors(["nowhere"], np.ones((1, 4), np.float32))
    assert (new_glove(text, settings, stranger).x == cold.x).all()


def test_going_on_from_what_was_learnt_is_ahead(text: WordIds, whole: WordVectors) -> None:
    settings = GloveSettings(**QUICK | {"epochs": 2})
    warm = train_glove(text, settings, start=whole)
    cold = train_glove(text, settings)
    assert contrast(warm) > contrast(cold)


def test_too_little_text() -> None:
    for few in (["one"], ["one one one"]):
        with pytest.raises(DataError, match="too little to learn from"):
            train_glove(read_word_ids(few))
    with pytest.raises(DataError, match="no two words"):
        train_glove(read_word_ids(["one", "two"]))


def test_more_threads_than_cores(text: WordIds) -> None:
    with pytest.raises(ConfigError, match="more than the"):
        train_glove(text, GloveSettings(threads=4096))


def test_a_rate_that_is_too_high(text: WordIds) -> None:
    with pytest.raises(TrainingError, match="no longer finite"):
        train_glove(text, GloveSettings(dim=20, lr=1e30))


@pytest.mark.parametrize("seconds", [0.0, 600.0])
def test_a_rate_that_is_too_high_keeps_the_older_state(
    text: WordIds, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    monkeypatch.setattr(glove, "_SAVE_SECONDS", seconds)
    train_glove(text, GloveSettings(**QUICK | {"epochs": 1}), checkpoint=tmp_path / "c")
    state = {file.name: file.read_bytes() for file in (tmp_path / "c").iterdir()}
    saved: list[bool] = []
    real = glove.save_glove

    def save(folder: Path, state: Any, *rest: Any) -> None:
        saved.append(all(np.isfinite(part).all() for part in state.parts()))
        real(folder, state, *rest)

    monkeypatch.setattr(glove, "save_glove", save)
    with pytest.raises(TrainingError, match="no longer finite"):
        train_glove(text, GloveSettings(dim=20, lr=1e30), checkpoint=tmp_path / "c")
    assert all(saved)
    if seconds:
        assert {file.name: file.read_bytes() for file in (tmp_path / "c").iterdir()} == state


def test_a_folder_of_something_else_is_no_checkpoint(text: WordIds, tmp_path: Path) -> None:
    (tmp_path / "论文.txt").write_text("年")
    with pytest.raises(ConfigError, match=r"no place\.json in it"):
        train_glove(text, GloveSettings(**QUICK), checkpoint=tmp_path)


def test_memory_does_not_change_what_is_learnt(text: WordIds, whole: WordVectors) -> None:
    again = train_glove(text, GloveSettings(**QUICK, memory=2**20))
    assert (again.matrix == whole.matrix).all()


@pytest.mark.slow
def test_chinese_novels(data_root: Path) -> None:
    """Who belongs to a novel is near who else does, and monsters are near demons."""
    lines: list[list[str]] = []
    for name in ("红楼梦", "西游记", "水浒传"):
        with gzip.open(data_root / "chinese_novels" / f"{name}.txt.gz", "rt", encoding="utf-8") as file:
            lines += words_of_lines(file)
    vectors = train(lines, "glove", dim=50, x_max=10.0, epochs=30)
    near = {word: {found.word for found in neighbours(vectors, word, 8)} for word in ("黛玉", "八戒", "妖精", "银子")}
    assert {"宝钗", "宝玉"} <= near["黛玉"]
    assert {"沙僧", "行者"} <= near["八戒"]
    assert {"妖魔", "妖怪"} & near["妖精"]
    assert {"十两", "五两", "二十两", "一两", "几两"} & near["银子"]
    assert similarity(vectors, "黛玉", "宝钗") > 0.3 + similarity(vectors, "黛玉", "宋江")


def in_one_tile(tiles: Tiles, seed: int) -> Tiles:
    """The same co-occurrences in one random order, as the authors' program has them."""
    records = np.array(tiles.records)
    for i, row in enumerate(tiles.bounds[:-1]):
        for j, column in enumerate(tiles.bounds[:-1]):
            part = records[tiles.starts[i, j] : tiles.starts[i, j + 1]]
            part["row"] += np.uint16(row)
            part["column"] += np.uint16(column)
    bounds = np.array([0, tiles.bounds[-1]])
    return Tiles(bounds, np.array([[0, len(records)]]), np.random.default_rng(seed).permutation(records))


@pytest.mark.slow
def test_english_in_tiles_and_in_random_order(data_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over five seeds the loss is the same within one per cent."""
    with gzip.open(data_root / "ptb" / "ptb.train.txt.gz", "rt", encoding="utf-8") as file:
        text = read_word_ids(list(itertools.islice(file, 10_000)), min_count=5)
    found: list[list[float]] = []
    for seed in range(1, 6):
        settings = GloveSettings(dim=50, x_max=10.0, seed=seed)
        tiles = count_tiles(text, settings, padded(settings.dim), 1)
        in_tiles = train_glove(text, settings)
        with monkeypatch.context() as patch:
            patch.setattr(glove, "count_tiles", lambda *_, tiles=tiles, seed=seed: in_one_tile(tiles, seed))
            at_random = train_glove(text, settings)
        found.append([vectors.meta["losses"][-1] for vectors in (in_tiles, at_random)])
        for vectors in (in_tiles, at_random):
            assert similarity(vectors, "million", "billion") > 0.2 + similarity(vectors, "million", "president")
    means = np.mean(found, axis=0)
    assert means[0] < 1.01 * means[1]
