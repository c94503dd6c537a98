"""Where translations are, and of which languages: one pair, or several for one model."""

from __future__ import annotations

from pydantic import Field, model_validator

from hanmo.tasks.pair_examples import PairData

__all__ = ["LanguagePair", "TranslationData"]

_CODE = r"^[a-z]{2,3}([_-][A-Za-z0-9]+)*$"


class LanguagePair(PairData):
    """Translations between two languages."""

    source_language: str = Field(pattern=_CODE)
    """Language of the sources, such as "en"."""
    target_language: str = Field(pattern=_CODE)
    """Language that is learned to be written, such as "zh"; BLEU goes by it."""
    both_ways: bool = False
    """Learn each pair in the other direction, too."""

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Pairs of source and target language."""
        there = (self.source_language, self.target_language)
        return (there, (self.target_language, self.source_language)) if self.both_ways else (there,)

    @model_validator(mode="after")
    def _languages_differ(self) -> LanguagePair:
        if self.source_language == self.target_language:
            raise ValueError(f"source and target language are both {self.source_language!r}")
        return self


class TranslationData(LanguagePair):
    """One pair of languages, and more of them for one model."""

    also: tuple[LanguagePair, ...] = ()
    """Further pairs; a token in front of each source says into which language (Johnson et al., 2017)."""
    unseen: tuple[LanguagePair, ...] = ()
    """Pairs that are only judged: their `train` is not learned from (zero-shot)."""

    @property
    def all_pairs(self) -> tuple[tuple[str, str], ...]:
        """Pairs that are learned."""
        return tuple(dict.fromkeys(pair for part in (self, *self.also) for pair in part.pairs))
