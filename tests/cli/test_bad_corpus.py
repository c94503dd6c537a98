"""Text that cannot be trained on: one clear message, and no file where a good one is expected."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hanmo.corpora import plan

ENGLISH = "The old teacher wrote a long letter before sunrise, and sold the empty notebook.\n"
CHINESE = "老先生清早写完了一封长信，小徒弟把空白的本子卖掉了，书店掌柜念了一遍。\n"


@pytest.fixture
def train(hanmo: Callable[..., Any], recipe: Path, tmp_path: Path) -> Callable[..., Any]:
    def run(corpus: Path, *settings: str) -> Any:
        options = [part for setting in settings for part in ("--set", setting)]
        return hanmo(
            "train", recipe, "--set", f"corpus.source={json.dumps(str(corpus))}", *options, "--out", tmp_path / "run"
        )

    return run


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    folder = tmp_path / "texts"
    folder.mkdir()
    return folder


def distinct(sentence: str, n: int = 60) -> str:
    """`n` different sentences: the same one again would be dropped as repetition."""
    return "".join(f"{number}. {sentence}" for number in range(n))


def left_behind(run: Path) -> set[str]:
    return {str(path.relative_to(run)) for path in run.rglob("*") if path.is_file()}


def report(run: Path) -> dict[str, Any]:
    return json.loads((run / "corpus" / "corpus.json").read_text(encoding="utf-8"))


def test_an_empty_folder(train: Callable[..., Any], texts: Path, tmp_path: Path) -> None:
    train(texts).refused(str(texts), "it is empty", ".txt", code=1)
    assert left_behind(tmp_path / "run") == {"run.json"}


def test_only_binary_files(train: Callable[..., Any], texts: Path, tmp_path: Path) -> None:
    (texts / "program.txt").write_bytes(bytes(range(256)) * 40)
    (texts / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)))
    train(texts).refused("no documents found", "binary", "unknown kind", code=1)
    assert left_behind(tmp_path / "run") == {"run.json"}


def test_a_path_that_is_not_there(train: Callable[..., Any], tmp_path: Path) -> None:
    train(tmp_path / "nowhere").refused("nowhere", "does not exist", "--set corpus.source", code=2)
    assert not (tmp_path / "run").exists()


def test_a_kind_that_is_not_read(train: Callable[..., Any], texts: Path) -> None:
    (texts / "thesis.docx").write_bytes(b"PK\x03\x04")
    train(texts / "thesis.docx").refused("thesis.docx", ".docx", ".txt")


def test_too_small(train: Callable[..., Any], texts: Path, tmp_path: Path) -> None:
    (texts / "note.txt").write_text(ENGLISH * 2, encoding="utf-8")
    train(texts).refused("too small a corpus", "min_chars", code=1)
    assert left_behind(tmp_path / "run") == {"run.json"}


def test_smaller_than_one_block(train: Callable[..., Any], texts: Path, tmp_path: Path) -> None:
    for number in range(4):
        (texts / f"{number}.txt").write_text(distinct(ENGLISH if number % 2 else CHINESE, 4 + number), encoding="utf-8")
    train(texts, "corpus.min_chars=100", "model.max_len=4096").refused("4096", code=1)
    assert not (tmp_path / "run" / "model").exists()
    assert not (tmp_path / "run" / "report.html").exists()


def test_a_file_that_vanishes_is_counted(
    train: Callable[..., Any], texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("stays", "stays too", "goes"):
        (texts / f"{name}.txt").write_text(distinct(f"{name}: {ENGLISH}"), encoding="utf-8")
    plain = plan.list_files

    def listed(*arguments: Any, **options: Any) -> Any:
        found = plain(*arguments, **options)
        (texts / "goes.txt").unlink()
        return found

    monkeypatch.setattr(plan, "list_files", listed)
    done = train(texts)
    assert done.code == 0, done.err
    assert report(tmp_path / "run")["files_skipped"] == {"vanished while reading": 1}
    assert "vanished while reading" in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")


def test_mixed_encodings_and_invalid_bytes(train: Callable[..., Any], texts: Path, tmp_path: Path) -> None:
    traditional = "老先生清早寫完了一封長信，小徒弟把空白的本子賣掉了，書店掌櫃唸了一遍。\n"
    (texts / "gb.txt").write_bytes(distinct("国标：" + CHINESE).encode("gb18030"))
    (texts / "big5.txt").write_bytes(distinct("大五碼：" + traditional).encode("big5"))
    (texts / "latin.txt").write_bytes(distinct("Café, déjà vu: " + ENGLISH).encode("latin-1"))
    (texts / "broken.txt").write_bytes(distinct("Broken: " + ENGLISH).encode() + b"\xff\xfe and so on \xc3\n")
    with gzip.open(texts / "packed.md.gz", "wb") as file:
        file.write(distinct("压缩：" + CHINESE).encode())
    done = train(texts)
    assert done.code == 0, done.err
    found = report(tmp_path / "run")
    assert found["documents_kept"] == 5
    assert {"gb18030", "big5"} <= set(found["encodings"])
    assert found["files_skipped"] == {}


def test_one_very_long_line(train: Callable[..., Any], texts: Path, tmp_path: Path) -> None:
    (texts / "line.txt").write_text(distinct(ENGLISH.strip() + " ", 4_000), encoding="utf-8")
    done = train(texts, "corpus.max_document_chars=5000", "training.n_steps=1")
    assert done.code == 0, done.err
    assert report(tmp_path / "run")["documents_kept"] > 50


def test_one_line_of_the_same_character(train: Callable[..., Any], texts: Path) -> None:
    (texts / "line.txt").write_text("a" * 3_000_000, encoding="utf-8")
    train(texts).refused("too small a corpus", "documents are left", code=1)


def test_damaged_rows_are_counted(train: Callable[..., Any], texts: Path, tmp_path: Path) -> None:
    rows = [json.dumps({"text": distinct(f"row {number}: {ENGLISH}", 8)}) for number in range(20)]
    rows[3], rows[7] = '{"text": "half', '{"body": "no text"}'
    (texts / "rows.jsonl").write_text("\n".join(rows), encoding="utf-8")
    done = train(texts)
    assert done.code == 0, done.err
    found = report(tmp_path / "run")
    assert sum(found["rows_skipped"].values()) == 2
    assert {item["source"] for item in found["listed"]} >= {"rows.jsonl:4", "rows.jsonl:8"}
