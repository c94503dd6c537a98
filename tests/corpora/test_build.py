from __future__ import annotations

import errno
import gzip
import json
import os
import random
from pathlib import Path

import pytest
from tests.corpora.texts import CHARS, WORDS

from hanmo.core.errors import DataError, StorageError, storage_error
from hanmo.core.files import sha256_file
from hanmo.corpora import build as build_module
from hanmo.corpora import plan as plan_module
from hanmo.corpora.build import build_corpus
from hanmo.corpora.dedup.near import exact_key, jaccard, shingles
from hanmo.corpora.documents import read_documents
from hanmo.corpora.pack import PackTask
from hanmo.corpora.report import CorpusReport
from hanmo.corpora.settings import CorpusSettings, Source

SETTINGS = CorpusSettings(min_chars=1000)


def chinese(seed: int, n: int = 120) -> str:
    rng = random.Random(seed)
    return "。".join("".join(rng.choices(CHARS, k=12)) for _ in range(n // 12)) + "。"


def english(seed: int, n: int = 60) -> str:
    return " ".join(random.Random(seed).choices(WORDS, k=n)) + "."


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with everything in it that can go right and wrong."""
    source = tmp_path / "source"
    source.mkdir()
    for number in range(15):
        (source / f"zh{number}.txt").write_bytes(chinese(number).encode("gb18030" if number % 2 else "utf-8"))
        (source / f"en{number}.md").write_text(english(number))
    (source / "copy.txt").write_text(chinese(0), encoding="utf-8")
    (source / "near.md").write_text(english(1, 200))
    (source / "near2.md").write_text(english(1, 200).replace("river", "stream", 1))
    (source / "binary.txt").write_bytes(b"\0\1\2\3" * 100)
    (source / "short.txt").write_text("好")
    (source / "picture.png").write_bytes(b"\x89PNG")
    (source / "code.py").write_text("def first(a, b):\n    return a + b  # the sum of the two\n")
    rows = [json.dumps({"text": chinese(100 + n)}, ensure_ascii=False) for n in range(5)] + ["{broken", '{"body": 1}']
    (source / "rows.jsonl.gz").write_bytes(gzip.compress("\n".join(rows).encode()))
    return source


def test_all_counts_add_up(folder: Path, tmp_path: Path) -> None:
    report = build_corpus(folder, tmp_path / "out", SETTINGS)
    assert report.files_found == len(list(folder.iterdir())) == report.files_read + sum(report.files_skipped.values())
    assert report.files_skipped == {"binary data (NUL bytes)": 1, "unknown kind": 1}
    assert report.rows_skipped == {"row is not valid JSON": 1, "'text' is missing; found keys ['body']": 1}
    assert report.dropped == {"too short": 1}
    assert (report.exact_duplicates, report.near_duplicates) == (1, 1)
    assert report.documents_read == report.documents_kept + 1 + 1 + 1
    assert sum(report.encodings.values()) == report.documents_read
    assert len(report.listed) == 2 + 2 + 1 + 1 + 1
    kept = 0
    for side, name in ((report.train, "train"), (report.heldout, "heldout")):
        documents = list(read_documents(tmp_path / "out" / f"{name}.jsonl.gz"))
        kept += len(documents)
        assert side.documents == len(documents) > 0
        assert side.characters == sum(len(document.text) for document in documents)
        assert side.bytes == sum(len(document.text.encode()) for document in documents)
        assert side.sha256 == sha256_file(tmp_path / "out" / side.file)
        for key in ("documents", "characters", "bytes"):
            assert sum(row[key] for row in side.languages.values()) == getattr(side, key)
    assert kept == report.documents_kept
    assert set(report.train.languages) == {"zh", "en", "code"}
    stored = json.loads((tmp_path / "out" / "corpus.json").read_text(encoding="utf-8"))
    assert CorpusReport.model_validate(stored) == report


def test_no_document_and_no_copy_on_both_sides(folder: Path, tmp_path: Path) -> None:
    for seed in range(3):
        build_corpus(folder, tmp_path / "out", SETTINGS.model_copy(update={"seed": seed, "heldout_share": 0.3}))
        train = list(read_documents(tmp_path / "out" / "train.jsonl.gz"))
        heldout = list(read_documents(tmp_path / "out" / "heldout.jsonl.gz"))
        assert not {exact_key(document.text) for document in train} & {exact_key(document.text) for document in heldout}
        assert not {document.group for document in train} & {document.group for document in heldout}
        for document in heldout:
            own = shingles(document.text)
            assert all(jaccard(own, shingles(other.text)) < 0.8 for other in train)


def test_the_same_bytes_twice_and_other_bytes_for_another_seed(folder: Path, tmp_path: Path) -> None:
    names = ("train.jsonl.gz", "heldout.jsonl.gz")
    build_corpus(folder, tmp_path / "a", SETTINGS)
    build_corpus(folder, tmp_path / "b", SETTINGS)
    build_corpus(folder, tmp_path / "c", SETTINGS.model_copy(update={"seed": 7}))
    a, b, c = ([(tmp_path / out / name).read_bytes() for name in names] for out in "abc")
    assert a == b
    assert a != c


def test_a_book_is_held_out_by_stretches(tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_text("\n\n".join(chinese(n) for n in range(100)), encoding="utf-8")
    report = build_corpus(tmp_path / "book.txt", tmp_path / "out", SETTINGS.model_copy(update={"piece_chars": 300}))
    assert report.split_by == "stretch"
    assert 0.02 < report.heldout.characters / (report.heldout.characters + report.train.characters) < 0.12


def test_output_inside_the_source_is_not_read_again(folder: Path) -> None:
    first = build_corpus(folder, folder / "out", SETTINGS)
    second = build_corpus(folder, folder / "out", SETTINGS)
    assert second.documents_read == first.documents_read
    assert second.train.sha256 == first.train.sha256


def test_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    with pytest.raises(DataError, match=r"no documents found: it is empty.*\.jsonl"):
        build_corpus(tmp_path / "source", tmp_path / "out", SETTINGS)
    assert not (tmp_path / "out").exists()


def test_only_binary_files(tmp_path: Path) -> None:
    (tmp_path / "x.bin").write_bytes(b"\0")
    (tmp_path / "y.txt").write_bytes(b"\0\1" * 100)
    with pytest.raises(
        DataError,
        match=r"everything was skipped.*(unknown kind.*binary data|binary data.*unknown kind)",
    ):
        build_corpus(tmp_path, tmp_path / "out", SETTINGS)


def test_too_small(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"fewer than 20,000 \(min_chars\).*lower min_chars"):
        build_corpus(folder, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_missing_source(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        build_corpus(tmp_path / "nowhere", tmp_path / "out", SETTINGS)


def test_output_that_cannot_be_written(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(StorageError, match="file"):
        build_corpus(folder, tmp_path / "file" / "out", SETTINGS)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_full_disk_leaves_the_old_files_and_the_next_build_goes_on(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    build_corpus(folder, out, SETTINGS)
    before = {name: sha256_file(out / name) for name in ("train.jsonl.gz", "heldout.jsonl.gz", "corpus.json")}
    extract_plainly = build_module.extract

    def full(task: PackTask) -> int:
        raise storage_error(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), out)

    with monkeypatch.context() as patch:
        patch.setattr(build_module, "pack", full)
        with pytest.raises(StorageError, match="the disk is full"):
            build_corpus(folder, out, SETTINGS)
    assert {path.name: sha256_file(path) for path in out.iterdir() if path.is_file()} == before
    stamps = {path: path.stat().st_mtime_ns for path in (out / ".work" / "extract").rglob("*")}
    assert stamps
    monkeypatch.setattr(build_module, "extract", lambda task: _unchanged(extract_plainly(task), stamps))
    build_corpus(folder, out, SETTINGS)
    assert {name: sha256_file(out / name) for name in before if name != "corpus.json"} == {
        name: before[name] for name in before if name != "corpus.json"
    }
    assert not (out / ".work").exists()


def test_a_build_that_cannot_begin_leaves_what_an_earlier_one_finished(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"

    def full(task: PackTask) -> int:
        raise storage_error(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), out)

    with monkeypatch.context() as patch:
        patch.setattr(build_module, "pack", full)
        with pytest.raises(StorageError):
            build_corpus(folder, out, SETTINGS)
    finished = sorted((out / ".work" / "extract").rglob("*"))
    with pytest.raises(DataError, match="No such file"):
        build_corpus(tmp_path / "foldr", out, SETTINGS)
    with pytest.raises(DataError, match="has no file to read"):
        build_corpus([Source(path=str(folder)), Source(path=str(folder), only=("*.pdf",))], out, SETTINGS)
    assert sorted((out / ".work" / "extract").rglob("*")) == finished != []


def _unchanged(result: object, stamps: dict[Path, int]) -> object:
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps
    return result


def test_a_file_that_vanishes_between_listing_and_reading(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = plan_module.list_files

    def list_then_delete(*args: object, **kwargs: object) -> object:
        found = listed(*args, **kwargs)
        (folder / "zh3.txt").unlink()
        return found

    monkeypatch.setattr(plan_module, "list_files", list_then_delete)
    report = build_corpus(folder, tmp_path / "out", SETTINGS)
    assert report.files_skipped["vanished while reading"] == 1
    assert report.files_found == report.files_read + sum(report.files_skipped.values())


@pytest.mark.skipif("HANMO_DATA" not in os.environ, reason="HANMO_DATA is not set")
@pytest.mark.parametrize(
    ("name", "by", "at_least"), [("clue_corpus_small_sample", "group", 2000), ("chinese_novels", "stretch", 100)]
)
def test_real_chinese(tmp_path: Path, name: str, by: str, at_least: int) -> None:
    report = build_corpus(Path(os.environ["HANMO_DATA"], name), tmp_path / "out")
    assert report.split_by == by
    assert report.documents_kept > at_least
    assert report.train.languages["zh"]["characters"] > 0.95 * report.train.characters
    assert 0.03 < report.heldout.characters / (report.train.characters + report.heldout.characters) < 0.08
