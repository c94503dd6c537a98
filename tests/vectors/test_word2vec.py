"""word2vec: gradients, compiled against plain, what is drawn, all its forms, resuming, bad input."""

from __future__ import annotations

import _thread
import gzip
import itertools
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hanmo.core.errors import ConfigError, DataError, FormatError, TrainingError
from hanmo.core.machine import describe_machine
from hanmo.text.segment import words_of_lines
from hanmo.tokenizers.word_ids import WordIds, read_word_ids
from hanmo.vectors import train, word2vec, word2vec_pieces
from hanmo.vectors.neighbours import similarity
from hanmo.vectors.sampling import alias_table, huffman_codes, keep_probabilities
from hanmo.vectors.word2vec import train_word2vec
from hanmo.vectors.word2vec_kernels import train_stretch
from hanmo.vectors.word2vec_plain import loss, mean_step, output_errors, step
from hanmo.vectors.word2vec_settings import Word2VecSettings
from hanmo.vectors.word_vectors import WordVectors

NONE = np.zeros(0, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32)
ANIMALS, CITIES = ["cat", "dog", "猫", "狗", "horse"], ["rome", "paris", "北京", "上海", "oslo"]
THINGS = {"animal": (ANIMALS, ["eats", "runs", "吃"]), "city": (CITIES, ["street", "mayor", "地铁"])}


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


QUICK: dict[str, Any] = {"dim": 20, "window": 3, "sample": 0, "lr": 0.05, "epochs": 5}


def contrast(vectors: WordVectors) -> float:
    """How much closer words of one kind are than words of two, in cosine."""
    unit = vectors.matrix / np.linalg.norm(vectors.matrix, axis=1, keepdims=True)
    rows = [[vectors.index[word] for word in kind] for kind in (ANIMALS, CITIES)]
    within = np.mean([unit[a] @ unit[b] for kind in rows for a in kind for b in kind if a != b])
    return float(within - np.mean([unit[a] @ unit[b] for a in rows[0] for b in rows[1]]))


def test_gradients_are_the_slopes_of_the_loss() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(3, 5)), rng.normal(size=(4, 5))
    labels, weights = np.array([1.0, 0.0, 0.0, 1.0]), np.array([1.0, 1.0, 2.5, 1.0])
    errors = output_errors(x, y, labels, weights)
    for values, gradient in ((x, -errors @ y), (y, -errors.T @ x)):
        for place in np.ndindex(*values.shape):
            sides = []
            for delta in (1e-6, -1e-6):
                values[place] += delta
                sides.append(loss(x, y, labels, weights))
                values[place] -= delta
            assert (sides[0] - sides[1]) / 2e-6 == pytest.approx(gradient[place], abs=1e-6)


def test_a_mean_moves_like_one_input() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(4, 5)), rng.normal(size=(3, 5))
    mean, labels = x[[0, 2]].mean(0, keepdims=True), np.array([1.0, 0.0, 0.0])
    expected = mean + 0.1 * output_errors(mean, y, labels, np.ones(3)) @ y
    mean_step(x, y, np.array([0, 2]), np.arange(3), labels, np.full(3, 0.1))
    assert x[[0, 2]].mean(0, keepdims=True) == pytest.approx(expected)


class Plain:
    """The compiled loop again, word by word, with the same random numbers."""

    def __init__(self, seed: int, stretch: int):
        z = seed + (stretch + 1) * 0x9E3779B97F4A7C15
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            z = ((z ^ z % 2**64 >> shift) * factor) % 2**64
        self.state = z ^ z >> 31

    def next(self) -> int:
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2**64
        return self.state

    def negative(self, own: np.ndarray, other: np.ndarray) -> int:
        product = (self.next() >> 24) * len(own)
        slot, coin = product >> 40, product >> 8 & 0xFFFFFFFF
        return slot if coin <= own[slot] else int(other[slot])


def plain_stretch(
    ids: np.ndarray, ends: np.ndarray, x: np.ndarray, y: np.ndarray, keep: np.ndarray, own: np.ndarray,
    other: np.ndarray, codes: tuple[np.ndarray, ...], pieces: tuple[np.ndarray, np.ndarray], window: int,
    negative: int, is_cbow: bool, lr: float, seed: int, stretch: int,
) -> None:  # fmt: skip
    rng = Plain(seed, stretch)
    starts, nodes, turns = codes
    piece_starts, rows = pieces
    for low, high in zip([0, *ends[:-1].tolist()], ends.tolist(), strict=True):
        words = [int(w) for w in ids[low:high] if w >= 0 and rng.next() >> 32 <= keep[w]]
        if len(words) < 2:
            continue
        drawn = [[rng.negative(own, other) for _ in range(negative)] for _ in words]
        for t, word in enumerate(words):
            reach = window - ((rng.next() >> 32) * window >> 32)
            around = words[max(0, t - reach) : t] + words[t + 1 : t + reach + 1]
            centre = is_cbow or not len(piece_starts)
            inputs, targets = (around, [word]) if centre else ([word], around)
            if len(piece_starts):
                inputs = [row for w in inputs for row in rows[piece_starts[w] : piece_starts[w + 1]]]
            outputs, labels, rates = [], [], []
            for target in targets:
                path = range(starts[target], starts[target + 1]) if len(starts) else ()
                outputs += [int(nodes[p]) for p in path] if len(starts) else [target]
                labels += [1.0 - float(turns[p]) for p in path] if len(starts) else [1.0]
            rates = [lr] * len(outputs)
            for word in drawn[t]:
                times = len(targets) if not centre else 1
                rates.append(lr * max(times - targets.count(word), 0))
                outputs.append(word)
                labels.append(0.0)
            one_step = mean_step if is_cbow or len(piece_starts) else step
            one_step(x, y, np.array(inputs), np.array(outputs), np.array(labels), np.array(rates))


@pytest.mark.parametrize("is_cbow", [False, True])
@pytest.mark.parametrize("by_code", [False, True])
@pytest.mark.parametrize("with_pieces", [False, True])
def test_compiled_and_plain_learn_the_same(text: WordIds, is_cbow: bool, by_code: bool, with_pieces: bool) -> None:
    rng = np.random.default_rng(2)
    n_words, n = len(text.words), 600
    ids, ends = text.ids[:n].copy(), np.append(text.ends[text.ends < n], n)
    ids[::37] = -1
    pieces = NONE[0], NONE[1]
    if with_pieces:
        sizes = 1 + np.arange(n_words) % 3
        rows = np.concatenate([[w, *rng.integers(n_words, n_words + 9, size - 1)] for w, size in enumerate(sizes)])
        pieces = np.concatenate([[0], np.cumsum(sizes)]), rows.astype(np.int32)
    x = rng.normal(size=(n_words + 9, 32), scale=0.2).astype(np.float32)
    y = rng.normal(size=(n_words, 32), scale=0.2).astype(np.float32)
    keep = (keep_probabilities(text.counts, 0.05) * (2**32 - 1)).astype(np.uint32)
    own, other = alias_table(text.counts**0.75)
    own = (own * (2**32 - 1)).astype(np.uint32)
    codes = huffman_codes(text.counts) if by_code else NONE
    negative = 0 if by_code else 4
    slow_x, slow_y = x.astype(np.float64), y.astype(np.float64)
    before = x.copy()
    plain_stretch(ids, ends, slow_x, slow_y, keep, own, other, codes, pieces, 3, negative, is_cbow, 0.002, 7, 3)
    tables = (x, y, keep, own, other, *codes, *pieces)
    n_pairs = train_stretch(ids, ends, 0, 0, n, *tables, 3, negative, is_cbow, 0.002, 0.002, 7, 3)
    assert n_pairs > 500
    change = np.abs(slow_x - before).max()
    # what differs: float32, and inputs or groups of outputs that come twice see what the first did
    assert np.abs(x - slow_x).max() < 0.01 * change
    assert np.abs(y - slow_y).max() < 0.01 * change


def test_alias_table_is_the_distribution() -> None:
    weights = np.array([5.0, 0.0, 1.0, 0.01, 3.0])
    own, other = alias_table(weights)
    chances = own / 5
    np.add.at(chances, other, (1 - own) / 5)
    assert chances == pytest.approx(weights / weights.sum())


def test_keep_probabilities() -> None:
    share = np.array([0.6, 0.39999, 1e-5])
    ratio = share[:2] / 1e-3  # word2vec.c: (sqrt(f / t) + 1) t / f
    assert keep_probabilities(share * 1e8, 1e-3)[:2] == pytest.approx((np.sqrt(ratio) + 1) / ratio)
    assert keep_probabilities(share * 1e8, 1e-3)[2] == 1
    assert keep_probabilities(share, 0).tolist() == [1, 1, 1]


def test_huffman_codes_are_shortest_and_tell_words_apart() -> None:
    counts = np.array([40, 30, 20, 5, 3, 2])
    starts, nodes, turns = huffman_codes(counts)
    codes = [tuple(turns[a:b]) for a, b in itertools.pairwise(starts)]
    assert sorted(len(code) for code in codes) == [1, 2, 3, 4, 5, 5]
    assert [len(code) for code in codes] == [1, 2, 3, 4, 5, 5]
    for one in codes:
        assert sum(other[: len(one)] == one for other in codes) == 1  # none begins another
    assert set(nodes.tolist()) == set(range(5))
    assert {int(nodes[a]) for a in starts[:-1]} == {4}  # all begin at the root


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"method": "cbow"},
        {"objective": "hierarchical"},
        {"method": "cbow", "objective": "hierarchical"},
        {"subwords": {}},
        {"method": "cbow", "subwords": {"min_chars": 1}},
    ],
)
def test_every_form_tells_kinds_apart(text: WordIds, form: dict[str, Any]) -> None:
    vectors = train(text, min_count=1, threads=1, **QUICK, **form)
    assert contrast(vectors) > 0.3
    assert vectors.words == text.words
    assert vectors.meta["finished"]


def test_deterministic_to_the_last_bit(text: WordIds) -> None:
    one, other = (train_word2vec(text, Word2VecSettings(deterministic=True, **QUICK)) for _ in range(2))
    assert np.array_equal(one.matrix, other.matrix)
    third = train_word2vec(text, Word2VecSettings(deterministic=True, seed=2, **QUICK))
    assert not np.array_equal(one.matrix, third.matrix)


class Stop:
    """Presses Ctrl-C when the training has done some stretches, each of which takes `pause` longer."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, after: int, pause: float = 0.0):
        self.left, self.pause, self.real, self.n_running = after, pause, word2vec.train_stretch, 0
        monkeypatch.setattr(word2vec, "train_stretch", self)

    def __call__(self, *arguments: Any) -> int:
        self.left -= 1
        self.n_running += 1
        time.sleep(self.pause)
        if self.left == 0:
            _thread.interrupt_main()
            time.sleep(0.3)
        n_pairs = self.real(*arguments)
        self.n_running -= 1
        return n_pairs


@pytest.mark.parametrize("form", [{}, {"subwords": {}, "method": "cbow"}])
def test_goes_on_after_ctrl_c_to_the_same_bits(
    text: WordIds, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: dict[str, Any]
) -> None:
    settings = Word2VecSettings(deterministic=True, **QUICK, **form)
    whole = train_word2vec(text, settings)
    with monkeypatch.context() as patch:
        stop = Stop(patch, after=8)
        part = train_word2vec(text, settings, checkpoint=tmp_path / "state")
        assert stop.n_running == 0  # else the vectors would still change
    assert part.meta["finished"] is False
    assert not np.array_equal(part.matrix, whole.matrix)
    resumed = train_word2vec(text, settings, checkpoint=tmp_path / "state", resume=True)
    assert resumed.meta["finished"] is True
    assert np.array_equal(resumed.matrix, whole.matrix)
    again = train_word2vec(text, settings, checkpoint=tmp_path / "state", resume=True)
    assert np.array_equal(again.matrix, whole.matrix)


def test_a_killed_training_has_its_last_state(text: WordIds, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """States are written every so often; what comes after the last one is done again."""
    settings = Word2VecSettings(deterministic=True, **QUICK)
    whole = train_word2vec(text, settings)
    monkeypatch.setattr(word2vec, "_SAVE_SECONDS", 0.0)
    Stop(monkeypatch, after=-1, pause=0.05)
    real, saves = word2vec.save_state, []

    def save_then_die(*arguments: Any) -> None:
        real(*arguments)
        saves.append(arguments[1].done)
        if len(saves) == 3:
            raise SystemExit

    monkeypatch.setattr(word2vec, "save_state", save_then_die)
    with pytest.raises(SystemExit):
        train_word2vec(text, settings, checkpoint=tmp_path / "state")
    monkeypatch.undo()
    resumed = train_word2vec(text, settings, checkpoint=tmp_path / "state", resume=True)
    assert np.array_equal(resumed.matrix, whole.matrix)


def test_resuming_what_does_not_fit(text: WordIds, tmp_path: Path) -> None:
    settings = Word2VecSettings(deterministic=True, **QUICK)
    with pytest.raises(ConfigError, match="no interrupted training here"):
        train_word2vec(text, settings, checkpoint=tmp_path / "state", resume=True)
    with pytest.raises(ConfigError, match="resume needs the folder"):
        train_word2vec(text, settings, resume=True)
    train_word2vec(text, settings, checkpoint=tmp_path / "state")
    other = settings.model_copy(update={"window": 2})
    with pytest.raises(ConfigError, match=r"other settings .*window 3 -> 2"):
        train_word2vec(text, other, checkpoint=tmp_path / "state", resume=True)
    with pytest.raises(ConfigError, match="another text"):
        train_word2vec(read_word_ids(sentences(seed=1)), settings, checkpoint=tmp_path / "state", resume=True)
    (tmp_path / "state" / "matrices.safetensors").write_bytes(b"no matrices")
    with pytest.raises(FormatError, match="damaged"):
        train_word2vec(text, settings, checkpoint=tmp_path / "state", resume=True)


def test_warm_start(text: WordIds) -> None:
    rng = np.random.default_rng(0)
    start = WordVectors(["猫", "unknown", "rome"], rng.normal(size=(3, 20)).astype(np.float32))
    vectors = train(text, start=start, min_count=1, **{**QUICK, "lr": 1e-9, "last_lr": 0, "epochs": 1})
    assert np.allclose(vectors["猫"], start["猫"], atol=1e-6)
    assert np.allclose(vectors["rome"], start["rome"], atol=1e-6)
    assert np.abs(vectors["dog"]).max() <= 0.5 / 20
    with pytest.raises(ConfigError, match=r"dim 20.*dim = 30.*Set dim = 20"):
        train(text, start=start, min_count=1, dim=30)


RESTART: dict[str, Any] = {**QUICK, "lr": 1e-9, "last_lr": 0, "epochs": 1, "min_count": 1}


def test_warm_start_with_pieces_keeps_words_and_pieces(text: WordIds) -> None:
    pieces = {"min_chars": 1, "max_chars": 4}
    start = train(text, subwords=pieces, **QUICK, min_count=1)
    again = train(text, start=start, subwords=pieces, **RESTART)
    np.testing.assert_allclose(again.matrix, start.matrix, atol=1e-5)
    for word in ("北京城", "catty", "eater"):  # of pieces alone
        np.testing.assert_allclose(again[word], start[word], atol=1e-6)
    # what is new is made of pieces that are known, and the words that were known stay
    more = read_word_ids([*sentences(300), ["北京城", "cat"]])
    other = train(more, start=start, subwords=pieces, **RESTART)
    np.testing.assert_allclose(other["北京"], start["北京"], atol=1e-5)
    lengths = np.linalg.norm(other["北京城"]) * np.linalg.norm(start["北京城"])
    assert other["北京城"] @ start["北京城"] > 0.95 * lengths


@pytest.mark.parametrize("pieces", [None, {"min_chars": 1}, {"buckets": 10}])
def test_warm_start_with_other_pieces_keeps_words(text: WordIds, pieces: dict[str, Any] | None) -> None:
    start = train(text, subwords=pieces, **QUICK, min_count=1)
    again = train(text, start=start, subwords={"min_chars": 2}, **RESTART)
    np.testing.assert_allclose(again.matrix, start.matrix, atol=1e-5)


def test_words_are_the_means_of_their_pieces_in_any_blocks(text: WordIds, monkeypatch: pytest.MonkeyPatch) -> None:
    options: dict[str, Any] = {**QUICK, "epochs": 1, "subwords": {"min_chars": 1}, "deterministic": True}
    whole = train(text, **options)
    monkeypatch.setattr(word2vec_pieces, "_BLOCK_NUMBERS", 100)
    assert np.array_equal(train(text, **options).matrix, whole.matrix)


@pytest.mark.parametrize("seconds", [0.0, 600.0])
def test_a_rate_that_diverges_keeps_the_older_state(
    text: WordIds, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    monkeypatch.setattr(word2vec, "_SAVE_SECONDS", seconds)
    folder, wild = tmp_path / "state", Word2VecSettings(**{**QUICK, "lr": 1e30, "epochs": 400}, deterministic=True)
    text_again, state = read_word_ids(sentences()), {}
    train_word2vec(text_again, Word2VecSettings(**QUICK), checkpoint=folder)
    state = {file.name: file.read_bytes() for file in folder.iterdir()}
    real, calls = word2vec.train_stretch, []
    monkeypatch.setattr(word2vec, "train_stretch", lambda *arguments: calls.append(1) or real(*arguments))
    with pytest.raises(TrainingError, match=r"no longer finite .*Lower lr"):
        train_word2vec(text, wild, checkpoint=folder)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == state
    assert len(calls) < 100 * len(text.ids) // 1000  # an epoch has as many stretches as thousands of words


def test_a_folder_of_something_else_is_no_checkpoint(text: WordIds, tmp_path: Path) -> None:
    (tmp_path / "论文.txt").write_text("年")
    with pytest.raises(ConfigError, match=r"no place\.json in it"):
        train_word2vec(text, Word2VecSettings(**QUICK), checkpoint=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["论文.txt"]


def test_from_files_and_sentences(tmp_path: Path) -> None:
    lines = [" ".join(words) for words in sentences(300)]
    (tmp_path / "text.txt").write_text("\n".join(lines), encoding="utf-8")
    options: dict[str, Any] = {**QUICK, "epochs": 1, "min_count": 2, "max_words": 10, "deterministic": True}
    from_file, from_lines = train(tmp_path / "text.txt", **options), train(lines, **options)
    assert np.array_equal(from_file.matrix, from_lines.matrix)
    assert len(from_file) == 10
    read = read_word_ids(lines)
    assert np.array_equal(train(read, **options).matrix, from_file.matrix)


def test_text_too_short_or_too_rare() -> None:
    with pytest.raises(DataError, match="there are no words"):
        train([])
    with pytest.raises(DataError, match=r"no word occurs 5 times .*Lower min_count to 2"):
        train(["a a b"])
    with pytest.raises(DataError, match="too little to learn from"):
        train(["a a a"], min_count=1)
    assert len(train(["one sentence only"], min_count=1, dim=3, epochs=1)) == 3
    lonely = train([[word] for word in "aabbcc"], min_count=1, dim=3, epochs=1)  # nothing around any word
    assert np.isfinite(lonely.matrix).all()


def test_settings_that_cannot_be(text: WordIds) -> None:
    with pytest.raises(ConfigError, match="1000 threads are more than"):
        train(text, threads=1000, min_count=1)
    with pytest.raises(ConfigError, match="unknown method 'word3vec'"):
        train(text, "word3vec")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ConfigError, match=r"unknown key 'dims'.*'dim'"):
        train(text, dims=3)
    with pytest.raises(ConfigError, match="dim = 0"):
        train(text, dim=0)
    with pytest.raises(ConfigError, match="max_chars = 2 is less than min_chars = 3"):
        train(text, subwords={"max_chars": 2})
    with pytest.raises(ConfigError, match="read already"):
        train(text, lowercase=True)
    with pytest.raises(ConfigError, match=r"deterministic .* one thread, and threads = 2"):
        train(text, deterministic=True, threads=2)
    with pytest.raises(ConfigError, match=r"negative = 7 .* hierarchical"):
        train(text, objective="hierarchical", negative=7)


@pytest.mark.parametrize("form", [{"objective": "hierarchical"}, {"deterministic": True}, {"negative": 7}])
def test_settings_of_a_finished_training_are_settings(text: WordIds, form: dict[str, Any]) -> None:
    found = train(text, **QUICK | {"epochs": 1}, **form).meta["settings"]
    assert Word2VecSettings.model_validate(found).model_dump(mode="json") == found


def test_long_sentences_and_odd_sizes() -> None:
    rng = np.random.default_rng(0)
    words = [f"w{number}" for number in rng.zipf(1.3, 5000) % 300]
    for form in ({"dim": 7, "negative": 1, "window": 1}, {"dim": 33, "negative": 17, "window": 9, "method": "cbow"}):
        vectors = train([words], min_count=1, epochs=1, **form)
        assert np.isfinite(vectors.matrix).all()
        assert vectors.dim == form["dim"]


def test_a_failing_thread_is_heard(text: WordIds, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> int:
        raise MemoryError("no more")

    monkeypatch.setattr(word2vec, "train_stretch", fail)
    with pytest.raises(MemoryError, match="no more"):
        train(text, min_count=1)


@pytest.mark.slow
def test_threads_and_one_thread_learn_alike(text: WordIds) -> None:
    """Over five seeds, within the noise of one of them."""
    cores = describe_machine().cores
    if cores < 2:
        pytest.skip("this machine has one core")
    found = [
        [contrast(train(text, min_count=1, seed=seed, threads=threads, **QUICK)) for seed in range(1, 6)]
        for threads in (1, cores)
    ]
    means, spreads = np.mean(found, axis=1), np.std(found, axis=1, ddof=1)
    assert abs(means[0] - means[1]) < 2 * max(*spreads, 0.01)


@pytest.mark.slow
def test_a_chinese_novel(data_root: Path) -> None:
    """The cousins of the Dream of the Red Chamber are closer to each other than to silver."""
    with gzip.open(data_root / "chinese_novels" / "红楼梦.txt.gz", "rt", encoding="utf-8") as file:
        lines = list(words_of_lines(file))
    vectors = train(lines, dim=50, epochs=5, deterministic=True)
    near = similarity(vectors, "宝玉", "黛玉"), similarity(vectors, "宝玉", "宝钗")
    assert min(near) > 0.1 + similarity(vectors, "宝玉", "银子")
