from __future__ import annotations

import gzip
import io
import json
import signal
import socket
import subprocess
import sys
import threading
import time
import zlib
from pathlib import Path
from typing import Any

import pytest

from hanmo.core.errors import ConfigError, FormatError
from hanmo.corpora.crawler.crawl import crawl
from hanmo.corpora.crawler.journal import Journal
from hanmo.corpora.crawler.report import CrawlReport
from hanmo.corpora.documents import Document, Skipped
from hanmo.corpora.settings import CorpusSettings
from hanmo.corpora.sources.files import SourceFile, read_file

CHINESE = "今天天气很好，我们一起去公园里走一走。他说这个地方是他小时候来过的，现在已经变了很多。" * 4
ENGLISH = "The quick brown fox jumps over the lazy dog, and nobody in the whole village minds it at all. " * 4


def html(text: str = "", links: tuple[str, ...] = (), head: str = "", encoding: str = "utf-8") -> bytes:
    anchors = "".join(f'<li><a href="{link}">{link}</a></li>' for link in links)
    body = f"<body><article><p>{text}</p></article><ul>{anchors}</ul></body>"
    return f"<html><head>{head}<title>t</title></head>{body}</html>".encode(encoding)


def read(path: Path) -> tuple[list[Document], list[Skipped]]:
    items = list(read_file(SourceFile(path, path.name), CorpusSettings()))
    return [x for x in items if isinstance(x, Document)], [x for x in items if isinstance(x, Skipped)]


def kept(report: CrawlReport, site: Any) -> set[str]:
    """Paths of the pages in the archive."""
    data = gzip.decompress(report.out.read_bytes()).decode("utf-8", "replace")
    found = [line.split(": ", 1)[1] for line in data.split("\r\n") if line.startswith("WARC-Target-URI")]
    assert len(found) % 2 == 0
    responses = found[1::2]
    assert len(set(responses)) == len(responses)
    return {url.removeprefix(site.url) for url in responses}


def links(*paths: str) -> bytes:
    return html(ENGLISH, paths)


def test_pages_become_documents(site: Any, clock: Any, tmp_path: Path) -> None:
    site.pages |= {
        "/": html(ENGLISH, ("/zh/%E4%B8%80", "/文章?词=中文", "#here", "mailto:x@y.z", "/gone", "https://example.com/")),
        "/zh/%E4%B8%80": (200, {"Content-Type": "text/html; charset=gb2312"},
                          html(CHINESE, ("/搜索?q=中文", "二.html"), encoding="gbk")),
        "/zh/%E4%BA%8C.html": html("第二页：" + CHINESE),
        "/%E6%90%9C%E7%B4%A2?q=%D6%D0%CE%C4": (200, {"Content-Type": "text/plain; charset=utf-8"}, ("找到了。" + CHINESE).encode()),
        "/%E6%96%87%E7%AB%A0?%E8%AF%8D=%E4%B8%AD%E6%96%87": (
            200, {"Content-Type": "text/html", "Content-Encoding": "gzip"}, gzip.compress(html("一篇。" + CHINESE))),
    }  # fmt: skip
    report = crawl([site.url], tmp_path / "a.warc.gz", site.settings(contact="me@example.org"), clock=clock)
    assert kept(report, site) == set(site.pages)
    assert report.pages == 5
    assert report.ended_by == "nothing is left"
    assert report.skipped == {"link to another site": 1, "HTTP status 404": 1, "no sitemap (HTTP status 404)": 1}
    documents, skipped = read(report.out)
    assert not skipped
    assert {document.text[:4] for document in documents} == {"The ", "今天天气", "第二页：", "找到了。", "一篇。今"}
    assert {document.meta["encoding"] for document in documents} == {"gb18030", "utf-8"}
    assert documents[0].meta["url"] == site.url + "/"
    assert set(site.agents) == {"hanmo/0.1.0 (+me@example.org)"}
    assert json.dumps(report.to_dict())
    assert "5 pages" in report.summary()


def test_the_archive_is_a_web_archive(site: Any, clock: Any, tmp_path: Path) -> None:
    """A gzip member per record; the lengths, the digest and the ends of lines are right."""
    body = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (html(ENGLISH)[:100], html(ENGLISH)[100:]))
    site.pages["/"] = lambda handler: handler.wfile.write(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n" + body + b"0\r\n\r\n"
    )
    report = crawl([site.url], tmp_path / "a.warc.gz", site.settings(sitemaps=False), clock=clock)
    data, kinds = report.out.read_bytes(), []
    while data:
        stream = io.BytesIO(data)
        member = zlib.decompressobj(31)
        record = member.decompress(stream.read())
        data = member.unused_data
        head, _, block = record.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
        assert head.startswith(b"WARC/1.1\r\n")
        assert len(block) == int(headers["Content-Length"]) + 4
        assert block.endswith(b"\r\n\r\n")
        kinds.append(headers["WARC-Type"])
        if kinds[-1] == "response":
            assert block[:-4].endswith(body + b"0\r\n\r\n")
            assert headers["WARC-IP-Address"] == "127.0.0.1"
    assert kinds == ["warcinfo", "request", "response"]
    assert len(read(report.out)[0]) == 1


def test_robots_are_obeyed(site: Any, clock: Any, tmp_path: Path) -> None:
    site.pages |= {
        "/robots.txt": (200, {}, "User-agent: *\nDisallow: /\n\nUser-agent: Hanmo\nDisallow: /private\nDisallow: /*?sort=\n"
                                 "Disallow: /秘密\nCrawl-delay: 4".encode()),
        "/": links("/private/a", "/public", "/list?sort=a", "/秘密/一", "/noindex", "/nofollow", "/header", "/tdm", "/other"),
        "/public": links(),
        "/noindex": html(ENGLISH, ("/behind-noindex",), '<meta name="robots" content="NOINDEX, follow">'),
        "/behind-noindex": links(),
        "/nofollow": html(ENGLISH, ("/behind-nofollow",), '<meta name="robots" content="nofollow">'),
        "/behind-nofollow": links(),
        "/header": (200, {"X-Robots-Tag": "none", "Content-Type": "text/html"}, links("/behind-header")),
        "/tdm": html(ENGLISH, (), '<meta name="tdm-reservation" content="1">'),
        "/other": (200, {"X-Robots-Tag": "otherbot: noindex", "Content-Type": "text/html"},
                   ENGLISH.encode() + b'<a rel="nofollow ugc" href="/ugc">x</a>'),
    }  # fmt: skip
    report = crawl([site.url], tmp_path / "a.warc.gz", site.settings(sitemaps=False), clock=clock)
    assert kept(report, site) == {"/", "/public", "/behind-noindex", "/nofollow", "/other"}
    assert report.skipped["robots.txt forbids it"] == 3
    assert report.skipped["page that asks not to be kept (noindex, noai)"] == 3
    asked = set(site.requests)
    assert not {
        path for path in asked if path.startswith(("/private", "/list", "/%E7", "/behind-nof", "/behind-h", "/ugc"))
    }
    gaps = [b - a for a, b in zip(site.times, site.times[1:], strict=False)]
    assert min(gaps) >= 4 - 1e-6
    assert max(gaps) < 4.5


@pytest.mark.parametrize(
    ("robots", "n_pages"),
    [
        ((404, {}, b""), 1),
        ((403, {}, b""), 1),
        ((500, {}, b""), 0),
        ((503, {}, b""), 0),
        ((429, {}, b""), 0),
        ((301, {"Location": "/r"}, b""), 0),
        ((301, {"Location": "http://169.254.169.254/robots.txt"}, b""), 0),
        (lambda handler: handler.wfile.write(b"\0\0\0"), 0),
        ((200, {}, b"\xff\xfe\0 nothing \xe4\xb8 of use" * 9), 1),
        ((200, {}, b"#" * 600_000 + b"\nUser-agent: *\nDisallow: /"), 1),
        ((200, {}, b"\xef\xbb\xbfuser-agent: *\r\ndisallow: /\r\n"), 0),
    ],
)
def test_robots_that_are_none(site: Any, clock: Any, tmp_path: Path, robots: Any, n_pages: int) -> None:
    site.pages |= {"/robots.txt": robots, "/": links(), "/r": (200, {}, b"User-agent: *\nDisallow: /")}
    report = crawl([site.url], tmp_path / "a.warc.gz", site.settings(sitemaps=False), clock=clock)
    assert report.pages == n_pages
    assert ("/" in site.requests) == bool(n_pages)


def test_the_delay_is_kept(site: Any, clock: Any, tmp_path: Path) -> None:
    site.pages |= {"/": links("/1", "/2", "/3"), "/1": links(), "/2": links(), "/3": links()}
    crawl([site.url], tmp_path / "a.warc.gz", site.settings(delay=7), clock=clock)
    assert len(site.times) == 6  # robots.txt and sitemap.xml among them
    assert min(b - a for a, b in zip(site.times, site.times[1:], strict=False)) >= 7 - 1e-6
    site.times.clear()
    site.pages["/robots.txt"] = (200, {}, b"User-agent: *\nCrawl-delay: 86400\nRequest-rate: 1/5")
    crawl([site.url], tmp_path / "b.warc.gz", site.settings(max_delay=20), clock=clock)
    assert 20.5 > site.times[-1] - site.times[-2] >= 20 - 1e-6


def test_a_server_that_asks_to_wait(site: Any, clock: Any, tmp_path: Path) -> None:
    site.pages |= {
        "/": links("/busy", "/never"),
        "/busy": [(503, {"Retry-After": "120"}, b""), (429, {}, b""), links()],
        "/never": (503, {"Retry-After": "Wed, 21 Oct 2099 07:28:00 GMT"}, b""),
    }
    report = crawl([site.url], tmp_path / "a.warc.gz", site.settings(sitemaps=False), clock=clock)
    assert kept(report, site) == {"/", "/busy"}
    at = [moment for path, moment in zip(site.requests, site.times, strict=True) if path == "/busy"]
    assert at[1] - at[0] >= 120 - 1e-6
    assert at[2] - at[1] >= 60 - 1e-6
    assert report.waiting == 1
    assert report.left == {f"127.0.0.1:{site.port}": "it asks to wait longer than max_wait"}
    site.pages["/never"] = links()
    again = crawl([site.url], report.out, site.settings(sitemaps=False), clock=clock)
    assert (again.pages, again.waiting, again.left) == (3, 0, {})


def test_redirects(site: Any, clock: Any, tmp_path: Path) -> None:
    to = {f"/{k}": (302, {"Location": f"/{k + 1}"}, b"") for k in range(1, 9)}
    hostile = ("http://169.254.169.254/latest/meta-data/", "http://[::ffff:127.0.0.1]/", "http://2130706433/",
               "http://localhost/", "file:///etc/passwd", "//10.0.0.1/", "http://a:b@example.com/", "https://example.com/x")  # fmt: skip
    site.pages |= to | {"/9": links(), "/": links("/1", "/moved", "/lost", *(f"/h{k}" for k in range(len(hostile))))}
    site.pages |= {f"/h{k}": (301, {"Location": url}, b"") for k, url in enumerate(hostile)}
    site.pages |= {
        "/moved": (308, {"Location": "new place/关页#x".encode().decode("latin-1")}, b""),
        "/new%20place/%E5%85%B3%E9%A1%B5": links(),
        "/lost": (301, {}, b""),
    }
    asked: list[str] = []

    def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"]

    report = crawl([site.url], tmp_path / "a.warc.gz", site.settings(sitemaps=False), clock=clock, resolve=resolve)
    assert kept(report, site) == {"/", "/new%20place/%E5%85%B3%E9%A1%B5"}
    assert set(asked) == {"127.0.0.1"}
    assert report.skipped == {
        "redirect: address in a private network": 3, "redirect: address whose host is not valid": 1,
        "redirect: address with a user name or password": 1, "redirect: link to another site": 2,
        "redirect to nowhere": 2, "more than 5 redirects": 1,
    }  # fmt: skip


def test_sitemaps(site: Any, clock: Any, tmp_path: Path) -> None:
    base = site.url

    def urls(*paths: str) -> str:
        return "".join(f"<url><loc> {base}{path} </loc></url>" for path in paths)

    frame = '<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{}</urlset>'
    site.pages |= {
        "/robots.txt": (200, {}, f"Sitemap: {base}/index.xml\nSitemap: /list.txt\nSitemap: http://10.0.0.1/s.xml".encode()),
        "/index.xml": ("<sitemapindex>" + "".join(f"<sitemap><loc>{base}/{name}</loc></sitemap>" for name in
                       ("one.xml.gz", "bomb.xml.gz", "dtd.xml", "cut.xml")) + "</sitemapindex>").encode(),
        "/one.xml.gz": (200, {"Content-Type": "application/gzip"}, gzip.compress(frame.format(urls("/a", "/页")).encode())),
        "/bomb.xml.gz": (200, {}, gzip.compress(b"<urlset>" + b" " * 60_000_000)),
        "/dtd.xml": b'<!DOCTYPE x [<!ENTITY a "b">]><urlset><url><loc>&a;</loc></url></urlset>',
        "/cut.xml": frame.format(urls("/b") + "<url><lo").encode()[:-12],
        "/list.txt": f"\ufeff{base}/c\n\nhttps://example.com/\n".encode(),
        "/": links(), "/a": links(), "/b": links(), "/c": links(), "/%E9%A1%B5": links(),
    }  # fmt: skip
    report = crawl([base], tmp_path / "a.warc.gz", site.settings(), clock=clock)
    assert kept(report, site) == {"/", "/a", "/b", "/c", "/%E9%A1%B5"}
    assert sum(n for reason, n in report.skipped.items() if reason.startswith("rest of a sitemap")) == 3
    assert report.skipped["address in a private network"] == 1


def test_limits_and_traps(site: Any, clock: Any, tmp_path: Path) -> None:
    class Calendar(dict):
        def get(self, path: str, default: Any = None) -> Any:
            if path.startswith("/day"):
                day = int(path.partition("=")[2])
                return links(f"/day?d={day + 1}", f"/day?d={day + 2}")
            return super().get(path, default)

    site.pages = Calendar({"/": links("/day?d=1", "/x/y/x/y/x/y/x/y/x", "/film.mp4", "/a.b/c"), "/a.b/c": links("/d1"),
                           "/d1": links("/d1/d2"), "/d1/d2": links("/d1/d2/d3")})  # fmt: skip

    def run(name: str, **values: Any) -> CrawlReport:
        return crawl([site.url], tmp_path / f"{name}.warc.gz", site.settings(sitemaps=False, **values), clock=clock)

    report = run("alike", max_alike=5, max_depth=3)
    assert report.skipped["path that goes in circles"] == report.skipped["link to a file that is no page"] == 1
    assert report.skipped["deeper than max_depth"]
    assert "/d1/d2" in kept(report, site)
    assert run("pattern", max_alike=4).pages == 4 + 4
    assert run("site", max_pages_per_site=2).pages == 2
    report = run("pages", max_pages=6)
    assert (report.pages, report.ended_by) == (6, "max_pages is reached")
    assert run("pages", max_pages=9).pages == 9
    assert run("bytes", max_bytes=3_000).ended_by == "max_bytes is reached"
    assert run("seconds", max_seconds=3.5).pages in (3, 4)
    assert run("addresses", max_addresses=2).pages == 2


def _say(head: str, body: bytes = b"", pause: float = 0, times: int = 1) -> Any:
    def answer(handler: Any) -> None:
        handler.wfile.write(head.replace("\n", "\r\n").encode() + b"\r\n\r\n")
        for _ in range(times):
            handler.wfile.write(body)
            time.sleep(pause)

    return answer


def test_hostile_answers(site: Any, clock: Any, tmp_path: Path) -> None:
    """Each is skipped for its reason, within its bytes and seconds, and the crawl goes on."""
    ok = "HTTP/1.1 200 OK\nContent-Type: text/html"
    bomb = gzip.compress(b"<p>" + b"a" * 30_000_000)
    site.pages |= {
        "/drip": _say(ok + "\nContent-Length: 100000", b"a", 0.05, 100),
        "/headers": _say("HTTP/1.1 200 OK\n" + "\n".join(f"X-{n}: y" for n in range(500))),
        "/huge": _say(ok + "\nContent-Length: 99999999999999"),
        "/endless": _say(ok, b"a" * 65_536, 0, 64),
        "/chunk": _say(ok + "\nTransfer-Encoding: chunked", b"FFFFFFFFFFF\r\naaa"),
        "/bomb": (200, {"Content-Type": "text/html", "Content-Encoding": "gzip"}, bomb),
        "/brotli": (200, {"Content-Type": "text/html", "Content-Encoding": "br"}, b"xxx"),
        "/short": _say(ok + "\nContent-Length: 5000", b"<p>short"),
        "/long": _say(ok + "\nContent-Length: 400", html(ENGLISH)),
        "/negative": _say(ok + "\nContent-Length: -7", html(ENGLISH)),
        "/binary": (200, {"Content-Type": "text/html"}, bytes(range(256)) * 20),
        "/image": (200, {"Content-Type": "image/png"}, b"\x89PNG" * 100),
        "/empty": (200, {"Content-Type": "text/html"}, b""),
        "/garbage": _say("SMTP ready"),
        "/deep": (200, {"Content-Type": "text/html"}, b"<div>" * 100_000 + b'<a href="/found">x</a>'),
        "/found": links(),
    }
    site.pages["/"] = links(*site.pages)
    start = time.perf_counter()
    settings = site.settings(sitemaps=False, max_page_bytes=1_000_000, page_seconds=0.5)
    report = crawl([site.url], tmp_path / "a.warc.gz", settings, clock=clock)
    assert time.perf_counter() - start < 15
    assert {"/", "/long", "/negative", "/empty", "/deep"} <= kept(report, site)
    for path in (
        "/drip",
        "/headers",
        "/huge",
        "/endless",
        "/chunk",
        "/bomb",
        "/brotli",
        "/short",
        "/binary",
        "/image",
        "/garbage",
    ):
        assert path not in kept(report, site)
    assert report.skipped["page larger than max_page_bytes"] == 2
    assert report.skipped["page that unpacks to more than max_page_bytes"] == 1
    assert report.skipped["compression that was not asked for"] == 1
    assert report.skipped["answer that takes too long (page_seconds)"] == 1
    assert report.skipped["page that is binary or in an encoding that is not read"] == 1
    assert report.skipped["content that is neither HTML nor plain text"] == 1
    assert report.bytes < 20_000_000
    assert report.waiting == 0
    documents, _ = read(report.out)
    assert all(
        "quick brown fox" in document.text
        for document in documents
        if document.meta["url"].endswith(("/long", "/negative"))
    )


def test_a_second_answer_of_the_resolver_leads_nowhere(site: Any, clock: Any, tmp_path: Path) -> None:
    """DNS rebinding: public when it is checked, loopback when it is used. It is asked once, and the first answer used."""
    asked: list[str] = []
    connected: list[Any] = []

    def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["93.184.216.34"] if len(asked) % 2 else ["127.0.0.1"]

    def connect(address: Any, *_: Any, **__: Any) -> Any:
        connected.append(address)
        raise OSError("no network in tests")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "create_connection", connect)
        report = crawl(["http://rebind.example.com/"], tmp_path / "a.warc.gz", clock=clock, resolve=resolve)
    assert asked == ["rebind.example.com"]
    assert connected == [("93.184.216.34", 80)]
    assert report.pages == 0
    with pytest.MonkeyPatch.context() as patch:  # asked once more: its private answer is refused
        patch.setattr(socket, "create_connection", connect)
        crawl(["http://rebind.example.com/"], tmp_path / "a.warc.gz", clock=clock, resolve=resolve)
    assert connected == [("93.184.216.34", 80)]


def test_no_proxy_and_no_cookies(site: Any, clock: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    cookies: list[str | None] = []

    def answer(handler: Any) -> None:
        cookies.append(handler.headers["Cookie"])
        body = links("/b")
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nSet-Cookie: a=b\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))  # fmt: skip

    site.pages |= {"/": answer, "/b": answer}
    assert crawl([site.url], tmp_path / "a.warc.gz", site.settings(sitemaps=False), clock=clock).pages == 2
    assert cookies == [None, None]


def _numbered(site: Any, n: int) -> None:
    for k in range(n):
        site.pages[f"/{k}"] = html(f"{k}. " + ENGLISH, tuple(f"/{j}" for j in (2 * k + 1, 2 * k + 2) if j < n))
    site.pages["/"] = links("/0")


def test_it_goes_on_after_a_kill(site: Any, clock: Any, tmp_path: Path) -> None:
    _numbered(site, 30)
    out = tmp_path / "a.warc.gz"
    code = (
        "import sys; from hanmo.corpora.crawler.crawl import crawl; from hanmo.corpora.crawler.settings import CrawlSettings\n"
        f"crawl([{site.url!r}], {str(out)!r}, CrawlSettings(allow_private=('127.0.0.1:{site.port}',), delay=0.05))"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 30
    while len(site.requests) < 12 and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = len(site.requests)
    assert 12 <= before < 25
    report = crawl([site.url], out, site.settings(), clock=clock)
    assert kept(report, site) == {"/", *(f"/{k}" for k in range(30))}
    asked = [path for path in site.requests if path != "/robots.txt"]
    assert len(asked) <= len(set(asked)) + 1  # the one that was under way when it was killed
    assert len(read(out)[0]) == 31


def test_any_cut_is_mended(site: Any, clock: Any, tmp_path: Path) -> None:
    """Half a record, half a line, lines whose pages did not reach the disk: the same pages, each once."""
    _numbered(site, 8)
    settings = site.settings(delay=0)
    out, journal = tmp_path / "a.warc.gz", tmp_path / "a.crawl.jsonl"
    whole = crawl([site.url], out, settings, clock=clock)
    pages, archive, lines = kept(whole, site), out.read_bytes(), journal.read_bytes()
    requests = len(site.requests)
    assert crawl([site.url], out, settings, clock=clock).requests == 0
    assert (len(site.requests), out.read_bytes()) == (requests, archive)
    ends = [k for k, byte in enumerate(lines) if byte == 10]
    for keep_lines, keep_bytes in [
        (ends[4] + 9, len(archive)), (ends[5] + 1, len(archive)), (len(lines), len(archive) // 2),
        (ends[0] // 2, len(archive)), (0, 10), (len(lines), 0), (ends[-1], len(archive)),
    ]:  # fmt: skip
        out.write_bytes(archive[:keep_bytes])
        journal.write_bytes(lines[:keep_lines])
        assert kept(crawl([site.url], out, settings, clock=clock), site) == pages


def test_files_in_the_way(site: Any, clock: Any, tmp_path: Path) -> None:
    out = tmp_path / "a.warc.gz"
    with pytest.raises(ConfigError, match=r"\.warc\.gz"):
        crawl([site.url], tmp_path / "a.txt", site.settings())
    out.write_bytes(b"something else")
    with pytest.raises(ConfigError, match="no journal"):
        crawl([site.url], out, site.settings())
    assert out.read_bytes() == b"something else"
    (tmp_path / "a.crawl.jsonl").write_text('{"x": 1}\n')
    with pytest.raises(FormatError, match="not a journal"):
        crawl([site.url], out, site.settings())
    (tmp_path / "b.crawl.jsonl").write_text("")
    journal = Journal(tmp_path / "b.crawl.jsonl", tmp_path / "b.warc.gz")
    with pytest.raises(ConfigError, match="another crawl"):
        crawl([site.url], tmp_path / "b.warc.gz", site.settings())
    journal.close()


def test_a_signal_ends_it_and_it_goes_on(site: Any, clock: Any, tmp_path: Path) -> None:
    _numbered(site, 10)

    def interrupt(handler: Any) -> None:
        body = site_page
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n" % len(body))
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        time.sleep(0.05)
        handler.wfile.write(body)

    site_page = site.pages["/3"]
    site.pages["/3"] = interrupt
    report = crawl([site.url], tmp_path / "a.warc.gz", site.settings(delay=0), clock=clock)
    assert report.stopped_by == "SIGINT"
    assert 0 < report.pages < 11
    assert "the same command goes on" in report.summary()
    assert "/3" in kept(report, site)  # the page under way is finished
    site.pages["/3"] = site_page
    report = crawl([site.url], report.out, site.settings(delay=0), clock=clock)
    assert (report.pages, report.stopped_by) == (11, None)
