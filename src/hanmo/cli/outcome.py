"""What a finished or interrupted story prints."""

from __future__ import annotations

import json as json_library
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hanmo.stories.result import StoryResult

__all__ = ["finish"]

_INTERRUPTED = 130


def finish(result: StoryResult, *, json: bool) -> int:
    """Print where everything is and how to go on; return the exit code."""
    if json:
        print(json_library.dumps(result.to_dict(), ensure_ascii=False, indent=2))
    else:
        print(result.summary(), file=sys.stdout)
    # SIGTERM asked politely and got its checkpoint: done. Ctrl-C ends as shells expect.
    return _INTERRUPTED if result.stopped_by == "SIGINT" else 0
