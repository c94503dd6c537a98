"""Examples of text classification: read, named by their place, and checked whole before anything is trained on them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from hanmo.core.errors import ConfigError, DataError
from hanmo.tasks.splits import SplitData, Splits, check_spread, folded, note_contradictions, settle
from hanmo.tasks.tables import Column, problems_error, read_number, read_table, usable

__all__ = ["Kind", "TextData", "TextExample", "read_splits", "read_test_texts", "text_key"]

Kind = Literal["single", "multi", "regression"]
"""One class a text, any number of them, or a number."""


class TextData(SplitData):
    """Where the examples are, and which column means what."""

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
    empty: Literal["error", "drop"] = "error"
    """What to do with empty texts."""
    rare: Literal["error", "keep"] = "error"
    """What to do with classes of a single training example."""

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


def read_splits(data: TextData, *, seed: int) -> Splits[TextExample]:
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
    stratum = None if data.kind == "regression" else lambda example: example.label
    train, dev, test = settle(
        data, train, dev, test, key=text_key, seed=seed, notes=notes, stratum=stratum,
        kinds=None if data.kind == "regression" else lambda example: _classes(example.label),
        least=2 if data.rare == "error" else 1,
    )  # fmt: skip
    if data.kind == "regression":
        check_spread(data, (train, dev, test), lambda one: one.label, "label")
    note_contradictions(train, text_key, lambda one: one.label, notes)
    labels = ("score",) if data.kind == "regression" else _labels(train, {"dev": dev, "test": test}, data)
    return Splits.of(train, dev, test, labels=labels, notes=notes)


def read_test_texts(data: TextData, labels: Sequence[str], notes: Counter[str]) -> list[TextExample]:
    """Read `test` alone, for a model that is already trained.

    Args:
        data: where it is, and which column means what.
        labels: what the model tells; empty where it is not yet known.
        notes: what was left out is counted here.

    Raises:
        DataError: as `read_splits`, and for labels that the model does not tell.
        FormatError: for a file that cannot be read.
    """
    assert data.test is not None
    examples = _read(data, data.test, notes)
    if data.kind == "regression":
        check_spread(data, ((), (), examples), lambda one: one.label, "label")
    elif labels:
        _refuse_unknown(
            [
                f"{example.where}: the label {name!r}"
                for example in examples
                for name in _classes(example.label)
                if name not in labels
            ],
            labels,
        )
    return examples


def _refuse_unknown(problems: list[str], labels: Sequence[str]) -> None:
    if problems:
        shown = ", ".join(labels[:10]) + (", …" if len(labels) > 10 else "")
        raise problems_error(
            f"labels that the model does not tell, which are {shown}", problems,
            "Check the label column; [data] names gives labels the names of the model.",
        )  # fmt: skip


def _read(data: TextData, path: str, notes: Counter[str]) -> list[TextExample]:
    columns = {"text": data.text, "label": data.label} | ({} if data.pair is None else {"pair": data.pair})
    examples, problems = [], []
    for row in read_table(path, columns):
        pair = row.values.get("pair")
        texts = [row.values["text"], *([] if data.pair is None else [pair])]
        if not all(isinstance(text, str) for text in texts):
            other = next(type(text).__name__ for text in texts if not isinstance(text, str))
            problems.append(f"{row.where}: a {other} where a text belongs")
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
    return usable(
        examples, problems, where=path,
        remedy='Mend these lines, or check the columns; [data] empty = "drop" leaves empty texts out.',
    )  # fmt: skip


def _label(value: Any, data: TextData) -> Any:
    match data.kind:
        case "regression":
            return read_number(value, "label")
        case "multi":
            if value is None or isinstance(value, dict):
                raise ValueError(f"the label {value!r} is no list of classes")
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


def text_key(example: TextExample) -> tuple[str, ...]:
    """What makes two examples the same."""
    return tuple(folded(text) for text in (example.text, example.pair or ""))


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
