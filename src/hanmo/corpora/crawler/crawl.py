"""The crawl: one request at a time, to whichever host may be asked soonest."""

from __future__ import annotations

import email.utils
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from hanmo import __version__
from hanmo.core.errors import ConfigError, FormatError
from hanmo.core.interrupts import Interrupts
from hanmo.core.progress import Bar, progress, say
from hanmo.corpora.crawler.addresses import RefusedError, Resolve, check_target
from hanmo.corpora.crawler.clock import Clock, SystemClock
from hanmo.corpora.crawler.fetch import Fetcher, NoAnswerError, Response
from hanmo.corpora.crawler.frontier import Entry, Frontier, Host
from hanmo.corpora.crawler.journal import FORMAT, Journal
from hanmo.corpora.crawler.links import is_reserved, normalise, read_page
from hanmo.corpora.crawler.report import CrawlReport
from hanmo.corpora.crawler.robots import ROBOT, fetch_robots
from hanmo.corpora.crawler.settings import CrawlSettings
from hanmo.corpora.crawler.sitemap import MAX_SITEMAP_BYTES, read_sitemap
from hanmo.corpora.crawler.warc_writer import WarcWriter

__all__ = ["crawl"]

_HTML = frozenset({"text/html", "application/xhtml+xml"})
_TEXT = _HTML | {"text/plain"}
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MAX_HOPS = 5
_MAX_TRIES = 3
"""Requests for one page that gets no answer, or is told to wait."""
_MAX_FAILURES = 6
"""Pages in a row without an answer, after which a host is left for this run."""
_FAILURE_WAIT = 5.0
"""Seconds to wait after a request without an answer; twice as long each further time."""
_FIRST_WAIT = 30.0
"""Seconds to wait after an answer 429 or 503 that does not say how long; twice as long each further time."""
_NAP = 0.2
"""Seconds of sleep between two looks at the signals."""


def crawl(
    seeds: Sequence[str],
    out: str | Path,
    settings: CrawlSettings | None = None,
    *,
    resolve: Resolve | None = None,
    clock: Clock | None = None,
) -> CrawlReport:
    """Fetch the pages of the sites of `seeds` into a web archive. A crawl that was stopped goes on with the same call.

    Args:
        seeds: addresses to start from; only pages of their hosts, with or without www, are fetched.
        out: the file, `.warc.gz`; its journal stands beside it.
        settings: pace and limits.
        resolve: names to IP addresses; the system's resolver unless given.
        clock: the machine's unless given.

    Raises:
        ConfigError: for a start address that may not be fetched, and a file that is in the way.
        FormatError: if the journal is damaged.
        MissingExtraError: if protego or lxml is not installed.
        StorageError: if the disk is full or may not be written.
    """
    out = Path(out)
    if not out.name.endswith(".warc.gz"):
        raise ConfigError("not the name of a web archive", where=out, remedy="Let it end in .warc.gz.")
    settings = settings or CrawlSettings()
    entries = [_read_seed(seed, settings) for seed in seeds]
    journal = Journal(out.with_name(out.name.removesuffix(".warc.gz") + ".crawl.jsonl"), out)
    try:
        work = _Crawl(out, journal, settings, resolve, clock or SystemClock())
        return work.run(entries)
    finally:
        journal.close()


def _read_seed(seed: str, settings: CrawlSettings) -> Entry:
    url = normalise(seed if "://" in seed else f"https://{seed}")
    try:
        if url is None:
            raise RefusedError("not an address of the web")
        check_target(url, settings.allow_private)
    except RefusedError as error:
        raise ConfigError(
            f"{error.what}: {seed[:200]!r}", where="address to start from",
            remedy="Give public addresses of http or https; allow_private is for hosts of your own network.",
        ) from error  # fmt: skip
    return Entry(url)


class _Crawl:
    def __init__(self, out: Path, journal: Journal, settings: CrawlSettings, resolve: Resolve | None, clock: Clock):
        self._settings, self._journal, self._clock = settings, journal, clock
        contact = f" (+{settings.contact})" if settings.contact else ""
        self._agent = f"{ROBOT}/{__version__}{contact}"
        self._fetcher = Fetcher(settings, self._agent, resolve)
        self._frontier = Frontier(settings)
        self._report = CrawlReport(out)
        self._per_site: Counter[str] = Counter()
        self._start = clock.now()

    def run(self, seeds: list[Entry]) -> CrawlReport:
        report = self._report
        is_new = not self._replay()
        self._archive = WarcWriter(report.out, self._journal.archive_size)
        try:
            if is_new:
                software = {"software": f"hanmo/{__version__}", "format": "WARC File Format 1.1"}
                self._archive.write_info(software | {"http-header-user-agent": self._agent, "robots": "obey"})
                self._journal.write({"format": FORMAT, "end": self._archive.size})
            self._take_seeds(seeds)
            before, label = report.bytes, "Crawl"
            with Interrupts() as signals, progress(label, self._settings.max_pages, "pages") as bar:
                bar.advance(report.pages)
                while (reason := self._reason_to_end(signals)) is None:
                    self._step(bar, before, signals)
                report.ended_by, report.stopped_by = reason, signals.signal_name
        finally:
            self._archive.close()
        report.requests, report.archive_bytes = self._fetcher.n_requests, self._archive.size
        report.seconds, report.waiting = self._clock.now() - self._start, self._frontier.n_waiting()
        report.left = {name: host.left for name, host in self._frontier.hosts.items() if host.left and host.queue}
        return report

    def _replay(self) -> bool:
        """Read the journal of earlier runs; return whether there is one."""
        done: set[str] = set()
        taken: dict[str, Entry] = {}
        found = False
        for event in self._journal.replay():
            found = True
            self._frontier.sites.update(event.get("sites", ()))
            done |= {event["url"]} if "url" in event else set()
            for url, depth, kind, hops in event.get("new", ()):
                taken[url] = Entry(url, depth, kind, hops)
            self._count(event)
        for entry in taken.values():
            try:
                self._frontier.take(entry)
            except RefusedError as error:
                raise ConfigError(
                    f"{error.what}: {entry.url}",
                    where=self._report.out,
                    remedy="Go on with the settings it began with.",
                ) from error
        for host in self._frontier.hosts.values():
            waiting = [entry for entry in host.queue if entry.url not in done]
            host.queue.clear()
            # sitemaps stood before pages
            host.queue.extend(sorted(waiting, key=lambda entry: entry.kind != "sitemap"))
        if found:
            say(f"Going on: {self._report.pages:,} pages are there, {self._frontier.n_waiting():,} addresses wait.")
        return found

    def _count(self, event: dict[str, Any]) -> None:
        report = self._report
        report.bytes += event.get("bytes", 0)
        report.skipped.update(event.get("skipped", {}))
        if event.get("kept"):
            report.pages += 1
            self._per_site[check_target(event["url"], self._settings.allow_private).site] += 1

    def _record(self, event: dict[str, Any]) -> None:
        self._journal.write(event)
        self._count(event)

    def _take_seeds(self, seeds: list[Entry]) -> None:
        sites = {check_target(seed.url, self._settings.allow_private).site for seed in seeds}
        self._frontier.sites |= sites
        new, skipped = self._take(seeds)
        if new:
            self._record({"sites": sorted(sites), "new": new, "skipped": skipped})

    def _take(self, entries: Iterable[Entry], *, first: bool = False) -> tuple[list[list[Any]], dict[str, int]]:
        """Queue what is not refused; return it and the reasons of the others, for the journal."""
        new: list[list[Any]] = []
        skipped: Counter[str] = Counter()
        for entry in entries:
            reason = self._frontier.refusal(entry)
            if reason is None:
                self._frontier.take(entry, first=first)
                new.append([entry.url, entry.depth, entry.kind, entry.hops])
            elif reason:
                skipped[reason] += 1
        return new, dict(skipped)

    def _reason_to_end(self, signals: Interrupts) -> str | None:
        settings, report = self._settings, self._report
        if signals.signal_name is not None:
            return f"stopped by {signals.signal_name}"
        if report.pages >= settings.max_pages:
            return "max_pages is reached"
        if report.bytes >= settings.max_bytes:
            return "max_bytes is reached"
        if self._clock.now() - self._start >= settings.max_seconds:
            return "max_seconds is reached"
        if self._frontier.next_host() is None:
            return (
                "nothing is left"
                if not self._frontier.n_waiting()
                else "what is left is on hosts that do not answer or ask to wait"
            )
        return None

    def _step(self, bar: Bar, bytes_before: int, signals: Interrupts) -> None:
        """Wait until a host may be asked, and ask it once."""
        host = self._frontier.next_host()
        assert host is not None
        wait = host.ready - self._clock.now()
        if wait > 0:
            # in naps: a signal, or the end of the run, is met soon
            self._clock.sleep(min(wait, _NAP))
            return
        entry = host.queue[0]
        target = check_target(entry.url, self._settings.allow_private)
        pages = self._report.pages
        before = self._fetcher.n_bytes
        if target.origin not in host.robots:
            self._ask_robots(host, target.origin)
            self._record({"bytes": self._fetcher.n_bytes - before})
        else:
            host.queue.popleft()
            event = self._handle(host, entry)
            if event is not None:
                self._record({"url": entry.url, "bytes": self._fetcher.n_bytes - before} | event)
            elif self._fetcher.n_bytes > before:
                self._record({"bytes": self._fetcher.n_bytes - before})
        seconds = max(self._clock.now() - self._start, 1e-9)
        rate = (self._report.bytes - bytes_before) / 1e6 / seconds
        bar.advance(self._report.pages - pages, waiting=self._frontier.n_waiting(), speed=f"{rate:.2f} MB/s")

    def _pause(self, host: Host, origin: str) -> None:
        robots = host.robots.get(origin)
        asked = min(robots.delay, self._settings.max_delay) if robots else 0.0
        host.ready = self._clock.now() + max(self._settings.delay, asked)

    def _ask_robots(self, host: Host, origin: str) -> None:
        robots = host.robots[origin] = fetch_robots(self._fetcher, origin)
        if robots.rules is None and not robots.allows_all:
            host.left = "robots.txt cannot be read, so nothing is allowed"
        elif self._settings.sitemaps:
            sitemaps = robots.sitemaps or (f"{origin}/sitemap.xml",)
            new, skipped = self._take([Entry(url, 0, "sitemap") for url in sitemaps], first=True)
            if new or skipped:
                self._record({"new": new, "skipped": skipped})
        self._pause(host, origin)

    def _handle(self, host: Host, entry: Entry) -> dict[str, Any] | None:
        """Fetch an address; return what there is to say about it, or None if it is queued again."""
        target = check_target(entry.url, self._settings.allow_private)
        if not host.robots[target.origin].allows(entry.url):
            return _skip("robots.txt forbids it")
        if self._per_site[target.site] >= self._settings.max_pages_per_site:
            return _skip("more pages of a site than max_pages_per_site")
        try:
            if entry.kind == "sitemap":
                answer = self._fetcher.fetch(entry.url, max_bytes=MAX_SITEMAP_BYTES, may_cut=True)
            else:
                answer = self._fetcher.fetch(entry.url, media=_TEXT)
        except NoAnswerError as error:
            self._pause(host, target.origin)
            return self._fail(host, entry, error.what)
        except RefusedError as error:
            self._pause(host, target.origin)
            return _skip(error.what)
        self._pause(host, target.origin)
        host.n_failures = 0
        if answer.status in (429, 503):
            return self._wait(host, entry, answer)
        if answer.status in _REDIRECTS:
            return self._redirect(entry, answer)
        if entry.kind == "sitemap":
            return self._read_sitemap(entry, answer)
        if answer.status != 200:
            return _skip(f"HTTP status {answer.status}")
        return self._keep(entry, answer)

    def _fail(self, host: Host, entry: Entry, reason: str) -> dict[str, Any] | None:
        # further tries of the same pages say less about the host than pages that were not asked for before
        host.n_failures += not entry.tries
        host.ready = max(host.ready, self._clock.now() + _FAILURE_WAIT * 2**entry.tries)
        if host.n_failures >= _MAX_FAILURES:
            host.left = f"{reason}, {_MAX_FAILURES} pages in a row"
        return self._again(entry, reason)

    def _again(self, entry: Entry, reason: str, *, first: bool = False) -> dict[str, Any] | None:
        if entry.tries + 1 >= _MAX_TRIES:
            return _skip(reason)
        self._frontier.put(Entry(entry.url, entry.depth, entry.kind, entry.hops, entry.tries + 1), first=first)
        return None

    def _wait(self, host: Host, entry: Entry, answer: Response) -> dict[str, Any] | None:
        wait = _retry_after(answer.headers.get("Retry-After"))
        if wait is None:
            wait = _FIRST_WAIT * 2**entry.tries
        if wait > self._settings.max_wait:
            host.left = "it asks to wait longer than max_wait"
            self._frontier.put(entry, first=True)
            return None
        host.ready = max(host.ready, self._clock.now() + wait)
        return self._again(entry, f"HTTP status {answer.status}", first=True)

    def _redirect(self, entry: Entry, answer: Response) -> dict[str, Any]:
        url = normalise(answer.location, entry.url) if answer.location else None
        if url is None:
            return _skip("redirect to nowhere")
        if entry.hops >= _MAX_HOPS:
            return _skip(f"more than {_MAX_HOPS} redirects")
        onward = Entry(url, entry.depth, entry.kind, entry.hops + 1)
        reason = self._frontier.refusal(onward)
        if reason is not None:
            return _skip(f"redirect: {reason or 'address that is known'}")
        new, _ = self._take([onward], first=True)
        return {"new": new}

    def _read_sitemap(self, entry: Entry, answer: Response) -> dict[str, Any]:
        if answer.status != 200:
            return _skip(f"no sitemap (HTTP status {answer.status})")
        sitemap = read_sitemap(answer.body, entry.url)
        new, skipped = self._take(Entry(url, 1) for url in sitemap.pages)
        if entry.depth < 2:  # an index may name an index; deeper is a trap
            more, also = self._take((Entry(url, entry.depth + 1, "sitemap") for url in sitemap.sitemaps), first=True)
            new, skipped = [*new, *more], dict(Counter(skipped) + Counter(also))
        if sitemap.problem:
            skipped["rest of a sitemap: " + sitemap.problem] = 1
        return {"new": new, "skipped": skipped}

    def _keep(self, entry: Entry, answer: Response) -> dict[str, Any]:
        media = answer.media or "text/html"
        if media not in _TEXT:
            return _skip("content that is neither HTML nor plain text")
        robots = answer.headers.get_all("X-Robots-Tag") or []
        is_refused = is_reserved(robots, answer.headers.get("tdm-reservation"))
        new: list[list[Any]] = []
        skipped: dict[str, int] = {}
        if media in _HTML:
            try:
                page = read_page(answer.body, entry.url, answer.headers.get_content_charset(), robots)
            except FormatError:
                return _skip("page that is binary or in an encoding that is not read")
            is_refused = is_refused or page.is_refused
            new, skipped = self._take(Entry(url, entry.depth + 1) for url in page.links)
        if is_refused:
            return {
                "new": new,
                "skipped": dict(Counter(skipped) + Counter(["page that asks not to be kept (noindex, noai)"])),
            }
        self._archive.write_page(answer, entry.url)
        return {"kept": True, "end": self._archive.size, "new": new, "skipped": skipped}


def _skip(reason: str) -> dict[str, Any]:
    return {"skipped": {reason: 1}}


def _retry_after(value: str | None) -> float | None:
    """Seconds that a `Retry-After` header asks for, as a number or a date; None where it says nothing."""
    value = (value or "").strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        date = email.utils.parsedate_to_datetime(value)
        return max(date.timestamp() - time.time(), 0.0)
    except (ValueError, OverflowError):
        return None
