"""`hanmo.pipeline("token-classification", …)`: which words of a text are names, or what part of speech they are."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from hanmo.core.errors import ConfigError, DataError
from hanmo.metrics.tag_schemes import Scheme, loose_entities
from hanmo.metrics.units import has_han
from hanmo.tasks.pipeline import Pipeline, read_text
from hanmo.tasks.tagger import Tagged, Tagger
from hanmo.text.segment import is_segmented, segment

__all__ = ["TagPipeline", "Word", "cut_words"]

Strategy = Literal["none", "simple", "first", "average", "max"]
# letters and digits of any script with what joins them inside a word; any other sign
_WORDS = re.compile(r"[^\W_]+(?:['’.\-][^\W_]+)*|\S")
_SCHEMES: tuple[tuple[set[str], Scheme], ...] = (
    ({"B", "I", "O"}, "IOB2"),
    ({"B", "I", "E", "S", "O"}, "BIOES"),
    ({"B", "M", "E", "S", "O"}, "BMES"),
)


class Word(NamedTuple):
    """A word of a text."""

    text: str
    start: int
    end: int


def cut_words(text: str, unit: Literal["word", "character"]) -> list[Word]:
    """The words of a text, or its characters, without white space.

    Signs are words of their own. Chinese keeps its words where white space separates them, as in the sentences that
    taggers are trained on, and is cut by `hanmo.text.segment` where nothing does.
    """
    if unit == "word" and _is_running_chinese(text):
        return _places(segment(text), text)
    pattern = re.compile(r"\S") if unit == "character" else _WORDS
    return [Word(found[0], found.start(), found.end()) for found in pattern.finditer(text)]


def _is_running_chinese(text: str) -> bool:
    # a run of characters by itself may be as short as a word, but then nothing separates it
    return has_han(text) and not (len(text.split()) > 1 and is_segmented(text))


def _places(words: Sequence[str], text: str) -> list[Word]:
    """Where words stand that are, but for white space, the whole text."""
    placed, end = [], 0
    for word in words:
        start = text.index(word, end)
        end = start + len(word)
        placed.append(Word(word, start, end))
    return placed


def _joined(words: Sequence[str], delimiter: str) -> list[Word]:
    """Words with their places in the text that the delimiter makes of them."""
    placed, start = [], 0
    for word in words:
        placed.append(Word(word, start, start + len(word)))
        start += len(word) + len(delimiter)
    return placed


class TagPipeline(Pipeline):
    """See above.

    Answers are lists. With `aggregation_strategy="none"` an object for each word whose tag is none of `ignore_labels`:
    `{"entity": "B-PER", "score": …, "index": number of the word from 1, "word": …, "start": …, "end": …}`. Otherwise one
    for each span: `{"entity_group": "PER", "score": mean of its words, "word": …, "start": …, "end": …}`. Tags are
    those of words, which begin at their first sub-word, so the strategies of `transformers` that differ in how they
    join sub-words ("simple", "first", "average", "max") come to the same.
    """

    def __init__(self, tagger: Tagger):
        self.tagger = tagger

    def read(self, item: Any) -> str | tuple[str, ...]:
        """A text, or {"text": …}; or a list of words, for `is_split_into_words`."""
        if isinstance(item, (list, tuple)):
            if not item or not all(isinstance(word, str) and word.strip() for word in item):
                raise DataError(
                    f"{str(item)[:60]!r} is no list of words", where="inputs", remedy="Give texts, none empty."
                )
            return tuple(item)
        return read_text(item)

    def answers(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        items: list[str | tuple[str, ...]],
        *,
        aggregation_strategy: Strategy = "none",
        ignore_labels: Sequence[str] = ("O",),
        is_split_into_words: bool = False,
        delimiter: str = " ",
    ) -> list[list[dict[str, Any]]]:
        """See above.

        Args:
            items: texts, or lists of words.
            aggregation_strategy: an object for each word, or for each span.
            ignore_labels: tags, or kinds of spans, that are left out.
            is_split_into_words: each input is a list of words, which are tagged as they are.
            delimiter: stands between such words in the text that `start` and `end` count in; "" for Chinese.

        Raises:
            ConfigError: for a strategy that there is not.
            DataError: for words without `is_split_into_words`, or a text with it.
        """
        if aggregation_strategy not in ("none", "simple", "first", "average", "max"):
            raise ConfigError(
                f"there is no strategy {aggregation_strategy!r}", where="aggregation_strategy",
                remedy="Choose none, simple, first, average or max.",
            )  # fmt: skip
        texts, cut = [], []
        for item in items:
            if isinstance(item, str) is is_split_into_words:
                told = "a text where a list of words belongs" if is_split_into_words else "a list of words"
                raise DataError(
                    told, where="inputs",
                    remedy='Give [["Anna", "came"]] with is_split_into_words=True, or a text without it.',
                )  # fmt: skip
            words = cut_words(item, self.tagger.unit) if isinstance(item, str) else _joined(item, delimiter)
            cut.append(words)
            texts.append(item if isinstance(item, str) else delimiter.join(item))
        found = self.tagger.tag([[word.text for word in words] for words in cut])
        form = self._words if aggregation_strategy == "none" else self._spans
        return [form(text, words, tagged, ignore_labels) for text, words, tagged in zip(texts, cut, found, strict=True)]

    def _words(self, text: str, words: Sequence[Word], tagged: Tagged, ignored: Sequence[str]) -> list[dict[str, Any]]:
        return [
            {"entity": tag, "score": score, "index": number, "word": word.text, "start": word.start, "end": word.end}
            for number, (word, tag, score) in enumerate(zip(words, tagged.tags, tagged.scores, strict=True), 1)
            if tag not in ignored
        ]

    def _spans(self, text: str, words: Sequence[Word], tagged: Tagged, ignored: Sequence[str]) -> list[dict[str, Any]]:
        answers = []
        for kind, start, end in self._groups(tagged.tags):
            if kind in ignored:
                continue
            first, last = words[start].start, words[end - 1].end
            score = sum(tagged.scores[start:end]) / (end - start)
            answers.append(
                {"entity_group": kind, "score": score, "word": text[first:last], "start": first, "end": last}
            )
        return answers

    def _groups(self, tags: Sequence[str]) -> list[tuple[str, int, int]]:
        """Kind, first word, and the word after the last of each span; of each word where tags spell none."""
        letters = {tag.partition("-")[0] for tag in self.tagger.labels}
        for known, scheme in _SCHEMES:
            if letters <= known and letters & {"B", "S"}:
                return [(span.type, span.start, span.end) for span in loose_entities(tags, scheme)]
        return [(tag, place, place + 1) for place, tag in enumerate(tags)]
