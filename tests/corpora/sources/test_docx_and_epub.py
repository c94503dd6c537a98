from __future__ import annotations

import gzip
import io
import time
import tracemalloc
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmo.corpora.documents import Document, Skipped
from hanmo.corpora.settings import CorpusSettings
from hanmo.corpora.sources.epub import chapter_text
from hanmo.corpora.sources.files import SourceFile, read_file

W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main" xmlns:mc="urn:mc"'
BODY = """
<w:p><w:pPr><w:tabs><w:tab/></w:tabs></w:pPr><w:r><w:t>第一段，</w:t></w:r><w:r><w:t xml:space="preserve">接着 </w:t></w:r></w:p>
<w:p><w:r><w:t>A &amp; B</w:t><w:tab/><w:t>C</w:t><w:br/><w:t>D</w:t></w:r><w:del><w:r><w:delText>gone</w:delText></w:r></w:del></w:p>
<w:tbl><w:tr><w:tc><w:p><w:r><w:t>甲</w:t></w:r></w:p></w:tc><w:tc><w:p><w:r><w:t>1</w:t></w:r></w:p>
<w:p><w:r><w:t>2</w:t></w:r></w:p></w:tc></w:tr></w:tbl>
<w:p><mc:AlternateContent><mc:Choice><w:r><w:t>box</w:t></w:r></mc:Choice>
<mc:Fallback><w:r><w:t>box</w:t></w:r></mc:Fallback></mc:AlternateContent></w:p>
"""
DOCX = {"word/document.xml": f'<?xml version="1.0"?><w:document {W}><w:body>{BODY}</w:body></w:document>'}
CONTAINER = '<container><rootfiles><rootfile full-path="OEBPS/content.opf"/></rootfiles></container>'
PACKAGE = """<package xmlns="http://www.idpf.org/2007/opf"><metadata xmlns:dc="http://purl.org/dc/elements/1.1/">
<dc:title>西游记</dc:title><dc:creator>吴承恩</dc:creator><dc:language>zh</dc:language></metadata>
<manifest><item id="b" href="two.xhtml" media-type="application/xhtml+xml"/><item id="i" href="x.png" media-type="image/png"/>
<item id="a" href="text/one%20.xhtml#top" media-type="application/xhtml+xml"/></manifest>
<spine><itemref idref="a"/><itemref idref="b"/></spine></package>"""
EPUB = {
    "mimetype": "application/epub+zip",
    "META-INF/container.xml": CONTAINER,
    "OEBPS/content.opf": PACKAGE,
    "OEBPS/text/one .xhtml": "<!DOCTYPE html><html><head><title>no</title><style>p{}</style></head><body><h1>第一回</h1>"
    "<p>灵根育孕&nbsp;源流出，\n心性修持大道生。</p><p>诗曰：<br/>混沌未分天地乱</p></body></html>",
    "OEBPS/two.xhtml": "<html><body><h2>Chapter <i>Two</i></h2><div>One.</div><div>Two &lt; 3.</div></body></html>",
}
EPUB_TEXT = (
    "第一回\n\n灵根育孕\xa0源流出， 心性修持大道生。\n\n诗曰：\n混沌未分天地乱\n\nChapter Two\n\nOne.\nTwo < 3.\n\n"
)


def pack(files: dict[str, str | bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as file:
        for name, content in files.items():
            file.writestr(name, content)
    return out.getvalue()


def read(path: Path, **values: object) -> tuple[list[Document], list[Skipped]]:
    items = list(read_file(SourceFile(path, path.name), CorpusSettings.model_validate(values)))
    return [x for x in items if isinstance(x, Document)], [x for x in items if isinstance(x, Skipped)]


def reason_of(path: Path, data: bytes, **values: object) -> str:
    path.write_bytes(data)
    documents, (skip,) = read(path, **values)
    assert documents == []
    return skip.reason


def test_a_word_document(tmp_path: Path) -> None:
    (tmp_path / "x.docx").write_bytes(pack(DOCX))
    (document,), skipped = read(tmp_path / "x.docx")
    assert (document.text, skipped) == ("第一段，接着\nA & B\tC\nD\n甲\t1 2\nbox\n", [])


def test_an_e_book_in_the_order_of_reading(tmp_path: Path) -> None:
    for name, data in (("x.epub", pack(EPUB)), ("y.epub.gz", gzip.compress(pack(EPUB)))):
        (tmp_path / name).write_bytes(data)
        (document,), skipped = read(tmp_path / name)
        assert (document.text, skipped) == (EPUB_TEXT, [])
        assert (document.meta["title"], document.meta["author"], document.meta["language"]) == (
            "西游记",
            "吴承恩",
            "zh",
        )
    long = EPUB | {"OEBPS/two.xhtml": "<p>" + "<p>One more paragraph of this long chapter.</p>" * 200}
    (tmp_path / "x.epub").write_bytes(pack(long))
    documents, _ = read(tmp_path / "x.epub", piece_chars=1000)
    assert len(documents) > 5
    assert {document.group for document in documents} == {"x.epub"}


def test_chapters_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "x.epub").write_bytes(pack(EPUB | {"OEBPS/two.xhtml": b"\0\1\2" * 99}))
    documents, skipped = read(tmp_path / "x.epub")
    assert documents[0].text.startswith("第一回")
    assert [(item.source, "binary" in item.reason) for item in skipped] == [("x.epub#chapter 2", True)]
    missing = {name: content for name, content in EPUB.items() if "one" not in name}
    (tmp_path / "x.epub").write_bytes(pack(missing))
    assert read(tmp_path / "x.epub")[1] == [
        Skipped(source="x.epub#chapter 1", reason="a file that it names is not in it")
    ]


BOMB = '<!DOCTYPE a [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><a>&b;</a>'


@pytest.mark.parametrize(
    ("name", "files", "reason"),
    [
        ("x.docx", {"word/document.xml": BOMB}, "DOCTYPE"),
        ("x.docx", {"word/document.xml": "<a>"}, "damaged XML"),
        ("x.docx", {"word/document.xml": bytes(3_000_000)}, "max_gzip_ratio"),
        ("x.docx", {"other": "x"}, "not in it"),
        ("x.epub", EPUB | {"META-INF/container.xml": BOMB}, "DOCTYPE"),
        ("x.epub", EPUB | {"META-INF/container.xml": "<a/>"}, "without a package"),
        ("x.epub", EPUB | {"OEBPS/content.opf": "<a/>"}, "no text in this e-book"),
        ("x.epub", EPUB | {"META-INF/container.xml": CONTAINER.replace("OEBPS", "../..")}, "not in it"),
        (
            "x.epub",
            EPUB | {"META-INF/container.xml": CONTAINER.replace("OEBPS", "../.."), "../../content.opf": PACKAGE},
            "leads out",
        ),
    ],
)
def test_hostile_files(tmp_path: Path, name: str, files: dict[str, str | bytes], reason: str) -> None:
    assert reason in reason_of(tmp_path / name, pack(files))


@pytest.mark.parametrize("name", ["x.docx", "x.epub"])
def test_what_is_no_zip_file(tmp_path: Path, name: str) -> None:
    assert "no zip file" in reason_of(tmp_path / name, b"")
    assert "no zip file" in reason_of(tmp_path / name, b"PK\x05\x06")
    assert "no zip file" in reason_of(tmp_path / name, pack(DOCX)[:-30])
    encrypted = bytearray(pack(DOCX | EPUB))
    for place in range(len(encrypted) - 4):
        if encrypted[place : place + 4] == b"PK\x01\x02":
            encrypted[place + 8] |= 1
    assert reason_of(tmp_path / name, bytes(encrypted)) == "encrypted"
    assert "not usual" in reason_of(tmp_path / name, pack(DOCX | EPUB, zipfile.ZIP_LZMA))
    many = bytearray(pack(DOCX))
    many[-12:-10] = b"\xff\xff"
    assert "too many files" in reason_of(tmp_path / name, bytes(many))


def test_limits(tmp_path: Path) -> None:
    data = pack({"word/document.xml": "<a>" + "x" * 1000 + "</a>"}, zipfile.ZIP_STORED)
    assert "max_record_bytes" in reason_of(tmp_path / "x.docx", data, max_record_bytes=1000)
    bomb = pack({"word/document.xml": bytes(16_000_000)})
    tracemalloc.start()
    started = time.monotonic()
    assert "max_gzip_ratio" in reason_of(tmp_path / "x.docx", bomb)
    assert (time.monotonic() - started < 2, tracemalloc.get_traced_memory()[1] < 80_000_000) == (True, True)
    tracemalloc.stop()


@settings(max_examples=250, deadline=1000)
@given(st.data())
def test_any_damage_is_skipped(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    ending, files = data.draw(st.sampled_from([(".docx", DOCX), (".epub", EPUB)]))
    path = tmp_path_factory.getbasetemp() / f"fuzz{ending}"
    content = bytearray(pack(files, data.draw(st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]))))
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    read(path)


PIECES = [
    "<",
    ">",
    "<!--",
    "-->",
    "<!",
    "<![CDATA[",
    "<?",
    "<a ",
    "<a b=",
    "</",
    "&",
    "&#x",
    "<p>",
    "'",
    '"',
    "<script>",
    "x",
    " ",
]


@settings(max_examples=200, deadline=1000)
@given(st.lists(st.sampled_from(PIECES), max_size=40))
def test_any_page_is_read(pieces: list[str]) -> None:
    chapter_text("".join(pieces))


@pytest.mark.parametrize("piece", PIECES)
def test_no_page_is_slow(piece: str) -> None:
    started = time.process_time()
    for start in ("", "<p>", "<a", "<script>", "<!--"):
        chapter_text(start + piece * (200_000 // len(piece)))
    assert time.process_time() - started < 5
