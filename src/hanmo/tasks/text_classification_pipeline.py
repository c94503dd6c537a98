"""`hanmo.pipeline("text-classification", …)`: which class a text, or a pair of texts, has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hanmo.core.errors import ConfigError, DataError
from hanmo.tasks.pipeline import Pipeline
from hanmo.tasks.text_classifier import Function, TextClassifier

__all__ = ["TextClassificationPipeline"]

_UNSET: Any = object()
Text = str | tuple[str, str]


class TextClassificationPipeline(Pipeline):
    """See above. Of one text the answer is `[{"label": …, "score": …}]`, of a pair or in a list the object alone; with
    `top_k` given it is a list of objects everywhere."""

    reads_pairs = True

    def __init__(self, classifier: TextClassifier):
        self.classifier = classifier

    def read(self, item: Any) -> Text:
        """A text, or {"text": …, "text_pair": …}."""
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

    def answers(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        items: list[Text],
        *,
        top_k: int | None = _UNSET,
        applying: bool = False,
        function_to_apply: Function | None = None,
    ) -> list[Any]:
        """Classes of each.

        Args:
            items: texts and pairs.
            top_k: how many classes of each; all if None.
            applying: of a model for several classes a text, give those that apply, however many.
            function_to_apply: what makes scores of logits, as `TextClassifier.classify` has it; what fits the model if None.

        Raises:
            ConfigError: for `applying` with one of the others, or of a model for one class a text; for a function that there
                is not.
        """
        if applying:
            given = {"top_k": top_k is not _UNSET, "function_to_apply": function_to_apply is not None}
            if other := next((name for name, is_given in given.items() if is_given), None):
                raise ConfigError(f"{other} and applying were both given", where="applying", remedy="Give one of them.")
            return self.classifier.applying(items)
        if top_k is _UNSET:
            return [row[0] for row in self.classifier.classify(items, top_k=1, function=function_to_apply)]
        return self.classifier.classify(items, top_k=top_k, function=function_to_apply)

    def alone(self, answer: Any, item: Any, options: Mapping[str, Any]) -> Any:
        return [answer] if isinstance(item, str) and not options.keys() & {"top_k", "applying"} else answer
