"""`hanmo.pipeline("translation", …)`, "summarization", "text2text-generation": a text for a text, with the arguments and
fields of `transformers`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hanmo.core.errors import ConfigError, DataError
from hanmo.generation.beam import BeamSettings
from hanmo.generation.settings import GenerationSettings
from hanmo.tasks.pair_examples import joined
from hanmo.tasks.pipeline import Pipeline
from hanmo.tasks.text2text_model import Text2TextModel

__all__ = ["Text2TextPipeline", "TranslationPipeline"]


class Text2TextPipeline(Pipeline):
    """Texts to [{"generated_text": …}] each, of a list to {"generated_text": …} each; with `num_return_sequences` of several
    to a list of as many. The settings are those that the model was saved with unless told otherwise."""

    answer_key = "written"

    def __init__(self, model: Text2TextModel, field: str = "generated_text", *, prefix: str = ""):
        """Args:
        model: with what it was trained for.
        field: what the text is called in an answer.
        prefix: text in front of each source, for a model that was trained so and does not say it.
        """
        self.model, self.field, self.prefix = model, field, prefix

    def read(self, item: Any) -> str:
        """A string, a list of sentences, or an object with "text" or "source"."""
        given = item.get("text", item.get("source")) if isinstance(item, Mapping) else item
        text = joined(given)
        if text is None or not text.strip():
            raise DataError(
                f"{str(item)[:60]!r} is no text to read", where="inputs", remedy='Give a string, or {"text": …}.'
            )
        return text.strip()

    def answers(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        items: list[str],
        *,
        src_lang: str | None = None,
        tgt_lang: str | None = None,
        untrained: bool = False,
        num_return_sequences: int = 1,
        do_sample: bool | None = None,
        overlong: str = "error",
        **settings: Any,
    ) -> list[Any]:
        """A text for each.

        Args:
            items: sources.
            src_lang: language of the sources, where the model has several pairs.
            tgt_lang: into which one.
            untrained: whether a pair may be one that the model has not seen, of languages that it has seen.
            num_return_sequences: texts for each source.
            do_sample: draw tokens in place of searching for the most probable text; as generation_config.json says if None.
            overlong: "error" refuses a source that is longer than the model can read, "truncate" cuts its end.
            settings: fields of `BeamSettings`, or of `GenerationSettings`; else as generation_config.json says.

        Raises:
            ConfigError: for a setting that cannot be, or a pair of languages that the model lacks.
            DataError: for a source that is too long.
        """
        if overlong not in ("error", "truncate"):
            raise ConfigError(f"overlong cannot be {overlong!r}", where="overlong", remedy="Choose error or truncate.")
        pair = self.model.languages(src_lang, tgt_lang, untrained=untrained)
        rows = self.model.encode([self.prefix + item for item in items], [pair] * len(items))
        if overlong == "truncate" and self.model.config.max_len is not None:
            rows = [self._cut(row) for row in rows]
        found = self.model.write(rows, self._settings(settings, num_return_sequences, do_sample))
        named = [[{self.field: text} for text in texts] for texts in found]
        return named if num_return_sequences > 1 else [texts[0] for texts in named]

    def alone(self, answer: Any, item: Any, options: Mapping[str, Any]) -> list[Any]:
        """One text, too, has a list of answers."""
        return answer if isinstance(answer, list) else [answer]

    def _stream(self, inputs: Iterator[Any], options: dict[str, Any]) -> Iterator[Any]:
        for answer in super()._stream(inputs, options):
            yield self.alone(answer, None, options)

    def _cut(self, row: list[int]) -> list[int]:
        limit = self.model.config.max_len
        return row if len(row) <= limit else [*row[: limit - 1], row[-1]]

    def _settings(self, given: Mapping[str, Any], n: int, do_sample: bool | None) -> GenerationSettings | BeamSettings:
        checked = self.model.settings({**given, "n": n, "do_sample": do_sample})
        if n > 1 and isinstance(checked, GenerationSettings) and checked.temperature == 0.0:
            raise ConfigError(
                f"{n} texts for a source would all be the same", where="num_return_sequences",
                remedy="Give num_beams, or do_sample=True.",
            )  # fmt: skip
        return checked


class TranslationPipeline(Text2TextPipeline):
    """Texts to [{"translation_text": …}]. The pair of languages is that of the model, or one of its pairs."""

    answer_key = "translation"

    def __init__(self, model: Text2TextModel, *, src_lang: str | None = None, tgt_lang: str | None = None):
        """Args:
        model: with the languages that it was trained for.
        src_lang: what "translation_en_to_de" says; for a model of the hub that was trained for several tasks, its own prefix
            for the pair is taken.
        tgt_lang: the same.
        """
        super().__init__(model, "translation_text")
        self._said = (src_lang, tgt_lang)
        if src_lang is not None and tgt_lang is not None and model.purpose.pairs:
            model.languages(src_lang, tgt_lang)  # a pair that it lacks is refused at once

    def answers(self, items: list[str], **options: Any) -> list[Any]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """As there."""
        src, tgt = (
            options.pop(name, None) or said for name, said in zip(("src_lang", "tgt_lang"), self._said, strict=True)
        )
        return super().answers(items, src_lang=src, tgt_lang=tgt, **options)
