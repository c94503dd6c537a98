"""What a finished or interrupted story prints."""

from __future__ import annotations

import json as json_library
import sys
from typing import Any, Protocol

__all__ = ["Finished", "finish"]

_INTERRUPTED = 130


class Finished(Protocol):
    """The result of a story or of a crawl."""

    @property
    def stopped_by(self) -> str | None:
        """Name of the signal, if one stopped it."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        ...

    def summary(self) -> str:
        """Lines for people."""
        ...


def finish(result: Finished, *, json: bool) -> int:
    """Print where everything is and how to go on; return the exit code."""
    if json:
        print(json_library.dumps(result.to_dict(), ensure_ascii=False, indent=2))
    else:
        print(result.summary(), file=sys.stdout)
    # SIGTERM asked politely and got its checkpoint: done. Ctrl-C ends as shells expect.
    return _INTERRUPTED if result.stopped_by == "SIGINT" else 0
