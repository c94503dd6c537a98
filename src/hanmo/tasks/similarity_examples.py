"""Examples of which texts are alike: pairs that belong together, triples with one that does not, pairs with a score."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from hanmo.tasks.similarity_settings import SimilarityData
from hanmo.tasks.splits import Splits, check_spread, folded, settle
from hanmo.tasks.tables import read_number, read_table, usable

__all__ = ["SimilarityExample", "read_similar", "read_test_similar"]


@dataclass(frozen=True, slots=True)
class SimilarityExample:
    """Two texts, or three."""

    texts: tuple[str, ...]
    """The first, the one that belongs to it, and for triples the one that does not."""
    score: float | None
    """How alike the two are, as the file says it."""
    where: str
    """File and line."""


def read_similar(data: SimilarityData, *, seed: int) -> Splits[SimilarityExample]:
    """Read and check everything.

    Args:
        data: where it is.
        seed: chooses what is set aside where there is no `dev`.

    Raises:
        DataError: for empty texts, scores that cannot be, a split whose scores are all the same, triples whose texts
            contradict each other, or training examples that are in `dev` or `test`; each with file and line, the first
            ten. Nothing is left out unless `data` says so, and then it is counted.
        FormatError: for a file that cannot be read.
    """
    notes: Counter[str] = Counter()
    train = _read(data, data.train, notes)
    dev = _read(data, data.dev, notes) if data.dev is not None else []
    test = _read(data, data.test, notes) if data.test is not None else []
    train, dev, test = settle(data, train, dev, test, key=_key, seed=seed, notes=notes)
    if data.kind == "scores":
        check_spread(data, (train, dev, test), lambda one: one.score, "score")
    return Splits.of(train, dev, test, labels=(), notes=notes)


def read_test_similar(data: SimilarityData, notes: Counter[str]) -> list[SimilarityExample]:
    """Read `test` alone, for a model that is already trained; errors as `read_similar`."""
    assert data.test is not None
    examples = _read(data, data.test, notes)
    if data.kind == "scores":
        check_spread(data, ((), (), examples), lambda one: one.score, "score")
    return examples


def _read(data: SimilarityData, path: str, notes: Counter[str]) -> list[SimilarityExample]:
    examples, problems = [], []
    for row in read_table(path, data.columns):
        texts = tuple(row.values[name] for name in ("text", "pair", "negative") if name in row.values)
        others = [type(text).__name__ for text in texts if not isinstance(text, str)]
        if others:
            problems.append(f"{row.where}: a {others[0]} where a text belongs")
        elif not all(text.strip() for text in texts):
            notes["examples with an empty text left out"] += data.empty == "drop"
            if data.empty == "error":
                problems.append(f"{row.where}: an empty text")
        else:
            try:
                examples.append(SimilarityExample(texts, _checked(texts, row.values.get("score"), data), row.where))
            except ValueError as error:
                problems.append(f"{row.where}: {error}")
    return usable(
        examples, problems, where=path,
        remedy='Mend these lines, or check the columns; [data] empty = "drop" leaves examples with an empty text out.',
    )  # fmt: skip


def _checked(texts: tuple[str, ...], score: Any, data: SimilarityData) -> float | None:
    """The score of an example, if it has one and all is well."""
    if data.kind == "triples" and folded(texts[2]) in (folded(texts[0]), folded(texts[1])):
        raise ValueError("the text that does not belong is one of the two that do")
    if data.kind != "scores":
        return None
    number = read_number(score, "score")
    if not data.lowest <= number <= data.highest:
        raise ValueError(
            f"the score {number:g} is outside {data.lowest:g}..{data.highest:g} ([data] lowest and highest)"
        )
    return number


def _key(example: SimilarityExample) -> tuple[str, ...]:
    """The same for two texts in either order."""
    first, second, *rest = map(folded, example.texts)
    return (*sorted((first, second)), *rest)
