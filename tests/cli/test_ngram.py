"""hanmo ngram train, score, sample."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hanmo.core.progress import set_quiet
from hanmo.ngrams import load

ENGLISH = ["the old teacher wrote a letter", "the apprentice sold the old notebook", "a letter was sold"] * 4
CHINESE = ["老先生清早写完了一封长信，小徒弟把空白的本子卖掉了。", "小徒弟清早把长信写完了，老先生把本子卖掉了。"] * 3


@pytest.fixture(scope="session")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("texts") / "english.txt"
    path.write_text("\n".join(ENGLISH) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def chinese(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("texts") / "中文.txt"
    path.write_text("\n".join(CHINESE) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def trained(hanmo: Callable[..., Any], text: Path, tmp_path: Path) -> Path:
    out = tmp_path / "ngram"
    assert hanmo("ngram", "train", text, "--order", 3, "--out", out).code == 0
    return out


def test_train_says_what_it_counted(hanmo: Callable[..., Any], text: Path, tmp_path: Path) -> None:
    out = tmp_path / "model"
    done = hanmo("ngram", "train", text, "--order", 3, "--out", out, "--heldout", text)
    assert done.code == 0
    assert f"{out}: 64 words, 10 different" in done.out
    assert "perplexity" in done.out
    answer = json.loads(hanmo("ngram", "train", text, "--out", out, "--json", "--heldout", text).out)
    assert (answer["order"], answer["unit"], answer["n_read"]) == (5, "word", 64)
    assert answer["heldout"]["n_unknown"] == 0
    assert answer["fallback_orders"] == [2, 3, 4, 5]


def test_progress_goes_to_standard_error(hanmo: Callable[..., Any], text: Path, tmp_path: Path) -> None:
    set_quiet(False)
    done = hanmo("ngram", "train", text, "--out", tmp_path / "model", "--json")
    assert json.loads(done.out)
    for label in ("Read words", "Count n-grams", "Estimate"):
        assert f"{label}: done" in done.err


@pytest.mark.parametrize("unit", [None, "word", "character"])
def test_chinese(hanmo: Callable[..., Any], chinese: Path, tmp_path: Path, unit: str | None) -> None:
    out = tmp_path / "模型"
    options = () if unit is None else ("--unit", unit)
    assert hanmo("ngram", "train", chinese, *options, "--out", out).code == 0
    assert load(out).unit == (unit or "character")
    answer = json.loads(hanmo("ngram", "score", out, "老先生把长信卖掉了。", "--json").out)
    assert answer["n_unknown"] == 0
    assert answer["bits_per_character"] > 0
    sampled = hanmo("ngram", "sample", out, "老", "--seed", 2).out.strip()
    assert sampled.startswith("老")
    assert " " not in sampled


def test_tokens_of_a_model(hanmo: Callable[..., Any], model: Path, text: Path, tmp_path: Path) -> None:
    out = tmp_path / "tokens"
    assert hanmo("ngram", "train", text, "--tokenizer", model, "--out", out).code == 0
    answer = json.loads(hanmo("ngram", "score", out, "the old letter", "--json", "--tokens").out)
    assert answer["unit"] == "token"
    assert "".join(token["text"] for token in answer["tokens"][:-1]) == "the old letter"
    assert hanmo("ngram", "sample", out).code == 0


def test_a_corpus_folder(hanmo: Callable[..., Any], tmp_path: Path) -> None:
    folder = tmp_path / "corpus"
    folder.mkdir()
    rows = [json.dumps({"text": line}) for line in ENGLISH[:2]]
    (folder / "rows.jsonl").write_text("\n".join(rows) + "\n[]\n", encoding="utf-8")
    (folder / "text.txt").write_text(ENGLISH[2], encoding="utf-8")
    (folder / "picture.png").write_bytes(b"x")
    set_quiet(False)
    done = hanmo("ngram", "train", folder, "--out", tmp_path / "model", "--json")
    assert json.loads(done.out)["n_read"] == 16
    assert "rows.jsonl:3: left out" in done.err
    assert "2 files or rows were left out" in done.err


def test_score(hanmo: Callable[..., Any], trained: Path, text: Path) -> None:
    shown = hanmo("ngram", "score", trained, "the old letter")
    assert shown.code == 0
    assert "3 words in 1 sentence: perplexity" in shown.out
    assert "1 of them unknown" in hanmo("ngram", "score", trained, "the old dragon").out
    tokens = hanmo("ngram", "score", trained, "the old dragon", "--tokens").out.splitlines()
    assert [line.split()[1] for line in tokens[:4]] == ["the", "old", "<unk>", "</s>"]
    by_option = json.loads(hanmo("ngram", "score", trained, "--file", text, "--json").out)
    by_name = json.loads(hanmo("ngram", "score", trained, text, "--json").out)
    by_input = json.loads(hanmo("ngram", "score", trained, "--json", stdin=text.read_bytes()).out)
    assert by_option == by_name == by_input
    assert by_option["n_sentences"] == 12


def test_sample(hanmo: Callable[..., Any], trained: Path) -> None:
    several = hanmo("ngram", "sample", trained, "the old", "--n", 3, "--seed", 4)
    lines = several.out.splitlines()
    assert len(lines) == 3
    assert all(line.startswith("the old") for line in lines)
    answer = json.loads(hanmo("ngram", "sample", trained, "the old", "--n", 3, "--seed", 4, "--json").out)
    assert answer["texts"] == lines
    assert hanmo("ngram", "sample", trained, "the old", "--seed", 5).out.splitlines() == lines[1:2]


def test_arpa_out_and_in(hanmo: Callable[..., Any], text: Path, trained: Path, tmp_path: Path) -> None:
    arpa = tmp_path / "model.arpa.gz"
    assert hanmo("ngram", "train", text, "--order", 3, "--out", arpa).code == 0
    one, other = (json.loads(hanmo("ngram", "score", path, text, "--json").out) for path in (arpa, trained))
    assert one["perplexity"] == pytest.approx(other["perplexity"])
    assert one["n_words"] == other["n_words"] == 64


def test_pruning(hanmo: Callable[..., Any], text: Path, trained: Path, tmp_path: Path) -> None:
    out = tmp_path / "pruned"
    done = hanmo("ngram", "train", text, "--order", 3, "--prune", 0, 0, 4, "--out", out, "--json")
    assert json.loads(done.out)["n_grams"][2] < load(trained).info.n_grams[2]


def test_ctrl_c_saves_what_is_counted(
    hanmo: Callable[..., Any], text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waves: list[int] = []

    def pressed(*_: object) -> None:
        waves.append(1)
        if len(waves) == 3:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("hanmo.ngrams.counting._STEP", 16)
    monkeypatch.setattr("hanmo.ngrams.counting._check_memory", pressed)
    set_quiet(False)
    out = tmp_path / "model"
    done = hanmo("ngram", "train", text, "--order", 5, "--out", out)
    assert done.code == 130
    assert "Interrupted: the model is of the first 55% of the text" in done.err
    assert load(out).order == 5
    assert load(out).info.share == pytest.approx(0.545, abs=0.01)
    assert load(out).score("the old teacher").n_unknown == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--order", "0"), ("order",)),
        (("--prune", "1"), ("prune", "min_count")),
        (("--unit", "token"), ("tokenizer",)),
        (("--heldout", "nowhere.txt"), ("nowhere.txt",)),
    ],
)
def test_train_refuses(
    hanmo: Callable[..., Any], text: Path, tmp_path: Path, options: tuple[str, ...], words: tuple[str, ...]
) -> None:
    hanmo("ngram", "train", text, "--out", tmp_path / "model", *options).refused(*words, code=2)
    assert not (tmp_path / "model").exists()


def test_texts_that_are_none(hanmo: Callable[..., Any], tmp_path: Path) -> None:
    out = tmp_path / "model"
    hanmo("ngram", "train", tmp_path / "none.txt", "--out", out).refused("none.txt", code=1)
    empty = tmp_path / "empty.txt"
    empty.write_bytes(b"\n\n")
    hanmo("ngram", "train", empty, "--out", out).refused("no words", code=1)
    empty.write_bytes(b"good\nb\xffd\n")
    hanmo("ngram", "train", empty, "--out", out).refused("empty.txt:2", "UTF-8", code=1)
    folder = tmp_path / "folder"
    folder.mkdir()
    hanmo("ngram", "train", folder, "--out", out).refused(code=1)


def test_models_that_are_none(hanmo: Callable[..., Any], trained: Path, tmp_path: Path) -> None:
    hanmo("ngram", "score", tmp_path / "none", "a").refused("no such n-gram model", code=1)
    broken = tmp_path / "broken.arpa"
    broken.write_text("\\data\\\nngram 1=1\n\n\\1-grams:\nx\ta\n", encoding="utf-8")
    hanmo("ngram", "sample", broken).refused("broken.arpa:5", code=1)
    file = trained / "ngram.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    hanmo("ngram", "score", trained, "a").refused("ngram.safetensors", "cut short", code=1)
    hanmo("ngram", "score", trained, "").refused(code=1)


def test_sample_refuses(hanmo: Callable[..., Any], trained: Path) -> None:
    hanmo("ngram", "sample", trained, "--n", 0).refused("n = 0", code=2)
    hanmo("ngram", "sample", trained, "--temperature", -1).refused("temperature", code=2)
