"""The dictionary form of English words: mice → mouse, went → go, studies → study."""

from __future__ import annotations

from functools import lru_cache

from hanmo.core.errors import MissingExtraError

__all__ = ["lemma"]


@lru_cache(maxsize=65_536)
def lemma(word: str) -> str:
    """The lemma of an English word by itself, without a look at its sentence; Chinese words stay as they are.

    A form of several words has the lemma of one of them: "left" may be the verb or the direction.

    >>> [lemma(word) for word in ("mice", "went", "studies", "老鼠")]
    ['mouse', 'go', 'study', '老鼠']

    Raises:
        MissingExtraError: if simplemma is not installed.
    """
    try:
        import simplemma  # its English dictionary is read at the first word: half a second
    except ImportError as error:
        raise MissingExtraError("simplemma", "corpus", "finding lemmas") from error
    return simplemma.lemmatize(word, lang="en") if word.isascii() and word.isalpha() else word
