"""An encoder-decoder that was trained to write a text for a text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from hanmo.batches.by_length import batches_by_length
from hanmo.core.errors import ConfigError
from hanmo.generation.beam import BeamSettings
from hanmo.generation.seq2seq import generate_seq2seq, searches_fast
from hanmo.generation.settings import GenerationSettings
from hanmo.tasks.seq2seq_model import Seq2SeqModel
from hanmo.tasks.text2text import Languages, Text2Text, fast_products, language_tag
from hanmo.tokenizers.marian import MarianTokenizer

__all__ = ["Text2TextModel"]

_POSITIONS_AT_ONCE = 1024
"""Positions of greedy sources that are read together; with more beams fewer, so that scores of the vocabulary stay in cache."""
_TIMES_COMPILED = 4
"""So many times as many where the kernels search: they hold the scores of few rows at a time, and a step costs little beside."""
_GREEDY_LENGTH = (2, 20)
"""Where a text is only watched it has at most so many times the tokens of its source, and so many more."""


class Text2TextModel(Text2Text, Seq2SeqModel):
    """See above."""

    @property
    def tail(self) -> list[int]:
        """The end of a text."""
        return list(self.eos_ids[:1])

    @property
    def max_source(self) -> int | None:
        """The longest text of the model."""
        return self.config.max_len

    def max_target(self, n_source: int) -> int | None:
        """The same: it reads and writes apart."""
        return self.config.max_len

    def languages(self, source: str | None, target: str | None, *, untrained: bool = False) -> Languages | None:
        """As there."""
        if not self.purpose.pairs and isinstance(self.tokenizer, MarianTokenizer):
            return self._by_code(self.tokenizer, source, target)
        return super().languages(source, target, untrained=untrained)

    def is_told(self, pair: Languages | None) -> bool:
        """As there."""
        coded = not self.purpose.pairs and isinstance(self.tokenizer, MarianTokenizer) and pair is not None
        return coded or super().is_told(pair)

    def target_ids(self, targets: Sequence[str]) -> list[list[int]]:
        """As there."""
        end = list(self.eos_ids[:1])
        return [ids + end for ids in self.tokenizer.encode_targets(targets)]

    def learned_row(self, source: Sequence[int], target: Sequence[int]) -> dict[str, list[int]]:
        """Both sides apart."""
        return {"input_ids": list(source), "labels": list(target)}

    def write(self, rows: Sequence[Sequence[int]], settings: GenerationSettings | BeamSettings) -> list[list[str]]:
        """As there."""
        texts: list[list[str]] = [[] for _ in rows]
        with fast_products(self.model.head_weight.device):
            for batch, found in self._in_batches(rows, settings):
                for row, several in zip(batch, found, strict=True):
                    texts[row] = [self.tokenizer.decode(text.tokens).strip() for text in several]
        return texts

    def glance(self, rows: Sequence[Sequence[int]], *, max_new_tokens: int) -> list[str]:
        """As there; one that does not end is cut at twice the length of its source."""
        return [found[0] for found in self.write(rows, _Watched(max_new_tokens=max_new_tokens))]

    def _in_batches(
        self, rows: Sequence[Sequence[int]], settings: GenerationSettings | BeamSettings
    ) -> Iterator[tuple[list[int], Any]]:
        self.check_rows(rows)
        searches = isinstance(settings, BeamSettings)
        beams = settings.num_beams if searches else settings.n
        at_once = _POSITIONS_AT_ONCE
        if searches and searches_fast(self.model, settings):
            at_once *= _TIMES_COMPILED
        max_tokens = max(1, 5 * at_once // (beams + 4))
        for batch in batches_by_length([len(row) for row in rows], max_tokens=max_tokens):
            ids, mask = self.padded([rows[row] for row in batch])
            used: Any = settings
            if isinstance(settings, _Watched):
                times, more = _GREEDY_LENGTH
                used = GenerationSettings(max_new_tokens=min(settings.max_new_tokens, times * ids.shape[1] + more))
            yield batch, generate_seq2seq(self.model, ids, mask, used, eos_ids=self.eos_ids, banned_ids=self.banned_ids)

    def _by_code(self, tokenizer: MarianTokenizer, source: str | None, target: str | None) -> Languages | None:
        """Of a model of the hub: its files name the pair, and codes for the languages of a group such as ROMANCE."""
        own = tokenizer.config.get("target_lang")
        if target is None or (target == own and language_tag(target) not in tokenizer.codes):
            return None
        if language_tag(target) not in tokenizer.codes:
            known = [*([own] if own else []), *(code[2:-2] for code in tokenizer.codes)]
            raise ConfigError(
                f"this model does not translate into {target}",
                where="tgt_lang",
                remedy=f"Give one of {', '.join(known)}.",
            )
        return source or "", target


class _Watched(GenerationSettings):
    """Greedy, and cut."""
