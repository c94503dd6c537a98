from __future__ import annotations

import gzip
import sys
from pathlib import Path
from typing import Any

import pytest

from hanmo.corpora.documents import Document, Skipped
from hanmo.corpora.settings import CorpusSettings
from hanmo.corpora.sources.files import BytesRead, SourceFile, read_file

pa = pytest.importorskip("pyarrow", reason="the extra 'corpus' is not installed")
parquet = pytest.importorskip("pyarrow.parquet")


def read(path: Path, **settings: object) -> tuple[list[Document], list[Skipped]]:
    items = list(read_file(SourceFile(path, path.name), CorpusSettings.model_validate(settings)))
    return [x for x in items if isinstance(x, Document)], [x for x in items if isinstance(x, Skipped)]


def write(path: Path, columns: dict[str, Any], **options: Any) -> Path:
    parquet.write_table(pa.table(columns), path, **options)
    return path


def test_rows_with_their_ids_and_groups(tmp_path: Path) -> None:
    rows = {"id": ["a", None, "c"], "text": ["你好", None, "hello"], "meta": [{"group": "g"}, None, {"group": None}]}
    documents, skipped = read(write(tmp_path / "x.parquet", rows))
    assert [(d.text, d.id, d.meta.get("original_id")) for d in documents] == [
        ("你好", "x.parquet#1", "a"),
        ("hello", "x.parquet#3", "c"),
    ]
    assert [d.group for d in documents] == ["x.parquet:g", "x.parquet#3"]
    assert skipped == [Skipped(source="x.parquet:2", reason="row has no text")]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())])
def test_the_longest_column_of_strings_is_the_text(tmp_path: Path, kind: Any) -> None:
    texts = [f"第{n}篇：今天天气很好，我们一起去公园。" for n in range(200)]
    columns = {"n": list(range(200)), "label": ["a long label, but always the same one" * 9] * 200}
    path = write(tmp_path / "x.parquet", {**columns, "words": pa.array(texts).cast(kind)}, row_group_size=70)
    assert [document.text for document in read(path)[0]] == texts
    assert len(read(path, text_key="label")[0]) == 200


def test_a_compressed_file_and_the_bytes_read(tmp_path: Path) -> None:
    path = write(tmp_path / "x.parquet", {"text": ["一", "二"]})
    size = path.stat().st_size
    (tmp_path / "y.parquet.gz").write_bytes(gzip.compress(path.read_bytes()))
    assert [document.text for document in read(tmp_path / "y.parquet.gz")[0]] == ["一", "二"]
    n_bytes = BytesRead()
    for name in ("x.parquet", "y.parquet.gz"):
        assert len(list(read_file(SourceFile(tmp_path / name, name), CorpusSettings(), n_bytes))) == 2
    assert n_bytes.n == size + (tmp_path / "y.parquet.gz").stat().st_size
    assert "max_file_bytes" in read(tmp_path / "y.parquet.gz", max_file_bytes=50)[1][0].reason


def test_a_bomb_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "x.parquet", {"text": ["a" * 200_000] * 64}, use_dictionary=False, compression="zstd")
    assert path.stat().st_size < 100_000
    assert "max_gzip_ratio" in read(path)[1][0].reason
    assert len(read(path, max_gzip_ratio=1e6, max_record_bytes=300_000)[0]) == 64
    assert {item.reason for item in read(path, max_gzip_ratio=1e6, max_record_bytes=1_000)[1]} == {"row too long"}


def test_what_is_no_parquet_file(tmp_path: Path) -> None:
    path = write(tmp_path / "x.parquet", {"n": [1, 2]})
    assert "no column of strings; found columns ['n']" in read(path)[1][0].reason
    path.write_bytes(path.read_bytes()[:-1])
    assert read(path)[1][0].reason == "a Parquet file that is cut off"
    path.write_bytes(b"PAR1" + b"\xff" * 20 + b"\xff\xff\xff\x7fPAR1")
    assert "table of contents is too large" in read(path)[1][0].reason
    path.write_bytes(b"PAR1" + b"\xff" * 20 + b"\x08\0\0\0PAR1")
    assert read(path)[1][0].reason.startswith("damaged, or no Parquet file (")
    path.write_text("text")
    assert read(path)[1][0].reason == "no Parquet file"


def test_without_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "x.parquet", {"text": ["x"]})
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert "hanmo[corpus]" in read(path)[1][0].reason
