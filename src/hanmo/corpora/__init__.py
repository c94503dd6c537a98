"""Documents: collect, clean, deduplicate, split, encode to shards. No torch."""

from __future__ import annotations

__all__: list[str] = []
