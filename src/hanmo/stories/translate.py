"""A translator, stage by stage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from hanmo.core.errors import ConfigError
from hanmo.stories.task_story import Judged
from hanmo.stories.text2text_work import Text2TextWork, both_sides
from hanmo.stories.translation_recipe import TranslationRecipe

if TYPE_CHECKING:
    from hanmo.tasks.pair_examples import PairExample
    from hanmo.tasks.splits import Splits
    from hanmo.tasks.text2text import Text2Text
    from hanmo.tasks.translation_data import LanguagePair

__all__ = ["TranslationWork"]


class TranslationWork(Text2TextWork[TranslationRecipe]):
    """See above."""

    noun = "translations"

    @property
    def example(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        data = self.recipe.data
        told = f" --src-lang {data.source_language} --tgt-lang {data.target_language}" if self._is_tagged else ""
        return f"translation {{model}} 'a text'{told}"

    @property
    def _is_tagged(self) -> bool:
        return len(self.recipe.data.all_pairs) > 1

    def read(self) -> Splits[PairExample]:
        from hanmo.tasks.splits import Splits

        data = self.recipe.data
        parts = [_both_ways(self._read(part), part) for part in (data, *data.also)]
        unseen = [replace(_both_ways(self._read(part), part), train=[]) for part in data.unseen]
        parts += [replace(part, dev=[]) for part in unseen]
        notes: Counter[str] = Counter()
        for part in parts:
            notes.update(part.notes)
        train, dev, test = ([one for part in parts for one in getattr(part, name)] for name in ("train", "dev", "test"))
        return Splits(train, dev, test, (), dict(notes))

    def _read(self, part: LanguagePair) -> Splits[PairExample]:
        from hanmo.tasks.pair_examples import read_pairs

        return read_pairs(part, seed=self.recipe.seed, languages=(part.source_language, part.target_language))

    def build(self, splits: Splits[PairExample]) -> Text2Text:
        from hanmo.stories.text2text_model import build_text2text
        from hanmo.tasks.text2text import BACK_TRANSLATED, Purpose, language_tag

        recipe, data = self.recipe, self.recipe.data
        tagged = self._is_tagged
        marks = (
            [language_tag(language) for language in dict.fromkeys(pair[1] for pair in data.all_pairs)] if tagged else []
        )
        for part in data.unseen:
            if not tagged or any(language_tag(pair[1]) not in marks for pair in part.pairs):
                raise ConfigError(
                    f"nothing teaches this model to write {part.target_language!r}", where="data.unseen",
                    remedy="Languages of a pair that is only judged must be those of pairs that are learned.",
                )  # fmt: skip
        if recipe.back_translation is not None and recipe.back_translation.marked:
            marks.append(BACK_TRANSLATED)
        purpose = Purpose(pairs=data.all_pairs, tagged=tagged, prefix=recipe.model.prefix)
        return build_text2text(
            recipe, both_sides(splits.train), purpose=purpose, prompt=self.prompt(splits), marks=marks
        )

    def more(self, model: Text2Text, splits: Splits[PairExample], notes: Counter[str]) -> Sequence[PairExample]:
        section = self.recipe.back_translation
        if section is None:
            return ()
        from hanmo.tasks.back_translation import back_translate

        data = self.recipe.data
        return back_translate(
            section.texts, section.model, languages=(data.source_language, data.target_language), held=[*splits.dev, *splits.test],
            num_beams=section.num_beams, limit=section.limit, marked=section.marked, notes=notes, device=self.recipe.device,
        )  # fmt: skip

    def read_test(self, model: Text2Text, notes: Counter[str]) -> list[PairExample]:
        from hanmo.tasks.pair_examples import read_test_pairs

        data = self.recipe.data
        return [
            example
            for part in (data, *data.also, *data.unseen)
            if part.test is not None
            for example in _doubled(
                read_test_pairs(part, notes, languages=(part.source_language, part.target_language)), part
            )
        ]

    def watched(self, splits: Splits[PairExample]) -> tuple[str, ...]:
        return ("loss", "error", "bleu")

    def glance(self, texts: Sequence[str], examples: Sequence[PairExample]) -> dict[str, float]:
        from hanmo.tasks.translation_figures import glance_at_translations

        return glance_at_translations(texts, examples)

    def figures(self, texts: Sequence[str], examples: Sequence[PairExample]) -> Judged:
        from hanmo.tasks.translation_figures import translation_figures, translation_records

        return Judged(
            figures=translation_figures(texts, examples),
            records=translation_records(texts, examples),
        )


def _both_ways(splits: Splits[PairExample], part: LanguagePair) -> Splits[PairExample]:
    """With each pair in the other direction, too, if that is asked."""
    return replace(
        splits, train=_doubled(splits.train, part), dev=_doubled(splits.dev, part), test=_doubled(splits.test, part)
    )


def _doubled(examples: list[PairExample], part: LanguagePair) -> list[PairExample]:
    if not part.both_ways:
        return examples
    turned = []
    for one in examples:
        assert one.languages is not None
        there, back = one.languages
        turned.append(
            replace(one, source=one.target, target=one.source, references=(one.source,), languages=(back, there))
        )
    return examples + turned
