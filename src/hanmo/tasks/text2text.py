"""What models that write a text for a text have in common, whichever family: what they were trained for, and how sources are
read."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Self

import torch

from hanmo.core.devices import choose_compute
from hanmo.core.errors import ConfigError, DataError, ModelError
from hanmo.generation.beam import BeamSettings
from hanmo.generation.settings import GenerationSettings
from hanmo.tasks.writing_model import WritingModel
from hanmo.tokenizers.tokenizer import Tokenizer

__all__ = ["BACK_TRANSLATED", "Languages", "Purpose", "Text2Text", "fast_products", "has_purpose", "language_tag"]

_KEY = "hanmo_text2text"
BACK_TRANSLATED = ">>bt<<"
"""Stands in front of a source that a model wrote (Caswell et al., 2019)."""

Languages = tuple[str, str]


def language_tag(language: str) -> str:
    """The token in front of a source that says into which language (Johnson et al., 2017), as Marian's models write it."""
    return f">>{language}<<"


def has_purpose(tokenizer: Tokenizer) -> bool:
    """Whether the model of this tokenizer was trained to write a text for a text."""
    return bool(tokenizer.config.get(_KEY))


@dataclass(frozen=True, kw_only=True)
class Purpose:
    """What a model was trained for; tokenizer_config.json holds it, under a name that other libraries pass over."""

    pairs: tuple[Languages, ...] = ()
    """Languages of source and target that it has seen; none where it is no matter of languages."""
    tagged: bool = False
    """Whether a token in front of the source says into which language."""
    prefix: str = ""
    """Text in front of each source."""
    prompt: str = ""
    """Text between source and target, of a decoder."""
    room: int = 0
    """Tokens of a decoder's context that sources leave free for the text."""


class Text2Text(WritingModel):
    """See above. Rows of ids are sources as the model reads them: marks, prefix, text, and what stands behind each."""

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
                prompt=str(known.get("prompt", "")), room=int(known.get("room", 0)),
            )  # fmt: skip
        except (TypeError, ValueError, AttributeError) as error:
            raise ModelError(
                f"{_KEY} in tokenizer_config.json is damaged ({error})", where=where, remedy="Copy the folder again."
            ) from error

    @classmethod
    def of(cls, opened: WritingModel, where: object = None) -> Self:
        """The same model, opened by `hanmo.load`."""
        return cls(
            opened.model, opened.tokenizer, eos_ids=opened.eos_ids, generation_config=opened.generation_config,
            where=where,
        )  # fmt: skip

    @property
    def head(self) -> list[int]:
        """Ids in front of everything."""
        return []

    @property
    @abstractmethod
    def tail(self) -> list[int]:
        """Ids behind each source."""

    @property
    @abstractmethod
    def max_source(self) -> int | None:
        """Most tokens of a source, with all that stands around it; any number if None."""

    @abstractmethod
    def max_target(self, n_source: int) -> int | None:
        """Most tokens of a target whose source has so many; any number if None."""

    @abstractmethod
    def target_ids(self, targets: Sequence[str]) -> list[list[int]]:
        """Ids of targets as they are learned, with their end."""

    @abstractmethod
    def learned_row(self, source: Sequence[int], target: Sequence[int]) -> dict[str, list[int]]:
        """A pair as a row for `hanmo.batches.token_rows`, in which the loss sees the target alone."""

    @abstractmethod
    def write(self, rows: Sequence[Sequence[int]], settings: GenerationSettings | BeamSettings) -> list[list[str]]:
        """Texts for sources that `encode` made: for each as many as `settings.n`, of a beam search best first.

        Sources of like length are read together; a text does not depend on its company, but for the last digits.

        Raises:
            DataError: for a source that is longer than the model can read.
        """

    @abstractmethod
    def glance(self, rows: Sequence[Sequence[int]], *, max_new_tokens: int) -> list[str]:
        """Greedy texts, to be watched while training."""

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
        can = self.purpose.tagged and source in seen[0] and target in seen[1]
        if untrained and can and source is not None and target is not None:
            return source, target
        raise ConfigError(
            f"this model has not learnt {source or '?'} → {target or '?'}", where="src_lang, tgt_lang",
            remedy=f"It translates {known}.{' With --untrained (untrained=True) it tries, without examples.' if can else ''}",
        )  # fmt: skip

    def encode(
        self, sources: Sequence[str], languages: Sequence[Languages | None] | None = None, *, marked: bool = False
    ) -> list[list[int]]:
        """Rows of sources.

        Args:
            sources: texts.
            languages: of each, where the model is told by a token.
            marked: whether they were written by a model (back-translation).
        """
        texts = [self.purpose.prefix + source for source in sources] if self.purpose.prefix else list(sources)
        head, tail = self.head, self.tail
        pairs = languages if languages is not None else [None] * len(texts)
        front = [self._front(pair, marked) for pair in pairs]
        return [
            [*head, *mark, *ids, *tail] for mark, ids in zip(front, self.tokenizer.encode_batch(texts), strict=True)
        ]

    def is_told(self, pair: Languages | None) -> bool:
        """Whether a token in front of a source says into which language."""
        return self.purpose.tagged

    def cut(self, row: Sequence[int]) -> list[int]:
        """A row without the end of its text, if it is too long; what stands behind a source is kept."""
        limit, tail = self.max_source, self.tail
        return list(row) if limit is None or len(row) <= limit else [*row[: limit - len(tail)], *tail]

    def check_rows(self, rows: Sequence[Sequence[int]]) -> None:
        """Make sure that all can be read.

        Raises:
            DataError: names the first that is too long.
        """
        limit = self.max_source
        for number, row in enumerate(rows):
            if limit is not None and len(row) > limit:
                raise DataError(
                    f"a source has {len(row)} tokens, but this model reads at most {limit}", where=f"text {number + 1}",
                    remedy="Shorten or split it; nothing is cut without being asked.",
                )  # fmt: skip

    def _front(self, pair: Languages | None, marked: bool) -> list[int]:
        names = [BACK_TRANSLATED] if marked else []
        if self.is_told(pair):
            assert pair is not None, "a model with language tags is told the languages"
            names.append(language_tag(pair[1]))
        ids = []
        for name in names:
            token = self.tokenizer.token_id(name)
            if token is None:
                raise ModelError(f"the tokenizer has no token {name}", remedy="Train it with this recipe.")
            ids.append(token)
        return ids


@contextmanager
def fast_products(device: torch.device) -> Iterator[None]:
    """Float32 products by the library that is fastest at the same accuracy on this machine."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(choose_compute(device).matmul_precision)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
