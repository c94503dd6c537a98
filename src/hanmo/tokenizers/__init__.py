"""Text to ids and back: byte-level BPE, streaming decoding, chat templates to ids. No torch."""

from __future__ import annotations

__all__: list[str] = []
