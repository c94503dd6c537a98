from __future__ import annotations

import gzip
import logging
import random
import sys
from pathlib import Path

import pytest

from hanmo.corpora.documents import Document, Skipped
from hanmo.corpora.settings import CorpusSettings
from hanmo.corpora.sources.files import SourceFile, read_file
from hanmo.corpora.sources.pdf_lines import join_pages
from tiny_pdf import make_pdf

pypdf = pytest.importorskip("pypdf", reason="the extra 'corpus' is not installed")

ENGLISH = (
    "The quick brown fox jumps over the lazy dog and runs into the for-",
    "est, where it meets a well-known wolf. They talk about the weather",
    "until the sun goes down.",
    "On the next day it rains, and nobody leaves the house before noon,",
)
CHINESE = (
    "今天天气很好，我们一起去公园里走一走。他说这个地方是他小时候",
    "来过的，现在已经变了很多。",
    "第二天下雨了，大家都待在家里看书，谁也不想出门去，只有小猫还",
)


def read(path: Path, **settings: object) -> tuple[list[Document], list[Skipped]]:
    items = list(read_file(SourceFile(path, path.name), CorpusSettings.model_validate(settings)))
    return [x for x in items if isinstance(x, Document)], [x for x in items if isinstance(x, Skipped)]


def test_lines_become_paragraphs_over_pages(tmp_path: Path) -> None:
    (tmp_path / "x.pdf").write_bytes(make_pdf([list(ENGLISH), ["because of the storm."]]))
    (document,), skipped = read(tmp_path / "x.pdf")
    assert document.text.split("\n") == [
        "The quick brown fox jumps over the lazy dog and runs into the forest, where it meets a well-known wolf. "
        "They talk about the weather until the sun goes down.",
        "On the next day it rains, and nobody leaves the house before noon, because of the storm.",
    ]
    assert (document.meta["pages"], document.meta["kind"], skipped) == (2, "pdf", [])


def test_lines_of_chinese_are_joined_without_spaces(tmp_path: Path) -> None:
    (tmp_path / "x.pdf.gz").write_bytes(gzip.compress(make_pdf([list(CHINESE), ["在院子里跑来跑去。"]])))
    (document,), _ = read(tmp_path / "x.pdf.gz")
    assert document.text == CHINESE[0] + CHINESE[1] + "\n" + CHINESE[2] + "在院子里跑来跑去。"


def test_running_heads_and_page_numbers_go() -> None:
    body = [f"{word} 这一页讲的是别的事情" for word in "甲乙丙丁戊己庚辛"]
    heads = ["第一章 天气", "A Book of Weather"] * 4
    pages = [f"{head}\n{text}\n- {n} -" for n, (head, text) in enumerate(zip(heads, body, strict=True), 1)]
    assert join_pages(pages) == "".join(body)
    assert "第一章" in join_pages(pages[:2])


def test_a_sentence_that_ends_early_ends_a_paragraph() -> None:
    full = "a line that is full of words up to its end and goes"
    assert join_pages([f"{full}\non here.\n{full}\nwhere it ends."]).split("\n") == [
        f"{full} on here.",
        f"{full} where it ends.",
    ]


def test_hyphens() -> None:
    lines = "the wide and long state of things is in need of co-\noperative work, and not only by the use of e-\nmail"
    assert join_pages([lines]).endswith("of cooperative work, and not only by the use of email")
    assert join_pages([lines + "\nI like e-mail"]).split("\n")[0].endswith("by the use of e-mail")


def test_lists_ligatures_and_radicals() -> None:
    assert join_pages(["• one item\n• two items\n1. ﬁne\n第二章 ⼈⽣"]).split("\n") == [
        "• one item",
        "• two items",
        "1. fine",
        "第二章 人生",
    ]
    assert join_pages([]) == join_pages(["", "\n\n"]) == ""


def test_scanned_encrypted_and_broken_files(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "x.pdf"
    path.write_bytes(make_pdf([[], []]))
    assert "no text layer" in read(path)[1][0].reason
    writer = pypdf.PdfWriter()
    writer.add_blank_page(100, 100)
    writer.encrypt("secret", algorithm="RC4-128")
    writer.write(path)
    assert read(path) == ([], [Skipped(source="x.pdf", reason="encrypted")])
    path.write_bytes(b"%PDF-1.4")
    assert read(path)[1][0].reason.startswith("damaged PDF (")
    path.write_bytes(b"\0\1")
    assert read(path)[1][0].reason == "no PDF"
    assert logging.getLogger("pypdf").level == logging.NOTSET
    assert not caplog.records


def test_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hanmo.corpora.sources import pdf

    path = tmp_path / "x.pdf"
    path.write_bytes(make_pdf([[f"Page {word} of a short file, in plain words."] for word in ("one", "two", "three")]))
    monkeypatch.setattr(pdf, "_MAX_PAGES", 2)
    (document,), skipped = read(path)
    assert "three" not in document.text
    assert skipped == [Skipped(source="x.pdf#page 3", reason="pages beyond the limit of a PDF")]
    monkeypatch.setattr(pdf, "_MAX_PAGES", 10)
    rng = random.Random(0)
    path.write_bytes(make_pdf([["".join(chr(rng.randint(0x4E00, 0x9FA5)) for _ in range(60))] * 1_000]))
    reasons = [item.reason for item in read(path, max_record_seconds=0.02)[1]]
    assert "takes more than 0.02 s to read (max_record_seconds)" in reasons
    assert "max_file_bytes" in read(path, max_file_bytes=100)[1][0].reason


def test_without_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.pdf").write_bytes(make_pdf([["x"]]))
    monkeypatch.setitem(sys.modules, "pypdf", None)
    assert "hanmo[corpus]" in read(tmp_path / "x.pdf")[1][0].reason
