"""One request: to the address that was checked, within its bytes and seconds, without proxies, cookies and redirects.

Python's own `http.client` parses the answer, over a wire of ours: it keeps every byte as it came, which is what a web
archive holds, and it counts the seconds of the whole answer, so that a server which sends a byte now and then has no
more time than others. Clients such as httpx hide both, and have no public place where an address can be pinned.
"""

from __future__ import annotations

import functools
import http.client
import io
import re
import socket
import ssl
import time
from dataclasses import dataclass, field
from typing import Any, cast

from hanmo.core.errors import FormatError
from hanmo.corpora.crawler.addresses import RefusedError, Resolve, Target, check_target, resolve_host
from hanmo.corpora.crawler.settings import CrawlSettings
from hanmo.corpora.sources.compression import Unpacked

__all__ = ["Fetcher", "NoAnswerError", "Response"]

_HEAD_BYTES = 2**16
"""What an answer may have besides its body."""
_BLOCK_BYTES = 2**16
_TRY_SECONDS = 5.0
"""Longest time for connecting to an address where there are others."""
_MAX_RATIO = 200.0
"""Largest ratio of unpacked to packed bytes, once past the first megabyte."""

_EMPTY_LINE = re.compile(rb"\n\r?\n")


class NoAnswerError(RefusedError):
    """The server was not reached, or did not answer whole and in time; another time it may."""


@dataclass(frozen=True, slots=True)
class Response:
    """An answer."""

    target: Target
    address: str
    """IP address that was connected to."""
    request: bytes
    raw: bytes = field(repr=False)
    """Status, headers and body as they came."""
    status: int
    headers: http.client.HTTPMessage
    body: bytes = field(repr=False)
    """Unpacked; empty where the type was not wanted."""

    @property
    def media(self) -> str:
        """`text/html`; empty where the server does not say."""
        return self.headers.get("Content-Type", "").partition(";")[0].strip().lower()

    @property
    def location(self) -> str:
        """Where a redirect leads; bytes that are not ASCII, whatever their encoding, are escaped as they came."""
        value = self.headers.get("Location", "").encode("latin-1", "replace")
        return "".join(chr(byte) if byte < 128 else f"%{byte:02X}" for byte in value)


class _Wire(io.RawIOBase):
    """What a socket receives, up to a number of bytes and a point in time; all of it is kept."""

    def __init__(self, connection: socket.socket, max_bytes: int, deadline: float):
        self._connection, self._max_bytes, self._deadline = connection, max_bytes, deadline
        self.received = bytearray()
        self.is_full = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        room = self._max_bytes - len(self.received)
        if room <= 0:
            self.is_full = True
            return 0
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._connection.settimeout(left)
        view = memoryview(buffer)[:room]
        n = self._connection.recv_into(view)
        self.received += view[:n]
        return n

    def makefile(self, mode: str) -> io.BufferedReader:
        """What `http.client.HTTPResponse` asks of a socket."""
        return io.BufferedReader(self, _BLOCK_BYTES)


class Fetcher:
    """Sends the requests of a crawl.

    Args:
        settings: what may be asked, and how much may come.
        user_agent: who we are.
        resolve: names to addresses; the system's resolver unless given.
    """

    def __init__(self, settings: CrawlSettings, user_agent: str, resolve: Resolve | None = None):
        self._settings, self._user_agent, self._resolve = settings, user_agent, resolve
        self.n_requests = self.n_bytes = 0

    @functools.cached_property
    def _tls(self) -> ssl.SSLContext:
        return ssl.create_default_context()

    def fetch(
        self,
        url: str,
        *,
        media: frozenset[str] | None = None,
        max_bytes: int | None = None,
        may_cut: bool = False,
        unpack: bool = True,
    ) -> Response:
        """Ask for a page. A redirect is an answer like others.

        Args:
            url: normalised.
            media: types whose body is wanted where the status is 200; any if None.
            max_bytes: as `max_page_bytes`, instead of it.
            may_cut: give the beginning of a body that is too large, instead of refusing it.
            unpack: undo gzip.

        Raises:
            NoAnswerError: if there is none, or it is cut off or too slow.
            RefusedError: if it may not be asked for, or is too large.
        """
        target = check_target(url, self._settings.allow_private)
        deadline = time.monotonic() + self._settings.page_seconds
        addresses = resolve_host(target, self._resolve)
        limit = max_bytes or self._settings.max_page_bytes
        self.n_requests += 1
        request = (
            f"GET {target.path} HTTP/1.1\r\nHost: {target.netloc}\r\nUser-Agent: {self._user_agent}\r\n"
            "Accept: text/html,application/xhtml+xml,text/plain;q=0.9,*/*;q=0.1\r\n"
            "Accept-Encoding: gzip\r\nConnection: close\r\n\r\n"
        ).encode("ascii")
        wire = None
        try:
            with self._connect(target, addresses, deadline) as connection:
                address = str(connection.getpeername()[0])
                wire = _Wire(connection, limit + _HEAD_BYTES, deadline)
                connection.sendall(request)
                answer = http.client.HTTPResponse(cast("socket.socket", wire), method="GET")
                answer.begin()
                body = self._read_body(answer, wire, url, limit, media, may_cut)
                raw = bytes(wire.received)
        except TimeoutError as error:
            raise NoAnswerError("answer that takes too long (page_seconds)", where=url) from error
        except ssl.SSLCertVerificationError as error:
            raise RefusedError("certificate that is not valid", where=url) from error
        except http.client.IncompleteRead as error:
            if wire is not None and wire.is_full:
                raise RefusedError("page larger than max_page_bytes", where=url) from error
            raise NoAnswerError("answer that is cut off", where=url) from error
        except http.client.HTTPException as error:
            raise NoAnswerError("answer that is not valid HTTP", where=url) from error
        except OSError as error:
            raise NoAnswerError("no connection to the server", where=url) from error
        finally:
            self.n_bytes += len(wire.received) if wire is not None else 0
        if not answer.chunked and (
            head := _EMPTY_LINE.search(raw)
        ):  # what a server sends behind its page is no part of it
            raw = raw[: head.end() + len(body)]
        if unpack:
            body = _unpack(body, answer.headers, limit, url)
        return Response(target, address, request, raw, answer.status, answer.headers, body)

    def _connect(self, target: Target, addresses: list[str], deadline: float) -> socket.socket:
        """Connect to the first of the addresses that answers."""
        for address in addresses[:-1]:
            try:
                return self._connect_to(target, address, min(deadline, time.monotonic() + _TRY_SECONDS))
            except OSError:
                continue
        return self._connect_to(target, addresses[-1], deadline)

    def _connect_to(self, target: Target, address: str, deadline: float) -> socket.socket:
        connection = socket.create_connection((address, target.port), max(deadline - time.monotonic(), 0.001))
        if target.scheme == "http":
            return connection
        try:
            connection.settimeout(max(deadline - time.monotonic(), 0.001))
            return self._tls.wrap_socket(connection, server_hostname=target.host)
        except BaseException:
            connection.close()
            raise

    def _read_body(
        self,
        answer: http.client.HTTPResponse,
        wire: _Wire,
        url: str,
        limit: int,
        media: frozenset[str] | None,
        may_cut: bool,
    ) -> bytes:
        kind = answer.headers.get("Content-Type", "text/html").partition(";")[0].strip().lower()
        if media is not None and (answer.status != 200 or kind not in media):
            return b""
        if answer.length is not None and answer.length > limit and not may_cut:
            raise RefusedError("page larger than max_page_bytes", where=url)
        parts, size = [], 0
        while size < limit:
            # a piece at a time: a length of terabytes in a header must not become an allocation
            try:
                block = answer.read(min(_BLOCK_BYTES, limit - size))
            except http.client.IncompleteRead:
                if not may_cut:
                    raise
                break
            if not block:
                if answer.length and not may_cut:  # fewer bytes came than were announced
                    raise http.client.IncompleteRead(b"", answer.length)
                break
            parts.append(block)
            size += len(block)
        if (wire.is_full or (size >= limit and answer.read(1))) and not may_cut:
            raise RefusedError("page larger than max_page_bytes", where=url)
        return b"".join(parts)


def _unpack(body: bytes, headers: http.client.HTTPMessage, limit: int, url: str) -> bytes:
    codings = [part.strip().lower() for part in ",".join(headers.get_all("Content-Encoding") or []).split(",")]
    codings = [coding for coding in codings if coding not in ("", "identity")]
    if not codings or not body:
        return body
    if codings not in (["gzip"], ["x-gzip"]):
        raise RefusedError("compression that was not asked for", where=url)
    unpacked = Unpacked(io.BytesIO(body), "gzip", max_bytes=limit, max_ratio=_MAX_RATIO, skip_damage=False)
    try:
        data = unpacked.readall() or b""
    except FormatError as error:
        raise RefusedError("page that unpacks to more than max_page_bytes", where=url) from error
    if unpacked.problem:
        raise RefusedError("damaged compressed page", where=url)
    return data
