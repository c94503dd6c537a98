"""A few documents to look at, chosen by a hash: the same ones whoever works, from everywhere in the corpus."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any

from hanmo.corpora.documents import Document

__all__ = ["MAX_SHOWN_CHARS", "Samples"]

MAX_SHOWN_CHARS = 500
"""Length up to which a text is shown."""


class Samples:
    """Up to `n` documents under each name, those with the smallest hashes of all that were offered."""

    def __init__(self, n: int):
        self._n = n
        self._held: dict[str, list[tuple[int, str, dict[str, Any]]]] = {}

    def offer(
        self, name: str, rank: int, document_of: Callable[[], Document], *, note_of: Callable[[], str] = str
    ) -> None:
        """Take a document in if its rank is small enough.

        Args:
            name: under which.
            rank: a hash of it.
            document_of: gives it; not asked where it is not wanted.
            note_of: gives what to show beside it, nothing if not given; not asked where the document is not wanted.
        """
        held = self._held.setdefault(name, [])
        if len(held) < self._n or -rank > held[0][0]:
            document = document_of()
            shown = {"id": document.id, "text": document.text[:MAX_SHOWN_CHARS], "characters": len(document.text)}
            self._push(name, rank, {**shown, "note": note_of()})

    def merge(self, stored: dict[str, list[dict[str, Any]]]) -> None:
        """Take in what `to_json` gave for another part."""
        for name, rows in stored.items():
            for row in rows:
                self._push(name, row["rank"], {key: value for key, value in row.items() if key != "rank"})

    def to_json(self, *, ranks: bool = True) -> dict[str, list[dict[str, Any]]]:
        """By name, the documents by rank."""
        return {
            name: [{**shown, "rank": -rank} if ranks else shown for rank, _, shown in sorted(held, reverse=True)]
            for name, held in sorted(self._held.items())
        }

    def _push(self, name: str, rank: int, shown: dict[str, Any]) -> None:
        held = self._held.setdefault(name, [])
        item = (-rank, shown["id"], shown)
        (heapq.heappush if len(held) < self._n else heapq.heappushpop)(held, item)
