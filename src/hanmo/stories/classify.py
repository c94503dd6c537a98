"""A classifier of texts, stage by stage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hanmo.stories.classification_recipe import ClassificationRecipe
from hanmo.stories.task_model import build_encoder
from hanmo.stories.task_story import Judged, Learning, TaskWork

if TYPE_CHECKING:
    from hanmo.tasks.augment import Augmented
    from hanmo.tasks.splits import Splits
    from hanmo.tasks.text_classifier import TextClassifier
    from hanmo.tasks.text_examples import TextExample
    from hanmo.tokenizers.tokenizer import Tokenizer

__all__ = ["ClassificationWork"]


class ClassificationWork(TaskWork[ClassificationRecipe, "TextClassifier"]):
    """See above."""

    noun = "texts"
    example = "text-classification {model} 'a text'"

    def read(self) -> Splits[TextExample]:
        from hanmo.tasks.text_examples import read_splits

        return read_splits(self.recipe.data, seed=self.recipe.seed)

    def build(self, splits: Splits[TextExample]) -> TextClassifier:
        from hanmo.tasks.text_classification import PROBLEM_TYPES
        from hanmo.tasks.text_classifier import TextClassifier, sequence_architecture

        texts = [text for example in splits.train for text in (example.text, example.pair) if text is not None]
        head = {"labels": splits.labels, "problem_type": PROBLEM_TYPES[self.recipe.data.kind]}
        model, tokenizer = build_encoder(
            self.recipe.model, texts, choose=sequence_architecture, head=head, seed=self.recipe.seed
        )
        return TextClassifier(model, tokenizer)

    def learn(self, model: TextClassifier, splits: Splits[TextExample]) -> Learning:
        from hanmo.batches.padded_rows import PaddedRows
        from hanmo.tasks.forward import OVERLAP
        from hanmo.tasks.mixup import mixed_loss
        from hanmo.tasks.text_classification import (
            check_lengths,
            class_weights,
            classification_loss,
            encode_examples,
            fills_of,
            targets,
        )
        from hanmo.tasks.text_figures import glance

        recipe, kind, tokenizer = self.recipe, self.recipe.data.kind, model.tokenizer
        max_len = getattr(model.config, "max_len", None)
        copies = self._copies(splits.train, tokenizer)
        train = splits.train if copies is None else [*splits.train, *copies.examples]
        notes: Counter[str] = Counter({} if copies is None else copies.counts)
        rows = encode_examples(train, tokenizer, splits.labels, kind, max_len=max_len, overlap=OVERLAP, notes=notes)
        check_lengths([*splits.dev, *splits.test], tokenizer, max_len=max_len, overlap=OVERLAP, notes=notes)
        fills = fills_of(kind, model.fill_id)
        weights = None
        if recipe.loss.class_weights == "balanced" and kind != "regression":
            weights = class_weights(targets(splits.train, splits.labels, kind), len(splits.labels))
        dev_targets = targets(splits.dev, splits.labels, kind)
        dev_texts = [example.texts for example in splits.dev]
        loss = classification_loss(kind, recipe.loss, weights)
        if recipe.augment.mixup != "none":
            loss = mixed_loss(loss, recipe.augment.mixup, recipe.augment.mixup_alpha)
        return Learning(
            batches=PaddedRows(rows, fills=fills, batch_size=recipe.batch_size, seed=recipe.seed),
            loss=loss,
            watch=lambda: glance(model.scores(dev_texts), dev_targets, kind),
            notes=+notes,
            shown=() if copies is None else copies.describe(),
        )

    def _copies(self, train: Sequence[TextExample], tokenizer: Tokenizer) -> Augmented | None:
        """Changed copies of the training examples, where the recipe asks for them."""
        settings = self.recipe.augment
        if not settings.operations:
            return None
        from hanmo.tasks.augment import augment, known_words

        recipe = self.recipe
        return augment(train, settings, seed=recipe.seed, knows=known_words(tokenizer), device=recipe.device)

    def choose(self, model: TextClassifier, splits: Splits[TextExample]) -> None:
        asked, kind = self.recipe.calibration, self.recipe.data.kind
        if asked is None:
            return
        from hanmo.models.settings import Calibration
        from hanmo.tasks.calibration import fit_temperature, fit_thresholds, softened
        from hanmo.tasks.text_classification import targets

        right = targets(splits.dev, splits.labels, kind)
        scores = model.scores([example.texts for example in splits.dev])
        temperature = fit_temperature(scores, right, kind) if asked.temperature else 1.0
        thresholds = fit_thresholds(softened(scores, temperature, kind), right) if asked.thresholds else ()
        model.calibration = Calibration(temperature=temperature, thresholds=thresholds)

    def opened(self, model: Any, where: object) -> TextClassifier:
        from hanmo.core.errors import ConfigError
        from hanmo.tasks.opened import as_classifier

        found, kind = as_classifier(model, where), self.recipe.data.kind
        if found.kind != kind:
            raise ConfigError(
                f"kind = {kind!r}, and this model is of kind {found.kind!r}", where="[data] kind",
                remedy=f'Judge it with --set data.kind="{found.kind}".',
            )  # fmt: skip
        return found

    def read_test(self, model: TextClassifier, notes: Counter[str]) -> list[TextExample]:
        from hanmo.tasks.text_examples import read_test_texts

        return read_test_texts(self.recipe.data, model.labels, notes)

    def labels_of(self, model: TextClassifier) -> tuple[str, ...]:
        return model.labels

    def watched(self, splits: Splits[TextExample]) -> tuple[str, ...]:
        from hanmo.tasks.text_figures import WATCHED

        return WATCHED[self.recipe.data.kind]

    def classes(self, example: TextExample) -> Iterable[str]:
        match self.recipe.data.kind:
            case "single":
                return (example.label,)
            case "multi":
                return example.label
            case "regression":
                return ()

    def judge(self, model: TextClassifier, splits: Splits[TextExample], name: str) -> Judged:
        from hanmo.tasks.text_figures import figures, predictions

        examples: list[TextExample] = getattr(splits, name)
        labels, kind = splits.labels, self.recipe.data.kind
        probabilities = model.probabilities([example.texts for example in examples])
        thresholds = model.thresholds
        found = figures(probabilities, examples, labels, kind, thresholds=thresholds)
        if self.recipe.calibration is not None:
            found = replace(found, plain=self._calibration_errors(model, examples, labels))
        return Judged(figures=found, records=predictions(probabilities, examples, labels, kind, thresholds=thresholds))

    def _calibration_errors(
        self, model: TextClassifier, examples: list[TextExample], labels: tuple[str, ...]
    ) -> dict[str, float]:
        from hanmo.tasks.calibration import calibration_error, softened
        from hanmo.tasks.text_classification import targets

        kind = self.recipe.data.kind
        right, scores = targets(examples, labels, kind), model.scores([example.texts for example in examples])
        temperatures = {"ece_uncalibrated": 1.0, "ece": model.calibration.temperature}
        return {
            name: calibration_error(softened(scores, temperature, kind), right, kind)
            for name, temperature in temperatures.items()
        }
