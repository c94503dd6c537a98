"""What pipelines of all tasks have in common: one input, a list, or a stream of millions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, ClassVar

from hanmo.core.errors import DataError

__all__ = ["Pipeline", "read_text"]

_AT_ONCE = 4096
"""Inputs of a stream that are sorted by length together."""


class Pipeline(ABC):
    """Inputs to answers. Inputs are sorted by length inside; the order is kept outside."""

    answer_key: ClassVar[str] = "answer"
    """What an answer is called beside its input in a file."""
    at_once: ClassVar[int] = 2048
    """Inputs of a file that are answered, and kept, together."""

    def __call__(self, inputs: Any, **options: Any) -> Any:
        """Answer.

        Args:
            inputs: one, as `read` takes it; a list of them; or any other iterable, which is read as the answers are
                asked for.
            options: of `answers`.

        Returns:
            The answer to one, a list of answers, or an iterator.

        Raises:
            DataError: for an input that cannot be one.
        """
        if isinstance(inputs, (str, Mapping)):
            return self.alone(self.answers([self.read(inputs)], **options)[0], inputs, options)
        if isinstance(inputs, list):
            return self.answers([self.read(item) for item in inputs], **options)
        if isinstance(inputs, Iterable):
            return self._stream(iter(inputs), options)
        raise DataError(f"a {type(inputs).__name__} is no text", where="inputs", remedy="Give a string or a list.")

    @abstractmethod
    def read(self, item: Any) -> Any:
        """One input as `answers` takes it.

        Raises:
            DataError: if it cannot be one.
        """

    @abstractmethod
    def answers(self, items: list[Any], **options: Any) -> list[Any]:
        """Answers for several inputs, in their order."""

    def alone(self, answer: Any, item: Any, options: Mapping[str, Any]) -> Any:
        """The answer to an input that was not in a list."""
        return answer

    def _stream(self, inputs: Iterator[Any], options: dict[str, Any]) -> Iterator[Any]:
        while batch := [self.read(item) for item in islice(inputs, _AT_ONCE)]:
            yield from self.answers(batch, **options)


def read_text(item: Any) -> str:
    """A string, or the `text` of an object.

    Raises:
        DataError: if there is none.
    """
    text = item.get("text") if isinstance(item, Mapping) else item
    if isinstance(text, str):
        return text
    raise DataError(f"{str(item)[:60]!r} is no text", where="inputs", remedy='Give a string, or {"text": …}.')
