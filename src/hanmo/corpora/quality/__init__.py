"""Rules of published recipes that say which texts are worth training on, each in a form for Chinese."""

from __future__ import annotations

__all__: list[str] = []
