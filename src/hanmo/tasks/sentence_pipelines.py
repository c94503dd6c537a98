"""`hanmo.pipeline("feature-extraction", …)` and `("sentence-similarity", …)`: vectors of texts, and how alike texts are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch

from hanmo.core.errors import ConfigError, DataError
from hanmo.tasks.embeddings import Overlong, SentenceEncoder
from hanmo.tasks.pipeline import Pipeline, read_text

__all__ = ["Comparison", "FeaturePipeline", "SimilarityPipeline"]


class FeaturePipeline(Pipeline):
    """Texts to vectors. Of each text the answer is a list of lists [1][T][D], one vector for each token, special ones
    included, as `transformers` has it; with `pooled=True` it is one vector [D], that of `SentenceEncoder.encode`."""

    def __init__(self, encoder: SentenceEncoder):
        self.encoder = encoder

    def read(self, item: Any) -> str:
        """A text, or {"text": …}."""
        return read_text(item)

    def answers(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, items: list[str], *, pooled: bool = False, overlong: Overlong = "error", return_tensors: bool = False
    ) -> list[Any]:
        """Vectors of each.

        Args:
            items: texts.
            pooled: one vector for each text.
            overlong: what to do with texts that are too long; "windows" is for pooled vectors.
            return_tensors: tensors of torch in place of lists: (1, T, D), or (D,) where they are pooled.

        Raises:
            DataError: for a text that is too long.
        """
        if pooled:
            rows = self.encoder.encode(items, overlong=overlong)
            return list(torch.from_numpy(rows)) if return_tensors else rows.tolist()
        if overlong == "windows":
            raise ConfigError(
                "vectors of tokens cannot be taken from windows", where="overlong",
                remedy='Set pooled=True, or overlong="truncate".',
            )  # fmt: skip
        found = self.encoder.token_vectors(items, overlong=overlong)
        if return_tensors:
            return [torch.from_numpy(vectors)[None] for vectors in found]
        return [[vectors.tolist()] for vectors in found]


class Comparison(NamedTuple):
    """One text, and those that it is compared with."""

    text: str
    others: list[str]
    single: bool
    """Whether there is one other text, and the answer is a number."""


class SimilarityPipeline(Pipeline):
    """Cosines, -1..1: of {"source_sentence": …, "sentences": […]} a list of them, as the Hugging Face API has it; of a pair
    {"text": …, "text_pair": …} one number. Of a text that is too long, the mean of the vectors of its parts is taken."""

    reads_pairs = True

    def __init__(self, encoder: SentenceEncoder):
        self.encoder = encoder

    def read(self, item: Any) -> Comparison:
        """See above."""
        if isinstance(item, Mapping):
            text, others = item.get("source_sentence"), item.get("sentences")
            if isinstance(text, str) and isinstance(others, list) and all(isinstance(one, str) for one in others):
                return Comparison(text, others, single=False)
            text, other = item.get("text"), item.get("text_pair")
            if isinstance(text, str) and isinstance(other, str):
                return Comparison(text, [other], single=True)
        raise DataError(
            f"{str(item)[:60]!r} does not say what to compare", where="inputs",
            remedy='Give {"source_sentence": …, "sentences": […]}, or {"text": …, "text_pair": …}.',
        )  # fmt: skip

    def answers(self, items: list[Comparison]) -> list[Any]:  # pyright: ignore[reportIncompatibleMethodOverride]
        first = [item.text for item in items for _ in item.others]
        second = [other for item in items for other in item.others]
        cosines = self.encoder.similarity(first, second, overlong="windows").tolist() if first else []
        answers, place = [], 0
        for item in items:
            own = cosines[place : place + len(item.others)]
            place += len(own)
            answers.append(own[0] if item.single else own)
        return answers
