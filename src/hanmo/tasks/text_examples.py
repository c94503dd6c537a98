"""Examples of text classification: read, named by their place, and checked whole before anything is trained on them."""

from __future__ import annotations

import math
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from pydantic import Field, field_validator, model_validator

from hanmo.core.errors import ConfigError, DataError
from hanmo.core.progress import say
from hanmo.core.settings import Settings
from hanmo.tasks.tables import Column, problems_error, read_table

__all__ = ["Kind", "TextData", "TextExample", "TextSplits", "read_splits"]

Kind = Literal["single", "multi", "regression"]
"""One class a text, any number of them, or a number."""


class TextData(Settings):
    """Where the examples are, and which column means what."""

    train: str
    """File or folder to learn from; see `hanmo.tasks.tables.read_table` for what can be read. A path may begin with a
    variable of the environment: $HANMO_DATA/…"""
    dev: str | None = None
    """To watch while training and to stop by; `dev_fraction` of `train` if None."""
    test: str | None = None
    """For the figures at the end."""
    text: Column = "text"
    """Column of the text: a name in the first line, or a number from 1 for a file without names."""
    pair: Column | None = None
    """Column of a second text, for tasks over pairs."""
    label: Column = "label"
    """Column of the label."""
    kind: Kind = "single"
    """One class a text, any number of them (`multi`), or a number (`regression`)."""
    separator: str = ","
    """What stands between the labels of a text, `multi` only; a list in JSON needs none."""
    names: dict[str, str] = Field(default={})
    """Readable names of labels: {"0": "negative"}. All or none."""
    dev_fraction: float = Field(default=0.1, gt=0, lt=1)
    """Share of `train` that is set aside where there is no `dev`."""
    leaks: Literal["error", "drop", "keep"] = "error"
    """What to do with training texts that are also in `dev` or `test`: refuse, leave them out of training, or go on."""
    empty: Literal["error", "drop"] = "error"
    """What to do with empty texts."""
    rare: Literal["error", "keep"] = "error"
    """What to do with classes of a single training example."""

    @field_validator("train", "dev", "test")
    @classmethod
    def _path_is_known(cls, path: str | None) -> str | None:
        if path is None:
            return None
        known = os.path.expandvars(path)
        if unset := re.search(r"\$\{?(\w+)", known):
            raise ValueError(f"the variable {unset[1]} is not set; set it to a folder, or write the path itself")
        if not os.path.exists(known):
            raise ValueError(f"{known} does not exist")
        return known

    @field_validator("names")
    @classmethod
    def _names_differ(cls, names: dict[str, str]) -> dict[str, str]:
        if len(set(names.values())) < len(names):
            raise ValueError("two labels have the same name; give each its own")
        return names

    @model_validator(mode="after")
    def _names_of_classes(self) -> TextData:
        if self.kind == "regression" and self.names:
            raise ValueError('names have no meaning for kind = "regression"')
        return self


@dataclass(frozen=True, slots=True)
class TextExample:
    """One text, or pair of texts, with its label."""

    text: str
    pair: str | None
    label: Any
    """A class; a tuple of those that apply; a number for regression."""
    where: str
    """File and line."""

    @property
    def texts(self) -> str | tuple[str, str]:
        """What a tokenizer is given."""
        return self.text if self.pair is None else (self.text, self.pair)


@dataclass(frozen=True, slots=True)
class TextSplits:
    """All examples of a task, and the classes in the order of their scores."""

    train: list[TextExample]
    dev: list[TextExample]
    test: list[TextExample]
    labels: tuple[str, ...]
    """Sorted; for regression the name of the one number."""
    notes: dict[str, int]
    """What was left out or noticed, and how often."""


def read_splits(data: TextData, *, seed: int) -> TextSplits:
    """Read and check everything.

    Args:
        data: where it is.
        seed: chooses what is set aside where there is no `dev`.

    Raises:
        DataError: for empty texts, labels that cannot be or that training never sees, a class of one example, or
            training texts that are in `dev` or `test`; each with file and line, the first ten. Nothing is left out
            unless `data` says so, and then it is counted.
        FormatError: for a file that cannot be read.
    """
    notes: Counter[str] = Counter()
    train = _read(data, data.train, notes)
    dev = _read(data, data.dev, notes) if data.dev is not None else []
    test = _read(data, data.test, notes) if data.test is not None else []
    train = _without_leaks(train, {"dev": dev, "test": test}, data.leaks, notes)
    if data.dev is None:
        train, dev = _set_aside(train, data.dev_fraction, seed)
    labels = ("score",) if data.kind == "regression" else _labels(train, {"dev": dev, "test": test}, data)
    for note, count in sorted(notes.items()):
        say(f"{count:,} {note}")
    return TextSplits(train, dev, test, labels, dict(sorted(notes.items())))


def _read(data: TextData, path: str, notes: Counter[str]) -> list[TextExample]:
    columns = {"text": data.text, "label": data.label} | ({} if data.pair is None else {"pair": data.pair})
    examples, problems = [], []
    for row in read_table(path, columns):
        pair = row.values.get("pair")
        texts = [row.values["text"], *([] if data.pair is None else [pair])]
        if not all(isinstance(text, str) for text in texts):
            problems.append(f"{row.where}: the text is a {type(texts[0]).__name__}")
        elif not all(text.strip() for text in texts):
            notes["empty texts left out"] += data.empty == "drop"
            if data.empty == "error":
                problems.append(f"{row.where}: an empty text")
        else:
            try:
                label = _label(row.values["label"], data)
                examples.append(TextExample(texts[0], pair, label, row.where))
            except ValueError as error:
                problems.append(f"{row.where}: {error}")
    if problems:
        raise problems_error(
            f"{len(problems)} examples cannot be used", problems,
            'Mend these lines, or check the columns; [data] empty = "drop" leaves empty texts out.',
        )  # fmt: skip
    if not examples:
        raise DataError("no example is left", where=path)
    return examples


def _label(value: Any, data: TextData) -> Any:
    match data.kind:
        case "regression":
            try:
                number = float(value)
            except (TypeError, ValueError):
                raise ValueError(f"the label {value!r} is no number") from None
            if not math.isfinite(number):
                raise ValueError(f"the label {value!r} is not finite")
            return number
        case "multi":
            parts = value if isinstance(value, list) else str(value).split(data.separator)
            return tuple(dict.fromkeys(_named(part, data.names) for part in parts if str(part).strip()))
        case "single":
            return _named(value, data.names)


def _named(value: object, names: Mapping[str, str]) -> str:
    if isinstance(value, (dict, list)) or value is None:
        raise ValueError(f"the label {value!r} is not one class")
    label = str(value).strip()
    if not label:
        raise ValueError("the label is empty")
    if names and label not in names:
        raise ValueError(f"the label {label!r} is not in [data] names ({', '.join(names)})")
    return names.get(label, label)


def _key(example: TextExample) -> tuple[str, ...]:
    texts = (example.text, example.pair or "")
    return tuple(" ".join(unicodedata.normalize("NFKC", text).casefold().split()) for text in texts)


def _without_leaks(
    train: list[TextExample],
    others: Mapping[str, Sequence[TextExample]],
    leaks: Literal["error", "drop", "keep"],
    notes: Counter[str],
) -> list[TextExample]:
    seen = {_key(example): f"{name} ({example.where})" for name, split in others.items() for example in split}
    found = [(example, seen[key]) for example in train if (key := _key(example)) in seen]
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


def _set_aside(train: list[TextExample], fraction: float, seed: int) -> tuple[list[TextExample], list[TextExample]]:
    n = max(1, round(fraction * len(train)))
    if n >= len(train):
        raise DataError(
            f"{len(train)} examples are too few to set some aside", where="[data] dev", remedy="Give a dev file."
        )
    order = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, 0xDE]))).permutation(len(train))
    aside = set(order[:n].tolist())
    rest = [example for number, example in enumerate(train) if number not in aside]
    return rest, [train[number] for number in sorted(aside)]


def _classes(label: Any) -> Iterable[str]:
    return label if isinstance(label, tuple) else (str(label),)


def _labels(
    train: Sequence[TextExample], others: Mapping[str, Sequence[TextExample]], data: TextData
) -> tuple[str, ...]:
    counts = Counter(name for example in train for name in _classes(example.label))
    if len(counts) < (1 if data.kind == "multi" else 2):
        raise DataError(
            f"all training examples have the label {next(iter(counts), None)!r}", where=data.train,
            remedy="A classifier needs two classes; check the label column.",
        )  # fmt: skip
    if len(counts) > max(50, len(train) // 2):
        raise ConfigError(
            f"{len(counts):,} different labels for {len(train):,} examples", where="[data] label",
            remedy='Check the label column; for numbers set kind = "regression".',
        )  # fmt: skip
    single = {name for name, count in counts.items() if count == 1 and data.rare == "error"}
    problems = [
        f"the class {name!r} has one training example ({example.where})"
        for example in train
        for name in _classes(example.label)
        if name in single
    ]
    for split in others.values():
        problems += [
            f"{example.where}: the label {name!r} is not in the training data"
            for example in split
            for name in _classes(example.label)
            if name not in counts
        ]
    if problems:
        raise problems_error(
            "labels that cannot be learned",
            problems,
            'Add examples of these classes, or leave these lines out; [data] rare = "keep" takes classes of one example.',
        )
    order = list(data.names.values()) if data.names else sorted(counts, key=_natural)
    return tuple(name for name in order if name in counts)


def _natural(name: str) -> tuple[int, float, str]:
    try:
        return (0, float(name), name)
    except ValueError:
        return (1, 0.0, name)
