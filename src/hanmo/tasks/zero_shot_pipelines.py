"""`hanmo.pipeline("zero-shot-classification", …)` and its like for images: classes that are named when asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hanmo.core.errors import DataError
from hanmo.tasks.image_matcher import ImageMatcher
from hanmo.tasks.pipeline import Pipeline, read_text
from hanmo.tasks.zero_shot import Guesser, filled_templates, listed_labels

__all__ = ["ZeroShotImagePipeline", "ZeroShotPipeline"]

Labels = str | Sequence[str] | None


class ZeroShotPipeline(Pipeline):
    """Of each text `{"sequence": …, "labels": […], "scores": […]}`, the most probable label first."""

    def __init__(self, guesser: Guesser):
        self.guesser = guesser

    def __call__(self, inputs: Any, candidate_labels: Labels = None, **options: Any) -> Any:
        """Args: as of `Pipeline`; `candidate_labels` and the options as of `answers`."""
        given = self.defaults.get("candidate_labels") if candidate_labels is None else candidate_labels
        return super().__call__(inputs, candidate_labels=listed_labels(given), **options)

    def read(self, item: Any) -> str:
        """A text, or {"text": …}."""
        text = read_text(item)
        if not text.strip():
            raise DataError("an empty text", where="inputs", remedy="Leave it out.")
        return text

    def answers(  # pyright: ignore[reportIncompatibleMethodOverride] - these are its options
        self,
        items: list[str],
        *,
        candidate_labels: Labels = None,
        hypothesis_template: str = "This example is {}.",
        multi_label: bool = False,
    ) -> list[Any]:
        """Scores of labels for each text.

        Args:
            items: texts.
            candidate_labels: in words, as a list or between commas.
            hypothesis_template: a sentence with {} for the label, in the language of the texts.
            multi_label: judge each label by itself; else the scores of a text sum to 1.
        """
        labels = listed_labels(candidate_labels)
        if not items:
            return []
        scores = self.guesser.guess(items, labels, template=hypothesis_template, multi_label=multi_label)
        answers = []
        for text, row in zip(items, scores, strict=True):
            order = np.argsort(-row, kind="stable")
            found = {"labels": [labels[place] for place in order], "scores": [float(row[place]) for place in order]}
            answers.append({"sequence": text} | found)
        return answers


class ZeroShotImagePipeline(Pipeline):
    """Of each image `[{"score": …, "label": …}]`, the most probable label first."""

    def __init__(self, matcher: ImageMatcher):
        self.matcher = matcher

    def __call__(self, inputs: Any, candidate_labels: Labels = None, **options: Any) -> Any:
        """Args: an image as `read` takes it, or a list or stream of them; the others as of `answers`."""
        given = self.defaults.get("candidate_labels") if candidate_labels is None else candidate_labels
        options["candidate_labels"] = listed_labels(given)
        if isinstance(inputs, (str, Path, Mapping)) or hasattr(inputs, "getbands") or isinstance(inputs, np.ndarray):
            return self.answers([self.read(inputs)], **self.checked(options))[0]
        return super().__call__(inputs, **options)

    def read(self, item: Any) -> Any:
        """A file, an image of Pillow, an array of bytes (height, width, 3), or {"image": …} of these."""
        image = item.get("image", item.get("text")) if isinstance(item, Mapping) else item
        if isinstance(image, str) and image.startswith(("http://", "https://")):
            raise DataError("an address on the web", where=image, remedy="Save the image, and give its file.")
        if isinstance(image, (str, Path, np.ndarray)) or hasattr(image, "getbands"):
            return image
        raise DataError(f"a {type(image).__name__} is no image", where="inputs", remedy="Give a file, or {'image': …}.")

    def answers(  # pyright: ignore[reportIncompatibleMethodOverride] - these are its options
        self, items: list[Any], *, candidate_labels: Labels = None, hypothesis_template: str = "This is a photo of {}."
    ) -> list[Any]:
        """Scores of labels for each image.

        Args:
            items: images.
            candidate_labels: in words, as a list or between commas.
            hypothesis_template: a sentence with {} for the label.
        """
        labels = listed_labels(candidate_labels)
        scores = self.matcher.match(items, filled_templates(hypothesis_template, labels))
        return [
            [{"score": float(row[place]), "label": labels[place]} for place in np.argsort(-row, kind="stable")]
            for row in scores
        ]
