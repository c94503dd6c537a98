"""How a text is read: as separated words, cut into words, or as documents."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from hanmo.core.errors import DataError, FormatError
from hanmo.stories.word_sentences import word_sentences

CUT = "宝玉 笑 道 ： “ 我 来 了 。 ”\n黛玉 也 笑 了 。\n"
RAW = "宝玉笑道：“我来了。”\n黛玉也笑了。\n"
ENGLISH = "The cat sat on the mat, and then it slept. It was late.\n"


def words(path: Path, segmentation: str = "auto") -> list[list[str]]:
    found = word_sentences(path, segmentation)  # type: ignore[arg-type] (what is tested)
    assert not isinstance(found.source, Path)
    return [line.split() if isinstance(line, str) else line for line in found.source]


@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz", "text8", "packed"])
def test_separated_words_are_read_as_they_are(tmp_path: Path, name: str) -> None:
    data = CUT.encode()
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith((".gz", "packed")) else data)
    found = word_sentences(tmp_path / name)
    assert (found.source, found.is_cut, found.lang) == (tmp_path / name, False, "zh")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_running_text_is_cut(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "红楼梦.txt").write_bytes((RAW * 20).encode(encoding))
    found = words(tmp_path / "红楼梦.txt")
    assert found[1] == ["黛玉", "也", "笑", "了", "。"]
    assert len(found) == 40


def test_english_marks_are_words_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "e.txt").write_text(ENGLISH, encoding="utf-8")
    assert "mat" in words(tmp_path / "e.txt")[0]
    found = word_sentences(tmp_path / "e.txt", "no")
    assert found.source == tmp_path / "e.txt"


def test_a_folder_of_documents(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(RAW, encoding="utf-8")
    (tmp_path / "b.jsonl").write_text(json.dumps({"text": "悟空来也。"}) + "\n", encoding="utf-8")
    (tmp_path / "c.png").write_bytes(b"\x89PNG")
    found = words(tmp_path)
    assert found[0][0] == "宝玉"
    assert found[-1][0] == "悟空"


def test_documents_of_separated_words_stay_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "b.jsonl").write_text(json.dumps({"text": "红楼 梦 里\n贾府 的 人"}) + "\n", encoding="utf-8")
    found = word_sentences(tmp_path / "b.jsonl")
    assert not found.is_cut
    assert not isinstance(found.source, Path)
    assert list(found.source) == ["红楼 梦 里", "贾府 的 人"]


def test_a_sample_may_end_inside_a_character(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"a" + "红".encode() * 200_000)
    assert word_sentences(tmp_path / "a.txt").is_cut


def test_errors_name_the_place(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        word_sentences(tmp_path / "none.txt")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"empty: there is no text here"):
        word_sentences(tmp_path / "empty")
    (tmp_path / "late.txt").write_bytes((RAW * 9000).encode() + b"\xff\xff\n")
    with pytest.raises(DataError, match=r"late\.txt:18001: not UTF-8"):
        words(tmp_path / "late.txt")
    (tmp_path / "cut.txt.gz").write_bytes(gzip.compress(RAW.encode() * 9000)[:-9])
    with pytest.raises(FormatError, match=r"cut\.txt\.gz: a damaged \.gz"):
        words(tmp_path / "cut.txt.gz")
