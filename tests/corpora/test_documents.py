from __future__ import annotations

import json
from pathlib import Path

import pytest

from hanmo.core.errors import FormatError, StorageError
from hanmo.corpora.documents import Document, read_documents, write_documents

DOCUMENTS = [
    Document(text="你好，世界\n第二行", id="a", source="a.txt", lang="zh", meta={"group": "g", "n": 1}),
    Document(text='A "quoted"\u2028 line', id="b", source="b.txt", lang="en"),
]


@pytest.mark.parametrize("name", ["x.jsonl", "x.jsonl.gz"])
def test_round_trip_and_same_bytes(tmp_path: Path, name: str) -> None:
    assert write_documents(tmp_path / name, DOCUMENTS) == 2
    first = (tmp_path / name).read_bytes()
    assert list(read_documents(tmp_path / name)) == DOCUMENTS
    write_documents(tmp_path / "other" / name, iter(DOCUMENTS))
    assert (tmp_path / "other" / name).read_bytes() == first
    write_documents(tmp_path / name, DOCUMENTS[:1])
    assert (tmp_path / name).read_bytes() != first


def test_groups() -> None:
    assert [document.group for document in DOCUMENTS] == ["g", "b"]


@pytest.mark.parametrize(("row", "problem"), [("{", "JSON"), ("[]", "list"), ('{"body": "x"}', "body")])
def test_bad_row_is_named_with_its_line(tmp_path: Path, row: str, problem: str) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text(json.dumps({"text": "fine"}) + "\n" + row + "\n", encoding="utf-8")
    with pytest.raises(FormatError, match=rf"x\.jsonl:2.*{problem}"):
        list(read_documents(path))


def test_truncated_gzip(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl.gz"
    write_documents(path, DOCUMENTS)
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(FormatError, match="cannot be read to its end"):
        list(read_documents(path))


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="does not exist"):
        list(read_documents(tmp_path / "no.jsonl"))


def test_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"x\.jsonl"):
        write_documents(tmp_path / "file" / "x.jsonl", DOCUMENTS)
