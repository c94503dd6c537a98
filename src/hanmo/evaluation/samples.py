"""What to ask a fresh model to continue: beginnings of held-out documents, and a few that fit the language."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from typing import Protocol

__all__ = ["GENERIC_PROMPTS", "TextWithLanguage", "choose_prompts"]

GENERIC_PROMPTS: dict[str, tuple[str, ...]] = {
    "en": ("The most important thing is", "In the beginning", "There are three reasons why"),
    "zh": ("最重要的是", "从前有一个人", "这件事的原因有三个"),
    "code": ("def read(path):\n", "class Reader:\n", "import os\n"),
}
"""By language code; a language that is not here gets beginnings of documents only."""

_CODE = {"code", "py", "python"}
_SHORTEST, _LONGEST = 8, 48
"""Characters of a prompt taken from an English document; a Chinese one takes a third."""


class TextWithLanguage(Protocol):
    """What is needed of a document."""

    @property
    def text(self) -> str:
        """The document."""
        ...

    @property
    def lang(self) -> str:
        """Its language code."""
        ...


def _beginning(text: str, lang: str) -> str | None:
    """The first words of a text, cut between words; None where it has too few."""
    line = next((part.strip() for part in text.splitlines() if any(c.isalnum() for c in part)), "")
    shrink = 3 if lang == "zh" else 1
    if len(line) < _SHORTEST // shrink:
        return None
    cut = line[: _LONGEST // shrink]
    if lang != "zh" and len(cut) < len(line) and " " in cut:
        cut = cut[: cut.rindex(" ")]
    return cut


def choose_prompts(documents: Sequence[TextWithLanguage], n: int, seed: int) -> list[str]:
    """Choose prompts for the languages of a corpus.

    Args:
        documents: held-out documents.
        n: how many prompts; fewer come back only where there is nothing more to ask.
        seed: the same documents, `n` and seed give the same prompts.

    Returns:
        Distinct prompts, half of them (rounded up) generic ones of the corpus's languages, the most frequent
        language first, the others beginnings of documents.

    Raises:
        ValueError: for a negative `n`.
    """
    if n < 0:
        raise ValueError(f"n must be >= 0, got {n}")
    counted = Counter("code" if document.lang in _CODE else document.lang for document in documents)
    languages = [
        lang for lang, _ in sorted(counted.items(), key=lambda item: (-item[1], item[0])) if lang in GENERIC_PROMPTS
    ]
    longest = max((len(GENERIC_PROMPTS[lang]) for lang in languages), default=0)
    generic = [GENERIC_PROMPTS[lang][i] for i in range(longest) for lang in languages if i < len(GENERIC_PROMPTS[lang])]
    taken: list[str] = []
    for index in random.Random(seed).sample(range(len(documents)), len(documents)):
        beginning = _beginning(documents[index].text, documents[index].lang)
        if beginning is not None and beginning not in taken and beginning not in generic:
            taken.append(beginning)
        if len(taken) == n:
            break
    n_generic = min(max((n + 1) // 2, n - len(taken)), len(generic))
    return generic[:n_generic] + taken[: n - n_generic]
