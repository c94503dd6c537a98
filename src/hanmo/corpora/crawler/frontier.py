"""What is still to be fetched, and when which host may be asked again."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field

from hanmo.corpora.crawler.addresses import RefusedError, check_target
from hanmo.corpora.crawler.links import alike, is_loop, is_page_link
from hanmo.corpora.crawler.robots import Robots
from hanmo.corpora.crawler.settings import CrawlSettings

__all__ = ["Entry", "Frontier", "Host"]


@dataclass(frozen=True, slots=True)
class Entry:
    """An address to fetch."""

    url: str
    depth: int = 0
    """Links from a start page."""
    kind: str = "page"
    """"page" or "sitemap"."""
    hops: int = 0
    """Redirects on the way here."""
    tries: int = 0


@dataclass(slots=True)
class Host:
    """A host, with and without www, and what waits for it."""

    queue: deque[Entry] = field(default_factory=deque)
    ready: float = 0.0
    """When it may be asked again, on the clock of the crawl."""
    robots: dict[str, Robots] = field(default_factory=dict)
    """By origin: http and https have a robots.txt each."""
    n_failures: int = 0
    """Pages in a row that got no answer."""
    left: str | None = None
    """Why it is not asked any more in this run."""


class Frontier:
    """The addresses that wait, by host and in the order they were met; every address is taken once.

    Args:
        settings: limits of depth, of addresses, and of those that are alike.
    """

    def __init__(self, settings: CrawlSettings):
        self._settings = settings
        self.sites: set[str] = set()
        self.hosts: dict[str, Host] = {}
        self._seen: set[str] = set()
        self._alike: Counter[str] = Counter()

    def refusal(self, entry: Entry) -> str | None:
        """Why an address is not taken; "" for one that was taken before, None for one to take."""
        settings = self._settings
        if entry.url in self._seen:
            return ""
        try:
            target = check_target(entry.url, settings.allow_private)
        except RefusedError as error:
            return error.what
        if target.site not in self.sites:
            return "link to another site"
        if entry.kind == "page" and entry.depth:
            if entry.depth > settings.max_depth:
                return "deeper than max_depth"
            if not is_page_link(entry.url):
                return "link to a file that is no page"
            if is_loop(entry.url):
                return "path that goes in circles"
        if len(self._seen) >= settings.max_addresses:
            return "more addresses than max_addresses"
        if entry.depth and self._alike[alike(entry.url)] >= settings.max_alike:
            return "more addresses of one pattern than max_alike"
        return None

    def take(self, entry: Entry, *, first: bool = False) -> None:
        """Queue an address that was not refused; `first` puts it before the others of its host."""
        self._seen.add(entry.url)
        self._alike[alike(entry.url)] += 1
        self.put(entry, first=first)

    def put(self, entry: Entry, *, first: bool = False) -> None:
        """Queue an address that was taken before (to try it again, or to read a journal)."""
        queue = self.host_of(entry.url).queue
        queue.appendleft(entry) if first else queue.append(entry)

    def host_of(self, url: str) -> Host:
        """The host of an address."""
        return self.hosts.setdefault(check_target(url, self._settings.allow_private).site, Host())

    def next_host(self) -> Host | None:
        """The host that may be asked soonest; None where nothing waits."""
        waiting = (host for host in self.hosts.values() if host.queue and host.left is None)
        return min(waiting, key=lambda host: host.ready, default=None)

    def n_waiting(self) -> int:
        """Addresses that wait, those of hosts that are left among them."""
        return sum(len(host.queue) for host in self.hosts.values())
