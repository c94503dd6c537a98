"""Tensors in, tensors out: the parts that every model family is composed of. No family is named here."""

from __future__ import annotations

__all__: list[str] = []
