"""The next line of a function that a model has not seen: exact match and edit similarity (Lu et al., 2021, CodeXGLUE)."""

from __future__ import annotations

import ast
import difflib
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hanmo.core.errors import DataError
from hanmo.core.progress import progress
from hanmo.evaluation.program_text import parse_program
from hanmo.metrics.intervals import bootstrap_interval
from hanmo.metrics.per_example import mean_of
from hanmo.ngrams.marks import N_MARKS
from hanmo.ngrams.training import train_on_ids
from hanmo.tasks.language_model import LanguageModel
from hanmo.tokenizers.tokenizer import Tokenizer

__all__ = ["Line", "Predict", "completion_figures", "find_lines", "ngram_lines", "writes_between", "writes_on"]

_MOST_TOKENS = 48
_SHORTEST = 3
_ORDER = 5

Predict = Callable[["Line"], str]
"""A line, without blanks around it, from what stands before (and behind)."""


@dataclass(frozen=True)
class Line:
    """One line of a function, and the file around it."""

    before: str
    """All of the file up to the end of the line before."""
    line: str
    """The line, without blanks around it."""
    behind: str
    """The rest of the file, from the line end on."""


def find_lines(sources: Iterable[str], n: int, seed: int = 0) -> list[Line]:
    """One line of each of `n` functions: in its body, no comment, no part of a string of several lines.

    Args:
        sources: Python files; what is none is passed over.
        n: how many at most; drawn from all functions.
        seed: of the draw.

    Raises:
        DataError: if there is no function with such a line.
    """
    draw, found = random.Random(seed), []
    for source in sources:
        try:
            tree = parse_program(source)
        except (SyntaxError, ValueError, RecursionError):
            continue
        lines = source.split("\n")
        strings = _inside_strings(tree)
        for node in ast.walk(tree):
            if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                continue
            first, last = node.body[0].lineno, node.end_lineno or node.body[0].lineno
            wanted = [
                number for number in range(first, last + 1) if number not in strings and _counts(lines[number - 1])
            ]
            if wanted:
                number = draw.choice(wanted)
                before, behind = "\n".join(lines[: number - 1]), "\n".join(["", *lines[number:]])
                found.append(Line(before, lines[number - 1].strip(), behind))
    if not found:
        raise DataError("there is no function with a line to complete", where="sources", remedy="Give Python files.")
    draw.shuffle(found)
    return found[:n]


def writes_on(lm: LanguageModel) -> Predict:
    """What the model writes after what stands before, most probable token by token."""

    def predict(line: Line) -> str:
        before = _tail(line.before, lm.tokenizer, lm.config.max_len - _MOST_TOKENS - 1)
        return _first_line(lm.generate(before, max_new_tokens=_MOST_TOKENS, temperature=0))

    return predict


def writes_between(lm: LanguageModel) -> Predict:
    """What it writes between what stands before and behind, half of its sight for each."""
    room = (lm.config.max_len - _MOST_TOKENS - 4) // 2

    def predict(line: Line) -> str:
        before, behind = _tail(line.before, lm.tokenizer, room), _head(line.behind, lm.tokenizer, room)
        return _first_line(lm.infill(before, behind, max_new_tokens=_MOST_TOKENS, temperature=0))

    return predict


def ngram_lines(tokenizer: Tokenizer, sources: Iterable[str]) -> Predict:
    """What a Kneser–Ney model of the same tokens writes, most probable token by token."""
    end = tokenizer.eos_id
    assert end is not None
    ids = np.array([token for source in sources for token in (*tokenizer.encode(source), end)])
    model = train_on_ids(ids, n_ids=tokenizer.vocab_size, end_id=end, order=_ORDER)

    def predict(line: Line) -> str:
        state, written = 0, []
        for token in tokenizer.encode(line.before[-400:])[-2 * _ORDER :]:
            state = model.step(state, token + N_MARKS)[1]
        while len(written) < _MOST_TOKENS and "\n" not in tokenizer.decode(written).strip():
            logs = model.distribution(state)
            logs[:N_MARKS] = -np.inf
            written.append(int(logs.argmax()) - N_MARKS)
            state = model.step(state, written[-1] + N_MARKS)[1]
        return _first_line(tokenizer.decode(written))

    return predict


def completion_figures(lines: Sequence[Line], predict: Predict) -> dict[str, Any]:
    """Exact match and edit similarity, 0..1, with the ends of their 95 % intervals.

    Edit similarity is twice the matching characters by the characters of both (difflib's ratio).
    """
    exact, alike = [], []
    with progress("Complete", unit="lines") as bar:
        for line in lines:
            written = predict(line)
            exact.append(float(written == line.line))
            alike.append(difflib.SequenceMatcher(None, written, line.line, autojunk=False).ratio())
            bar.advance(1)
    told: dict[str, Any] = {"lines": len(lines)}
    for name, values in (("exact_match", exact), ("edit_similarity", alike)):
        interval = bootstrap_interval(mean_of(values, name))
        told |= {name: interval.value, f"{name}_interval": [interval.low, interval.high]}
    return told


def _counts(line: str) -> bool:
    return len(line.strip()) >= _SHORTEST and not line.lstrip().startswith("#")


def _inside_strings(tree: ast.Module) -> set[int]:
    """Lines of strings that go over several."""
    return {
        number
        for node in ast.walk(tree)
        if isinstance(node, (ast.Constant, ast.JoinedStr)) and (node.end_lineno or node.lineno) > node.lineno
        for number in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }


def _first_line(text: str) -> str:
    return text.strip().split("\n")[0].strip()


def _tail(text: str, tokenizer: Tokenizer, most: int) -> str:
    """The end of a text, from the beginning of a line where there is one, of at most so many tokens."""
    text = text[-8 * most :]
    while len(tokenizer.encode(text)) > most:
        _, _, rest = text.partition("\n")
        text = rest or text[len(text) // 4 + 1 :]
    return text


def _head(text: str, tokenizer: Tokenizer, most: int) -> str:
    text = text[: 8 * most]
    while len(tokenizer.encode(text)) > most:
        rest, _, _ = text.rpartition("\n")
        text = rest or text[: len(text) * 3 // 4]
    return text
