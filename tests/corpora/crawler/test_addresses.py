from __future__ import annotations

import ipaddress
import socket
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmo.corpora.crawler.addresses import RefusedError, check_target, is_public, resolve_host
from hanmo.corpora.crawler.fetch import Fetcher
from hanmo.corpora.crawler.links import normalise
from hanmo.corpora.crawler.settings import CrawlSettings

HOSTILE = [
    "http://127.0.0.1/", "http://localhost/", "http://LOCALHOST./", "http://127.1/", "http://2130706433/",
    "http://0x7f000001/", "http://0177.0.0.1/", "http://0x7f.0.0.1/", "http://0/", "http://0.0.0.0/",
    "http://[::1]/", "http://[::]/", "http://[::ffff:127.0.0.1]/", "http://[::ffff:a9fe:a9fe]/", "http://[::127.0.0.1]/",
    "http://[2002:7f00:1::]/", "http://[64:ff9b::10.0.0.1]/", "http://[fe80::1%25eth0]/", "http://[fc00::1]/", "http://[ff02::1]/",
    "http://169.254.169.254/latest/meta-data/", "http://10.0.0.1/", "http://172.16.0.1/", "http://192.168.1.1/", "http://100.64.0.1/",
    "http://224.0.0.1/", "http://255.255.255.255/", "http://198.18.0.1/", "http://[fec0::1]/", "http://[3fff::1]/",
    "http://①②⑦.⓪.⓪.①/", "http://127。0。0。1/", "http://１２７.0.0.1/", "http://user:pass@example.com/", "http://example.com:22/",
    "http://example.com:6379/", "ftp://example.com/", "file:///etc/passwd", "gopher://127.0.0.1/", "javascript:alert(1)",
    "http://example.com\\@127.0.0.1/", "http://127.0.0.1\\.example.com/", "http://example.com#@127.0.0.1/a b",
    "http://[::ffff:0:127.0.0.1]/", "http://intranet/", "http://metadata.google.internal/", "http://private.example.com/",
    "http://mixed.example.com/", "http://v6.example.com/", "http://unknown.example.com/", "http://-x-.example.com/", "http:///x",
    "http://ex ample.com/", "http://example.com:99999/", "http://example.com:80x/", "http://" + "a" * 300 + ".com/", "//x", "",
]  # fmt: skip
NAMES = {
    "localhost": ["127.0.0.1"], "intranet": ["10.1.2.3"], "metadata.google.internal": ["169.254.169.254"],
    "private.example.com": ["192.168.0.9"], "mixed.example.com": ["93.184.216.34", "127.0.0.1"],
    "v6.example.com": ["2606:4700::1", "::ffff:10.0.0.1"],
}  # fmt: skip


def resolve(host: str, port: int) -> list[str]:
    if host in NAMES:
        return NAMES[host]
    try:  # as the system reads 127.1, 0x7f000001 and the like
        return [socket.inet_ntoa(socket.inet_aton(host))]
    except OSError:
        pass
    try:
        return [str(ipaddress.ip_address(host))]
    except ValueError:
        raise socket.gaierror(-2, "unknown") from None


@pytest.mark.parametrize("url", HOSTILE)
def test_nothing_private_is_connected_to(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(*address: Any, **_: Any) -> Any:
        raise AssertionError(f"connected to {address}")

    monkeypatch.setattr(socket, "create_connection", connect)
    fetcher = Fetcher(CrawlSettings(), "hanmo", resolve)
    for form in {url, normalise(url)} - {None}:
        with pytest.raises(RefusedError):
            fetcher.fetch(form or "")
    assert fetcher.n_requests == 0


def test_public_addresses_are_allowed() -> None:
    for address in (
        "93.184.216.34",
        "2606:4700::6810:84e5",
        "64:ff9b::5db8:d822",
        "2002:5db8:d822::1",
        "::ffff:93.184.216.34",
    ):
        assert is_public(address)
    target = check_target("https://例子.example.com/a?b".replace("例子", "xn--fsqu00a"))
    assert (target.netloc, target.path, target.port) == ("xn--fsqu00a.example.com", "/a?b", 443)
    assert resolve_host(target, lambda host, port: ["93.184.216.34"]) == ["93.184.216.34"]
    assert check_target("http://www.example.com/").site == check_target("https://example.com/").site
    assert check_target("http://[2606:4700::1]/").origin == "http://[2606:4700::1]"


def test_what_is_allowed_is_that_port_of_that_host_alone() -> None:
    allowed = ("127.0.0.1:8000", "wiki.lan:80", "[::1]:8080")
    for url in ("http://127.0.0.1:8000/x", "http://wiki.lan/", "http://[::1]:8080/"):
        target = check_target(url, allowed)
        assert target.is_private_allowed
        assert resolve_host(target, lambda host, port: ["10.0.0.5"]) == ["10.0.0.5"]
    for url in ("http://127.0.0.1:8001/", "http://127.0.0.1/", "http://127.0.0.2:8000/", "http://wiki.lan:81/"):
        with pytest.raises(RefusedError):
            check_target(url, allowed)
    with pytest.raises(RefusedError):
        resolve_host(check_target("https://wiki.lan/", allowed), lambda host, port: ["10.0.0.5"])


@settings(max_examples=100)
@given(st.integers(0, 2**32 - 1))
def test_an_inner_address_counts(number: int) -> None:
    inner = ipaddress.IPv4Address(number)
    forms = [f"::ffff:{inner}", str(ipaddress.IPv6Address((0x64FF9B << 96) | number)),
             str(ipaddress.IPv6Address((0x2002 << 112) | (number << 80) | 1))]  # fmt: skip
    for form in forms:
        assert is_public(form) == is_public(str(inner))
    assert not is_public(str(inner)) or inner.is_global


@settings(max_examples=60)
@given(st.text(max_size=60))
def test_any_text_is_refused_or_clean(text: str) -> None:
    for url in (text, "http://" + text, "http://example.com/" + text):
        form = normalise(url)
        if form is None:
            continue
        try:
            target = check_target(form)
        except RefusedError:
            continue
        assert "\r" not in target.path + target.netloc
        assert "\n" not in target.path + target.netloc
        assert " " not in target.path
        assert (target.path + target.netloc).isascii()
        assert normalise(form) == form
