"""How good vectors are: word similarity and analogy sets, English and Chinese."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hanmo.core.errors import DataError, FormatError
from hanmo.core.progress import progress
from hanmo.vectors.neighbours import AnalogyMethod, analogies, unit_vectors
from hanmo.vectors.word_vectors import WordVectors

__all__ = ["AnalogyResult", "SectionResult", "SimilarityResult", "rank_correlation", "run_word_test"]

_QUESTIONS = 2048
"""Questions between two steps of the progress bar."""


@dataclass(frozen=True, kw_only=True)
class SimilarityResult:
    """Agreement of cosines with people's judgement of pairs of words."""

    name: str
    spearman: float | None
    """Rank correlation over the pairs whose words both have vectors; None where it is not defined."""
    n_known: int
    """Pairs whose words both have vectors."""
    n_pairs: int

    def to_dict(self) -> dict[str, Any]:
        """The fields, and the share of pairs that was known."""
        return {"kind": "similarity", **asdict(self), "coverage": self.n_known / self.n_pairs}


@dataclass(frozen=True, kw_only=True)
class SectionResult:
    """One section of an analogy set."""

    name: str
    n_right: int
    n_known: int
    """Questions whose three words have vectors, and whose answer is in the vocabulary."""
    n_questions: int


@dataclass(frozen=True, kw_only=True)
class AnalogyResult:
    """Answers to `a : b = c : ?`, right where the first of them is the word in the set."""

    name: str
    method: AnalogyMethod
    sections: tuple[SectionResult, ...]

    @property
    def n_known(self) -> int:
        """Questions whose three words have vectors, and whose answer is in the vocabulary."""
        return sum(section.n_known for section in self.sections)

    @property
    def n_questions(self) -> int:
        """All questions."""
        return sum(section.n_questions for section in self.sections)

    @property
    def accuracy(self) -> float | None:
        """Share of right answers to the known questions; None where none is known."""
        return sum(section.n_right for section in self.sections) / self.n_known if self.n_known else None

    def to_dict(self) -> dict[str, Any]:
        """The fields, the accuracy, and the share of questions that was known."""
        return {
            "kind": "analogy",
            **asdict(self),
            "accuracy": self.accuracy,
            "n_known": self.n_known,
            "n_questions": self.n_questions,
            "coverage": self.n_known / self.n_questions,
        }


def run_word_test(
    vectors: WordVectors, path: str | Path, *, method: AnalogyMethod = "add", within: int | None = None
) -> SimilarityResult | AnalogyResult:
    """Run one file of a test, also .gz: lines `word word score` (similarity) or `a b c d` (analogies).

    Lines `: name` begin a section of analogies. A word that has no vector is looked up in lower case.

    Args:
        vectors: what is tested.
        path: the file.
        method: how analogies are answered.
        within: look for answers among the first so many words; questions with other words are not known then.

    Raises:
        DataError: if the file cannot be read.
        FormatError: for a line that is neither, with file and line.
    """
    path = Path(path)
    pairs, sections = _read(path)
    name = path.name.removesuffix(".gz").removesuffix(".txt")
    if pairs:
        known = [(one, other, score) for one, other, score in pairs if _find(vectors, one) and _find(vectors, other)]
        return SimilarityResult(
            name=name, spearman=_spearman(vectors, known), n_known=len(known), n_pairs=len(pairs)
        )  # fmt: skip
    results = []
    with progress(f"answer {name}", sum(len(questions) for _, questions in sections), "questions") as bar:
        for title, questions in sections:
            found = [
                [*(_find(vectors, word, within) for word in question[:3]), _find_word(vectors, question[3], within)]
                for question in questions
            ]
            known = [[word for word in words if word] for words in found if all(words)]
            n_right = 0
            for start in range(0, len(known), _QUESTIONS):
                part = known[start : start + _QUESTIONS]
                answers = analogies(vectors, [(a, b, c) for a, b, c, _ in part], method=method, within=within)
                n_right += sum(
                    bool(answer) and answer[0].word == words[3] for answer, words in zip(answers, part, strict=True)
                )
                bar.advance(len(part))
            bar.advance(len(questions) - len(known))
            results.append(SectionResult(name=title, n_right=n_right, n_known=len(known), n_questions=len(questions)))
    return AnalogyResult(name=name, method=method, sections=tuple(results))


def _find_word(vectors: WordVectors, word: str, within: int | None = None) -> str | None:
    """The word, or the word in lower case, if it is in the vocabulary."""
    for form in (word, word.lower()):
        if form in vectors and (within is None or vectors.row(form) < within):
            return form
    return None


def _find(vectors: WordVectors, word: str, within: int | None = None) -> str | None:
    """As `_find_word`; else the word itself if its sub-words give it a vector."""
    found = _find_word(vectors, word, within)
    return word if found is None and within is None and vectors.has_vector(word) else found


def _spearman(vectors: WordVectors, pairs: Sequence[tuple[str, str, float]]) -> float | None:
    if not pairs:
        return None
    one = unit_vectors(vectors, [_find(vectors, word) or "" for word, _, _ in pairs])  # (P, D)
    other = unit_vectors(vectors, [_find(vectors, word) or "" for _, word, _ in pairs])
    return rank_correlation(np.einsum("pd,pd->p", one, other), np.array([score for _, _, score in pairs]))


def rank_correlation(one: np.ndarray, other: np.ndarray) -> float | None:
    """Spearman's ρ: Pearson's correlation of ranks, equal values sharing their mean rank; None where all are equal.

    Args:
        one: (N,).
        other: (N,).
    """
    first, second = _ranks(one), _ranks(other)
    first, second = first - first.mean(), second - second.mean()
    scale = np.sqrt((first @ first) * (second @ second))
    return float(first @ second / scale) if scale > 0 else None


def _ranks(values: np.ndarray) -> np.ndarray:
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[which]


def _read(path: Path) -> tuple[list[tuple[str, str, float]], list[tuple[str, list[list[str]]]]]:
    """Pairs, or sections of questions; the other is empty."""
    pairs: list[tuple[str, str, float]] = []
    sections: list[tuple[str, list[list[str]]]] = []
    for number, line in enumerate(_lines(path), 1):
        fields = line.split()
        where = f"{path}:{number}"
        if not fields:
            continue
        if fields[0] == ":":
            sections.append((" ".join(fields[1:]), []))
        elif len(fields) == 4:
            if not sections:
                sections.append(("all", []))
            sections[-1][1].append(fields)
        elif len(fields) == 3:
            try:
                pairs.append((fields[0], fields[1], float(fields[2])))
            except ValueError as error:
                raise FormatError(f"the score {fields[2]!r} is not a number", where=where) from error
        else:
            raise FormatError("neither 'word word score' nor 'a b c d'", where=where)
        if pairs and sections:
            raise FormatError("pairs with scores and analogies in one file", where=where)
    if not pairs and not any(questions for _, questions in sections):
        raise FormatError("there is no pair and no question in this file", where=path)
    return pairs, sections


def _lines(path: Path) -> list[str]:
    try:
        with gzip.open(path) if path.suffix == ".gz" else open(path, "rb") as file:
            return file.read().decode("utf-8-sig").splitlines()
    except FileNotFoundError as error:
        raise DataError("there is no such test file", where=path, remedy="Check the path.") from error
    except UnicodeDecodeError as error:
        raise FormatError("this test file is not UTF-8", where=path) from error
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise FormatError(f"a damaged .gz file ({error})", where=path) from error
    except OSError as error:
        raise DataError(f"cannot read this test file ({error.strerror})", where=path) from error
