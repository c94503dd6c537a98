"""A model that writes a text for a text, stage by stage: what all tasks of this kind have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from hanmo.stories.task_story import Judged, Learning, TaskWork
from hanmo.stories.text2text_recipe import Text2TextRecipe

if TYPE_CHECKING:
    from hanmo.tasks.pair_examples import PairExample
    from hanmo.tasks.splits import Splits
    from hanmo.tasks.text2text import Text2Text

__all__ = ["Text2TextWork", "both_sides"]

RecipeT = TypeVar("RecipeT", bound=Text2TextRecipe)


class Text2TextWork(TaskWork[RecipeT, "Text2Text"]):
    """See above."""

    answers = "texts"
    batch_unit = "tokens"

    @property
    def batch_size(self) -> int:
        return self.recipe.batch_tokens

    def read(self) -> Splits[PairExample]:
        from hanmo.tasks.pair_examples import read_pairs

        return read_pairs(self.recipe.data, seed=self.recipe.seed)

    def build(self, splits: Splits[PairExample]) -> Text2Text:
        from hanmo.stories.text2text_model import build_text2text
        from hanmo.tasks.text2text import Purpose

        return build_text2text(
            self.recipe, both_sides(splits.train), purpose=Purpose(prefix=self.recipe.model.prefix),
            prompt=self.prompt(splits),
        )  # fmt: skip

    def prompt(self, splits: Splits[PairExample]) -> str:
        """What stands between source and target of a decoder, if the recipe does not say (Radford et al., 2019, §3.7)."""
        return " = "

    def more(self, model: Text2Text, splits: Splits[PairExample], notes: Counter[str]) -> Sequence[PairExample]:
        """Examples besides those that were read; most tasks have none."""
        return ()

    def learn(self, model: Text2Text, splits: Splits[PairExample]) -> Learning:
        from hanmo.batches.token_rows import TokenRows
        from hanmo.tasks.text2text_learning import encode_pairs, show_pair, text2text_loss, watched_loss

        recipe, notes = self.recipe, Counter[str]()
        overlong = recipe.data.overlong
        train = [*splits.train, *self.more(model, splits, notes)]
        pairs = encode_pairs(train, model, overlong=overlong, notes=notes)
        rows = [model.learned_row(pair["input_ids"], pair["labels"]) for pair in pairs]
        held: Counter[str] = Counter()
        dev = encode_pairs(splits.dev, model, overlong=overlong, notes=held, drop_allowed=False)
        if splits.test:
            encode_pairs(splits.test, model, overlong=overlong, notes=held, drop_allowed=False)
        notes["dev and test examples cut because they are too long"] += held.total()
        watched = splits.dev[: recipe.watched]
        sources = [row["input_ids"] for row in dev[: recipe.watched]]

        def watch() -> dict[str, float]:
            texts = model.glance(sources, max_new_tokens=recipe.decoding.max_new_tokens)
            return {"loss": watched_loss(model, dev)} | self.glance(texts, watched)

        return Learning(
            batches=TokenRows(rows, fill=model.fill_id, batch_tokens=recipe.batch_tokens, seed=recipe.seed),
            loss=text2text_loss(model, recipe.loss.label_smoothing),
            watch=watch,
            notes={note: n for note, n in sorted(notes.items()) if n},
            shown=show_pair(model, pairs[0]),
            unit="tokens",
        )

    def opened(self, model: Any, where: object) -> Text2Text:
        from hanmo.tasks.text2text_loading import as_text2text

        return as_text2text(model, where)

    def read_test(self, model: Text2Text, notes: Counter[str]) -> list[PairExample]:
        from hanmo.tasks.pair_examples import read_test_pairs

        return read_test_pairs(self.recipe.data, notes)

    def watched(self, splits: Splits[PairExample]) -> tuple[str, ...]:
        return ("loss", "error", "rouge1", "rouge2", "rougeL")

    def classes(self, example: PairExample) -> Iterable[str]:
        return ()

    def judge(self, model: Text2Text, splits: Splits[PairExample], name: str) -> Judged:
        from hanmo.generation.beam import BeamSettings
        from hanmo.generation.settings import GenerationSettings
        from hanmo.tasks.text2text_learning import encode_pairs

        examples: list[PairExample] = getattr(splits, name)
        rows = encode_pairs(examples, model, overlong=self.recipe.data.overlong, notes=Counter(), drop_allowed=False)
        decoding = self.recipe.decoding
        if decoding.num_beams > 1:
            settings: Any = BeamSettings(
                num_beams=decoding.num_beams, length_penalty=decoding.length_penalty,
                max_new_tokens=decoding.max_new_tokens, no_repeat_ngram_size=decoding.no_repeat_ngram_size,
            )  # fmt: skip
        else:
            settings = GenerationSettings(max_new_tokens=decoding.max_new_tokens)
        written = [texts[0] for texts in model.write([row["input_ids"] for row in rows], settings)]
        return self.figures(written, examples)

    @abstractmethod
    def glance(self, texts: Sequence[str], examples: Sequence[PairExample]) -> dict[str, float]:
        """Figures of greedy texts; `error` among them is what training for the task lowers."""

    @abstractmethod
    def figures(self, texts: Sequence[str], examples: Sequence[PairExample]) -> Judged:
        """All figures of the texts of one split."""


def both_sides(examples: Iterable[PairExample]) -> Iterable[str]:
    """Sources and targets, for a tokenizer of both."""
    return (text for example in examples for text in (example.source, example.target))
