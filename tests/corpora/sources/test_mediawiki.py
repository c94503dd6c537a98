from __future__ import annotations

import bz2
import tracemalloc
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmo.corpora.documents import Document, Skipped
from hanmo.corpora.settings import CorpusSettings
from hanmo.corpora.sources.files import SourceFile, read_file

HEAD = """<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.10/" version="0.10" xml:lang="zh">
<siteinfo><sitename>维基百科</sitename><namespaces><namespace key="0" /><namespace key="1">讨论</namespace>
<namespace key="6">文件</namespace><namespace key="14">Kategorie</namespace></namespaces></siteinfo>
"""


def page(title: str, text: str, *, ns: str = "<ns>0</ns>", more: str = "", model: str = "wikitext") -> str:
    text = text.replace("&", "&amp;").replace("<", "&lt;")
    return (
        f"<page><title>{title}</title>{ns}<id>7</id>{more}<revision><id>9</id><contributor><username>u</username>"
        f'<id>1</id></contributor><model>{model}</model><text bytes="3">{text}</text></revision></page>\n'
    )


PAGES = [
    page("北京", "'''北京'''是[[中国]]的首都。<ref>注</ref>\n[[Kategorie:城市]]"),
    page("London", "'''London''' is the [[capital]] of {{flag|UK}}England."),
    page("甲", "#REDIRECT [[乙]]", more='<redirect title="乙" />'),
    page("丙", "#重定向 [[乙]]"),
    page("讨论:北京", "谈谈", ns="<ns>1</ns>"),
    page("讨论:上海", "谈谈", ns=""),
    page("Star Wars: A film", "No namespace in its name.", ns=""),
    page("模块", "return 1", model="Scribunto"),
    page("空", "{{stub}}"),
]
DUMP = HEAD + "".join(PAGES) + "</mediawiki>"


def read(path: Path, **values: object) -> tuple[list[Document], list[Skipped]]:
    items = list(read_file(SourceFile(path, path.name), CorpusSettings.model_validate(values)))
    return [x for x in items if isinstance(x, Document)], [x for x in items if isinstance(x, Skipped)]


@pytest.mark.parametrize("name", ["x.xml", "x.xml.bz2", "zhwiki-pages-articles1.xml-p1p41242.bz2"])
def test_articles_and_what_is_none(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(DUMP.encode() if name == "x.xml" else bz2.compress(DUMP.encode()))
    documents, skipped = read(tmp_path / name)
    assert [(document.id, document.text) for document in documents] == [
        (f"{name}#1", "北京是中国的首都。"),
        (f"{name}#2", "London is the capital of England."),
        (f"{name}#7", "No namespace in its name."),
    ]
    assert documents[0].meta["title"] == "北京"
    assert (documents[0].meta["page_id"], documents[0].meta["language"]) == ("7", "zh")
    assert [(item.source, item.reason) for item in skipped] == [
        (f"{name}#3", "redirect"),
        (f"{name}#4", "redirect"),
        (f"{name}#5", "no article (another namespace)"),
        (f"{name}#6", "no article (another namespace)"),
        (f"{name}#8", "no wiki text"),
        (f"{name}#9", "no text in this page"),
    ]


@pytest.mark.parametrize(
    ("xml", "reason"),
    [
        ('<!DOCTYPE m [<!ENTITY a "x"><!ENTITY b "&a;&a;">]><mediawiki>&b;</mediawiki>', "DOCTYPE"),
        ('<!DOCTYPE m SYSTEM "file:///etc/passwd"><mediawiki/>', "DOCTYPE"),
        ("<rss><item/></rss>", "no dump of a MediaWiki"),
        ("<mediawiki>" + "<a>" * 2000, "nested more than"),
        ("<mediawiki><page " + "a" * 3_000_000, "a tag of more than"),
        ("<mediawiki>&nbsp;</mediawiki>", "undefined entity"),
        ("plain text", "damaged XML"),
        ("", "no element found"),
        ('<?xml version="1.0" encoding="gb2312"?><mediawiki/>', "encoding that is not read"),
    ],
)
def test_hostile_and_other_xml(tmp_path: Path, xml: str, reason: str) -> None:
    (tmp_path / "x.xml").write_text(xml)
    documents, (skip,) = read(tmp_path / "x.xml")
    assert documents == []
    assert reason in skip.reason


def test_damage_and_a_cut_keep_the_pages_in_front(tmp_path: Path) -> None:
    (tmp_path / "x.xml").write_text(DUMP.replace("<title>甲", "<title>甲</b>"), encoding="utf-8")
    documents, skipped = read(tmp_path / "x.xml")
    assert len(documents) == 2
    assert "mismatched tag) in line" in skipped[-1].reason
    many = HEAD + "".join(page(f"T{n}", f"Text {n * n} of {n}.") for n in range(5000))
    packed = bz2.compress(many.encode(), 1)
    (tmp_path / "x.xml.bz2").write_bytes(packed[: len(packed) // 2])
    documents, skipped = read(tmp_path / "x.xml.bz2")
    assert len(documents) > 500
    assert ["cut off" in item.reason for item in skipped] == [True]


def test_a_page_over_the_limit_and_bounded_memory(tmp_path: Path) -> None:
    (tmp_path / "x.xml").write_text(HEAD + page("Big", "word " * 2_000_000) + page("B", "small") + "</mediawiki>")
    tracemalloc.start()
    documents, skipped = read(tmp_path / "x.xml", max_record_bytes=100_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert ([document.text for document in documents], peak < 5_000_000) == (["small"], True)
    assert skipped == [Skipped(source="x.xml#1", reason="page too large (max_record_bytes)")]


@settings(max_examples=200, deadline=1000)
@given(st.data())
def test_any_damage_is_skipped(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.xml"
    content = bytearray(DUMP.encode())
    for _ in range(data.draw(st.integers(1, 5))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place : place + data.draw(st.integers(0, 9))] = data.draw(st.binary(max_size=9))
    path.write_bytes(content)
    read(path)


def test_a_real_dump(data_root: Path) -> None:
    folder = data_root / "mediawiki_dump"
    documents, skipped = read(folder / "enwiki-latest-pages-articles1.xml-p000000010p000030302-shortened.bz2")
    assert len(documents) == 106
    assert Counter(item.reason for item in skipped) == {"redirect": 99, "no article (another namespace)": 1}
    text = "\n".join(document.text for document in documents)
    assert 2_700_000 < len(text) < 3_000_000
    for mark in ("[[", "{|", "<ref", "&nbsp;", "'''", "Category:", "thumb|"):
        assert text.count(mark) <= 2, mark
    assert documents[0].meta["title"] == "Anarchism"
    assert documents[0].text.startswith("Anarchism is a political philosophy that advocates self-governed societies")
    tables, _ = read(folder / "enwiki-table-markup.xml.bz2")
    assert len(tables) == 5
    assert not any(line.startswith(("|", "!", "{")) for document in tables for line in document.text.split("\n"))


def test_xml_of_another_kind_is_called_that(tmp_path: Path) -> None:
    (tmp_path / "feed.xml").write_text('<?xml version="1.0"?>\n<rss><channel/></rss>', encoding="utf-8")
    items = list(read_file(SourceFile(tmp_path / "feed.xml", "feed.xml"), CorpusSettings()))
    assert [item.reason for item in items] == ["XML that is no dump of a MediaWiki (its root is <rss>)"]
