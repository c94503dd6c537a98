"""What models that write text have in common, whichever way they find it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from hanmo.core.errors import ConfigError
from hanmo.core.files import write_json
from hanmo.generation.beam import BeamSettings
from hanmo.generation.decoding import Decoding
from hanmo.generation.settings import GenerationSettings
from hanmo.tasks.asked_settings import asked_settings
from hanmo.tasks.loaded_model import LoadedModel
from hanmo.tasks.model_files import check_tokenizer
from hanmo.tokenizers.streaming import StreamDecoder
from hanmo.tokenizers.tokenizer import Tokenizer

__all__ = ["WritingModel", "as_asked", "streamable", "text_of", "text_pieces", "whole_texts"]


class WritingModel(LoadedModel):
    """A `LoadedModel` that also writes."""

    tokenizer: Tokenizer
    continues = True
    """Whether what it writes goes on from the prompt; if not, it is a text of its own."""

    def __init__(
        self,
        model: Any,
        tokenizer: Tokenizer,
        *,
        eos_ids: Sequence[int] = (),
        generation_config: Mapping[str, Any] | None = None,
        where: object = None,
    ):
        """Args:
        model: a torch module; `lm.model(input_ids=…)` takes and returns the names that `transformers` uses.
        tokenizer: its tokenizer.
        eos_ids: where a text ends; the tokenizer's end-of-text token if empty.
        generation_config: content of generation_config.json, written back by `save`.
        where: what errors name.

        Raises:
            ModelError: if the tokenizer is not the model's.
        """
        super().__init__(model, tokenizer, where=where)
        own = () if tokenizer.eos_id is None else (tokenizer.eos_id,)
        self.eos_ids: tuple[int, ...] = tuple(eos_ids) or own
        self.generation_config = dict(generation_config) if generation_config is not None else None
        check_tokenizer(model.config, tokenizer, self.eos_ids, where)

    def with_chat(self, tokenizer: Tokenizer, ends: Sequence[int]) -> Self:
        """The same model with a tokenizer that has a chat template, and with further ids that end a text.

        Args:
            tokenizer: the same vocabulary, with the template.
            ends: what ends an answer; in front of what ended a text before.
        """
        eos_ids = tuple(dict.fromkeys((*ends, *self.eos_ids)))
        config = (self.generation_config or {}) | {"eos_token_id": list(eos_ids)}
        return type(self)(self.model, tokenizer, eos_ids=eos_ids, generation_config=config)

    @property
    def banned_ids(self) -> tuple[int, ...]:
        """Tokens that are never written."""
        return ()

    def settings(
        self, given: Mapping[str, Any], *, file: Mapping[str, Any] | None = None
    ) -> GenerationSettings | BeamSettings:
        """How a text is written: what is given, then what generation_config.json says (`hanmo.tasks.asked_settings`).

        Args:
            given: fields of `GenerationSettings` or `BeamSettings`, or `do_sample`; None means what the file says.
            file: settings of a task that go before those of the file.

        Raises:
            ConfigError: for a setting that cannot be, or one of the file that is not supported.
        """
        return asked_settings(
            {**(self.generation_config or {}), **(file or {})}, given, continues=self.continues,
            eos_ids=self.eos_ids, banned_ids=self.banned_ids,
            start_id=None if self.continues else self.config.start_id,
        )  # fmt: skip

    def save(self, path: str | Path) -> None:
        """Write a model directory that `hanmo.load` and `transformers` read."""
        super().save(path)
        if self.generation_config is not None:
            write_json(Path(path) / "generation_config.json", self.generation_config)


def text_pieces(decoding: Decoding, tokenizer: Tokenizer, stop: Sequence[str]) -> Iterator[tuple[int, str]]:
    """(row, piece of its text) as tokens come; a row ends where a stop string would begin.

    No piece holds half a character or a part of a stop string.
    """
    decoders = [StreamDecoder(tokenizer, stop) for _ in decoding.rows]
    try:
        for step in decoding:
            for row, token in enumerate(step):
                if token is None:
                    continue
                piece = decoders[row].push(token)
                if decoders[row].stopped:
                    decoding.finish(row)
                if piece:
                    yield row, piece
        for row, decoder in enumerate(decoders):
            if rest := decoder.finish():
                yield row, rest
    finally:
        decoding.close()


def text_of(tokens: Sequence[int], tokenizer: Tokenizer) -> str:
    """What goes on from a prompt by these tokens, as a stream of them gives it."""
    decoder = StreamDecoder(tokenizer)
    return "".join([*map(decoder.push, tokens), decoder.finish()])


def streamable(settings: GenerationSettings | BeamSettings) -> GenerationSettings:
    """The same settings.

    Raises:
        ConfigError: for beams and several texts.
    """
    if isinstance(settings, BeamSettings):
        raise ConfigError(
            "a beam search knows its text only at the end", where="num_beams", remedy="Use generate, or num_beams=1."
        )
    if settings.n != 1:
        raise ConfigError(f"a stream is one text, not {settings.n}", where="n", remedy="Use generate for several.")
    return settings


def whole_texts(decoding: Decoding, tokenizer: Tokenizer, stop: Sequence[str]) -> list[str]:
    """One text a row: the pieces of `text_pieces`, joined."""
    parts: list[list[str]] = [[] for _ in decoding.rows]
    for row, piece in text_pieces(decoding, tokenizer, stop):
        parts[row].append(piece)
    return ["".join(part) for part in parts]


def as_asked(texts: Sequence[str], n: int, *, single: bool) -> Any:
    """`n` texts for each prompt, one prompt after the other, in the form that was asked for.

    Returns:
        One string for a single prompt, else a list of one a prompt; with n > 1 each string is a list of n.
    """
    groups = [list(texts[first : first + n]) for first in range(0, len(texts), n)]
    result: list[Any] = groups if n > 1 else [group[0] for group in groups]
    return result[0] if single else result
