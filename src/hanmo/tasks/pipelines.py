"""`hanmo.pipeline(task, model)`: text in, answers out, with the names, arguments and fields of `transformers.pipeline`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from hanmo.core.errors import ConfigError, DataError, ModelError
from hanmo.tasks.loaded_model import LoadedModel
from hanmo.tasks.loading import load
from hanmo.tasks.text_classifier import TextClassifier

__all__ = ["PIPELINES", "Pipeline", "TextClassificationPipeline", "pipeline"]

_AT_ONCE = 4096
"""Texts of a stream that are sorted by length together."""
_UNSET: Any = object()
Text = str | tuple[str, str]


class Pipeline(Protocol):
    """What a pipeline of any task can do besides being called."""

    @property
    def answers(self) -> Callable[..., list[Any]]:
        """Answers for several inputs, in their order."""
        ...


class TextClassificationPipeline:
    """Which class a text, or a pair of texts, has. Texts are sorted by length inside; the order is kept outside."""

    def __init__(self, classifier: TextClassifier):
        self.classifier = classifier

    def __call__(self, inputs: Any, *, top_k: int | None = _UNSET) -> Any:
        """Tell classes.

        Args:
            inputs: a text; a pair as {"text": …, "text_pair": …}; a list of these; or any other iterable of them, which
                is read as the answers are asked for.
            top_k: how many classes of each text; all if None.

        Returns:
            Of one text `[{"label": …, "score": …}]`, of one pair the object alone, of a list a list of objects, of a
            stream an iterator; with `top_k` given a list of objects in the place of each.

        Raises:
            DataError: for an input that is no text.
        """
        plain = top_k is _UNSET
        options = {} if plain else {"top_k": top_k}
        if isinstance(inputs, (str, Mapping)):
            found = self.answers([_text(inputs)], **options)[0]
            return [found] if plain and isinstance(inputs, str) else found
        if isinstance(inputs, list):
            return self.answers([_text(item) for item in inputs], **options)
        if isinstance(inputs, Iterable):
            return self._stream(iter(inputs), options)
        raise DataError(f"a {type(inputs).__name__} is no text", where="inputs", remedy="Give a string or a list.")

    def answers(self, texts: list[Text], *, top_k: int | None = _UNSET) -> list[Any]:
        """One object for each text; with `top_k` given a list of objects."""
        if top_k is _UNSET:
            return [row[0] for row in self.classifier.classify(texts, top_k=1)]
        return self.classifier.classify(texts, top_k=top_k)

    def _stream(self, inputs: Iterator[Any], options: dict[str, Any]) -> Iterator[Any]:
        while batch := [_text(item) for item in islice(inputs, _AT_ONCE)]:
            yield from self.answers(batch, **options)


def _text(item: Any) -> Text:
    if isinstance(item, str):
        return item
    if isinstance(item, Mapping) and isinstance(item.get("text"), str):
        pair = item.get("text_pair")
        if pair is None:
            return item["text"]
        if isinstance(pair, str):
            return item["text"], pair
    raise DataError(
        f"{str(item)[:60]!r} is neither a text nor a pair", where="inputs",
        remedy='Give a string, or {"text": …, "text_pair": …}.',
    )  # fmt: skip


def _classification(model: Any, path: object) -> Pipeline:
    if not isinstance(model, LoadedModel) or model.tokenizer is None:
        raise ModelError(f"a {type(model).__name__} does not tell classes of texts", where=path)
    return TextClassificationPipeline(TextClassifier(model.model, model.tokenizer, where=path))


PIPELINES: dict[str, Callable[[Any, object], Pipeline]] = {
    "text-classification": _classification,
    "sentiment-analysis": _classification,
}
"""Name of a task → from an opened model and its place to its pipeline."""


def pipeline(task: str, model: str | Path, *, device: str = "auto") -> Any:
    """A function from texts to answers.

    Args:
        task: a name in `PIPELINES`.
        model: a model directory, such as runs/NAME/model, or the name of one on the Hugging Face hub.
        device: auto, cpu, cuda, mps.

    Raises:
        ConfigError: for a task that there is not.
        ModelError: for a model that is missing, damaged, or was not trained for the task.
    """
    if task not in PIPELINES:
        raise ConfigError(f"there is no task {task!r}", where="task", remedy=f"Choose one of {', '.join(PIPELINES)}.")
    return PIPELINES[task](load(model, device=device), model)
