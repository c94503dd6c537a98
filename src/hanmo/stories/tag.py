"""A tagger of words, stage by stage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from hanmo.stories.tagging_recipe import TaggingRecipe
from hanmo.stories.task_model import build_encoder, with_segments
from hanmo.stories.task_story import Judged, Learning, TaskWork

if TYPE_CHECKING:
    from hanmo.metrics.tag_schemes import Scheme
    from hanmo.tasks.splits import Splits
    from hanmo.tasks.tag_examples import TagExample
    from hanmo.tasks.tagger import Tagger

__all__ = ["TaggingWork"]

_MOST_CHARACTERS = 300


class TaggingWork(TaskWork[TaggingRecipe, "Tagger"]):
    """See above."""

    noun = "sentences"
    example = "token-classification {model} 'a sentence'"

    @property
    def scheme(self) -> Scheme | None:
        """How tags spell spans; None where they do not."""
        data = self.recipe.data
        return data.learned(data.train) if data.has_spans(data.train) else None

    def read(self) -> Splits[TagExample]:
        from hanmo.tasks.tag_examples import read_tagged

        return read_tagged(self.recipe.data, seed=self.recipe.seed)

    def build(self, splits: Splits[TagExample]) -> Tagger:
        from hanmo.tasks.tagger import Tagger, tag_architecture
        from hanmo.tasks.tagging import CASES

        section = self.recipe.model
        by_character = all(len(word) == 1 for example in splits.train[:1000] for word in example.words)
        head: dict[str, Any] = {"labels": splits.labels}
        shape: dict[str, Any] = {}
        reads_characters = not by_character if section.characters is None else section.characters
        if reads_characters and section.encoder != "transformer":
            shape["characters"] = _characters(splits.train)
        if section.has_crf and section.checkpoint is None and section.encoder == "bilstm" and self.scheme is not None:
            shape["scheme"] = {"IOB2": "BIO"}.get(self.scheme, self.scheme)
        model, tokenizer = build_encoder(
            section,
            (" ".join(example.words) for example in splits.train),
            choose=partial(tag_architecture, crf=section.has_crf),
            head=head,
            seed=self.recipe.seed,
            shape=shape,
            cut=False,
        )
        if section.case_features:
            model = with_segments(model, [0] * CASES, where="[model] case_features")
        return Tagger(model, tokenizer, unit="character" if by_character else "word")

    def learn(self, model: Tagger, splits: Splits[TagExample]) -> Learning:
        from hanmo.batches.padded_rows import PaddedRows
        from hanmo.tasks.tag_figures import glance_at_tags
        from hanmo.tasks.tagger import OVERLAP
        from hanmo.tasks.tagging import encode_tagged, fills_of_tags, tagging_loss

        notes: Counter[str] = Counter()
        rows = encode_tagged(
            splits.train,
            model.tokenizer,
            model.config,
            overlap=OVERLAP,
            cases=self.recipe.model.case_features,
            notes=notes,
        )
        fills = fills_of_tags(model.fill_id)
        words = [example.words for example in splits.dev]
        return Learning(
            batches=PaddedRows(rows, fills=fills, batch_size=self.recipe.batch_size, seed=self.recipe.seed),
            loss=tagging_loss,
            unit="words",
            watch=lambda: glance_at_tags(model.tag(words), splits.dev, self.scheme),
            notes=+notes,
        )

    def opened(self, model: Any, where: object) -> Tagger:
        from hanmo.tasks.opened import as_tagger

        return as_tagger(model, where)

    def read_test(self, model: Tagger, notes: Counter[str]) -> list[TagExample]:
        from hanmo.tasks.tag_examples import read_test_tags

        return read_test_tags(self.recipe.data, model.labels, notes)

    def labels_of(self, model: Tagger) -> tuple[str, ...]:
        return model.labels

    def watched(self, splits: Splits[TagExample]) -> tuple[str, ...]:
        return ("error", "accuracy") if self.scheme is None else ("error", "f1", "accuracy")

    def classes(self, example: TagExample) -> Iterable[str]:
        return example.tags

    def judge(self, model: Tagger, splits: Splits[TagExample], name: str) -> Judged:
        from hanmo.tasks.tag_figures import tag_figures, tag_records

        examples: list[TagExample] = getattr(splits, name)
        found = model.tag([example.words for example in examples])
        return Judged(
            figures=tag_figures(found, examples, self.scheme),
            records=tag_records(found, examples, self.scheme),
        )


def _characters(examples: Iterable[TagExample]) -> str:
    """The characters of words, the most frequent first."""
    counts = Counter(character for example in examples for word in example.words for character in word)
    return "".join(
        character for character, _ in sorted(counts.items(), key=lambda one: (-one[1], one[0]))[:_MOST_CHARACTERS]
    )
