"""Examples to learn from, to watch by and to judge by, for every task: what is set aside, and what must not be in two."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, Literal, Protocol, TypeVar

import numpy as np
from pydantic import Field, field_validator

from hanmo.core.errors import DataError
from hanmo.core.paths import existing_path
from hanmo.core.progress import say
from hanmo.core.settings import Settings
from hanmo.tasks.tables import problems_error

__all__ = [
    "Example",
    "SplitData",
    "Splits",
    "check_spread",
    "folded",
    "note_contradictions",
    "set_aside",
    "settle",
    "take_fold",
]


class Example(Protocol):
    """One example of any task."""

    @property
    def where(self) -> str:
        """File and line."""
        ...


ExampleT = TypeVar("ExampleT", bound=Example)
_TEST_SEED = 0
"""What is set aside as a test set is the same for each seed, so that runs can be compared."""


class SplitData(Settings):
    """Where the examples of a task are."""

    train: str
    """File or folder to learn from. A path may begin with a variable of the environment: $HANMO_DATA/…"""
    dev: str | None = None
    """To watch while training and to stop by; `dev_fraction` of `train` if None."""
    test: str | None = None
    """For the figures at the end."""
    dev_fraction: float = Field(default=0.1, gt=0, lt=1)
    """Share of `train` that is set aside where there is no `dev`."""
    test_fraction: float | None = Field(default=None, gt=0, lt=1)
    """Share of `train` that is set aside for the figures at the end where there is no `test`; the same for each seed."""
    fold: tuple[int, int] | None = None
    """Which part is dev, and of how many, from 1: [2, 5]. Train and `dev`, if there is one, are cut together; a study
    with folds sets it."""
    leaks: Literal["error", "drop", "keep"] = "error"
    """What to do with training examples that are also in `dev` or `test`: refuse, leave them out of training, or go on."""

    @field_validator("train", "dev", "test")
    @classmethod
    def _path_is_known(cls, path: str | None) -> str | None:
        return None if path is None else existing_path(path)

    @field_validator("fold")
    @classmethod
    def _fold_is_one_of_them(cls, fold: tuple[int, int] | None) -> tuple[int, int] | None:
        if fold is not None and not 1 <= fold[0] <= fold[1] > 1:
            raise ValueError("give the part, from 1, and how many there are: [2, 5]")
        return fold


@dataclass(frozen=True, slots=True)
class Splits(Generic[ExampleT]):
    """All examples of a task, and the classes in the order of their scores."""

    train: list[ExampleT]
    dev: list[ExampleT]
    test: list[ExampleT]
    labels: tuple[str, ...]
    """Names of classes; what stands for them where the task has none is the task's own."""
    notes: dict[str, int]
    """What was left out or noticed, and how often."""

    @classmethod
    def of(
        cls,
        train: list[ExampleT],
        dev: list[ExampleT],
        test: list[ExampleT],
        *,
        labels: tuple[str, ...],
        notes: Mapping[str, int],
    ) -> Splits[ExampleT]:
        """The same, and the notes are said aloud."""
        for note, count in sorted(notes.items()):
            if count:
                say(f"{count:,} {note}")
        return cls(train, dev, test, labels, {note: count for note, count in sorted(notes.items()) if count})

    def with_share(self, share: float, seed: int) -> Splits[ExampleT]:
        """The same with a share of the training examples, in their order; a smaller share is part of a larger one.

        Classes stay those of all examples.
        """
        order = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, 0x5A]))).permutation(len(self.train))
        chosen = sorted(order[: max(1, round(share * len(order)))])
        return replace(self, train=[self.train[number] for number in chosen])


def folded(text: str) -> str:
    """A text as it is compared: in one form of Unicode, without case, with single blanks."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def check_spread(
    data: SplitData, splits: Sequence[Sequence[ExampleT]], number: Callable[[ExampleT], float | None], what: str
) -> None:
    """Numbers that are learned or correlated must differ.

    Args:
        data: where they are from.
        splits: train, dev and test; empty ones are passed over.
        number: of an example.
        what: they are called.

    Raises:
        DataError: if all of a split are the same.
    """
    for name, split in zip(("train", "dev", "test"), splits, strict=True):
        if split and len({number(example) for example in split}) < 2:
            file = getattr(data, name)
            raise DataError(
                f"all {len(split)} {what}s{'' if file else f' set aside for {name}'} are {number(split[0]):g}, "
                "with which nothing can agree or disagree",
                where=file or data.train, remedy=f"Give examples whose {what}s differ.",
            )  # fmt: skip


def note_contradictions(
    train: Sequence[ExampleT],
    key: Callable[[ExampleT], Hashable],
    label: Callable[[ExampleT], Hashable],
    notes: Counter[str],
) -> None:
    """Note how many training examples are there again with another label, and say where the first ones are.

    Args:
        train: what is learned from.
        key: what makes two examples the same.
        label: what is learned of one.
        notes: is told.
    """
    first: dict[Hashable, ExampleT] = {}
    found = [
        f"{example.where} and {other.where}"
        for example in train
        if label(example) != label(other := first.setdefault(key(example), example))
    ]
    if found:
        notes["training examples are there before with another label"] = len(found)
        say(f"The same examples with different labels: {', '.join(found[:3])}{', …' if len(found) > 3 else ''}")


def settle(
    data: SplitData,
    train: list[ExampleT],
    dev: list[ExampleT],
    test: list[ExampleT],
    *,
    key: Callable[[ExampleT], Hashable],
    seed: int,
    notes: Counter[str],
    stratum: Callable[[ExampleT], Hashable] | None = None,
    kinds: Callable[[ExampleT], Iterable[Hashable]] | None = None,
    least: int = 1,
) -> tuple[list[ExampleT], list[ExampleT], list[ExampleT]]:
    """Take care of examples that are on both sides, and set some aside where there is no `dev`, and no `test` if asked.

    Args:
        data: says what to do.
        train, dev, test: as they were read; without files of their own `dev` and `test` are empty.
        key: what makes two examples the same.
        seed: chooses what is set aside.
        notes: is told what was left out.
        stratum: what folds should have alike, such as the class; chance alone if None.
        kinds: what an example teaches, such as its classes: of each, some stay to be learned when others are set aside.
        least: how many of each stay.

    Returns:
        What to learn from, what to watch by, and what to judge by.

    Raises:
        DataError: for training examples that are in `dev` or `test`, the first ten with their places; for too few; if
            a test set is both given and to be set aside.
    """
    if data.fold is None:
        train = _without_leaks(train, {"dev": dev, "test": test}, data.leaks, key, notes)
    if data.test_fraction is not None:
        if data.test is not None:
            raise DataError("test and test_fraction were both given", where="[data]", remedy="Give one of them.")
        train, test = set_aside(train, data.test_fraction, key, _TEST_SEED, kinds=kinds, least=least)
    judged = {key(example) for example in test}
    notes["dev texts are also in test"] += sum(key(example) in judged for example in dev)
    if data.fold is not None:
        pool = _without_leaks([*train, *dev], {"test": test}, data.leaks, key, notes)
        return *take_fold(pool, data.fold, key, stratum, seed), test
    if data.dev is not None:
        return train, dev, test
    return *set_aside(train, data.dev_fraction, key, seed, kinds=kinds, least=least), test


def _without_leaks(
    train: list[ExampleT],
    others: Mapping[str, Sequence[ExampleT]],
    leaks: Literal["error", "drop", "keep"],
    key: Callable[[ExampleT], Hashable],
    notes: Counter[str],
) -> list[ExampleT]:
    seen = {key(example): f"{name} ({example.where})" for name, split in others.items() for example in split}
    found = [(example, place) for example in train if (place := seen.get(key(example))) is not None]
    if not found or leaks == "keep":
        notes["training texts that are also in dev or test were kept"] += len(found)
        return train
    if leaks == "error":
        raise problems_error(
            f"{len(found)} training texts are also in dev or test",
            [f"{example.where} is in {place}" for example, place in found],
            '[data] leaks = "drop" leaves them out of training; "keep" keeps them, and the figures are then too good.',
        )
    notes["training texts left out because dev or test has them"] += len(found)
    leaked = {id(example) for example, _ in found}
    return [example for example in train if id(example) not in leaked]


def take_fold(
    pool: list[ExampleT],
    fold: tuple[int, int],
    key: Callable[[ExampleT], Hashable],
    stratum: Callable[[ExampleT], Hashable] | None,
    seed: int,
) -> tuple[list[ExampleT], list[ExampleT]]:
    """Cut examples into folds; those with the same key stay in one.

    Args:
        pool: all of them.
        fold: which part, from 1, and of how many.
        key: what makes two examples the same.
        stratum: what folds should have alike; chance alone if None.
        seed: deals them out.

    Returns:
        All other parts, and this one.

    Raises:
        DataError: for too few.
    """
    part, n = fold
    groups: dict[Any, list[int]] = {}
    for number, example in enumerate(pool):
        groups.setdefault(key(example), []).append(number)
    if len(groups) < n:
        raise DataError(f"{len(groups)} different examples cannot be cut into {n} folds", where="[data] fold")
    members = list(groups.values())
    order = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, 0xF0]))).permutation(len(members))
    dealt = [members[group] for group in order]
    if stratum is not None:
        dealt.sort(key=lambda group: repr(stratum(pool[group[0]])))
    aside = {number for group in dealt[part - 1 :: n] for number in group}
    rest = [example for number, example in enumerate(pool) if number not in aside]
    return rest, [pool[number] for number in sorted(aside)]


def _distinct(kinds: Callable[[ExampleT], Iterable[Hashable]] | None, example: ExampleT) -> set[Hashable]:
    return set() if kinds is None else set(kinds(example))


def set_aside(
    train: list[ExampleT],
    fraction: float,
    key: Callable[[ExampleT], Hashable],
    seed: int,
    *,
    kinds: Callable[[ExampleT], Iterable[Hashable]] | None = None,
    least: int = 1,
) -> tuple[list[ExampleT], list[ExampleT]]:
    """Examples with the same key stay on one side. Arguments as in `settle`.

    Returns:
        What is left, and what is set aside: at least this fraction of the examples, at most by one group more; less only
        where rare kinds have to be learned.

    Raises:
        DataError: for too few.
    """
    groups: dict[Any, list[int]] = {}
    for number, example in enumerate(train):
        groups.setdefault(key(example), []).append(number)
    n = max(1, round(fraction * len(train)))
    if n >= len(train) or len(groups) < 2:
        raise DataError(
            f"{len(train)} examples are too few to set some aside", where="[data] dev", remedy="Give a dev file."
        )
    members = list(groups.values())
    order = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, 0xDE]))).permutation(len(members))
    aside: set[int] = set()
    left = Counter(kind for example in train for kind in _distinct(kinds, example))
    needed = {kind: min(least, count) for kind, count in left.items()}
    for group in order[:-1]:
        if len(aside) >= n:
            break
        taken = Counter(kind for number in members[group] for kind in _distinct(kinds, train[number]))
        if all(left[kind] - count >= needed[kind] for kind, count in taken.items()):
            aside.update(members[group])
            left -= taken
    if not aside:
        raise DataError(
            f"of {len(train)} examples none can be set aside without losing a class", where="[data] dev",
            remedy="Give a dev file.",
        )  # fmt: skip
    rest = [example for number, example in enumerate(train) if number not in aside]
    return rest, [train[number] for number in sorted(aside)]
