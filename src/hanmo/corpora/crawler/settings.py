"""Settings of a crawl."""

from __future__ import annotations

import re

from pydantic import Field, field_validator

from hanmo.core.settings import Settings

__all__ = ["CrawlSettings"]


class CrawlSettings(Settings):
    """How fast, how far and how much. The limits of pages and bytes count what earlier runs of a crawl fetched."""

    contact: str = ""
    """E-mail address or web page, in ASCII, that owners of sites can turn to; stands in the `User-Agent`."""
    delay: float = Field(default=1.0, ge=0)
    """Shortest time, in seconds, between the end of an answer and the next request to the same host."""
    max_delay: float = Field(default=60.0, ge=0)
    """Longest delay, in seconds, that the robots.txt of a site can ask for; more is taken as this much."""
    max_wait: float = Field(default=300.0, ge=0)
    """Longest `Retry-After`, in seconds, that is waited for; a host that asks for more is left for this run."""
    max_pages: int = Field(default=1_000, ge=1)
    """Pages that are kept, of all sites."""
    max_pages_per_site: int = Field(default=1_000_000, ge=1)
    """Pages that are kept of one site."""
    max_bytes: int = Field(default=2**30, ge=1)
    """Bytes received, after which no further request is made."""
    max_seconds: float = Field(default=86_400.0, gt=0)
    """Length of a run, in seconds, after which no further request is made."""
    max_page_bytes: int = Field(default=10 * 2**20, ge=1_000)
    """Largest page, in bytes, as it is sent and as it is unpacked; a larger one is skipped."""
    page_seconds: float = Field(default=30.0, gt=0)
    """Longest time for one request, from connecting to the last byte, in seconds."""
    max_depth: int = Field(default=16, ge=0)
    """Links from a start page; pages of a sitemap are one link away."""
    max_alike: int = Field(default=500, ge=1)
    """Addresses that are the same but for digits and the values of their query (a calendar has no end)."""
    max_addresses: int = Field(default=1_000_000, ge=1)
    """Addresses that are remembered; once there are as many, new links are not followed."""
    sitemaps: bool = True
    """Read the sitemaps that robots.txt names, or /sitemap.xml."""
    allow_private: tuple[str, ...] = ()
    """Hosts of your own network that may be crawled, as `HOST:PORT`: for them, private addresses and this port are
    allowed."""

    @field_validator("contact")
    @classmethod
    def _check_contact(cls, contact: str) -> str:
        if contact and not re.fullmatch(r"[!-'*-\[\]-~]{3,200}", contact):
            raise ValueError("give an e-mail address or web page in ASCII, without spaces and brackets")
        return contact

    @field_validator("allow_private")
    @classmethod
    def _check_allowed(cls, allowed: tuple[str, ...]) -> tuple[str, ...]:
        for entry in allowed:
            if not re.fullmatch(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+):[0-9]{1,5}", entry):
                raise ValueError(f"{entry!r} is not HOST:PORT in lower case, such as 127.0.0.1:8000 or wiki.lan:80")
        return allowed
