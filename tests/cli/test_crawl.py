from __future__ import annotations

import json
import threading
from collections.abc import Callable
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from hanmo.corpora.documents import Document
from hanmo.corpora.settings import CorpusSettings
from hanmo.corpora.sources.files import SourceFile, read_file

TEXT = "砚台上的墨要用清水慢慢地磨，磨到浓黑发亮，才可以提笔写字，写完以后还要把笔洗干净。"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None: ...


def test_a_crawl(hanmo: Callable[..., Any], tmp_path: Path) -> None:
    folder, out = tmp_path / "网站", tmp_path / "site.warc.gz"
    folder.mkdir()
    (folder / "index.html").write_text(f'<html><body><a href="墨.html">墨</a><article><p>{TEXT * 9}', encoding="utf-8")
    (folder / "墨.html").write_text(f"<html><body><article><p>另一页。{TEXT * 8}", encoding="utf-8")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    here = f"127.0.0.1:{server.server_port}"
    options = ("--out", out, "--allow-private", here, "--delay", 0, "--contact", "me@example.org")
    try:
        done = hanmo("corpus", "crawl", f"http://{here}/", *options, "--json")
        found = json.loads(done.out)
        assert (done.code, found["pages"], found["waiting"], found["stopped_by"]) == (0, 2, 0, None)
        assert "2 pages" in hanmo("corpus", "crawl", f"http://{here}/", *options, "--set", "max_depth=3").out
        assert hanmo("corpus", "crawl", f"http://{here}/gone", *options[2:], "--out", tmp_path / "b.warc.gz").code == 1
    finally:
        server.shutdown()
        server.server_close()
    shown = [item for item in read_file(SourceFile(out, out.name), CorpusSettings()) if isinstance(item, Document)]
    assert [document.text[:4] for document in shown] == ["砚台上的", "另一页。"]


def test_wrong_use(hanmo: Callable[..., Any], tmp_path: Path) -> None:
    out = tmp_path / "site.warc.gz"
    for url, words in (
        ("http://127.0.0.1:8000/", "another port"), ("http://10.0.0.1/", "private network"),
        ("http://user:secret@example.org/", "user name"), ("file:///etc/passwd", "not an address"), ("http://0x7f.1/", "not valid"),
    ):  # fmt: skip
        message = hanmo("corpus", "crawl", url, "--out", out).refused(words, code=2)
        assert "secret" not in message or "user name" in message
    hanmo("corpus", "crawl", "--out", out).refused("no address to start from", code=2)
    hanmo("corpus", "crawl", "example.org", "--out", tmp_path / "x.txt").refused(".warc.gz", code=2)
    hanmo("corpus", "crawl", "example.org", "--out", out, "--contact", "a b").refused("contact", code=2)
    hanmo("corpus", "crawl", "example.org", "--out", out, "--set", "dealy=3").refused("dealy", code=2)
    assert not list(tmp_path.iterdir())
