"""Labelled examples in files of every kind."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

from hanmo.core.errors import DataError, FormatError
from hanmo.core.progress import set_quiet
from hanmo.tasks.tables import read_number, read_table

COLUMNS = {"text": "sentence", "label": "label"}
WANTED = [("很好 ,", "1"), ('a "quoted" one', "0")]


def found(path: Path, columns: dict[str, Any] = COLUMNS) -> list[tuple[Any, Any]]:
    return [(row.values["text"], row.values["label"]) for row in read_table(path, columns)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_tabs_leave_quotes_alone(tmp_path: Path, encoding: str) -> None:
    file = tmp_path / "a.tsv"
    content = 'id\tsentence\tlabel\n7\t很好 ,\t1\r\n8\ta "quoted" one\t0\n'
    file.write_bytes(content.encode(encoding))
    assert found(file) == WANTED
    packed = tmp_path / "a.tsv.gz"
    packed.write_bytes(gzip.compress(content.encode(encoding)))
    assert found(packed) == WANTED
    assert [row.where for row in read_table(packed, COLUMNS)] == [f"{packed}:2", f"{packed}:3"]


def test_other_forms(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text('sentence,label\n"很好 ,",1\n"a ""quoted"" one",0\n"two\nlines",1\n')
    assert found(file) == [*WANTED, ("two\nlines", "1")]
    assert [row.where for row in read_table(file, COLUMNS)] == [f"{file}:{line}" for line in (2, 3, 4)]
    file = tmp_path / "a.jsonl"
    file.write_text('{"sentence": "很好 ,", "label": 1}\n\n{"label": "0", "sentence": "a \\"quoted\\" one"}\n')
    assert found(file) == [(WANTED[0][0], 1), WANTED[1]]
    file = tmp_path / "a.txt"
    file.write_text('很好 ,\t1\na "quoted" one\t0\n')
    assert found(file, {"text": 1, "label": 2}) == WANTED


def test_a_folder_of_classes(tmp_path: Path) -> None:
    for label, text in (("差", "太贵"), ("好", "很好")):
        (tmp_path / label).mkdir()
        (tmp_path / label / "1.txt").write_text(text, encoding="gb18030")
    assert found(tmp_path, {"text": "text", "label": "label"}) == [("很好", "好"), ("太贵", "差")]
    with pytest.raises(DataError, match="no column 'sentence'"):
        found(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no folder with texts"):
        found(tmp_path / "empty", {"text": "text", "label": "label"})


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("a.tsv", "sentence\tlabel\nfine\t1\nno label\nfine\t1\t2\n", r"line 3 has 1 columns, the first 2; line 4 has 3"),
        ("a.tsv", "text\tlabel\nfine\t1\n", r"a\.tsv:1: there is no column 'sentence' \(the first line has 'text', 'label'\)"),
        ("a.tsv", "sentence\tlabel\n", "no example"),
        ("a.tsv", "", "there is no column"),
        ("a.csv", 'sentence,label\nan "odd" one,1\n"open,2\n', r"a\.csv:3: not a CSV file"),
        ("a.jsonl", '{"sentence": "a"}\n[1]\n{oops\n', r"a\.jsonl:1: no label \(found sentence\); .*:2: a list, not an object; .*:3: not JSON"),
        ("a.xlsx", "x", r"no table that can be read \(\.xlsx\)"),
        ("a.tsv.gz", "no gzip", r"a damaged \.gz file \(it is not packed\)"),
        ("a.tsv", "\0\1\2", "binary"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(tmp_path: Path, name: str, content: str, match: str) -> None:
    file = tmp_path / name
    file.write_text(content)
    with pytest.raises((DataError, FormatError), match=match):
        found(file)


def test_columns_by_number(tmp_path: Path) -> None:
    file = tmp_path / "a.tsv"
    file.write_text("a\t1\nb\t2\n")
    with pytest.raises(DataError, match="line 1 has 2 columns, asked for 3"):
        found(file, {"text": 1, "label": 3})
    with pytest.raises(DataError, match="counted from 1"):
        found(file, {"text": 0, "label": 1})
    with pytest.raises(DataError, match="no such file"):
        found(tmp_path / "none.tsv")


def test_hidden_and_nested_files_of_a_folder(tmp_path: Path) -> None:
    for name in ("好/1.txt", "好/更多/2.txt", "差/1.txt", ".ipynb_checkpoints/3.txt", "好/.keep"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    assert found(tmp_path, {"text": "text", "label": "label"}) == [
        ("好/1.txt", "好"), ("好/更多/2.txt", "好"), ("差/1.txt", "差"),
    ]  # fmt: skip


def test_a_chapter_in_one_field(tmp_path: Path) -> None:
    chapter = "话说天下大势，分久必合。" * 20_000
    (tmp_path / "a.csv").write_text(f'sentence,label\n"{chapter}",1\n')
    assert found(tmp_path / "a.csv") == [(chapter, "1")]


DAYS = "".join(f"很好的一天，阳光灿烂，第 {number} 天\t1\n" for number in range(200))


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030", "big5"])
def test_bytes_that_are_no_text_are_named(tmp_path: Path, encoding: str) -> None:
    days = DAYS.replace("阳光灿烂", "陽光燦爛") if encoding == "big5" else DAYS
    content = b"sentence\tlabel\n" + days.encode(encoding) + "很".encode(encoding) + b"\xff\t0\n"
    (tmp_path / "a.tsv").write_bytes(content)
    with pytest.raises(
        FormatError, match=rf"a\.tsv: 1 byte sequences are no {encoding} \(in line 202\)\. .* .iconv -c"
    ):
        found(tmp_path / "a.tsv")


def test_an_encoding_that_was_guessed_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    set_quiet(False)
    (tmp_path / "a.tsv").write_bytes(("sentence\tlabel\n" + DAYS).encode("gb18030"))
    assert len(found(tmp_path / "a.tsv")) == 200
    assert capsys.readouterr().err == f"{tmp_path / 'a.tsv'}: read as gb18030\n"
    (tmp_path / "b.tsv").write_text("sentence\tlabel\n" + DAYS, encoding="utf-8")
    assert len(found(tmp_path / "b.tsv")) == 200
    assert capsys.readouterr().err == ""
    half = DAYS[: len(DAYS) // 2].rsplit("\n", 1)[0] + "\n"
    (tmp_path / "c.tsv").write_bytes(b"sentence\tlabel\n" + DAYS.encode() + half.encode("gb18030"))
    n_lines = half.count("\n")
    assert len(found(tmp_path / "c.tsv")) == 200 + n_lines
    assert f"{n_lines} lines in another encoding" in capsys.readouterr().err
    for name in ("好", "差"):
        (tmp_path / "folder" / name).mkdir(parents=True)
        for number in range(3):
            (tmp_path / "folder" / name / f"{number}.txt").write_bytes(DAYS.encode("gb18030"))
    assert len(found(tmp_path / "folder", {"text": "text", "label": "label"})) == 6
    assert capsys.readouterr().err == f"{tmp_path / 'folder'}: 6 files read as gb18030\n"


@pytest.mark.parametrize(
    ("name", "content", "places"),
    [
        ("a.tsv", "id\ttext\tlabel\n7\t好\ta\n8\t坏\tb\n7\t很好\ta\n\t无\ta\n\t空\ta\n", "'7' at 2, 4"),
        ("a.csv", "编号,text,label\n甲,好,a\n甲,坏,b\n", "'甲' at 2, 3"),
        ("a.jsonl", '{"Idx": 1, "text": "x", "label": "a"}\n{"Idx": 1, "text": "y", "label": "a"}\n', "'1' at 1, 2"),
        ("a.json", '[{"id": 0, "text": "x", "label": "a"}, {"id": 0, "text": "y", "label": "a"}]', "'0' at [0], [1]"),
    ],
)
def test_ids_of_more_than_one_example_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: str, places: str
) -> None:
    set_quiet(False)
    path = tmp_path / name
    path.write_text(content, encoding="utf-8-sig")
    rows = read_table(path, {"text": "text", "label": "label"})
    assert capsys.readouterr().err == f"{path}: ids of more than one example (all of them are used): {places}\n"
    assert len(rows) > 1


def test_ids_that_group_examples_may_repeat(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    set_quiet(False)
    path = tmp_path / "a.jsonl"
    path.write_text("".join(f'{{"id": {n // 2}, "text": "x{n}"}}\n' for n in range(60)), encoding="utf-8")
    read_table(path, {"text": "text", "group": "id"})
    assert capsys.readouterr().err == ""
    read_table(path, {"text": "text"})
    assert capsys.readouterr().err.endswith("'9' at 19, 20; and 20 more\n")


def test_numbers_are_finite() -> None:
    assert read_number("-2.5", "score") == -2.5
    for value, why in ((10**400, "not finite"), ("1e999", "not finite"), ("x", "no number"), (None, "no number")):
        with pytest.raises(ValueError, match=f"the score .*{why}"):
            read_number(value, "score")
