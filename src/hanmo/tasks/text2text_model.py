"""A model that was trained to write a text for a text, with what it was trained for: languages, a prefix, a mark."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import torch

from hanmo.batches.by_length import batches_by_length
from hanmo.core.devices import choose_compute
from hanmo.core.errors import ConfigError, DataError, ModelError
from hanmo.generation.beam import BeamSettings
from hanmo.generation.seq2seq import generate_seq2seq, searches_fast
from hanmo.generation.settings import GenerationSettings
from hanmo.tasks.seq2seq_model import Seq2SeqModel
from hanmo.tokenizers.marian import MarianTokenizer
from hanmo.tokenizers.tokenizer import Tokenizer

__all__ = ["BACK_TRANSLATED", "Purpose", "Text2TextModel", "language_tag"]

_KEY = "hanmo_text2text"
BACK_TRANSLATED = ">>bt<<"
"""Stands in front of a source that a model wrote (Caswell et al., 2019)."""
_POSITIONS_AT_ONCE = 1024
"""Positions of greedy sources that are read together; with more beams fewer, so that scores of the vocabulary stay in cache."""
_TIMES_COMPILED = 4
"""So many times as many where the kernels search: they hold the scores of few rows at a time, and a step costs little beside."""
_GREEDY_LENGTH = (2, 20)
"""Where a text is only watched it has at most so many times the tokens of its source, and so many more."""

Languages = tuple[str, str]


def language_tag(language: str) -> str:
    """The token in front of a source that says into which language (Johnson et al., 2017), as Marian's models write it."""
    return f">>{language}<<"


@dataclass(frozen=True, kw_only=True)
class Purpose:
    """What a model was trained for; tokenizer_config.json holds it, under a name that other libraries pass over."""

    pairs: tuple[Languages, ...] = ()
    """Languages of source and target that it has seen; none where it is no matter of languages."""
    tagged: bool = False
    """Whether a token in front of the source says into which language."""
    prefix: str = ""
    """Text in front of each source."""


class Text2TextModel(Seq2SeqModel):
    """See above."""

    def __init__(
        self,
        model: Any,
        tokenizer: Tokenizer,
        *,
        purpose: Purpose | None = None,
        eos_ids: Sequence[int] = (),
        generation_config: Mapping[str, Any] | None = None,
        where: object = None,
    ):
        """Args: as there, and

        purpose: what it is for; what the tokenizer's config says if None.
        """
        super().__init__(model, tokenizer, eos_ids=eos_ids, generation_config=generation_config, where=where)
        if purpose is not None:
            tokenizer.config[_KEY] = asdict(purpose)
        known: Any = tokenizer.config.get(_KEY) or {}
        try:
            self.purpose = Purpose(
                pairs=tuple((str(source), str(target)) for source, target in known.get("pairs", ())),
                tagged=bool(known.get("tagged", False)), prefix=str(known.get("prefix", "")),
            )  # fmt: skip
        except (TypeError, ValueError, AttributeError) as error:
            raise ModelError(
                f"{_KEY} in tokenizer_config.json is damaged ({error})", where=where, remedy="Copy the folder again."
            ) from error

    @classmethod
    def of(cls, opened: Seq2SeqModel, where: object = None) -> Text2TextModel:
        """The same model, opened by `hanmo.load`."""
        return cls(
            opened.model, opened.tokenizer, eos_ids=opened.eos_ids, generation_config=opened.generation_config,
            where=where,
        )  # fmt: skip

    def languages(self, source: str | None, target: str | None, *, untrained: bool = False) -> Languages | None:
        """The pair that is meant, from what was said of it.

        Args:
            source: language of the text, if said.
            target: into which one, if said.
            untrained: whether a pair may be one that the model has not seen, of languages that it has seen (zero-shot).

        Raises:
            ConfigError: for a pair that the model lacks, or where it is not clear which one.
        """
        pairs = self.purpose.pairs
        if not pairs and isinstance(self.tokenizer, MarianTokenizer):
            return self._by_code(self.tokenizer, source, target)
        if not pairs:
            return (source, target) if source is not None and target is not None else None
        fits = [pair for pair in pairs if source in (None, pair[0]) and target in (None, pair[1])]
        known = ", ".join(f"{a} → {b}" for a, b in pairs)
        targets = {pair[1] for pair in fits}
        if len(targets) == 1 and (source is None or len(fits) == 1):
            return fits[0]
        if fits:
            raise ConfigError(
                "this model translates more than one pair of languages", where="tgt_lang",
                remedy=f"Say from which into which: {known}.",
            )  # fmt: skip
        seen = {language for pair in pairs for language in pair[:1]}, {pair[1] for pair in pairs}
        if untrained and self.purpose.tagged and source in seen[0] and target in seen[1]:
            return source, target
        raise ConfigError(
            f"this model has not learnt {source or '?'} → {target or '?'}", where="src_lang, tgt_lang",
            remedy=f"It translates {known}.",
        )  # fmt: skip

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

    def encode(
        self, sources: Sequence[str], languages: Sequence[Languages | None] | None = None, *, marked: bool = False
    ) -> list[list[int]]:
        """Ids of sources as the model reads them: marks, prefix, text, end.

        Args:
            sources: texts.
            languages: of each, where the model is told by a token.
            marked: whether they were written by a model (back-translation).
        """
        texts = [self.purpose.prefix + source for source in sources] if self.purpose.prefix else list(sources)
        end = list(self.eos_ids[:1])
        pairs = languages if languages is not None else [None] * len(texts)
        front = [self._front(pair, marked) for pair in pairs]
        return [mark + ids + end for mark, ids in zip(front, self.tokenizer.encode_batch(texts), strict=True)]

    def _front(self, pair: Languages | None, marked: bool) -> list[int]:
        names = [BACK_TRANSLATED] if marked else []
        coded = not self.purpose.pairs and isinstance(self.tokenizer, MarianTokenizer) and pair is not None
        if self.purpose.tagged or coded:
            assert pair is not None, "a model with language tags is told the languages"
            names.append(language_tag(pair[1]))
        ids = []
        for name in names:
            token = self.tokenizer.token_id(name)
            if token is None:
                raise ModelError(f"the tokenizer has no token {name}", remedy="Train it with this recipe.")
            ids.append(token)
        return ids

    def write(self, rows: Sequence[Sequence[int]], settings: GenerationSettings | BeamSettings) -> list[list[str]]:
        """Texts for sources that `encode` made: for each as many as `settings.n`, of a beam search best first.

        Sources of like length are read together; a text does not depend on its company, but for the last digits.

        Raises:
            DataError: for a source that is longer than the model can read.
        """
        texts: list[list[str]] = [[] for _ in rows]
        with _fast_products(self.model.head_weight.device):
            for batch, found in self._in_batches(rows, settings):
                for row, several in zip(batch, found, strict=True):
                    texts[row] = [self.tokenizer.decode(text.tokens).strip() for text in several]
        return texts

    def glance(self, rows: Sequence[Sequence[int]], *, max_new_tokens: int) -> list[str]:
        """Greedy texts, to be watched while training: one that does not end is cut at twice the length of its source."""
        return [found[0] for found in self.write(rows, _Watched(max_new_tokens=max_new_tokens))]

    def _in_batches(
        self, rows: Sequence[Sequence[int]], settings: GenerationSettings | BeamSettings
    ) -> Iterator[tuple[list[int], Any]]:
        max_len = self.config.max_len
        for number, row in enumerate(rows):
            if max_len is not None and len(row) > max_len:
                raise DataError(
                    f"a source has {len(row)} tokens, but this model reads at most {max_len}", where=f"text {number + 1}",
                    remedy="Shorten or split it; nothing is cut without being asked.",
                )  # fmt: skip
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


@contextmanager
def _fast_products(device: torch.device) -> Iterator[None]:
    """Float32 products by the library that is fastest at the same accuracy on this machine."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(choose_compute(device).matmul_precision)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


class _Watched(GenerationSettings):
    """Greedy, and cut."""
