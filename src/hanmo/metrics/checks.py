"""What every metric checks before it counts: same lengths, something to count, values of one kind.

A metric over the wrong pairs is a number like any other, so these errors name the first place that is wrong.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hanmo.core.errors import DataError

__all__ = ["as_list", "check_labels", "check_numbers", "check_pairs", "check_texts", "reference_lists"]


def as_list(values: Iterable[Any], name: str) -> list[Any]:
    """A list of what was given (lists, tuples, arrays), so that it can be read twice; a text is refused."""
    if isinstance(values, str | bytes):
        raise DataError(f"{name} is one text, not a list of examples", where=name, remedy="Wrap it in a list.")
    array: Any = values
    return list(array.tolist()) if hasattr(values, "tolist") else list(values)


def check_pairs(predictions: Sequence[Any], references: Sequence[Any]) -> None:
    """Refuse lists of different lengths, and empty ones.

    Raises:
        DataError: naming both lengths.
    """
    if len(predictions) != len(references):
        raise DataError(
            f"{len(predictions)} predictions for {len(references)} references",
            where="predictions",
            remedy="Give one prediction for each reference, in the same order.",
        )
    if not references:
        raise DataError("there is nothing to score: no predictions, no references", where="predictions")


def check_labels(labels: Sequence[Any], name: str) -> None:
    """Refuse what cannot be a class: missing values, lists, floats, and texts mixed with numbers.

    Raises:
        DataError: naming the first position and what stands there.
    """
    kind: type | None = None
    for position, label in enumerate(labels):
        here = str if isinstance(label, str) else int if isinstance(label, numbers.Integral) else None
        if here is None:
            raise DataError(
                f"{label!r} ({type(label).__name__}) is not a label",
                where=f"{name}[{position}]",
                remedy="Give texts or whole numbers; take the argmax of scores first.",
            )
        if kind is None:
            kind = here
        elif here is not kind:
            raise DataError(
                f"{label!r} is of type {here.__name__}, the labels before it are of type {kind.__name__}",
                where=f"{name}[{position}]",
                remedy="Give all labels as texts or all as numbers.",
            )


def check_numbers(values: Sequence[Any], name: str) -> NDArray[np.float64]:
    """The values as float64, (N,); refuses NaN, infinities and what is not a number.

    Raises:
        DataError: naming the first position and what stands there.
    """
    for position, value in enumerate(values):
        if not isinstance(value, numbers.Real) or not math.isfinite(value):
            raise DataError(
                f"{value!r} is not a finite number",
                where=f"{name}[{position}]",
                remedy="Look for the example that gave it; a NaN score usually means that training diverged.",
            )
    return np.asarray(values, dtype=np.float64)


def check_texts(texts: Sequence[Any], name: str) -> None:
    """Refuse what is not a text.

    Raises:
        DataError: naming the first position and what stands there.
    """
    for position, text in enumerate(texts):
        if not isinstance(text, str):
            raise DataError(
                f"{text!r} ({type(text).__name__}) is not a text", where=f"{name}[{position}]", remedy="Give strings."
            )


def reference_lists(references: Sequence[str | Sequence[str]], *, may_be_empty: bool = False) -> list[list[str]]:
    """Each example's references as a list: one text stands for a list of one.

    Args:
        references: one text, or several texts, for each example.
        may_be_empty: whether an example without any reference has a meaning (a question without an answer).

    Raises:
        DataError: for an example without references, or a reference that is not a text.
    """
    lists: list[list[str]] = []
    for position, given in enumerate(references):
        texts = [given] if isinstance(given, str) else given
        if not isinstance(texts, Sequence):
            raise DataError(
                f"{given!r} ({type(given).__name__}) is neither a text nor a list of texts",
                where=f"references[{position}]",
            )
        if not texts and not may_be_empty:
            raise DataError("this example has no reference", where=f"references[{position}]")
        check_texts(texts, f"references[{position}]")
        lists.append(list(texts))
    return lists
