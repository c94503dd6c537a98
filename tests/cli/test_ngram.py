"""hanmo ngram train, score, sample."""

from __future__ import annotations

import gzip
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
    again = hanmo("ngram", "train", text, "--out", out, "--json", "--heldout", text, "--overwrite")
    answer = json.loads(again.out)
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


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030"])
@pytest.mark.parametrize("name", ["红楼梦.tok", "corpus", "红楼梦.txt"])
def test_a_text_file_of_any_name(
    hanmo: Callable[..., Any], tmp_path: Path, name: str, encoding: str, chinese: Path
) -> None:
    """As `hanmo vectors train` reads it; what is not UTF-8 is told apart by its name, as documents are."""
    source = tmp_path / name
    source.write_bytes(chinese.read_bytes().decode().encode(encoding))
    done = hanmo("ngram", "train", source, "--out", tmp_path / "model", "--json", "--heldout", source)
    if encoding == "gb18030" and not name.endswith(".txt"):
        done.refused("unknown kind of file", name, code=1)
        return
    answer = json.loads(done.out)
    assert (answer["unit"], answer["n_read"]) == ("character", sum(map(len, CHINESE)))
    assert answer["heldout"]["n_unknown"] == 0


def test_heldout_documents(hanmo: Callable[..., Any], text: Path, tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(json.dumps({"text": line}) + "\n" for line in ENGLISH[:2]), encoding="utf-8")
    done = hanmo("ngram", "train", text, "--out", tmp_path / "model", "--json", "--heldout", rows)
    assert json.loads(done.out)["heldout"]["n_words"] == 12  # and no braces


def test_nothing_is_replaced_unasked(hanmo: Callable[..., Any], text: Path, chinese: Path, tmp_path: Path) -> None:
    folder, arpa = tmp_path / "模型", tmp_path / "x.arpa"
    for out in (folder, arpa):
        assert hanmo("ngram", "train", text, "--out", out).code == 0
        hanmo("ngram", "train", chinese, "--out", out).refused("something here already", "--overwrite", code=2)
        assert load(out).score("the old letter").n_unknown == 0
        assert hanmo("ngram", "train", chinese, "--out", out, "--overwrite").code == 0
        assert load(out, unit="character").score("老先生").n_unknown == 0


def test_only_models_are_replaced(hanmo: Callable[..., Any], text: Path, trained: Path, tmp_path: Path) -> None:
    corpus = tmp_path / "语料"
    corpus.mkdir()
    own = corpus / "a.txt"
    own.write_bytes(text.read_bytes())
    plain = tmp_path / "b.arpa"
    plain.write_bytes(text.read_bytes())
    inner = trained / "text.txt"
    inner.write_bytes(text.read_bytes())
    for source, out, words in (
        (corpus, corpus, "no ngram.json in it"), (text, corpus, "no ngram.json in it"), (text, own, "this is a file"),
        (plain, plain, "would destroy"), (inner, trained, "would destroy"),
    ):  # fmt: skip
        done = hanmo("ngram", "train", source, "--out", out, "--overwrite")
        assert str(out) in done.refused(words, code=2)
        assert "Count" not in done.err  # said before the work
        assert all(path.read_bytes() == text.read_bytes() for path in (own, plain, inner))
    done = hanmo("ngram", "train", text, "--heldout", inner, "--out", trained, "--overwrite")
    done.refused("would destroy", str(inner), code=2)
    (tmp_path / "folder.arpa").mkdir()
    hanmo("ngram", "train", text, "--out", tmp_path / "folder.arpa", "--overwrite").refused("this is a folder", code=2)


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_tokens_of_a_file_are_read_as_it_is_without(
    hanmo: Callable[..., Any], chinese: Path, tmp_path: Path, form: tuple[str, ...]
) -> None:
    model, packed = tmp_path / "model", tmp_path / "红楼梦.txt.gz"
    assert hanmo("ngram", "train", chinese, "--out", model).code == 0
    packed.write_bytes(gzip.compress(chinese.read_bytes()))
    plain = hanmo("ngram", "score", model, "--file", packed, *form).out
    with_tokens = hanmo("ngram", "score", model, "--file", packed, "--tokens", *form).out
    n = sum(map(len, CHINESE)) + len(CHINESE)
    if form:
        answer = json.loads(with_tokens)
        assert "".join(token["text"] for token in answer.pop("tokens")) == "".join(f"{line}</s>" for line in CHINESE)
        assert answer == json.loads(plain)
    else:
        assert with_tokens.splitlines()[n:] == plain.splitlines()
        assert [line.split()[1] for line in with_tokens.splitlines()[:3]] == ["老", "先", "生"]
    bad = tmp_path / "gbk.txt"
    bad.write_bytes("老先生\n长信\n".encode("gb18030"))
    for tokens in ((), ("--tokens",)):
        hanmo("ngram", "score", model, "--file", bad, *tokens, *form).refused("gbk.txt:1", "UTF-8", code=1)


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


def _press(monkeypatch: pytest.MonkeyPatch, wave: int) -> None:
    """Ctrl-C when the n-th wave of counting begins."""
    waves: list[int] = []

    def pressed(*_: object) -> None:
        waves.append(1)
        if len(waves) == wave:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("hanmo.ngrams.counting._STEP", 16)
    monkeypatch.setattr("hanmo.ngrams.counting._check_memory", pressed)


def test_ctrl_c_saves_what_is_counted(
    hanmo: Callable[..., Any], text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _press(monkeypatch, 3)
    set_quiet(False)
    out = tmp_path / "model"
    done = hanmo("ngram", "train", text, "--order", 5, "--out", out)
    assert done.code == 130
    assert "Interrupted: the model is of the first 55% of the text" in done.err
    assert load(out).order == 5
    assert load(out).info.share == pytest.approx(0.545, abs=0.01)
    assert load(out).score("the old teacher").n_unknown == 0


def test_ctrl_c_when_the_text_was_read_to_its_end(
    hanmo: Callable[..., Any], text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert hanmo("ngram", "train", text, "--out", tmp_path / "whole").code == 0
    _press(monkeypatch, 6)  # the steps are 6; the longer n-grams are up to 3 behind
    done = hanmo("ngram", "train", text, "--out", tmp_path / "model")
    assert done.code == 0  # it is the model of the whole text
    assert load(tmp_path / "model").info == load(tmp_path / "whole").info


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
    empty.write_bytes(b"good text\n" * 30_000 + b"b\xffd\n")
    hanmo("ngram", "train", empty, "--out", out).refused("empty.txt:30001", "UTF-8", code=1)
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
