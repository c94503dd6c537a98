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
from hanmo.tasks.text2text import Languages, Text2Text

__all__ = ["Text2TextPipeline", "TranslationPipeline"]


class Text2TextPipeline(Pipeline):
    """Texts to [{"generated_text": …}] each, of a list to {"generated_text": …} each; with `num_return_sequences` of several
    to a list of as many. The settings are those that the model was saved with unless told otherwise."""

    answer_key = "written"

    def __init__(self, model: Text2Text, field: str = "generated_text", *, told: Mapping[str, Any] | None = None):
        """Args:
        model: with what it was trained for.
        field: what the text is called in an answer.
        told: for a model of the hub that was trained for several tasks, what its config says of this one
            (`hanmo.tasks.text2text_loading.task_params`): a prefix in front of each source, and settings.
        """
        self.model, self.field = model, field
        self._told = dict(told or {})

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
        num_return_sequences: int | None = None,
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
            do_sample: draw tokens in place of searching for the most probable text.
            overlong: "error" refuses a source that is longer than the model can read, "truncate" cuts its end.
            settings: fields of `BeamSettings`, or of `GenerationSettings`. What is not given, or None, is as
                generation_config.json says.

        Raises:
            ConfigError: for a setting that cannot be, or a pair of languages that the model lacks.
            DataError: for a source that is too long.
        """
        if overlong not in ("error", "truncate"):
            raise ConfigError(f"overlong cannot be {overlong!r}", where="overlong", remedy="Choose error or truncate.")
        pair = self.model.languages(src_lang, tgt_lang, untrained=untrained)
        told = self.told_of(pair)
        rows = self.model.encode([told.get("prefix", "") + item for item in items], [pair] * len(items))
        if overlong == "truncate":
            rows = [self.model.cut(row) for row in rows]
        checked = self._settings(told, settings, num_return_sequences, do_sample)
        named = [[{self.field: text} for text in texts] for texts in self.model.write(rows, checked)]
        return named if checked.n > 1 else [texts[0] for texts in named]

    def told_of(self, pair: Languages | None) -> Mapping[str, Any]:
        """What the model's config says of this task; of a translation, of this pair."""
        return self._told

    def alone(self, answer: Any, item: Any, options: Mapping[str, Any]) -> list[Any]:
        """One text, too, has a list of answers."""
        return answer if isinstance(answer, list) else [answer]

    def _stream(self, inputs: Iterator[Any], options: dict[str, Any]) -> Iterator[Any]:
        for answer in super()._stream(inputs, options):
            yield self.alone(answer, None, options)

    def _settings(
        self, told: Mapping[str, Any], given: Mapping[str, Any], n: int | None, do_sample: bool | None
    ) -> GenerationSettings | BeamSettings:
        file = {name: value for name, value in told.items() if name != "prefix"}
        checked = self.model.settings({**given, "n": n, "do_sample": do_sample}, file=file)
        if checked.n > 1 and isinstance(checked, GenerationSettings) and checked.temperature == 0.0:
            raise ConfigError(
                f"{checked.n} texts for a source would all be the same", where="num_return_sequences",
                remedy="Give num_beams, or do_sample=True.",
            )  # fmt: skip
        return checked


class TranslationPipeline(Text2TextPipeline):
    """Texts to [{"translation_text": …}]. The pair of languages is that of the model, or one of its pairs."""

    answer_key = "translation"

    def __init__(
        self,
        model: Text2Text,
        *,
        src_lang: str | None = None,
        tgt_lang: str | None = None,
        told: Mapping[Languages, Mapping[str, Any]] | None = None,
    ):
        """Args:
        model: with the languages that it was trained for.
        src_lang: what "translation_en_to_de" says.
        tgt_lang: the same.
        told: for a model of the hub that was trained for several tasks, what its config says of each pair; it has no others.
        """
        super().__init__(model, "translation_text")
        self._said, self._told_of = (src_lang, tgt_lang), dict(told or {})
        if src_lang is not None and tgt_lang is not None:  # a pair that it lacks is refused at once
            self.told_of(model.languages(src_lang, tgt_lang))

    def answers(self, items: list[str], **options: Any) -> list[Any]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """As there."""
        src, tgt = (
            options.pop(name, None) or said for name, said in zip(("src_lang", "tgt_lang"), self._said, strict=True)
        )
        return super().answers(items, src_lang=src, tgt_lang=tgt, **options)

    def told_of(self, pair: Languages | None) -> Mapping[str, Any]:
        """As there.

        Raises:
            ConfigError: for a pair of which the config says nothing, where it does of others; or for none.
        """
        if not self._told_of:
            return {}
        if pair is not None and pair in self._told_of:
            return self._told_of[pair]
        known = ", ".join(f"{a} → {b}" for a, b in self._told_of)
        what = "translates more than one pair of languages" if pair is None else f"has not learnt {pair[0]} → {pair[1]}"
        raise ConfigError(
            f"this model {what}", where="src_lang, tgt_lang", remedy=f"Say from which into which: {known}."
        )
