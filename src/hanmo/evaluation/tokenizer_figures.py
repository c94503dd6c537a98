"""What is found when tokenizers are compared on the same text."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from hanmo.tokenizers.cutting import Piece

__all__ = ["Comparison", "LanguageFigures", "TokenizerFigures"]


@dataclass(frozen=True, kw_only=True)
class LanguageFigures:
    """A tokenizer on the texts of one language."""

    characters: int
    tokens: int
    unknown: int
    """Tokens that stand for what is not in the vocabulary."""
    unknown_characters: int
    """Characters that these stand for."""

    @property
    def characters_per_token(self) -> float:
        """How short the text becomes; 0 if it has no tokens."""
        return self.characters / self.tokens if self.tokens else 0.0

    @property
    def unknown_share(self) -> float:
        """Share of the characters that are lost."""
        return self.unknown_characters / self.characters if self.characters else 0.0


@dataclass(frozen=True, kw_only=True)
class TokenizerFigures:
    """A tokenizer and what it does to the texts."""

    name: str
    kind: str
    vocab_size: int
    sha256: str
    languages: dict[str, LanguageFigures]
    """By language as `guess_language` names it, the most characters first."""
    tokens_per_s: float
    """Median of three rounds, in this process with the threads that it has."""
    shown: list[Piece]
    """The beginning of the text, cut."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Tokenizers in the order in which they were given."""

    tokenizers: list[TokenizerFigures]
    overlap: list[list[float]]
    """[i][j]: of the tokens of i, the share that j has too, taken as text without marks of word borders."""
    text: str
    """The beginning of the text, which is shown cut."""

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        answer = asdict(self)
        for row, figures in zip(answer["tokenizers"], self.tokenizers, strict=True):
            for lang, found in figures.languages.items():
                row["languages"][lang] |= {
                    "characters_per_token": found.characters_per_token, "unknown_share": found.unknown_share,
                }  # fmt: skip
        return answer
