"""What random texts of the tests are made of."""

from __future__ import annotations

CHARS = "的一是了我不人在他有这个上们来到时大地为子中你说生国年着就那和要她出也得里后自以会家可下而过天去能对小多"
WORDS = [
    "the",
    "of",
    "and",
    "to",
    "in",
    "a",
    "is",
    "that",
    "for",
    "it",
    "was",
    "with",
    "river",
    "house",
    "garden",
    "morning",
    "letter",
    "window",
    "bread",
    "market",
    "winter",
    "teacher",
    "paper",
    "evening",
    "bridge",
    "story",
    "summer",
]
