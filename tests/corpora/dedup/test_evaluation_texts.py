from __future__ import annotations

import bz2
import contextlib
import gzip
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hanmo.core.errors import DataError, FormatError, HanmoError
from hanmo.corpora.dedup.evaluation_texts import list_evaluation_files, read_strings


@pytest.mark.parametrize(
    ("name", "content", "strings"),
    [
        ("a.json", '{"a": ["x", {"b": "y", "n": 1}], "c": null}', ["x", "y"]),
        ("a.jsonl", '{"q": "一"}\n\n{"q": "二"}\n', ["一", "二"]),
        ("spread.jsonl", '{\n "q": "一"\n}\n{\n "q": "二"}', ["一", "二"]),
        ("a.csv", 'q,a\n"one, two",三\n', ["q", "a", "one, two", "三"]),
        ("a.tsv", 'one "two\tthree\n', ['one "two', "three"]),
        ("lines.txt", "one\n二\n", ["one", "二", ""]),
        ("book.txt", "one\ntwo\n\n\n三\n", ["one\ntwo", "三\n"]),
    ],
)
def test_every_string_of_a_file(tmp_path: Path, name: str, content: str, strings: list[str]) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    (tmp_path / f"{name}.gz").write_bytes(gzip.compress(content.encode()))
    (tmp_path / f"{name}.bz2").write_bytes(bz2.compress(content.encode()))
    assert [list(read_strings(path)) for path in list_evaluation_files(tmp_path)] == [strings] * 3


def test_parquet(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    table = pyarrow.table({"q": ["一", "two"], "n": [1, 2], "answers": [{"text": ["x"]}, {"text": []}]})
    parquet.write_table(table, tmp_path / "a.parquet")
    assert list(read_strings(tmp_path / "a.parquet")) == ["一", "x", "two"]
    (tmp_path / "b.parquet").write_bytes(b"PAR1 and nothing")
    with pytest.raises(FormatError, match="Parquet"):
        list(read_strings(tmp_path / "b.parquet"))


def test_half_a_set_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"q": "one"}\n{"q": \n', encoding="utf-8")
    with pytest.raises(FormatError, match="line 2"):
        list(read_strings(tmp_path / "a.jsonl"))
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(b"one\n" * 9_999)[:-9])
    with pytest.raises(FormatError, match="end"):
        list(read_strings(tmp_path / "a.txt.gz"))
    with pytest.raises(DataError, match="unknown kind"):
        list(read_strings(tmp_path / "a.docx"))
    for path in ("nothing.txt", "nowhere"):
        with pytest.raises(DataError, match="no evaluation texts"):
            list_evaluation_files(tmp_path / path)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.binary(max_size=200) | st.text('{}[]",:\\n1一', max_size=60).map(str.encode),
    st.sampled_from(["json", "csv", "tsv", "txt"]),
)
def test_any_bytes_give_strings_or_a_typed_error(tmp_path: Path, data: bytes, kind: str) -> None:
    (tmp_path / f"a.{kind}").write_bytes(data)
    with contextlib.suppress(HanmoError):
        assert all(isinstance(text, str) for text in read_strings(tmp_path / f"a.{kind}"))


def test_deep_nesting_is_an_error_or_read(tmp_path: Path) -> None:
    (tmp_path / "deep.json").write_text("[" * 100_000, encoding="utf-8")
    with pytest.raises(FormatError, match="JSON"):
        list(read_strings(tmp_path / "deep.json"))
