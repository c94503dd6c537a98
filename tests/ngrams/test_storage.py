"""The folder of a model: written, mapped, damaged."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from hanmo.core.errors import ConfigError, FormatError, StorageError
from hanmo.ngrams import NgramModel, load, train
from hanmo.tokenizers.bpe import train_bpe


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "copy"))


def test_round_trip(model: NgramModel, folder: Path, sentences: list[str]) -> None:
    loaded = load(folder, verify=True)
    assert loaded.info == model.info
    assert loaded.words == model.words
    assert (loaded.log10(sentences) == model.log10(sentences)).all()
    assert not loaded.automaton.table.flags.writeable


def test_only_a_model_is_replaced(model: NgramModel, chinese: list[str], tmp_path: Path) -> None:
    corpus = tmp_path / "语料"
    corpus.mkdir()
    model.save(corpus)  # an empty folder is free
    train(chinese, order=2).save(corpus)
    assert load(corpus).unit == "character"
    (corpus / "ngram.json").rename(corpus / "红楼梦.json")
    before = sorted(path.name for path in corpus.iterdir())
    with pytest.raises(ConfigError, match=r"语料: .*no ngram\.json in it"):
        model.save(corpus)
    assert sorted(path.name for path in corpus.iterdir()) == before


def test_in_memory(model: NgramModel, folder: Path, sentences: list[str]) -> None:
    loaded = load(folder, in_memory=True)
    assert (loaded.log10(sentences) == model.log10(sentences)).all()
    for array in (loaded.automaton.table, loaded.lexicon.letters):
        assert array.base is None  # its own memory, no view of the file
        assert not array.flags.writeable
    assert load(folder).automaton.table.base is not None


def test_it_is_safetensors(folder: Path, model: NgramModel) -> None:
    arrays = load_file(folder / "ngram.safetensors")
    assert (arrays["table"] == model.automaton.table).all()
    assert (arrays["letters"] == model.lexicon.letters).all()


def test_it_loads_in_milliseconds(folder: Path) -> None:
    load(folder)
    times = []
    for _ in range(5):
        start = time.perf_counter()
        load(folder)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.02


def test_the_same_text_gives_the_same_bytes(sentences: list[str], folder: Path, tmp_path: Path) -> None:
    train(sentences, order=4).save(tmp_path / "again")
    for name in ("ngram.json", "ngram.safetensors"):
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes()


def test_tokenizer_goes_with_it(sentences: list[str], tmp_path: Path) -> None:
    model = train(sentences, order=2, tokenizer=train_bpe(sentences, 300))
    model.save(tmp_path / "tokens")
    assert load(tmp_path / "tokens").score("w1 w2").log10 == model.score("w1 w2").log10


@pytest.mark.parametrize("keep", [0, 4, 100, 0.3, 0.99])
def test_truncated_numbers(copy: Path, keep: float) -> None:
    file = copy / "ngram.safetensors"
    data = file.read_bytes()
    file.write_bytes(data[: int(keep * len(data)) if keep < 1 else int(keep)])
    with pytest.raises(FormatError, match=r"ngram\.safetensors: "):
        load(copy)


def test_missing_numbers(copy: Path) -> None:
    (copy / "ngram.safetensors").unlink()
    with pytest.raises(FormatError, match="missing"):
        load(copy)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format": 2}, "format 1"),
        ({"order": 3}, "do not fit"),
        ({"n_grams": [9, 1, 1, 1]}, "do not fit"),
        ({"unit": "page"}, "not the description"),
        ({"colour": 1}, "not the description"),
    ],
)
def test_a_description_of_something_else(copy: Path, changes: dict[str, object], words: str) -> None:
    file = copy / "ngram.json"
    file.write_text(json.dumps(json.loads(file.read_text(encoding="utf-8")) | changes), encoding="utf-8")
    with pytest.raises(FormatError, match=words):
        load(copy)


@pytest.mark.parametrize("text", ["", "[1]", "{"])
def test_no_description(copy: Path, text: str) -> None:
    (copy / "ngram.json").write_text(text, encoding="utf-8")
    with pytest.raises(FormatError, match=r"ngram\.json"):
        load(copy)


def test_flipped_bits_are_found(copy: Path, sentences: list[str]) -> None:
    """By the hash if it is asked for; without it no number leads out of the arrays, whatever it is."""
    file = copy / "ngram.safetensors"
    data = bytearray(file.read_bytes())
    header = 8 + int.from_bytes(data[:8], "little")
    rng = np.random.default_rng(0)
    outcomes = set()
    for _ in range(60):
        changed = bytearray(data)
        for place in rng.integers(header, len(data), 200).tolist():
            changed[place] ^= 1 << int(rng.integers(8))
        file.write_bytes(changed)
        with pytest.raises(FormatError):
            load(copy, verify=True)
        try:
            load(copy).log10(sentences)
            outcomes.add("read")
        except FormatError:
            outcomes.add("refused")
    assert "refused" in outcomes


_SAVE = """
import resource, sys
from hanmo.ngrams import load
model = load(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), int(sys.argv[3])))
import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
try:
    model.write_arpa(sys.argv[2]) if sys.argv[2].endswith(".arpa") else model.save(sys.argv[2])
except OSError as error:
    print(type(error).__name__, error)
"""


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="no limit of file sizes on this system")
@pytest.mark.parametrize("name", ["model", "model.arpa"])
def test_full_disk(folder: Path, tmp_path: Path, name: str) -> None:
    out = tmp_path / name
    before = b"what was there"
    if name.endswith(".arpa"):
        out.write_bytes(before)
    done = subprocess.run(
        [sys.executable, "-c", _SAVE, str(folder), str(out), "20000"], capture_output=True, text=True, env=os.environ
    )
    assert done.returncode == 0, done.stderr
    assert StorageError.__name__ in done.stdout
    assert str(out) in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ([name] if name.endswith(".arpa") else [])
    if name.endswith(".arpa"):
        assert out.read_bytes() == before
