"""A site on loopback, and a clock that a test turns."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from hanmo.corpora.crawler.settings import CrawlSettings


@dataclass
class Site:
    """What is served: path → body, (status, headers, body), or a function that writes to the socket itself."""

    pages: dict[str, Any] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    agents: list[str] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    now: Callable[[], float] = float
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def settings(self, **values: Any) -> CrawlSettings:
        return CrawlSettings.model_validate({"allow_private": (f"127.0.0.1:{self.port}",), "page_seconds": 5} | values)


class FakeClock:
    """Time passes only by sleeping."""

    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def site(clock: FakeClock) -> Iterator[Site]:
    served = Site(now=clock.now)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            served.requests.append(self.path)
            served.agents.append(self.headers["User-Agent"])
            served.times.append(served.now())
            self.close_connection = True
            answer = served.pages.get(self.path)
            if isinstance(answer, list):  # one after the other
                answer = answer.pop(0) if len(answer) > 1 else answer[0]
            if callable(answer):
                answer(self)
                return
            if answer is None:
                answer = (404, {}, b"not here")
            elif isinstance(answer, bytes):
                answer = (200, {"Content-Type": "text/html"}, answer)
            status, headers, body = answer
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if "Content-Length" not in headers:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None: ...

        def handle(self) -> None:
            try:
                super().handle()
            except OSError:  # the crawler went away, as it should
                self.close_connection = True

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

    server = Server(("127.0.0.1", 0), Handler)
    served.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield served
    server.shutdown()
    server.server_close()
    thread.join()
