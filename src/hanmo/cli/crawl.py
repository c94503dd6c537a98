"""`hanmo corpus crawl`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

__all__ = ["crawl"]


def crawl(
    *urls: str,
    out: Path,
    contact: str = "",
    max_pages: int = 1_000,
    delay: float = 1.0,
    allow_private: Annotated[tuple[str, ...], Parameter(negative=())] = (),
    set_: Annotated[tuple[str, ...], Parameter(name="--set", negative=())] = (),
    json: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Fetch the pages of sites into a web archive, politely. A crawl that was stopped goes on with the same command.

    Parameters
    ----------
    urls:
        Addresses to start from. Only pages of their hosts are fetched, with or without www.
    out:
        The web archive, NAME.warc.gz. `hanmo corpus build` reads it.
    contact:
        E-mail address or web page that owners of the sites can turn to.
    max_pages:
        Pages to keep, of all sites together.
    delay:
        Seconds between two requests to a host; a site may ask for more.
    allow_private:
        HOST:PORT of your own network that may be crawled. May be given several times.
    set_:
        Another setting: --set max_depth=3. May be given several times.
    json:
        Print the result as JSON on standard output.
    """
    from hanmo.cli.outcome import finish
    from hanmo.core.errors import ConfigError
    from hanmo.core.settings import apply_overrides, check_settings
    from hanmo.corpora.crawler.crawl import crawl
    from hanmo.corpora.crawler.settings import CrawlSettings

    if not urls:
        raise ConfigError("no address to start from", remedy="Give one or more: hanmo corpus crawl https://… --out …")
    values = {"contact": contact, "max_pages": max_pages, "delay": delay, "allow_private": allow_private}
    settings = check_settings(CrawlSettings, apply_overrides(values, set_))
    report = crawl(urls, out, settings)
    code = finish(report, json=json)
    return code if report.pages or code else 1
