from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanmo.corpora.documents import Document
from hanmo.corpora.settings import CorpusSettings
from hanmo.corpora.sources import readers
from hanmo.corpora.sources.files import SourceFile, read_file
from hanmo.corpora.sources.gutenberg import find_header, until_licence

NEW = """\ufeffThe Project Gutenberg eBook of {title}

This ebook is for the use of anyone anywhere in the United States.

Title: {title}

Author: {author}

Release date: May 1, 2008 [eBook #25328]

Language: {language}

Credits: Produced by someone


*** START OF THE PROJECT GUTENBERG EBOOK {title} ***

Produced by Someone and the Online
Distributed Proofreading Team

{body}

*** END OF THE PROJECT GUTENBERG EBOOK {title} ***

Updated editions will replace the previous one.
"""
OLD = """**The Project Gutenberg Etext of Alice in Wonderland**
Title: Alice\'s Adventures in
  Wonderland
*START**THE SMALL PRINT! FOR PUBLIC DOMAIN ETEXTS**START***
Why is this "Small Print!" statement here?
*END*THE SMALL PRINT! FOR PUBLIC DOMAIN ETEXTS*Ver.04.29.93*END*

{body}

End of The Project Gutenberg Etext of Alice in Wonderland
"""
CHINESE = "　　话说天下大势，分久必合，合久必分。\n\n　　周末七国分争，并入于秦。"
ENGLISH = "Down, down, down.\n\nWould the fall never come to an end?"


def read(path: Path) -> list[Document]:
    return [x for x in read_file(SourceFile(path, path.name), CorpusSettings()) if isinstance(x, Document)]


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize(
    ("form", "title", "author", "language", "body"),
    [
        (NEW, "三國志演義", "Guanzhong Luo", "Chinese", CHINESE),
        (NEW, "Alice", "Lewis Carroll", "English", ENGLISH),
        (OLD, "", "", "", ENGLISH),
    ],
)
def test_only_the_book_is_left(
    tmp_path: Path, line_end: str, form: str, title: str, author: str, language: str, body: str
) -> None:
    text = form.format(title=title, author=author, language=language, body=body).replace("\n", line_end)
    (tmp_path / "x.txt").write_bytes(text.encode())
    (document,) = read(tmp_path / "x.txt")
    assert document.text.strip() == body.strip().replace("\n", line_end) or document.text.strip() == body.replace(
        "\n", line_end
    )
    if form is OLD:
        assert document.meta["title"] == "Alice's Adventures in Wonderland"
    else:
        assert (document.meta["title"], document.meta["author"], document.meta["language"]) == (title, author, language)


def test_the_licence_is_found_over_a_block_border(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    body = "\n\n".join(f"Paragraph {n} of a book about Project Gutenberg." for n in range(400))
    text = NEW.format(title="T", author="A", language="English", body=body)
    for size in (4096, 5000, 8191):
        monkeypatch.setattr(readers, "BLOCK_BYTES", size)
        (tmp_path / "x.txt").write_text(text, encoding="utf-8")
        assert "".join(document.text for document in read(tmp_path / "x.txt")).strip() == body


def test_other_texts_are_left_alone() -> None:
    assert find_header("A book that names Project Gutenberg.\n\n*** START OF PART ONE ***\n") is None
    assert find_header("") is None


@given(st.text(alphabet="*START OF THIS PROJECT GUTENBERG END\n\r: Title", max_size=300))
def test_any_text(text: str) -> None:
    header = find_header("Gutenberg\n" + text)
    assert "".join(until_licence([text], 0)).startswith("".join(until_licence([text[:5], text[5:]], 0)))
    assert header is None or 0 < header.end <= len(text) + 10


def test_a_real_book(data_root: Path, tmp_path: Path) -> None:
    documents = read(data_root / "gutenberg_en" / "botchan.txt.gz")
    text = "".join(document.text for document in documents)
    assert text.startswith("BOTCHAN (MASTER DARLING)\r\nBy The Late")
    assert text.rstrip()[-60:].splitlines()[-1].strip() != ""
    assert "gutenberg" not in text.lower()
    assert documents[0].meta["author"] == "Kin-nosuke Natsume"
    assert documents[0].meta["language"] == "English"
    whole = gzip.decompress((data_root / "gutenberg_en" / "botchan.txt.gz").read_bytes()).decode("utf-8-sig")
    assert 0.9 < len(text) / len(whole) < 0.95
