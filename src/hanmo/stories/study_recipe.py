"""The section of a recipe that asks for several runs of it: seeds, folds, a learning curve, a search."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import Field, field_validator, model_validator

from hanmo.core.settings import Settings

__all__ = ["StudySection", "Trial"]

_OWN = ("study", "seed", "share", "name", "task", "data.fold", "data.train", "data.dev", "data.test")
"""What a search may not change: then figures would be of other examples, or other tasks."""
_MOST_TRIALS = 1000


@dataclass(frozen=True)
class Trial:
    """One run of a study."""

    name: str
    """Of its folder."""
    group: int
    """Runs of one group differ in seed or fold alone; their figures are averaged."""
    choice: dict[str, Any]
    """What this group is about: values of the search, or the share of the examples."""
    repeat: dict[str, Any]
    """What makes it another run of its group: its seed or fold."""

    @property
    def changes(self) -> dict[str, Any]:
        """All that differs from the recipe, by dotted key."""
        return self.choice | self.repeat


class StudySection(Settings):
    """Several runs of one recipe with changes, and one report. Each run has a folder of its own."""

    seeds: int | None = Field(default=None, ge=2)
    """Train with so many seeds, from the recipe's on: how far a figure moves by luck."""
    folds: int | None = Field(default=None, ge=2)
    """Cut the examples of train and dev into so many parts; each is dev once (k-fold cross-validation)."""
    fractions: tuple[float, ...] = ()
    """Train on these shares of the examples, each part of the next: would more labels help?"""
    search: dict[str, tuple[Any, ...]] = Field(default={})
    """Values to try, by key of the recipe: "training.lr" = [1e-3, 3e-3]. Chosen by dev alone; test is looked at once."""
    trials: int | None = Field(default=None, ge=1)
    """Draw so many combinations of `search` at random (Bergstra & Bengio, 2012); all of them if None."""
    by: str | None = None
    """Figure on dev that decides; the first of the task if None."""
    soup: bool = False
    """Average the weights of runs that began at one checkpoint, the best on dev first, as long as dev gets no worse
    (Wortsman et al., 2022): one model, as fast as each of them, and often better."""

    @field_validator("search", mode="before")
    @classmethod
    def _dotted(cls, search: Any) -> Any:
        """TOML reads training.lr without quotes as a table in a table."""
        return dict(_flat(search)) if isinstance(search, Mapping) else search

    @field_validator("fractions")
    @classmethod
    def _fractions_rise(cls, fractions: tuple[float, ...]) -> tuple[float, ...]:
        if any(not 0 < fraction <= 1 for fraction in fractions) or list(fractions) != sorted(set(fractions)):
            raise ValueError("shares lie above 0 and at most at 1, each larger than the one before")
        if len(fractions) == 1:
            raise ValueError("one share is no curve; give several, such as [0.1, 0.25, 0.5, 1.0]")
        return fractions

    @model_validator(mode="after")
    def _one_question(self) -> StudySection:
        if not (self.seeds or self.folds or self.fractions or self.search):
            raise ValueError("a study needs seeds, folds, fractions or search")
        if self.seeds and self.folds:
            raise ValueError("seeds and folds both repeat a run; give one of them")
        if self.fractions and self.search:
            raise ValueError("fractions and search are two questions; ask them in two studies")
        if self.soup and (self.folds or self.fractions):
            raise ValueError(
                "a soup is made of runs on the same examples: of seeds or a search, not of folds or fractions"
            )
        if self.trials and not self.search:
            raise ValueError("trials says how many combinations of search are tried; give search")
        for key, values in self.search.items():
            if key in _OWN or key.startswith("study."):
                raise ValueError(f"{key!r} cannot be searched: the figures would not be comparable")
            if not values or any(value in values[:place] for place, value in enumerate(values)):
                raise ValueError(f"{key!r} needs values that differ from each other")
        if self.n_combinations > _MOST_TRIALS and self.trials is None:
            raise ValueError(f"{self.n_combinations:,} combinations; draw some of them with trials = 20")
        return self

    @property
    def n_combinations(self) -> int:
        """How many there are in `search`."""
        return math.prod(len(values) for values in self.search.values())

    def plan(self, seed: int) -> list[Trial]:
        """All runs, in order.

        Args:
            seed: of the recipe; also draws the combinations.
        """
        choices: list[tuple[str, dict[str, Any]]] = [("", {})]
        if self.fractions:
            choices = [(f"share-{fraction:g}", {"share": fraction}) for fraction in self.fractions]
        elif self.search:
            found = self._combinations(seed)
            width = len(str(len(found)))
            choices = [(f"trial-{number:0{width}}", values) for number, values in enumerate(found, 1)]
        repeats: list[tuple[str, dict[str, Any]]] = [("", {})]
        if self.seeds:
            repeats = [(f"seed-{number}", {"seed": number}) for number in range(seed, seed + self.seeds)]
        elif self.folds:
            repeats = [(f"fold-{part}", {"data.fold": (part, self.folds)}) for part in range(1, self.folds + 1)]
        return [
            Trial("-".join(filter(None, (name, run))), group, choice, repeat)
            for group, (name, choice) in enumerate(choices)
            for run, repeat in repeats
        ]

    def _combinations(self, seed: int) -> list[dict[str, Any]]:
        n = self.n_combinations
        chosen = (
            range(n) if self.trials is None or self.trials >= n else random.Random(seed).sample(range(n), self.trials)
        )
        return [self._combination(number) for number in sorted(chosen)]

    def _combination(self, number: int) -> dict[str, Any]:
        """The one of this number, without listing the others; the last key changes fastest."""
        found: dict[str, Any] = {}
        for key, values in reversed(self.search.items()):
            number, place = divmod(number, len(values))
            found[key] = values[place]
        return dict(reversed(found.items()))


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    parts = (
        _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else [(f"{prefix}{key}", value)]
        for key, value in table.items()
    )
    return itertools.chain.from_iterable(parts)
