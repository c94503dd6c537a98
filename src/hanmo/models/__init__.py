"""Model families as compositions of `hanmo.nn`, and their Hugging Face directories."""

from __future__ import annotations

__all__: list[str] = []
