"""An encoder whose vectors tell which texts are alike, stage by stage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from hanmo.stories.similarity_recipe import SimilarityRecipe
from hanmo.stories.task_model import build_encoder
from hanmo.stories.task_story import Judged, Learning, TaskWork

if TYPE_CHECKING:
    from hanmo.tasks.embeddings import SentenceEncoder
    from hanmo.tasks.similarity_examples import SimilarityExample
    from hanmo.tasks.splits import Splits

__all__ = ["SimilarityWork"]


class SimilarityWork(TaskWork[SimilarityRecipe, "SentenceEncoder"]):
    """See above."""

    noun = "examples"
    example = "sentence-similarity {model} 'a text' --pair 'another text'"

    def read(self) -> Splits[SimilarityExample]:
        from hanmo.tasks.similarity_examples import read_similar

        return read_similar(self.recipe.data, seed=self.recipe.seed)

    def build(self, splits: Splits[SimilarityExample]) -> SentenceEncoder:
        from hanmo.models.hub import find_model
        from hanmo.tasks.embeddings import SentenceEncoder, sentence_architecture
        from hanmo.tasks.sentence_modules import SentenceSettings, read_sentence_settings

        section = self.recipe.model
        texts = (text for example in splits.train for text in example.texts)
        model, tokenizer = build_encoder(section, texts, choose=sentence_architecture, head={}, seed=self.recipe.seed)
        settings = SentenceSettings()
        if section.checkpoint is not None:
            settings = read_sentence_settings(find_model(section.checkpoint))
        return SentenceEncoder(
            model, tokenizer, pooling=section.pooling or settings.pooling, max_len=settings.max_len,
            where=section.checkpoint,
        )  # fmt: skip

    def learn(self, model: SentenceEncoder, splits: Splits[SimilarityExample]) -> Learning:
        from hanmo.batches.padded_rows import PaddedRows
        from hanmo.tasks.similarity import check_lengths, encode_similar, similarity_fills, similarity_loss
        from hanmo.tasks.similarity_figures import find, glance_at_similarity

        recipe, data = self.recipe, self.recipe.data
        if data.overlong == "error":
            check_lengths(splits, model)
        rows = encode_similar(splits.train, model, lowest=data.lowest, highest=data.highest)
        return Learning(
            batches=PaddedRows(
                rows, fills=similarity_fills(model.fill_id), batch_size=recipe.batch_size,
                seed=recipe.seed,
            ),
            loss=similarity_loss(recipe.loss.chosen(data.kind), recipe.loss, model.pooling),
            watch=lambda: glance_at_similarity(find(model, splits.dev, data), splits.dev),
        )  # fmt: skip

    def opened(self, model: Any, where: object) -> SentenceEncoder:
        from hanmo.tasks.opened import as_sentence_encoder

        return as_sentence_encoder(model, where)

    def read_test(self, model: SentenceEncoder, notes: Counter[str]) -> list[SimilarityExample]:
        from hanmo.tasks.similarity_examples import read_test_similar

        return read_test_similar(self.recipe.data, notes)

    def watched(self, splits: Splits[SimilarityExample]) -> tuple[str, ...]:
        return ("error", "spearman" if self.recipe.data.kind == "scores" else "mrr")

    def classes(self, example: SimilarityExample) -> Iterable[str]:
        return ()

    def judge(self, model: SentenceEncoder, splits: Splits[SimilarityExample], name: str) -> Judged:
        from hanmo.tasks.similarity_figures import find, similarity_figures, similarity_records

        examples: list[SimilarityExample] = getattr(splits, name)
        data, found = self.recipe.data, find(model, examples, self.recipe.data)
        before = None
        if self.recipe.model.checkpoint is not None:  # what training has brought: the checkpoint as it came
            before = find(self.build(splits), examples, data)
        return Judged(
            figures=similarity_figures(found, examples, before=before),
            records=similarity_records(found, examples, data),
        )
