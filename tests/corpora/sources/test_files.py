from __future__ import annotations

import builtins
import gzip
import json
import os
import sys
from pathlib import Path

import pytest

from hanmo.core.errors import DataError
from hanmo.corpora.documents import Document, Skipped
from hanmo.corpora.settings import CorpusSettings
from hanmo.corpora.sources import readers
from hanmo.corpora.sources.files import SourceFile, list_files, read_file

CHINESE = "今天天气很好，我们一起去公园里走一走。他说这个地方是他小时候来过的，现在已经变了很多。"


def read(path: Path, **settings: object) -> tuple[list[Document], list[Skipped]]:
    items = list(read_file(SourceFile(path, path.name), CorpusSettings.model_validate(settings)))
    return [x for x in items if isinstance(x, Document)], [x for x in items if isinstance(x, Skipped)]


def test_walk_is_sorted_and_counts_what_it_leaves(tmp_path: Path) -> None:
    for name in (
        "b.txt",
        "a/z.MD",
        "a/c.txt.gz",
        "A.py",
        ".hidden.txt",
        ".git/x.txt",
        "x.png",
        "x.svg",
        "out/t.jsonl",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    (tmp_path / "broken.txt").symlink_to(tmp_path / "nowhere.txt")
    files, skipped = list_files(tmp_path, exclude=tmp_path / "out")
    assert [file.name for file in files] == ["A.py", "a/c.txt.gz", "a/z.MD", "b.txt"]
    assert {item.source: item.reason for item in skipped} == {
        ".git": "hidden",
        ".hidden.txt": "hidden",
        "a/loop": "folder already read (a link to it)",
        "broken.txt": "cannot be read (No such file or directory)",
        "out": "the output folder of this corpus",
        "x.svg": "unknown kind",
        "x.png": "unknown kind",
    }


def test_source_that_is_not_there_or_of_unknown_kind(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        list_files(tmp_path / "no")
    (tmp_path / "x.doc").write_text("x")
    with pytest.raises(DataError, match=r"unknown kind of file '\.doc'.*\.jsonl.*\.parquet.*\.zst"):
        list_files(tmp_path / "x.doc")


@pytest.mark.parametrize("codec", ["utf-8", "gb18030", "utf-16"])
@pytest.mark.parametrize("ending", [".txt", ".md", ".txt.gz", ".rst.gz"])
def test_whole_files(tmp_path: Path, codec: str, ending: str) -> None:
    data, path = CHINESE.encode(codec), tmp_path / f"x{ending}"
    path.write_bytes(gzip.compress(data) if ending.endswith(".gz") else data)
    (document,), skipped = read(path)
    assert (document.text, document.id, document.group, skipped) == (CHINESE, path.name, path.name, [])


def test_lines_are_documents_only_where_they_look_like_it(tmp_path: Path) -> None:
    lines = [f"第{n}篇。" + CHINESE * (1 + n % 4) for n in range(40)]
    path = tmp_path / "x.txt"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    documents, _ = read(path)
    assert [document.text for document in documents] == lines
    assert documents[2].id == documents[2].group == "x.txt#3"
    assert len(read(path, lines="file")[0]) == 1
    book = "\n\n".join("　　" + line for line in lines)
    path.write_text(book, encoding="utf-8")
    assert len(read(path)[0]) == 1
    assert len(read(path, lines="document")[0]) == 40
    wrapped = "\n".join(
        "the words of this line make up about seventy characters of plain t" + "x" * (n % 5) for n in range(200)
    )
    path.write_text(wrapped, encoding="utf-8")
    assert len(read(path)[0]) == 1


def test_books_are_cut_and_keep_their_group(tmp_path: Path) -> None:
    text = "\n\n".join(f"第{n}段。" + CHINESE for n in range(60))
    (tmp_path / "book.txt").write_text(text, encoding="utf-8")
    documents, _ = read(tmp_path / "book.txt", piece_chars=500)
    assert "".join(document.text for document in documents) == text
    assert len(documents) > 3
    assert {document.group for document in documents} == {"book.txt"}
    assert [document.meta["piece"] for document in documents] == list(range(1, len(documents) + 1))
    assert all(document.text.startswith("第") for document in documents)


@pytest.mark.parametrize("codec", ["utf-8", "gb18030", "big5"])
def test_a_long_single_line_is_streamed_and_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, codec: str) -> None:
    monkeypatch.setattr(readers, "BLOCK_BYTES", 4097)
    text = "今天天氣很好我們一起去公園走走" * 2000
    (tmp_path / "x.txt").write_bytes(text.encode(codec))
    documents, skipped = read(tmp_path / "x.txt", piece_chars=1000)
    assert not skipped
    assert "".join(document.text for document in documents) == text
    assert max(len(document.text) for document in documents) <= 1500


def test_a_file_over_the_limit_is_skipped_with_a_reason(tmp_path: Path) -> None:
    with open(tmp_path / "x.txt", "wb") as file:
        file.truncate(2**30)  # a sparse gigabyte
    assert read(tmp_path / "x.txt") == ([], [Skipped(source="x.txt", reason="larger than 512 MiB (max_file_bytes)")])


def test_gzip_bombs_and_damage(tmp_path: Path) -> None:
    path = tmp_path / "x.txt.gz"
    path.write_bytes(gzip.compress(b"a" * 3_000_000))
    assert "200 times its size" in read(path)[1][0].reason
    assert "max_file_bytes" in read(path, max_gzip_ratio=1e6, max_file_bytes=2_000_000)[1][0].reason
    assert len(read(path, max_gzip_ratio=1e6)[0]) > 1
    path.write_bytes(gzip.compress(CHINESE.encode())[:-9])
    assert "cannot be read" in read(path)[1][0].reason
    path.write_bytes(b"no gzip")
    assert [document.text for document in read(path)[0]] == ["no gzip"]
    path.write_bytes(gzip.compress(CHINESE.encode()) + gzip.compress(b"more"))
    assert read(path)[0][0].text == CHINESE + "more"


def test_jsonl_rows(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    rows = [
        '{"text": "一"}',
        "",
        "{bad",
        '["text"]',
        '{"body": "x", "id": 3}',
        '{"text": 3}',
        '{"text": "二", "id": "q"}',
    ]
    path.write_text("\n".join(rows), encoding="utf-8")
    documents, skipped = read(path)
    assert [(document.text, document.id) for document in documents] == [("一", "x.jsonl#1"), ("二", "x.jsonl#7")]
    assert documents[1].meta["original_id"] == "q"
    assert [(item.source, item.reason) for item in skipped] == [
        ("x.jsonl:3", "row is not valid JSON"),
        ("x.jsonl:4", "row is no JSON object but list"),
        ("x.jsonl:5", "'text' is missing; found keys ['body', 'id']"),
        ("x.jsonl:6", "'text' is no string; found keys ['text']"),
    ]
    assert [document.text for document in read(path, text_key="body")[0]] == ["x"]


def test_an_endless_row_is_skipped_in_bounded_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "_MAX_LINE_CHARS", 100)
    monkeypatch.setattr(readers, "BLOCK_BYTES", 64)
    path = tmp_path / "x.jsonl"
    path.write_text('{"text": "a"}\n{"text": "' + "b" * 1000 + '"}\n{"text": "c"}\n')
    documents, skipped = read(path)
    assert [document.text for document in documents] == ["a", "c"]
    assert skipped == [Skipped(source="x.jsonl:2", reason="row too long")]
    path = tmp_path / "x.csv"
    path.write_text("text,n\na row of some words,1\n" + "b" * 1000 + ",2\nanother row of words,3\n")
    documents, skipped = read(path)
    assert [document.text for document in documents] == ["a row of some words", "another row of words"]
    assert skipped == [Skipped(source="x.csv:3", reason="row too long")]


@pytest.mark.parametrize(
    ("content", "texts"),
    [
        ('label,text\n1,你好\n0,"再见,\n朋友"\n', ["你好", "再见,\n朋友"]),
        (
            "id;words\n1;a sentence of several words\n2;another sentence of words\n",
            ["a sentence of several words", "another sentence of words"],
        ),
        (
            '"3","Title","A long description of the news"\n"2","Other","One more long description"\n',
            ["A long description of the news", "One more long description"],
        ),
        ("only\nthis is the first row\nthis is the second row\n", ["this is the first row", "this is the second row"]),
    ],
)
def test_csv(tmp_path: Path, content: str, texts: list[str]) -> None:
    (tmp_path / "x.csv").write_text(content, encoding="utf-8")
    assert [document.text for document in read(tmp_path / "x.csv")[0]] == texts


def test_python_follows_its_declared_encoding(tmp_path: Path) -> None:
    source = "# -*- coding: koi8-r -*-\ns = 'Привет'\n"
    (tmp_path / "x.py").write_bytes(source.encode("koi8-r"))
    assert read(tmp_path / "x.py")[0][0].text == source
    (tmp_path / "x.py").write_bytes(f"# 中文注释：{CHINESE}\n".encode("gb18030"))
    assert read(tmp_path / "x.py")[0][0].text == f"# 中文注释：{CHINESE}\n"


def test_html_main_text(tmp_path: Path) -> None:
    pytest.importorskip("trafilatura", reason="the extra 'corpus' is not installed")
    body = f"<html><body><nav>Home</nav><article><h1>标题</h1><p>{CHINESE * 5}</p></article></body></html>"
    (tmp_path / "x.html").write_bytes(body.encode("gb18030"))
    (document,), _ = read(tmp_path / "x.html")
    assert CHINESE in document.text
    assert "<p>" not in document.text
    (tmp_path / "x.html").write_text("<html></html>")
    assert "no main text" in read(tmp_path / "x.html")[1][0].reason


def test_html_without_the_extra_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "trafilatura", None)
    (tmp_path / "x.html").write_text("<p>x</p>")
    assert "hanmo[corpus]" in read(tmp_path / "x.html")[1][0].reason


def test_a_file_that_vanishes_or_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert read(tmp_path / "gone.txt")[1] == [Skipped(source="gone.txt", reason="vanished while reading")]
    (tmp_path / "x.txt").write_text("x")

    def refuse(*args: object, **kwargs: object) -> None:
        raise PermissionError(13, os.strerror(13))

    monkeypatch.setattr(builtins, "open", refuse)
    assert read(tmp_path / "x.txt")[1] == [Skipped(source="x.txt", reason="cannot be read (Permission denied)")]


def test_binary_file_gives_a_reason(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_bytes(b"\0\1\2" * 50)
    assert "binary data" in read(tmp_path / "x.txt")[1][0].reason


def test_a_row_of_another_corpus_keeps_its_group(tmp_path: Path) -> None:
    row = {"text": "x", "meta": {"group": "book"}}
    (tmp_path / "x.jsonl").write_text(json.dumps(row))
    assert read(tmp_path / "x.jsonl")[0][0].group == "x.jsonl:book"
