"""What pipelines of all tasks have in common: one input, a list, or a stream of millions."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, ClassVar

from hanmo.core.errors import ConfigError, DataError

__all__ = ["Pipeline", "read_text"]

_AT_ONCE = 4096
"""Inputs of a stream that are sorted by length together."""
_OF_BATCHES = ("batch_size", "num_workers", "padding")
"""Options of `transformers.pipeline` that change no answer: here batches are made by the length of texts."""
_REASONS = {
    "truncation": "Leave it out: what is too long is read in windows, or is an error, and never cut.",
    "stride": "Leave it out: long texts are read in windows that overlap, in any case.",
    "max_question_len": "Leave it out: a question that is too long is an error, and never cut.",
    "max_length": "Leave it out: what is too long is read in windows, or is an error, and never cut.",
}


class Pipeline(ABC):
    """Inputs to answers. Inputs are sorted by length inside; the order is kept outside."""

    answer_key: ClassVar[str] = "answer"
    """What an answer is called beside its input in a file."""
    reads_pairs: ClassVar[bool] = False
    """Whether an input may have a `text_pair`."""
    at_once: ClassVar[int] = 2048
    """Inputs of a file that are answered, and kept, together."""
    defaults: Mapping[str, Any] = {}
    """Options of every call, which may say otherwise."""

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
            ConfigError: for an option that there is not.
        """
        options = self.checked(options)
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

    def checked(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Options for `answers`, with the defaults, and without those that change no answer.

        Raises:
            ConfigError: for an option that there is not, or a `top_k` that is no number.
        """
        asked = {name: value for name, value in {**self.defaults, **options}.items() if name not in _OF_BATCHES}
        known = inspect.signature(self.answers).parameters.values()
        if not any(one.kind is one.VAR_KEYWORD for one in known):
            names = [one.name for one in known if one.kind is one.KEYWORD_ONLY]
            if other := next((name for name in asked if name not in names), None):
                remedy = _REASONS.get(other, f"There are {', '.join(names)}." if names else "There are none.")
                raise ConfigError(f"there is no option {other!r}", where=type(self).__name__, remedy=remedy)
        top_k = asked.get("top_k", 1)
        if top_k is not None and (isinstance(top_k, bool) or not isinstance(top_k, int)):
            raise ConfigError(f"top_k = {top_k!r} is no number of answers", where="top_k")
        return asked

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
