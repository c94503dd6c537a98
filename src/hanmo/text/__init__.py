"""Strings: decode, repair, tell the language. No torch."""

from __future__ import annotations

__all__: list[str] = []
