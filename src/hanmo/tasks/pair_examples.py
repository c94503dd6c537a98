"""A text and what is to be written for it: translations, summaries, questions. Read, named by their place, checked whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from hanmo.core.errors import DataError
from hanmo.core.paths import existing_path
from hanmo.core.progress import say
from hanmo.tasks.json_objects import read_objects
from hanmo.tasks.splits import SplitData, Splits, folded, settle
from hanmo.tasks.tables import Column, Row, problems_error, read_table, usable
from hanmo.tasks.text2text_settings import Overlong
from hanmo.tasks.text_files import read_text_file

__all__ = ["PairData", "PairExample", "joined", "read_pairs", "read_test_pairs"]

Languages = tuple[str, str]
_KNOWN_KEYS = (
    ("source", "target"), ("text", "summary"), ("document", "summary"), ("dialogue", "summary"), ("article", "highlights"),
    ("content", "title"), ("abstract", "title"), ("context", "question"), ("input", "output"),
)  # fmt: skip
"""What the two sides are called, where the recipe does not say."""
_NAMES_SHOWN = 8


@dataclass(frozen=True, slots=True)
class PairExample:
    """A source, and the text that is right for it."""

    source: str
    """Sentences that the file keeps apart stand on lines of their own."""
    target: str
    """What is learned; the first of `references`."""
    where: str
    """File and line."""
    references: tuple[str, ...]
    """All texts that are right."""
    languages: Languages | None = None
    """Of source and target, where the task has languages."""
    written: bool = False
    """Whether the source was written by a model (back-translation)."""


class PairData(SplitData):
    """Where the examples are: a table with both sides, or two files whose lines belong together."""

    train_target: str | None = None
    """The other sides of `train`, line by line; then all lines of `train` are sources. None: `train` has both."""
    dev_target: str | None = None
    """The same of `dev`."""
    test_target: str | None = None
    """The same of `test`."""
    source: Column | None = None
    """Column of the source. None: the first column of TSV and CSV without names; in JSON Lines the keys of the first line
    tell."""
    target: Column | None = None
    """Column of the target; the same. A list in it holds several right texts, one in `source` the sentences of a text."""
    marks: Column | None = None
    """In place of `target`, for extractive summaries: column with a 1 for each sentence of the source that belongs to the
    target, and a 0 for each that does not; the source is a list of sentences."""
    empty: Literal["error", "drop"] = "error"
    """What to do with rows one of whose sides is empty."""
    overlong: Overlong = "error"
    """What to do with examples one of whose sides is longer than the model can read or write: refuse, leave them out of
    training, or cut the end. "drop" cuts those of dev and test."""
    apart: Literal["either", "pair"] = "either"
    """What makes examples too alike for two splits: one side that is the same, or both."""
    limit: int | None = Field(default=None, ge=1)
    """At most so many training examples, the first ones; all if None."""

    @field_validator("train_target", "dev_target", "test_target")
    @classmethod
    def _target_is_known(cls, path: str | None) -> str | None:
        return None if path is None else existing_path(path)

    @model_validator(mode="after")
    def _files_fit(self) -> PairData:
        for name in ("train", "dev", "test"):
            if getattr(self, f"{name}_target") is None:
                continue
            if getattr(self, name) is None:
                raise ValueError(f"{name}_target is given, but no {name} whose other sides it has")
            if not self.source == self.target == self.marks is None:
                raise ValueError("two files of lines have no columns: leave source, target and marks out")
        if self.target is not None and self.marks is not None:
            raise ValueError("target and marks both say what is learned; give one of them")
        if (self.source is None) != (self.target is None and self.marks is None):
            raise ValueError("source and target (or marks) belong together: give both columns, or neither")
        return self


def joined(value: Any) -> str | None:
    """A text, or its sentences on a line each; None for what is neither."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and value and all(isinstance(part, str) for part in value):
        return "\n".join(part.strip() for part in value)
    return None


def read_pairs(data: PairData, *, seed: int, languages: Languages | None = None) -> Splits[PairExample]:
    """Read and check everything.

    Args:
        data: where it is.
        seed: chooses what is set aside where there is no `dev`.
        languages: of both sides; in JSON Lines, {"translation": {language: text}} and {language: text} are then known, too.

    Raises:
        DataError: for sides of different length, empty sides, values that are no texts, or training examples that are in
            `dev` or `test`; each with file and line, the first ten. Nothing is left out unless `data` says so, and then it
            is counted.
        FormatError: for a file that cannot be read.
    """
    notes: Counter[str] = Counter()
    train = _read(data, "train", languages, notes)[: data.limit]
    dev = _read(data, "dev", languages, notes) if data.dev is not None else []
    test = _read(data, "test", languages, notes) if data.test is not None else []
    key = _Likeness(train, [*dev, *test], data.apart)
    train, dev, test = settle(data, train, dev, test, key=key, seed=seed, notes=notes)
    notes["examples whose target is their source"] += sum(
        folded(one.source) == folded(one.target) for one in (*train, *dev, *test)
    )
    return Splits.of(train, dev, test, labels=(), notes=notes)


def read_test_pairs(data: PairData, notes: Counter[str], languages: Languages | None = None) -> list[PairExample]:
    """Read `test` alone, for a model that is already trained; arguments and errors as `read_pairs`."""
    assert data.test is not None
    return _read(data, "test", languages, notes)


class _Likeness:
    """What makes two examples the same to `settle`.

    An example of training that shares a side with one of dev or test has its key; the others have that of the group that
    shared sides hold together, so that setting groups aside parts no two of them.
    """

    def __init__(self, train: Sequence[PairExample], held: Sequence[PairExample], apart: Literal["either", "pair"]):
        self._apart = apart
        self._held: dict[Hashable, Hashable] = {}
        for example in held:
            for side in self._sides(example):
                self._held.setdefault(side, self._whole(example))
        self._leader: dict[Hashable, Hashable] = {}
        for example in train:
            first, *others = self._sides(example)
            for other in others:
                self._leader[self._find(other)] = self._find(first)
        self._held_ids = {id(example) for example in held}

    def __call__(self, example: PairExample) -> Hashable:
        if id(example) in self._held_ids:
            return self._whole(example)
        sides = self._sides(example)
        for side in sides:
            if side in self._held:
                return self._held[side]
        return ("group", self._find(sides[0]))

    @staticmethod
    def _whole(example: PairExample) -> Hashable:
        return ("pair", example.languages, folded(example.source), folded(example.target))

    def _sides(self, example: PairExample) -> list[Hashable]:
        if self._apart == "pair":
            return [self._whole(example)]
        return [("source", folded(example.source)), *(("target", folded(text)) for text in example.references)]

    def _find(self, side: Hashable) -> Hashable:
        path = []
        while (above := self._leader.get(side, side)) != side:
            path.append(side)
            side = above
        for passed in path:
            self._leader[passed] = side
        return side


def _read(data: PairData, split: str, languages: Languages | None, notes: Counter[str]) -> list[PairExample]:
    path, other = getattr(data, split), getattr(data, f"{split}_target")
    rows = _aligned(path, other) if other is not None else _table(data, path, languages)
    examples: list[PairExample] = []
    problems: list[str] = []
    for row in rows:
        source, found = joined(row.values["source"]), row.values["target"]
        if data.marks is not None:
            found = _marked(row.values["source"], found)
            if found is None:
                problems.append(f"{row.where}: the marks are not a 0 or a 1 for each sentence of a list")
                continue
        targets = [found] if isinstance(found, str) else found
        if source is None:
            problems.append(f"{row.where}: the source is a {type(row.values['source']).__name__}")
        elif not isinstance(targets, list) or not all(isinstance(text, str) for text in targets):
            problems.append(f"{row.where}: the target is a {type(found).__name__}")
        elif not source.strip() or not targets or not all(text.strip() for text in targets):
            if data.empty == "error":
                problems.append(f"{row.where}: an empty {'target' if source.strip() else 'source'}")
            else:
                notes["rows with an empty side left out"] += 1
        else:
            references = tuple(text.strip() for text in targets)
            examples.append(PairExample(source.strip(), references[0], row.where, references, languages))
    return usable(
        examples, problems, where=path,
        remedy='Mend these lines, or check the columns; [data] empty = "drop" leaves out rows with an empty side.',
    )  # fmt: skip


def _marked(sentences: Any, marks: Any) -> str | None:
    """The sentences with a 1; None if the marks are not those of these sentences."""
    from hanmo.tasks.extractive import together

    if not isinstance(sentences, list) or not isinstance(marks, list) or len(sentences) != len(marks):
        return None
    if not all(isinstance(text, str) for text in sentences) or any(
        type(mark) is not int or mark not in (0, 1) for mark in marks
    ):
        return None
    return together([text for text, mark in zip(sentences, marks, strict=True) if mark])


def _aligned(first: str, second: str) -> list[Row]:
    """Two files whose lines belong together."""
    sides = []
    for path in (first, second):
        lines = read_text_file(Path(path)).split("\n")
        sides.append([line.rstrip("\r") for line in (lines[:-1] if lines[-1] == "" else lines)])
    sources, targets = sides
    if len(sources) != len(targets):
        shorter, longer = (first, second) if len(sources) < len(targets) else (second, first)
        n = min(len(sources), len(targets))
        raise DataError(
            f"{first} has {len(sources):,} lines, {second} has {len(targets):,}: from {longer}:{n + 1} on there is no line "
            f"in {shorter} that belongs to it",
            remedy="Give two files whose lines belong together; a line may be missing further up.",
        )
    where = f"{first}:"
    return [
        Row({"source": source, "target": target}, f"{where}{number}")
        for number, (source, target) in enumerate(zip(sources, targets, strict=True), 1)
    ]


def _table(data: PairData, path: str, languages: Languages | None) -> list[Row]:
    """A file with both sides."""
    suffixes = [suffix.lower() for suffix in Path(path).suffixes]
    told = data.target if data.marks is None else data.marks
    if data.source is not None and told is not None:
        return read_table(path, {"source": data.source, "target": told})
    if not {".json", ".jsonl"} & set(suffixes):
        return _without_names(read_table(path, {"source": 1, "target": 2}), path, languages)
    first = _first_object(path)
    if languages is not None and isinstance(first.get("translation"), dict):
        return [_of_languages(row, languages) for row in read_table(path, {"translation": "translation"})]
    known = [keys for keys in ((languages,) if languages else ()) + _KNOWN_KEYS if set(keys) <= first.keys()]
    if not known:
        raise DataError(
            f"which keys are source and target is not clear (found {', '.join(sorted(first)[:_NAMES_SHOWN])})",
            where=f"{path}:1", remedy="Name them: [data] source and target.",
        )  # fmt: skip
    return read_table(path, {"source": known[0][0], "target": known[0][1]})


def _first_object(path: str) -> Mapping[str, Any]:
    problems: list[str] = []
    for found, _ in read_objects(Path(path), problems):
        return found
    if problems:
        raise problems_error("rows that cannot be used", problems, "Mend these lines.")
    raise DataError("there is no example in this file", where=path)


def _without_names(rows: list[Row], path: str, languages: Languages | None) -> list[Row]:
    """Rows of a table whose columns nobody named, where its first line does."""
    first = tuple(str(rows[0].values[side]).strip().removeprefix("\ufeff").lower() for side in ("source", "target"))
    known = ((languages,) if languages else ()) + _KNOWN_KEYS
    if first not in known and first[::-1] not in known:
        return rows
    say(f"{path}: the first line names the columns")
    if len(rows) == 1:
        raise DataError("there is no example in this file", where=path)
    if first in known:
        return rows[1:]
    return [replace(row, values={"source": row.values["target"], "target": row.values["source"]}) for row in rows[1:]]


def _of_languages(row: Row, languages: Languages) -> Row:
    both = row.values["translation"]
    missing = [language for language in languages if not isinstance(both, dict) or language not in both]
    if missing:
        found = ", ".join(sorted(both)[:_NAMES_SHOWN]) if isinstance(both, dict) else "no object"
        raise problems_error(
            "the translation lacks a language", [f"{row.where}: no {missing[0]!r} (found {found})"],
            "Give the languages as the file has them: [data] source_language and target_language.",
        )  # fmt: skip
    return replace(row, values={"source": both[languages[0]], "target": both[languages[1]]})
