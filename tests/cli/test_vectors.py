"""`hanmo vectors`: what it prints, writes and refuses."""

from __future__ import annotations

import _thread
import json
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hanmo.vectors import WordVectors

WORDS = ["男", "女", "国王", "王后", "苹果", "香蕉", "梨"]
MATRIX = [[1, 0, 0.2], [0, 1, 0.2], [1, 0, 2], [0, 1, 2], [0.5, 0.5, -1], [0.4, 0.5, -1], [0.5, 0.4, -1]]


@pytest.fixture
def vectors(tmp_path: Path) -> Path:
    WordVectors(WORDS, np.array(MATRIX), counts=np.arange(7, 0, -1)).save(tmp_path / "v")
    return tmp_path / "v"


def test_similar(hanmo: Callable[..., Any], vectors: Path) -> None:
    shown = hanmo("vectors", "similar", vectors, "苹果", "--n", "2")
    assert shown.code == 0
    assert {line.split()[1] for line in shown.out.splitlines()} == {"香蕉", "梨"}
    answer = json.loads(hanmo("vectors", "similar", vectors, "男", "女", "--json").out)
    assert [item["word"] for item in answer["words"]] == ["男", "女"]
    assert len(answer["words"][0]["neighbours"]) == 6
    assert answer["similarity"] == pytest.approx(0.04 / 1.04)


def test_analogy(hanmo: Callable[..., Any], vectors: Path) -> None:
    assert hanmo("vectors", "analogy", vectors, "男", "国王", "女", "--n", "1").out.split()[1] == "王后"
    answer = json.loads(hanmo("vectors", "analogy", vectors, "男", "国王", "女", "--method", "mul", "--json").out)
    assert answer["answers"][0]["word"] == "王后"
    assert answer["question"] == ["男", "国王", "女"]


def test_odd(hanmo: Callable[..., Any], vectors: Path) -> None:
    assert hanmo("vectors", "odd", vectors, "苹果", "国王", "香蕉", "梨").out.splitlines()[0].split()[1] == "国王"
    assert json.loads(hanmo("vectors", "odd", vectors, "苹果", "国王", "梨", "--json").out)["odd"] == "国王"


def test_evaluate(hanmo: Callable[..., Any], vectors: Path, tmp_path: Path) -> None:
    tests = tmp_path / "tests"
    tests.mkdir()
    (tests / "相似.txt").write_text("苹果\t梨\t9\n男\t国王\t5\n男\t苹果\t2\n男\t皇帝\t4\n", encoding="utf-8")
    (tests / "类比.txt").write_text(": 王室\n男 国王 女 王后\n: 水果\n男 国王 女 苹果\n", encoding="utf-8")
    shown = hanmo("vectors", "evaluate", vectors, tests)
    assert shown.out.splitlines() == [
        "相似: ρ 1.000, 3 of 4 (75%) pairs",
        "类比: accuracy 0.500 (add), 2 of 2 (100%) questions",
        "  1.000  王室, 1 of 1 (100%)",
        "  0.000  水果, 1 of 1 (100%)",
    ]
    results = json.loads(hanmo("vectors", "evaluate", vectors, tests / "类比.txt", "--json").out)["results"]
    assert results[0]["accuracy"] == 0.5


@pytest.mark.parametrize("name", ["m.svg", "m.html"])
def test_map(hanmo: Callable[..., Any], vectors: Path, tmp_path: Path, name: str) -> None:
    shown = hanmo("vectors", "map", vectors, "--out", tmp_path / name, "--near", "国王", "苹果", "--method", "pca")
    assert (shown.code, shown.out) == (0, f"{tmp_path / name}: 7 words in 2 groups\n")
    drawn = (tmp_path / name).read_text(encoding="utf-8")
    assert all(f">{word}</text>" in drawn for word in WORDS)
    assert "<script" not in drawn


@pytest.mark.parametrize(("name", "form"), [("o.txt", "word2vec"), ("o.bin", "word2vec-binary"), ("o", "hanmo")])
def test_convert(hanmo: Callable[..., Any], vectors: Path, tmp_path: Path, name: str, form: str) -> None:
    shown = json.loads(hanmo("vectors", "convert", vectors, tmp_path / name, "--json").out)
    assert shown == {"vectors": str(tmp_path / name), "form": form, "words": 7, "dim": 3}
    assert WordVectors.load(tmp_path / name).words == tuple(WORDS)
    assert hanmo("vectors", "similar", tmp_path / name, "苹果").code == 0


def test_convert_replaces_vectors_only(hanmo: Callable[..., Any], vectors: Path, tmp_path: Path) -> None:
    (tmp_path / "论文").mkdir()
    (tmp_path / "论文" / "thesis.txt").write_text("年")
    hanmo("vectors", "convert", vectors, tmp_path / "论文").refused("论文", "words.json", code=2)
    hanmo("vectors", "convert", vectors, tmp_path / "o.txt.gz").refused("o.txt.gz", "gzip o.txt", code=2)
    assert (tmp_path / "论文" / "thesis.txt").read_text() == "年"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["v", "论文"]


def test_convert_leaves_out_bad_lines_only_when_told(hanmo: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "g.txt").write_text("a 1 2\nat home 1 2\n宝玉 3 4\n", encoding="utf-8")
    hanmo("vectors", "convert", tmp_path / "g.txt", tmp_path / "o").refused("g.txt:2", "'at home'", "skip_bad")
    assert hanmo("vectors", "convert", tmp_path / "g.txt", tmp_path / "o", "--skip-bad").code == 0
    assert WordVectors.load(tmp_path / "o").words == ("a", "宝玉")


@pytest.mark.parametrize(
    ("arguments", "words", "code"),
    [
        (("similar", "{v}", "皇帝"), ("'皇帝'", "no vector"), 1),
        (("similar", "{v}"), ("no word was given",), 2),
        (("similar", "{v}", "男", "--n", "0"), ("n = 0",), 2),
        (("similar", "nowhere", "男"), ("nowhere", "no such file"), 1),
        (("analogy", "{v}", "男", "太监", "皇帝"), ("'太监'", "'皇帝'"), 1),
        (("odd", "{v}", "男", "女"), ("three or more",), 1),
        (("evaluate", "{v}"), ("no test was given",), 2),
        (("evaluate", "{v}", "none.txt"), ("none.txt", "no such test file"), 1),
        (("map", "{v}", "--out", "m.png"), ("m.png", ".svg or an .html"), 2),
        (("map", "{v}", "--out", "m.svg", "--near", "皇帝"), ("'皇帝'",), 1),
        (("map", "{v}", "--out", "m.svg", "--near", "男", "--words", "女"), ("both given",), 2),
        (("convert", "{v}", "o.txt", "--to", "golve"), ("unknown form 'golve'", "glove"), 2),
        (("convert", "{v}", "o.txt", "--limit", "3"), ("limit",), 2),
        (("convert", "never read", "o.txt.gz"), ("o.txt.gz", "packed"), 2),
    ],
)
def test_refused(
    hanmo: Callable[..., Any], vectors: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...], words: tuple[str, ...], code: int,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    hanmo("vectors", *(argument.format(v=vectors) for argument in arguments)).refused(*words, code=code)
    assert [path.name for path in tmp_path.iterdir()] == ["v"]


@pytest.fixture
def text(tmp_path: Path) -> Path:
    draw = random.Random(0)
    lines = [f"{draw.choice(['宝玉', '黛玉', '宝钗'])}笑道：“我来了。”" for _ in range(300)]
    (tmp_path / "红楼.txt").write_text("\n".join(lines), encoding="utf-8")
    return tmp_path / "红楼.txt"


TINY = ("--dim", "8", "--epochs", "2", "--min-count", "1")


@pytest.mark.parametrize(
    "options",
    [(), ("--method", "cbow"), ("--hierarchical",), ("--subwords",), ("--phrases", "1"), ("--set", "sample=0")],
)
def test_train(hanmo: Callable[..., Any], text: Path, tmp_path: Path, options: tuple[str, ...]) -> None:
    shown = hanmo("vectors", "train", text, "--out", tmp_path / "out", *TINY, *options)
    assert shown.code == 0, shown
    assert "words, dim 8, in" in shown.out
    assert hanmo("vectors", "similar", tmp_path / "out", "宝玉").code == 0
    if options == ("--subwords",):
        assert hanmo("vectors", "similar", tmp_path / "out", "黛玉笑").code == 0


def test_train_glove(hanmo: Callable[..., Any], text: Path, tmp_path: Path) -> None:
    shown = hanmo("vectors", "train", text, "--out", tmp_path / "v.txt", *TINY, "--method", "glove", "--json")
    answer = json.loads(shown.out)
    assert (answer["words"], answer["dim"], answer["finished"]) == (len(WordVectors.load(tmp_path / "v.txt")), 8, True)


def test_train_says_how_to_go_on(
    hanmo: Callable[..., Any], text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hanmo.vectors import word2vec

    real, calls = word2vec.train_stretch, []

    def train_stretch(*arguments: Any) -> None:
        calls.append(1)
        if len(calls) == 1:
            _thread.interrupt_main()
            time.sleep(0.3)
        real(*arguments)

    monkeypatch.setattr(word2vec, "train_stretch", train_stretch)
    command = ("vectors", "train", text, "--out", tmp_path / "v", *TINY, "--threads", "1", "--overwrite")
    stopped = hanmo(*command)
    assert stopped.code == 130
    assert "--resume" in stopped.out
    monkeypatch.undo()
    done = hanmo(*command, "--resume")
    assert done.code == 0, done
    assert WordVectors.load(tmp_path / "v").meta["finished"]


@pytest.mark.parametrize(
    ("options", "words", "code"),
    [
        (("--dim", "0"), ("dim = 0",), 2),
        (("--set", "windows=3"), ("windows", "window"), 2),
        (("--threads", "9999"), ("9999 threads", "cores"), 2),
        (("--method", "glove", "--subwords"), ("word2vec",), 2),
        (("--negative", "5", "--hierarchical"), ("exclude each other",), 2),
        (("--resume",), ("no interrupted training",), 2),
        (("--phrases", "1", "--set", "min_count=abc"), ("min_count = 'abc'",), 2),
        (("--deterministic", "--set", "threads=2"), ("one thread",), 2),
        (("--min-count", "100000"), ("100000",), 1),
        (("--start", "none.txt"), ("none.txt", "no such file"), 1),
    ],
)
def test_train_refuses(
    hanmo: Callable[..., Any], text: Path, tmp_path: Path, options: tuple[str, ...], words: tuple[str, ...], code: int
) -> None:
    hanmo("vectors", "train", text, "--out", tmp_path / "v", *options).refused(*words, code=code)
    assert [path.name for path in tmp_path.iterdir()] == [text.name]


def test_train_keeps_what_is_there(hanmo: Callable[..., Any], text: Path, vectors: Path) -> None:
    hanmo("vectors", "train", text, "--out", vectors, *TINY).refused("something here already", "--overwrite", code=2)
    assert WordVectors.load(vectors).words == tuple(WORDS)
    assert hanmo("vectors", "train", text, "--out", vectors, *TINY, "--overwrite").code == 0
    assert "宝玉" in WordVectors.load(vectors)
