"""A model that tells the class of a text, or of a pair of texts, with its tokenizer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from hanmo.core.errors import ConfigError, ModelError
from hanmo.models.settings import Calibration
from hanmo.nn.evaluating import evaluating
from hanmo.tasks.forward import OVERLAP, forward_windows
from hanmo.tasks.loaded_model import LoadedModel
from hanmo.tokenizers.framed import encode_windows
from hanmo.tokenizers.tokenizer import Tokenizer

__all__ = ["THRESHOLD", "Function", "TextClassifier", "sequence_architecture"]

THRESHOLD = 0.5
"""Probability above which a class applies, where several may and nothing else was fitted."""
Texts = Sequence[str | tuple[str, str]]
Function = Literal["sigmoid", "softmax", "none"]


def sequence_architecture(names: Sequence[str]) -> str:
    """The class of a family that tells the class of a row.

    Raises:
        ConfigError: if it has none.
    """
    for name in names:
        if name.endswith("ForSequenceClassification"):
            return name
    raise ConfigError(
        "this family has no head for classes of texts", where="model",
        remedy="Take an encoder such as BERT, or a decoder such as GPT-2.",
    )  # fmt: skip


class TextClassifier(LoadedModel):
    """Texts to classes with their probabilities, or to a number."""

    tokenizer: Tokenizer

    def __init__(self, model: Any, tokenizer: Tokenizer, *, where: object = None):
        """Args: as there.

        Raises:
            ModelError: if the model has no head for classes of texts.
        """
        super().__init__(model, tokenizer, where=where)
        if not model.architecture.endswith("ForSequenceClassification"):
            raise ModelError(
                f"a {model.architecture} does not tell classes of texts", where=where,
                remedy='Train one on labelled texts first: a recipe with task = "text-classification".',
            )  # fmt: skip

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes, in the order of their scores."""
        return self.config.labels

    @property
    def kind(self) -> Literal["single", "multi", "regression"]:
        """One class a text, any number of them, or a number."""
        match self.config.problem_type:
            case "regression":
                return "regression"
            case "multi_label_classification":
                return "multi"
            case _:
                return "regression" if len(self.labels) == 1 else "single"

    @property
    def calibration(self) -> Calibration:
        """What was fitted on the dev set of its training; changes nothing where there was nothing."""
        return self.config.calibration or Calibration()

    @calibration.setter
    def calibration(self, calibration: Calibration) -> None:
        self.model.config = self.config.model_copy(update={"calibration": calibration})

    @property
    def thresholds(self) -> np.ndarray:
        """Probability above which each class applies, (C,), where several may."""
        return np.array(self.calibration.thresholds or [THRESHOLD] * len(self.labels))

    def scores(self, texts: Texts, *, max_tokens: int | None = None) -> np.ndarray:
        """Unnormalised scores, (N, C) float32.

        A text longer than the model can read is read in windows that overlap, and their scores are averaged: nothing of
        it is left out.

        Args:
            texts: strings, or pairs of strings.
            max_tokens: most positions of a batch, padding included; what suits the device if None.
        """
        if isinstance(texts, str):
            raise ConfigError("texts is one string", where="texts", remedy="Give a list of texts.")
        if not len(texts):
            return np.zeros((0, len(self.labels)), dtype=np.float32)
        windows = encode_windows(self.tokenizer, texts, max_len=getattr(self.config, "max_len", None), overlap=OVERLAP)
        with evaluating(self.model):
            return forward_windows(
                windows,
                self._forward,
                pad_id=self.fill_id,
                device=next(self.model.parameters()).device,
                max_tokens=max_tokens,
            )

    def probabilities(self, texts: Texts, *, max_tokens: int | None = None) -> np.ndarray:
        """Of each class, (N, C) float32: rows sum to 1 where one class applies; for regression the number itself."""
        scores = torch.from_numpy(self.scores(texts, max_tokens=max_tokens))
        if self.kind != "regression":
            scores /= self.calibration.temperature
        match self.kind:
            case "single":
                return scores.softmax(-1).numpy()
            case "multi":
                return scores.sigmoid().numpy()
            case "regression":
                return scores.numpy()

    def classify(
        self, texts: Texts, *, top_k: int | None = 1, function: Function | None = None
    ) -> list[list[dict[str, Any]]]:
        """For each text its classes with their probabilities, the most probable first.

        Args:
            texts: strings, or pairs of strings.
            top_k: how many classes; all if None.
            function: what makes scores of logits in place of what fits the kind of the model: "sigmoid", "softmax" or
                "none", applied to the logits as they are, without a temperature that was fitted.

        Returns:
            Lists of `{"label": …, "score": …}`, as `transformers.pipeline` has them.

        Raises:
            ConfigError: for a `top_k` below 1, or a function that there is not.
        """
        if top_k is not None and top_k < 1:
            raise ConfigError(f"top_k = {top_k} asks for no class", where="top_k")
        answers = []
        for row in self.probabilities(texts) if function is None else self._applied(texts, function):
            order = np.argsort(-row, kind="stable")[:top_k]
            answers.append([{"label": self.labels[index], "score": float(row[index])} for index in order])
        return answers

    def applying(self, texts: Texts) -> list[list[dict[str, Any]]]:
        """For each text the classes that apply to it, as `classify` gives them: none, one or several.

        Args:
            texts: strings, or pairs of strings.

        Raises:
            ConfigError: if the model was not trained for several classes a text.
        """
        if self.kind != "multi":
            raise ConfigError(
                "this model tells one class a text", where="applying", remedy="Ask for the best ones with top_k."
            )
        return [
            [answer for answer in answers if answer["score"] > self.thresholds[self.labels.index(answer["label"])]]
            for answers in self.classify(texts, top_k=None)
        ]

    def _applied(self, texts: Texts, function: Function) -> np.ndarray:
        scores = torch.from_numpy(self.scores(texts))
        match function:
            case "sigmoid":
                return scores.sigmoid().numpy()
            case "softmax":
                return scores.softmax(-1).numpy()
            case "none":
                return scores.numpy()
        raise ConfigError(
            f"there is no function {function!r}", where="function_to_apply", remedy="Choose sigmoid, softmax or none."
        )

    def _forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        return self.model(**inputs).logits.float()
