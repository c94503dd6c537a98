"""robots.txt: what a site allows, how fast, and where its sitemaps are (RFC 9309)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hanmo.core.errors import MissingExtraError
from hanmo.corpora.crawler.addresses import RefusedError
from hanmo.corpora.crawler.fetch import Fetcher
from hanmo.corpora.crawler.links import normalise

__all__ = ["ROBOT", "Robots", "fetch_robots", "parse_robots"]

ROBOT = "hanmo"
"""The name that rules are looked up by."""
_MAX_BYTES = 500 * 1024
"""What is read of a robots.txt (RFC 9309, §2.5)."""
_MAX_REDIRECTS = 5


@dataclass(frozen=True, slots=True)
class Robots:
    """The rules of one host."""

    rules: Any
    """A `protego.Protego`; None where `allows_all` decides."""
    allows_all: bool = False
    delay: float = 0.0
    """Seconds that are asked for between two requests."""
    sitemaps: tuple[str, ...] = ()

    def allows(self, url: str) -> bool:
        """Whether a page may be fetched."""
        return self.allows_all if self.rules is None else self.rules.can_fetch(url, ROBOT)


def parse_robots(data: bytes, url: str) -> Robots:
    """Parse a robots.txt; what is not valid in it is passed over.

    Raises:
        MissingExtraError: if protego is not installed.
    """
    try:
        from protego import Protego
    except ImportError as error:
        raise MissingExtraError("protego", "corpus", "reading robots.txt") from error
    rules = Protego.parse(data[:_MAX_BYTES].decode("utf-8", "replace").removeprefix("\ufeff"))
    rate = rules.request_rate(ROBOT)
    delay = max(rules.crawl_delay(ROBOT) or 0.0, rate.seconds / rate.requests if rate else 0.0)
    sitemaps = (normalise(address, url) for address in rules.sitemaps)
    return Robots(rules, delay=delay, sitemaps=tuple(dict.fromkeys(address for address in sitemaps if address)))


def fetch_robots(fetcher: Fetcher, origin: str) -> Robots:
    """Ask for the rules of a host: everything is allowed where there are none (4xx), nothing where the server fails,
    is not reached, or asks to wait.

    Raises:
        MissingExtraError: if protego is not installed.
    """
    url = f"{origin}/robots.txt"
    for _ in range(_MAX_REDIRECTS + 1):
        try:
            answer = fetcher.fetch(url, max_bytes=_MAX_BYTES, may_cut=True)
        except RefusedError:
            return Robots(None)
        if 300 <= answer.status < 400 and answer.location:
            target = normalise(answer.location, url)
            if target is None:
                return Robots(None)
            url = target
            continue
        if answer.status == 200:
            return parse_robots(answer.body, url)
        return Robots(None, allows_all=400 <= answer.status < 500 and answer.status != 429)
    return Robots(None, allows_all=True)
