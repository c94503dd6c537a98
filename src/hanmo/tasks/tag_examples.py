"""Sentences whose words have tags: CoNLL columns, CoNLL-U, CLUENER, segmented Chinese. Read, named by their place, and
checked whole before anything is trained on them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from hanmo.core.errors import DataError
from hanmo.core.progress import say
from hanmo.core.settings import differs
from hanmo.metrics.tag_schemes import Entity, Scheme, entities, illegal_tags, in_bioes_letters, loose_entities, spell
from hanmo.tasks.json_objects import parse_json
from hanmo.tasks.splits import SplitData, Splits, folded, settle
from hanmo.tasks.tables import problems_error
from hanmo.tasks.text_files import read_text_file

__all__ = ["TagData", "TagExample", "read_tagged", "read_test_tags"]

_UPOS, _XPOS = 3, 4
_CONLLU_COLUMNS = 10
_CONLLU_TAGS = (-1, *range(1, _CONLLU_COLUMNS + 1))
"""What `tag_column` may be in conllu; -1 is what it is where it was not given."""
_READ_BY = {"word_column": {"conll"}, "tag_column": {"conll", "conllu"}, "scheme": {"conll"}}
"""Formats that a setting is for."""


class TagData(SplitData):
    """Where the sentences are, and how their tags are written.

    `conll`: a word on each line with its tags in columns, an empty line after each sentence. `conllu`: the ten columns of
    Universal Dependencies. `cluener`: an object on each line, `text` and `label` with the places of entities; words are
    characters. `segmented`: a sentence on each line with white space between words; characters are tagged B, M, E, S.
    """

    format: Literal["auto", "conll", "conllu", "cluener", "segmented"] = "auto"
    """How the files are written; `auto` goes by the ending (.conllu, .json, .jsonl, any other: conll)."""
    word_column: int = Field(default=1, ge=1)
    """Column of the word, from 1, `conll` only."""
    tag_column: int | Literal["upos", "xpos"] = -1
    """Column of the tag, from 1 or from the last (-1). In conllu `upos`, `xpos`, or from 1 to 10; left at -1, `upos`."""
    scheme: Scheme | Literal["none"] = "none"
    """How spans are written in `conll`; `none` where each word has a tag of its own, such as a part of speech."""
    learn: Literal["BIOES", "IOB2", "BMES"] | None = None
    """How the model is to write spans, whatever the file does; BIOES if None, BMES where the file has it."""
    illegal: Literal["error", "repair"] = "error"
    """What to do with tags that break their scheme, and with spans that overlap: refuse them, or read them as conlleval
    does (an I that follows nothing begins a span; of two spans that overlap the longer stays)."""

    @model_validator(mode="after")
    def _columns_fit(self) -> TagData:
        if self.tag_column == 0:
            raise ValueError("tag_column = 0: columns are counted from 1, or from -1 backwards")
        for path in (self.train, self.dev, self.test):
            if path is None:
                continue
            is_conllu = self.format_of(path) == "conllu"
            if isinstance(self.tag_column, str) and not is_conllu:
                raise ValueError(
                    f"tag_column = {self.tag_column!r} is a column of conllu, and {path} is {self.format_of(path)}"
                )
            if isinstance(self.tag_column, int) and is_conllu and self.tag_column not in _CONLLU_TAGS:
                raise ValueError(
                    f"tag_column = {self.tag_column}: {path} is conllu, whose columns are 'upos', 'xpos', or from 1 to 10"
                )
        formats = {self.format_of(path) for path in (self.train, self.dev, self.test) if path is not None}
        for name, readers in _READ_BY.items():
            if differs(self, name) and not formats & readers:
                raise ValueError(
                    f"{name} has no effect with files that are {', '.join(sorted(formats))}; leave it out, or give their format"
                )
        return self

    def format_of(self, path: str) -> str:
        """How this file is written."""
        if self.format != "auto":
            return self.format
        name = path.lower().removesuffix(".gz")
        return "conllu" if name.endswith(".conllu") else "cluener" if name.endswith((".json", ".jsonl")) else "conll"

    def has_spans(self, path: str) -> bool:
        """Whether tags spell spans."""
        return self.format_of(path) in ("cluener", "segmented") or self.scheme != "none"

    def learned(self, path: str) -> Scheme:
        """The scheme that the model writes."""
        if self.learn is not None:
            return self.learn
        return "BMES" if self.scheme == "BMES" or self.format_of(path) == "segmented" else "BIOES"


@dataclass(frozen=True, slots=True)
class TagExample:
    """One sentence."""

    words: tuple[str, ...]
    tags: tuple[str, ...]
    """In the scheme that is learned."""
    where: str
    """File and line."""


@dataclass(frozen=True, slots=True)
class _Raw:
    words: list[str]
    tags: list[str] | list[Entity]
    where: str


def read_tagged(data: TagData, *, seed: int) -> Splits[TagExample]:
    """Read and check everything.

    Args:
        data: where it is.
        seed: chooses what is set aside where there is no `dev`.

    Raises:
        DataError: for a line without its column, tags that break their scheme, spans whose text is not theirs, tags that
            training never sees, or training sentences that are in `dev` or `test`; each with file and line, the first
            ten. Nothing is left out or mended unless `data` says so, and then it is counted.
        FormatError: for a file that cannot be read.
    """
    notes: Counter[str] = Counter()
    train = _read(data, data.train, notes)
    dev = _read(data, data.dev, notes) if data.dev is not None else []
    test = _read(data, data.test, notes) if data.test is not None else []
    scheme = data.learned(data.train) if data.has_spans(data.train) else None
    train, dev, test = settle(
        data, train, dev, test, key=_key, seed=seed, notes=notes,
        kinds=lambda example: [_kind(tag, scheme) for tag in dict.fromkeys(example.tags)],
    )  # fmt: skip
    labels = _labels(train, {"dev": dev, "test": test}, scheme, data.train)
    for kind, where in _single(train, scheme):
        notes["kinds of tags with a single training example"] += 1
        say(f"{kind} has one training example, {where}")
    return Splits.of(train, dev, test, labels=labels, notes=notes)


def read_test_tags(data: TagData, labels: Sequence[str], notes: Counter[str]) -> list[TagExample]:
    """Read `test` alone, for a model that is already trained.

    Args:
        data: where it is, and how it is written.
        labels: the tags that the model writes.
        notes: what was mended is counted here.

    Raises:
        DataError: as `read_tagged`, and for tags that the model does not write.
        FormatError: for a file that cannot be read.
    """
    assert data.test is not None
    examples = _read(data, data.test, notes)
    problems = [
        f"{example.where}: {tag}" for example in examples for tag in dict.fromkeys(example.tags) if tag not in labels
    ]
    if problems:
        raise problems_error(
            f"tags that the model does not write, which are {', '.join(labels[:10])}{', …' if len(labels) > 10 else ''}",
            problems, "Check [data] scheme, learn and columns.",
        )  # fmt: skip
    return examples


def _key(example: TagExample) -> str:
    return folded(" ".join(example.words))


def _read(data: TagData, path: str, notes: Counter[str]) -> list[TagExample]:
    text = read_text_file(Path(path))
    problems: list[str] = []
    match data.format_of(path):
        case "conll":
            raw = _conll(text, path, data, problems)
        case "conllu":
            raw = _conllu(text, path, data, problems)
        case "segmented":
            raw = _segmented(text, path)
        case _:
            raw = _cluener(text, path, data, problems, notes)
    scheme = data.learned(path)
    examples = []
    for sentence in raw:
        try:
            tags = _learned(sentence, data, scheme, notes)
            examples.append(TagExample(tuple(sentence.words), tuple(tags), sentence.where))
        except DataError as error:
            problems.append(f"{sentence.where}: {error.what}")
    if problems:
        raise problems_error(
            f"{len(problems)} places cannot be used", problems,
            'Mend these lines, or check [data] scheme and columns; illegal = "repair" reads tags that break their '
            "scheme as conlleval does, and of two spans that overlap takes the longer one.",
        )  # fmt: skip
    if not examples:
        raise DataError("there is no sentence in this file", where=path)
    return examples


def _learned(sentence: _Raw, data: TagData, scheme: Scheme, notes: Counter[str]) -> Sequence[str]:
    """The tags in the scheme that is learned."""
    tags = [tag for tag in sentence.tags if isinstance(tag, str)]
    if len(tags) < len(sentence.tags):
        return spell([tag for tag in sentence.tags if isinstance(tag, Entity)], len(sentence.words), scheme)
    if len(tags) < len(sentence.words):  # no entity
        return spell([], len(sentence.words), scheme)
    if data.scheme == "none":
        return tags
    in_bioes_letters(tags, data.scheme)
    broken = illegal_tags(tags, data.scheme)
    if not broken:
        return tags if data.scheme == scheme else spell(entities(tags, data.scheme), len(tags), scheme)
    if data.illegal == "error":
        place = broken[0]
        shown = tags[place] if place < len(tags) else "the end of the sentence"
        before = tags[place - 1] if place else "the beginning of the sentence"
        raise DataError(f"word {place + 1}: {shown} cannot follow {before} in {data.scheme}")
    notes["sentences whose tags broke their scheme were mended"] += 1
    return spell(loose_entities(tags, data.scheme), len(tags), scheme)


def _conll(text: str, path: str, data: TagData, problems: list[str]) -> Iterator[_Raw]:
    words: list[str] = []
    tags: list[str] = []
    first = 0
    for number, line in enumerate([*text.split("\n"), ""], 1):
        line = line.rstrip("\r")
        fields = line.split("\t") if "\t" in line else line.split()
        if not line.strip():
            if words:
                yield _Raw(words, list(tags), f"{path}:{first}")
            words, tags = [], []
            continue
        if fields[0] == "-DOCSTART-":
            continue
        column = data.tag_column if isinstance(data.tag_column, int) else -1
        needed = max(data.word_column, abs(column), 2)
        if len(fields) < needed:
            problems.append(f"{path}:{number}: {len(fields)} columns where {needed} are needed")
            continue
        first = first if words else number
        words.append(fields[data.word_column - 1])
        tags.append(fields[column - 1 if column > 0 else column].strip())
        if not words[-1].strip() or not tags[-1]:
            problems.append(f"{path}:{number}: an empty word or tag")


def _conllu(text: str, path: str, data: TagData, problems: list[str]) -> Iterator[_Raw]:
    column = _XPOS if data.tag_column == "xpos" else _UPOS
    if isinstance(data.tag_column, int) and data.tag_column > 0:
        column = data.tag_column - 1
    words: list[str] = []
    tags: list[str] = []
    first = 0
    for number, line in enumerate([*text.split("\n"), ""], 1):
        line = line.rstrip("\r")
        if not line:
            if words:
                yield _Raw(words, list(tags), f"{path}:{first}")
            words, tags = [], []
            continue
        if line.startswith("#"):
            continue
        fields = line.split("\t")
        if len(fields) != _CONLLU_COLUMNS:
            problems.append(f"{path}:{number}: {len(fields)} columns where CoNLL-U has {_CONLLU_COLUMNS}")
        elif "-" not in fields[0] and "." not in fields[0]:  # words that are written as one, words that are not written
            first = first if words else number
            words.append(fields[1])
            tags.append(fields[column])
            if not fields[1].strip() or not fields[column].strip():
                problems.append(f"{path}:{number}: an empty word or tag")


def _segmented(text: str, path: str) -> Iterator[_Raw]:
    for number, line in enumerate(text.split("\n"), 1):
        spans, characters = [], 0
        for word in line.split():
            spans.append(Entity("_", characters, characters + len(word)))
            characters += len(word)
        if spans:
            yield _Raw(list("".join(line.split())), spans, f"{path}:{number}")


def _cluener(text: str, path: str, data: TagData, problems: list[str], notes: Counter[str]) -> Iterator[_Raw]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        try:
            record = parse_json(line)
            sentence, marked = record["text"], record.get("label", {})
            spans = [
                (kind, surface, first, last)
                for kind, found in marked.items()
                for surface, places in found.items()
                for first, last in places
            ]
            if not isinstance(sentence, str) or not all(type(at) is int for span in spans for at in span[2:]):
                raise TypeError
        except (ValueError, KeyError, TypeError, AttributeError):
            problems.append(f'{where}: not an object with "text" and "label" as CLUENER has them')
            continue
        if not sentence.strip():
            problems.append(f"{where}: an empty text")
            continue
        wrong = [span for span in spans if sentence[span[2] : span[3] + 1] != span[1]]
        if wrong:
            kind, surface, first, last = wrong[0]
            problems.append(f"{where}: {surface!r} ({kind}) does not stand at {first} to {last}")
            continue
        try:
            kept = _apart([Entity(kind, first, last + 1) for kind, _, first, last in spans], data.illegal, notes)
            yield _Raw(list(sentence), kept, where)
        except DataError as error:
            problems.append(f"{where}: {error.what}")


def _apart(spans: list[Entity], illegal: str, notes: Counter[str]) -> list[Entity]:
    """Spans that do not overlap."""
    kept: list[Entity] = []
    for span in sorted(set(spans), key=lambda span: (span.start - span.end, span.start)):
        other = next((one for one in kept if span.start < one.end and one.start < span.end), None)
        if other is None:
            kept.append(span)
        elif illegal == "error":
            raise DataError(f"{span.type} at {span.start} overlaps {other.type} at {other.start}")
        else:
            notes["spans left out because they overlap a longer one"] += 1
    return kept


def _labels(
    train: Sequence[TagExample], others: Mapping[str, Sequence[TagExample]], scheme: Scheme | None, path: str
) -> tuple[str, ...]:
    """All tags of the scheme for the kinds of spans in training, or the tags that training has."""
    seen = {_kind(tag, scheme) for example in train for tag in example.tags}
    problems = [
        f"{example.where}: {tag}"
        for split in others.values()
        for example in split
        for tag in dict.fromkeys(example.tags)
        if _kind(tag, scheme) not in seen
    ]
    if problems:
        raise problems_error(
            "tags that training never sees", problems, "Add sentences that have them, or check the columns."
        )
    if scheme is None:
        if len(seen) < 2:
            raise DataError(f"all words have the tag {next(iter(seen), None)!r}", where=path)
        return tuple(sorted(seen))
    kinds = sorted(seen - {"O"})
    if not kinds:
        raise DataError("no word has a tag other than O", where=path, remedy="Check the columns.")
    letters = [letter for letter in ("B", "M", "I", "E", "S") if letter in _letters(scheme)]
    tags = [letter if kind == "_" else f"{letter}-{kind}" for kind in kinds for letter in letters]
    return tuple((["O"] if "O" in seen else []) + tags)


def _single(train: Sequence[TagExample], scheme: Scheme | None) -> list[tuple[str, str]]:
    """Kinds of spans, or tags, of which training has one, and where."""
    found: dict[str, list[str]] = {}
    for example in train:
        begins = example.tags if scheme is None else [span.type for span in entities(example.tags, scheme)]
        for kind in begins:
            found.setdefault(kind, []).append(example.where)
    return [(kind, places[0]) for kind, places in sorted(found.items()) if len(places) == 1]


def _letters(scheme: Scheme) -> str:
    return {"BIOES": "BIES", "BMES": "BMES"}.get(scheme, "BI")


def _kind(tag: str, scheme: Scheme | None) -> str:
    if scheme is None or tag == "O":
        return tag
    return tag.partition("-")[2] or "_"
