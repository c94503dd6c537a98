"""A polite crawler: pages of given sites into a web archive (WARC), which is read like any other."""

from __future__ import annotations

__all__: list[str] = []
