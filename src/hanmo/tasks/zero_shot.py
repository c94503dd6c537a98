"""Classes that nobody trained for, told by a model of entailment or by the likelihood of a language model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from hanmo.batches.by_length import batches_by_length, pad_rows
from hanmo.core.errors import ConfigError, ModelError
from hanmo.tasks.language_model import LanguageModel
from hanmo.tasks.opened import as_classifier
from hanmo.tasks.text_classifier import TextClassifier

__all__ = [
    "EntailmentGuesser", "Guesser", "LikelihoodGuesser", "ZeroShotClassifier", "as_guesser", "filled_templates", "listed_labels",
]  # fmt: skip

_ENTAILS, _CONTRADICTS = ("entail", "蕴含", "蕴涵"), ("contradict", "矛盾")
_LOGITS_BYTES = 128 << 20
"""Of the scores of one batch of a language model."""
_AT_ONCE = 512
"""Texts whose sentences are held at a time."""


def listed_labels(labels: str | Sequence[str] | None) -> list[str]:
    """Labels as a list: as they are, or cut at the commas of one string.

    Raises:
        ConfigError: if there is none, or one is empty or there twice.
    """
    if labels is None:
        raise ConfigError(
            "no labels to choose from", where="candidate_labels", remedy='Give some: ["sport", "politics"].'
        )
    found = [part.strip() for part in labels.replace("，", ",").split(",")] if isinstance(labels, str) else list(labels)
    if isinstance(labels, str):
        found = [label for label in found if label]
    if not found or not all(isinstance(label, str) and label.strip() for label in found):
        raise ConfigError(f"{labels!r} holds an empty label, or none", where="candidate_labels")
    if twice := next((label for place, label in enumerate(found) if label in found[:place]), None):
        raise ConfigError(f"{twice!r} is there twice", where="candidate_labels")
    return found


def filled_templates(template: str, labels: Sequence[str]) -> list[str]:
    """The sentence of each label.

    Raises:
        ConfigError: for a template without {}, or with something else in braces.
    """
    try:
        found = [template.format(label) for label in labels]
    except (IndexError, KeyError, ValueError) as error:
        raise ConfigError(
            f"{template!r} cannot be filled", where="hypothesis_template", remedy="Write {} once."
        ) from error
    if found[0] == template:
        raise ConfigError(
            f"{template!r} has no place for a label", where="hypothesis_template", remedy="Write {} in it."
        )
    return found


class Guesser(ABC):
    """Texts and labels to scores."""

    @abstractmethod
    def guess(self, texts: Sequence[str], labels: Sequence[str], *, template: str, multi_label: bool) -> np.ndarray:
        """Scores of each label for each text, (N, L), 0..1.

        Args:
            texts: what is to be classified.
            labels: in words.
            template: a sentence with {} for the label.
            multi_label: judge each label by itself; else those of a text sum to 1.
        """


class EntailmentGuesser(Guesser):
    """How far a text entails "This example is sport." (Yin et al., 2019, §4).

    Of one label among several the score is a softmax over the entailment scores of all labels; by itself it is a softmax
    of entailment against contradiction. A text longer than the model can read is read in windows, whose scores are averaged.
    """

    def __init__(self, classifier: TextClassifier, *, where: object = None):
        """Args:
        classifier: trained on natural language inference, with a label that begins with "entail" (or 蕴含).
        where: what errors name.

        Raises:
            ModelError: if it has no such label.
        """
        labels = [label.lower() for label in classifier.labels]
        entails = [place for place, label in enumerate(labels) if label.startswith(_ENTAILS)]
        if len(entails) != 1 or len(labels) < 2 or classifier.kind != "single":
            raise ModelError(
                f"none of the labels {', '.join(classifier.labels[:10])} says that one text entails another", where=where,
                remedy='Take a model trained on inference (MNLI, OCNLI), whose labels hold "entailment".',
            )  # fmt: skip
        self.classifier, self.entails = classifier, entails[0]
        against = [place for place, label in enumerate(labels) if label.startswith(_CONTRADICTS)]
        # "not entailment" of two labels is all that speaks against it
        others = [place for place in range(len(labels)) if place != self.entails]
        if not against and len(others) > 1:
            raise ModelError(f"which of {', '.join(classifier.labels)} is contradiction?", where=where)
        self.contradicts = (against or others)[0]

    def guess(self, texts: Sequence[str], labels: Sequence[str], *, template: str, multi_label: bool) -> np.ndarray:
        hypotheses = filled_templates(template, labels)
        scores = self.classifier.scores([(text, hypothesis) for text in texts for hypothesis in hypotheses])
        scores = scores.reshape(len(texts), len(labels), -1) / self.classifier.calibration.temperature
        if multi_label or len(labels) == 1:
            both = torch.from_numpy(scores[..., [self.contradicts, self.entails]])
            return both.softmax(-1)[..., 1].numpy()
        return torch.from_numpy(scores[..., self.entails]).softmax(-1).numpy()


class LikelihoodGuesser(Guesser):
    """How probable a language model finds each label behind the text and the beginning of the template.

    The text, a line break and the template up to its {} are the context; the mean log-probability of the label's tokens
    (Brown et al., 2020, §2.4: not the sum, which would favour short labels) goes through a softmax over the labels. What
    the template has after {} is not read.
    """

    def __init__(self, model: LanguageModel):
        self.model = model

    def guess(self, texts: Sequence[str], labels: Sequence[str], *, template: str, multi_label: bool) -> np.ndarray:
        if multi_label:
            raise ConfigError(
                "a language model weighs labels against each other", where="multi_label",
                remedy="Leave it out, or take a model trained on inference, which can judge each by itself.",
            )  # fmt: skip
        filled_templates(template, labels)
        stem = template[: template.index("{")]
        contexts = [f"{text}\n{stem}" for text in texts]
        wholes = [f"{context}{label}" for context in contexts for label in labels]
        known = [ids for ids in self.model.tokenizer.encode_batch(contexts) for _ in labels]
        encoded = self.model.tokenizer.encode_batch(wholes)
        rows = [(ids, _common(ids, context)) for ids, context in zip(encoded, known, strict=True)]
        means = torch.tensor(self._means(rows, wholes), dtype=torch.float64).reshape(len(texts), len(labels))
        return means.softmax(-1).float().numpy()

    def _means(self, rows: Sequence[tuple[list[int], int]], wholes: Sequence[str]) -> list[float]:
        """Mean log-probability of the tokens of each row from its number on."""
        max_len, vocab_size = self.model.config.max_len, self.model.config.vocab_size
        start = self.model.start_id()
        means = [0.0] * len(rows)
        fits = [place for place, (ids, _) in enumerate(rows) if len(ids) <= max_len]
        for place in set(range(len(rows))) - set(fits):  # in windows
            means[place] = float(np.mean(self.model.score(wholes[place]).logprobs[rows[place][1] :]))
        at_once = max(1, _LOGITS_BYTES // (4 * vocab_size))
        device = self.model.model.head_weight.device
        for batch in batches_by_length([len(rows[place][0]) for place in fits], max_tokens=at_once):
            chosen = [fits[number] for number in batch]
            inputs = pad_rows([[start, *rows[place][0][:-1]] for place in chosen], 0).to(device)
            targets = pad_rows([rows[place][0] for place in chosen], 0)
            logprobs = self.model.target_logprobs(inputs, targets.to(device))  # padding stands behind, where none looks
            for row, place in zip(logprobs, chosen, strict=True):
                ids, first = rows[place]
                means[place] = float(row[first : len(ids)].mean())
        return means


def as_guesser(opened: Any, where: object) -> Guesser:
    """An opened model as one that tells classes that nobody trained for.

    Raises:
        ModelError: if it neither continues a text nor tells entailment.
    """
    if isinstance(opened, LanguageModel):
        return LikelihoodGuesser(opened)
    return EntailmentGuesser(as_classifier(opened, where), where=where)


class ZeroShotClassifier:
    """A `Guesser` with the labels of a task, which can be judged like a classifier that was trained for it."""

    thresholds = None

    def __init__(self, guesser: Guesser, labels: Sequence[str], template: str):
        """Args:
        guesser: tells how well each label fits.
        labels: in words.
        template: a sentence with {} for the label.
        """
        filled_templates(template, labels)
        self.guesser, self.labels, self.template = guesser, tuple(labels), template

    def probabilities(self, texts: Sequence[str | tuple[str, str]]) -> np.ndarray:
        """Of the labels of each text, (N, L).

        Raises:
            ConfigError: for pairs of texts.
        """
        alone = [text for text in texts if isinstance(text, str)]
        if len(alone) < len(texts):
            raise ConfigError(
                "classes of pairs are not told without training", where="[data] pair", remedy="Leave it out."
            )
        found = [
            self.guesser.guess(alone[start : start + _AT_ONCE], self.labels, template=self.template, multi_label=False)
            for start in range(0, len(alone), _AT_ONCE)
        ]
        return np.concatenate(found)


def _common(ids: Sequence[int], others: Sequence[int]) -> int:
    """Tokens that both begin with; one is always left, for a label that melts into what stands before it."""
    same = next((n for n, (a, b) in enumerate(zip(ids, others, strict=False)) if a != b), min(len(ids), len(others)))
    return min(same, len(ids) - 1)
