"""hanmo tokenizer train, show, compare."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hanmo.tokenizers.tokenizer import Tokenizer

ENGLISH = "the old teacher wrote a letter, and the apprentice sold the old notebook.\n" * 8
CHINESE = "老先生清早写完了一封长信，小徒弟把空白的本子卖掉了。\n" * 8


@pytest.fixture(scope="session")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("texts")
    (folder / "english.txt").write_text(ENGLISH, encoding="utf-8")
    (folder / "中文.txt.gz").write_bytes(gzip.compress(CHINESE.encode()))
    (folder / "picture.png").write_bytes(b"\x89PNG")
    return folder


@pytest.fixture
def tokenizer(hanmo: Callable[..., Any], texts: Path, tmp_path: Path) -> Path:
    out = tmp_path / "分词器"
    assert hanmo("tokenizer", "train", texts, "--out", out, "--vocab-size", 400).code == 0
    return out


@pytest.mark.parametrize("kind", ["bpe", "wordpiece", "unigram", "word", "char"])
def test_train(kind: str, hanmo: Callable[..., Any], texts: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = hanmo("tokenizer", "train", texts, "--kind", kind, "--vocab-size", 500, "--out", out, "--json")
    answer = json.loads(done.out)
    assert [file["name"] for file in answer["files"]] == ["english.txt", "中文.txt.gz"]
    loaded = Tokenizer.load(out)
    assert loaded.vocab_size == answer["vocab_size"]
    assert loaded.training_files[1].sha256 != loaded.training_files[1].content_sha256
    assert "old" in loaded.decode(loaded.encode("the old letter"))
    hanmo("tokenizer", "train", texts, "--kind", kind, "--out", out).refused("something here already", "--overwrite")


def test_wrong_use(hanmo: Callable[..., Any], texts: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    hanmo("tokenizer", "train", tmp_path / "nowhere", "--out", out).refused("nowhere")
    hanmo("tokenizer", "train", texts, "--out", out, "--lowercase").refused("lowercase")
    hanmo("tokenizer", "train", texts, "--out", out, "--kind", "char", "--sample-mb", 1).refused("max_bytes")
    hanmo("tokenizer", "train", texts, "--out", out, "--vocab-size", 10).refused("vocab_size", "257")
    hanmo("tokenizer", "train", texts / "english.txt", "--out", texts).refused("tokenizer.json")
    hanmo("tokenizer", "show", tmp_path / "nowhere", "--text", "x").refused("nowhere")
    hanmo("tokenizer", "compare", "--text", "x").refused("no tokenizer")
    assert not out.exists()


def test_show(hanmo: Callable[..., Any], tokenizer: Path) -> None:
    done = hanmo("tokenizer", "show", tokenizer, "--text", "老先生 the old 龘")
    assert "the" in done.out
    assert "<E9>|<BE>|<98>" in done.out
    assert "This text: 13 characters, 9 tokens, 1.44 characters per token, 0 unknown." in done.out
    answer = json.loads(hanmo("tokenizer", "show", tokenizer, "--json", stdin="老先生".encode()).out)
    ids = [piece["id"] for piece in answer["pieces"]]
    assert Tokenizer.load(tokenizer).decode(ids) == "老先生"


def test_compare(hanmo: Callable[..., Any], tokenizer: Path, run: Path, texts: Path, tmp_path: Path) -> None:
    vocabulary = tmp_path / "bert-vocab.txt"
    vocabulary.write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nold\nthe\n老\n", encoding="utf-8")
    page = tmp_path / "page.html"
    text = "the old <b>letter</b>\n老先生写信\n"
    done = hanmo("tokenizer", "compare", tokenizer, run, vocabulary, "--text", text, "--out", page, "--json")
    answer = json.loads(done.out)
    ours, of_run, bert = answer["tokenizers"]
    assert [row["kind"] for row in answer["tokenizers"]] == ["byte-level BPE", "byte-level BPE", "WordPiece"]
    assert set(ours["languages"]) == {"en", "zh"}
    assert ours["languages"]["zh"]["characters_per_token"] > of_run["languages"]["zh"]["characters_per_token"] * 0.5
    assert bert["languages"]["zh"]["unknown_characters"] == 4
    assert answer["overlap"][0][0] == 1.0
    assert answer["overlap"][2][0] == pytest.approx(2 / 3)  # old and the; 老 is two tokens here
    written = page.read_text(encoding="utf-8")
    assert "<b>letter" not in written
    assert "<script" not in written
    assert 'class="unknown"' in written
    chinese = hanmo("tokenizer", "compare", tokenizer, "--text", text, "--out", page, "--lang", "zh")
    assert "zh chars/token" in chinese.out
    assert "分词器对比" in page.read_text(encoding="utf-8")
    hanmo("tokenizer", "compare", tokenizer, "--text", text, "--out", tmp_path / "x.pdf").refused(".html")


def test_training_text_is_refused(hanmo: Callable[..., Any], tokenizer: Path, texts: Path, tmp_path: Path) -> None:
    planted = tmp_path / "held-out.txt"
    planted.write_text(CHINESE, encoding="utf-8")
    hanmo("tokenizer", "compare", tokenizer, "--file", planted).refused("held-out.txt", "中文.txt.gz", code=1)
    train = ("ngram", "train", texts / "english.txt", "--out", tmp_path / "ngram", "--tokenizer", tokenizer)
    hanmo(*train, "--heldout", planted).refused("held-out.txt", "中文.txt.gz", code=1)
    assert not (tmp_path / "ngram").exists()
    planted.write_text(CHINESE[:-30] + "新的一句。\n", encoding="utf-8")
    assert hanmo(*train, "--heldout", planted).code == 0


def test_score_on_training_text_is_refused(hanmo: Callable[..., Any], model: Path, run: Path, tmp_path: Path) -> None:
    planted = tmp_path / "planted.txt"
    planted.write_bytes(gzip.decompress((run / "corpus" / "train.jsonl.gz").read_bytes()))
    hanmo("score", model, "--file", planted).refused("planted.txt", "train.jsonl.gz", code=1)
    assert hanmo("score", model, "--file", run / "corpus" / "corpus.json").code == 0


def test_a_recipe_takes_a_tokenizer(
    hanmo: Callable[..., Any], tokenizer: Path, recipe: Path, run: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    sets = ("--set", f"tokenizer.path={tokenizer}", "--set", "training.n_steps=2")
    size = ("--set", "tokenizer.vocab_size=4096")
    assert hanmo("train", recipe, "--out", out, *sets, *size).code == 0
    assert Tokenizer.load(out / "model").sha256 == Tokenizer.load(tokenizer).sha256
    assert (out / "model" / "training_data.json").is_file()
    corpus = next(path for path in sorted((run.parent / "tiny-corpus").rglob("*.txt")))
    planted = tmp_path / "planted"
    assert hanmo("tokenizer", "train", corpus, "--out", planted, "--vocab-size", 300).code == 0
    again = ("--set", f"tokenizer.path={planted}", *size)
    hanmo("train", recipe, "--out", tmp_path / "refused", *again).refused(corpus.name, "was trained on", code=1)
    shutil.rmtree(out)
