"""What a crawl came to."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hanmo.core.progress import format_duration

__all__ = ["CrawlReport"]


@dataclass
class CrawlReport:
    """What a crawl came to, its earlier runs included."""

    out: Path
    pages: int = 0
    """Pages in the web archive."""
    requests: int = 0
    """Requests of this run, those for robots.txt among them."""
    bytes: int = 0
    """Bytes received."""
    archive_bytes: int = 0
    """Size of the web archive."""
    seconds: float = 0.0
    """Length of this run."""
    waiting: int = 0
    """Addresses that are known and not yet fetched."""
    skipped: Counter[str] = field(default_factory=Counter)
    """Reason → addresses that were not fetched or not kept."""
    left: dict[str, str] = field(default_factory=dict)
    """Host → why it was left for this run."""
    ended_by: str = "nothing is left"
    stopped_by: str | None = None
    """Name of the signal, if one stopped the crawl."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return vars(self) | {"out": str(self.out), "skipped": dict(self.skipped.most_common())}

    def summary(self) -> str:
        """Lines for people."""
        speed = f"{self.bytes / 1e6:,.1f} MB received, {self.requests:,} requests in {format_duration(self.seconds)}"
        lines = [f"{self.out}: {self.pages:,} pages, {self.archive_bytes / 1e6:,.1f} MB ({speed})"]
        lines += [f"  {n:8,} skipped: {reason}" for reason, n in self.skipped.most_common()]
        lines += [f"  left {host}: {reason}" for host, reason in self.left.items()]
        ending = f"Ended: {self.ended_by}."
        if self.waiting:
            ending += f" {self.waiting:,} addresses wait; the same command goes on with them."
        return "\n".join([*lines, ending])
