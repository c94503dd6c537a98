"""What verbs print."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

__all__ = ["print_json"]


def print_json(value: Mapping[str, Any]) -> int:
    """Print an object on one line; 0, the exit code of a verb that is done."""
    print(json.dumps(value, ensure_ascii=False))
    return 0
