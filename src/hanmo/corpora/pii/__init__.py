"""Personal data: found by shape and checksum, written as placeholders."""

from __future__ import annotations

__all__: list[str] = []
