"""Duplicates: documents, paragraphs and stretches of text that are there twice."""

from __future__ import annotations

__all__: list[str] = []
