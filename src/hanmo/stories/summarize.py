"""A summariser, and any other model that writes a text for a text, stage by stage."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from hanmo.stories.summarization_recipe import SummarizationRecipe, Text2TextGenerationRecipe
from hanmo.stories.task_story import Judged
from hanmo.stories.text2text_work import Text2TextWork

if TYPE_CHECKING:
    from hanmo.tasks.pair_examples import PairExample
    from hanmo.tasks.splits import Splits

__all__ = ["SummarizationWork", "Text2TextGenerationWork"]


class SummarizationWork(Text2TextWork[SummarizationRecipe]):
    """See above."""

    noun = "texts with summaries"
    example = "summarization {model} 'a text'"

    def prompt(self, splits: Splits[PairExample]) -> str:
        """By the language of most summaries: 摘要 (summary), or the words after which GPT-2 summarises (Radford et al., 2019,
        §3.6)."""
        from hanmo.metrics.units import has_han

        chinese = sum(has_han(example.target) for example in splits.train)
        return "\n摘要：" if 2 * chinese > len(splits.train) else "\nTL;DR: "

    def glance(self, texts: Sequence[str], examples: Sequence[PairExample]) -> dict[str, float]:
        from hanmo.tasks.summary_figures import glance_at_summaries

        return glance_at_summaries(texts, examples)

    def figures(self, texts: Sequence[str], examples: Sequence[PairExample]) -> Judged:
        from hanmo.tasks.extractive import lead, textrank
        from hanmo.tasks.summary_figures import summary_figures, summary_records

        asked = self.recipe.baselines
        baselines: dict[str, Callable[[str], str]] = {}
        if asked.lead:
            baselines[f"lead-{asked.lead}"] = partial(lead, n=asked.lead)
        if asked.textrank:
            baselines[f"textrank-{asked.textrank}"] = partial(textrank, n=asked.textrank)
        return Judged(
            figures=summary_figures(texts, examples, baselines=baselines),
            records=summary_records(texts, examples),
        )


class Text2TextGenerationWork(Text2TextWork[Text2TextGenerationRecipe]):
    """See above."""

    noun = "pairs of texts"
    example = "text2text-generation {model} 'a text'"

    def glance(self, texts: Sequence[str], examples: Sequence[PairExample]) -> dict[str, float]:
        from hanmo.tasks.summary_figures import glance_at_summaries

        return glance_at_summaries(texts, examples)

    def figures(self, texts: Sequence[str], examples: Sequence[PairExample]) -> Judged:
        from hanmo.metrics.translation import bleu
        from hanmo.tasks.summary_figures import summary_figures, summary_records

        found = summary_figures(texts, examples)
        score = bleu(texts, [example.references for example in examples], target_language=self.recipe.language)
        figures = replace(
            found,
            metrics={"bleu": score.examples, **found.metrics},
            details={"signatures": {"bleu": score.signature}},
        )
        return Judged(figures=figures, records=summary_records(texts, examples))
