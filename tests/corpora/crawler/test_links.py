from __future__ import annotations

import contextlib
import gzip
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmo.core.errors import FormatError
from hanmo.corpora.crawler.links import alike, is_loop, is_page_link, is_reserved, normalise, read_page
from hanmo.corpora.crawler.robots import parse_robots
from hanmo.corpora.crawler.sitemap import read_sitemap

BASE = "https://example.com/a/b/c.html?x=1"


@pytest.mark.parametrize(
    ("link", "form"),
    [
        ("HTTP://EXAMPLE.com:80", "http://example.com/"),
        ("https://example.com:443/./x/../y/#part", "https://example.com/y/"),
        ("https://example.com:8443/", "https://example.com:8443/"),
        ("https://example.com/%7euser/%e4%b8%80%2f", "https://example.com/~user/%E4%B8%80%2F"),
        ("https://example.com/100%", "https://example.com/100%25"),
        ("https://example.com/?b=2&a=1", "https://example.com/?b=2&a=1"),
        ("https://example.com?", "https://example.com/"),
        ("../d", "https://example.com/a/d"),
        ("?y=2", "https://example.com/a/b/c.html?y=2"),
        ("//other.org/x", "https://other.org/x"),
        (" \n/x y\t ", "https://example.com/x%20y"),
        ("/path\\to", "https://example.com/path/to"),
        ("https:\\\\example.com\\x", "https://example.com/x"),
        ("/新闻/一.html", "https://example.com/%E6%96%B0%E9%97%BB/%E4%B8%80.html"),
        ("https://例子.测试/路?问=答", "https://xn--fsqu00a.xn--0zwm56d/%E8%B7%AF?%E9%97%AE=%E7%AD%94"),
        ("https://EXAMPLE。com/", "https://example.com/"),
        ("https://example.com./", "https://example.com/"),
        ("/../../x", "https://example.com/x"),
        ("#here", "https://example.com/a/b/c.html?x=1"),
        ("mailto:a@b.c", None),
        ("javascript:void(0)", None),
        ("tel:12345", None),
        ("https://[::1", None),
        ("https://example.com:port/", None),
        ("data:text/html,x", None),
    ],
)
def test_normalise(link: str, form: str | None) -> None:
    assert normalise(link, BASE) == form
    if form:
        assert normalise(form) == form


def test_queries_are_in_the_encoding_of_the_page() -> None:
    assert normalise("/搜?词=中文", BASE, "gb18030") == "https://example.com/%E6%90%9C?%B4%CA=%D6%D0%CE%C4"
    assert normalise("/?q=中é", BASE, "cp1252") == "https://example.com/?q=%26%2320013%3B%E9"


@settings(max_examples=80)
@given(st.text(max_size=40), st.sampled_from(["utf-8", "gb18030", "cp950", "cp1252"]))
def test_normalising_twice_changes_nothing(link: str, encoding: str) -> None:
    form = normalise(link, BASE, encoding)
    assert form is None or (normalise(form) == form and form.isascii())


@pytest.mark.parametrize("encoding", ["utf-8", "gbk", "big5"])
def test_links_of_a_page(encoding: str) -> None:
    text = "中文的文章在此，天上有日月，地上有山水，人在其中。" * 5
    page = (
        f'<html><head><meta charset="{encoding}"><base href="/文/"></head><body><p>{text}</p><!-- <a href="/hidden">x</a> -->'
        '<A HREF="一.html">x</a><a href="一.html#2">x</a><a href=//example.com/q?w=中>x</a><area href="/map">'
        '<a rel="nofollow" href="/no">x</a><a name="x">x</a><a href="">x</a><iframe src="/frame"></iframe>'
        '<script>document.write("<a href=/js>x</a>")</script><a href="/unclosed>x</a><p>'
    )
    found = read_page(page.encode(encoding), BASE, None)
    query = {"utf-8": "%E4%B8%AD", "gbk": "%D6%D0", "big5": "%A4%A4"}[encoding]
    base = "https://example.com"
    assert found.links[:4] == (
        f"{base}/%E6%96%87/%E4%B8%80.html",
        f"{base}/q?w={query}",
        f"{base}/map",
        f"{base}/frame",
    )
    assert not found.is_refused
    assert not {f"{base}/hidden", f"{base}/no", f"{base}/js"} & set(found.links)


@pytest.mark.parametrize(
    ("content", "follows", "refused"),
    [("noindex", True, True), ("NoFollow", False, False), ("none", False, True), ("index, follow", True, False),
     ("max-snippet:20, noindex", True, True), ("noai", True, True), ("", True, False)],
)  # fmt: skip
def test_meta_robots(content: str, follows: bool, refused: bool) -> None:
    page = read_page(f'<meta name="ROBOTS" content="{content}"><a href="/x">x</a>'.encode(), BASE, None)
    assert (bool(page.links), page.is_refused) == (follows, refused)
    other = read_page(f'<meta name="googlebot" content="{content}"><a href="/x">x</a>'.encode(), BASE, None)
    assert (len(other.links), other.is_refused) == (1, False)


def test_headers() -> None:
    assert is_reserved(["noindex"], None)
    assert is_reserved(["googlebot: nofollow", "hanmo: noindex, nofollow"], None)
    assert is_reserved(["max-snippet: 5, noindex"], None)
    assert is_reserved([], "1")
    assert not is_reserved(["googlebot: noindex"], "0")
    assert not read_page(b'<a href="/x">x</a>', BASE, None, ["nofollow"]).links


def test_traps() -> None:
    assert alike("https://x.org/2024/05/a?id=7&p=%41") == alike("https://x.org/1999/12/a?p=2&id=zz")
    assert alike("https://x.org/a?id=7") != alike("https://x.org/b?id=7")
    assert is_loop("https://x.org" + "/a/b" * 4)
    assert not is_loop("https://x.org/a/b/a/b/a/b")
    assert is_page_link("https://x.org/v1.0/page")
    assert is_page_link("https://x.org/a.php?f=x.jpg")
    assert not is_page_link("https://x.org/a/b.JPG?w=1")


def test_hostile_pages_take_no_time() -> None:
    start = time.process_time()
    for page in (b"<" * 10**6, b"<a " * 300_000, b"<div>" * 200_000, b"<!--" * 200_000, b'<a href="' * 100_000,
                 b"<a href=x>" * 200_000, b"&amp;" * 200_000, b"<base href='" + b"a/" * 500_000):  # fmt: skip
        read_page(page, BASE, None)
    for robots in (
        b"User-agent: *\n" + b"Disallow: /*a*a*a*a*b$\n" * 20_000,
        b"Disallow: /" + b"*a" * 200_000,
        b"\0" * 500_000,
    ):
        parse_robots(robots, BASE).allows("https://example.com/" + "a" * 1_900)
    for sitemap in (
        b"<a>" * 100_000,
        b"<urlset>" + b"<url><loc>x" * 100,
        gzip.compress(b"http://x/\n" * 20_000),
        b"\x1f\x8b\x08",
    ):
        read_sitemap(sitemap, BASE)
    assert time.process_time() - start < 5


@settings(max_examples=50)
@given(st.binary(max_size=300))
def test_any_bytes_are_read(data: bytes) -> None:
    with contextlib.suppress(FormatError):
        read_page(data, BASE, None)
    parse_robots(data, BASE).allows(BASE)
    read_sitemap(data, BASE)
    read_sitemap(gzip.compress(data)[:-3], BASE)
