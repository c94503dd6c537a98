"""An encoder-decoder with its tokenizer: write a text for a text (a translation, a summary). `hanmo.load` returns it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hanmo.core.errors import ConfigError
from hanmo.core.files import write_json
from hanmo.core.settings import check_settings
from hanmo.generation.beam import BeamSettings
from hanmo.generation.seq2seq import decode_seq2seq, generate_seq2seq
from hanmo.generation.settings import GenerationSettings
from hanmo.models.directory import write_model
from hanmo.models.lstm_seq2seq import LSTMSeq2Seq
from hanmo.models.seq2seq import Seq2SeqLM
from hanmo.tasks.model_files import check_tokenizer, seed_of, settings_of
from hanmo.tokenizers.streaming import StreamDecoder
from hanmo.tokenizers.tokenizer import Tokenizer

__all__ = ["Seq2SeqModel"]

_SOURCES_AT_ONCE = 16


class Seq2SeqModel:
    """A model that reads a source and writes a target, with the tokenizer that belongs to it."""

    def __init__(
        self,
        model: Seq2SeqLM | LSTMSeq2Seq,
        tokenizer: Tokenizer,
        *,
        eos_ids: Sequence[int] = (),
        generation_config: Mapping[str, Any] | None = None,
        where: object = None,
    ):
        """Args:
        model: a torch module; `lm.model(input_ids=…)` takes and returns the names that `transformers` uses.
        tokenizer: its tokenizer, of source and target.
        eos_ids: where a text ends; the tokenizer's end-of-text token if empty. The first also ends each source.
        generation_config: content of generation_config.json, written back by `save`.
        where: what errors name.

        Raises:
            ModelError: if the tokenizer is not the model's.
        """
        self.model, self.tokenizer = model, tokenizer
        own = () if tokenizer.eos_id is None else (tokenizer.eos_id,)
        self.eos_ids: tuple[int, ...] = tuple(eos_ids) or own
        self._generation_config = dict(generation_config) if generation_config is not None else None
        check_tokenizer(model.config, tokenizer, self.eos_ids, where)
        # padding also starts the target, so a model may well find it probable; it is never text
        self._banned = () if model.config.pad_id is None else tuple({model.config.pad_id} - set(self.eos_ids))

    @property
    def config(self) -> Any:
        """Settings of the model (its family's config)."""
        return self.model.config

    def __repr__(self) -> str:
        n = sum(parameter.numel() for parameter in self.model.parameters())
        return f"Seq2SeqModel({type(self.config).__name__}, {n:,} parameters, {self.tokenizer!r})"

    def generate(self, source: str | Sequence[str], **settings: Any) -> Any:
        """Write a text for a source, or one for each of several.

        Args:
            source: one text or a list of texts.
            settings: fields of `GenerationSettings`, or with `num_beams` above 1 those of `BeamSettings`; None means
                the default.

        Returns:
            One source gives a string, a list of sources a list; with n > 1 each string becomes a list of n strings, of
            a beam search best first.

        Raises:
            ConfigError: for a setting that cannot be, or a source that is too long.
        """
        checked = _checked(settings)
        sources = [source] if isinstance(source, str) else list(source)
        texts: list[list[str]] = []
        at_once = max(1, _SOURCES_AT_ONCE // checked.n)
        for first in range(0, len(sources), at_once):
            ids, mask = self._batch(sources[first : first + at_once])
            if isinstance(checked, BeamSettings):
                found = generate_seq2seq(self.model, ids, mask, checked, eos_ids=self.eos_ids, banned_ids=self._banned)
                texts += [[self.tokenizer.decode(text.tokens) for text in row] for row in found]
            else:
                texts += self._write(ids, mask, checked, first * checked.n)
        result: list[Any] = texts if checked.n > 1 else [item[0] for item in texts]
        return result[0] if isinstance(source, str) else result

    def stream(self, source: str, **settings: Any) -> Iterator[str]:
        """Write a text for one source piece by piece; joined, the pieces are what `generate` returns for the same seed.

        No piece holds half a character or a part of a stop string. Settings are checked before this returns.

        Raises:
            ConfigError: for a setting that cannot be; beams and several texts cannot be streamed.
        """
        checked = _checked(settings)
        if isinstance(checked, BeamSettings):
            raise ConfigError(
                "a beam search knows its text only at the end", where="num_beams", remedy="Use generate, or 1 beam."
            )
        if checked.n != 1:
            raise ConfigError(f"a stream is one text, not {checked.n}", where="n", remedy="Use generate for several.")
        ids, mask = self._batch([source])
        return (piece for _, piece in self._pieces(ids, mask, checked, 0))

    def save(self, path: str | Path) -> None:
        """Write a model directory that `hanmo.load` and `transformers` read."""
        write_model(path, self.model)
        if self._generation_config is not None:
            write_json(Path(path) / "generation_config.json", self._generation_config)
        self.tokenizer.save(path)

    def _batch(self, sources: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Ids and mask (B, S), padded on the right; each source ends with the end-of-text token, as in training."""
        end = list(self.eos_ids[:1])
        rows = [ids + end for ids in self.tokenizer.encode_batch(sources)]
        max_len = self.config.max_len
        for row in rows:
            if not row:
                raise ConfigError("there is no text to read", where="source", remedy="Give at least one character.")
            if max_len is not None and len(row) > max_len:
                raise ConfigError(
                    f"the source has {len(row)} tokens, but this model reads at most {max_len}",
                    where="source",
                    remedy="Shorten or split the text; nothing is cut without being asked.",
                )
        longest, device = max(len(row) for row in rows), self.model.head_weight.device
        fill = self.config.pad_id or 0
        ids = torch.tensor([row + [fill] * (longest - len(row)) for row in rows], device=device)
        mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows], device=device)
        return ids, mask

    def _write(self, ids: Tensor, mask: Tensor, settings: GenerationSettings, first_row: int) -> list[list[str]]:
        parts: list[list[str]] = [[] for _ in range(len(ids) * settings.n)]
        for row, piece in self._pieces(ids, mask, settings, first_row):
            parts[row].append(piece)
        texts = ["".join(part) for part in parts]
        return [texts[first : first + settings.n] for first in range(0, len(texts), settings.n)]

    def _pieces(
        self, ids: Tensor, mask: Tensor, settings: GenerationSettings, first_row: int
    ) -> Iterator[tuple[int, str]]:
        decoding = decode_seq2seq(
            self.model, ids, mask, settings, eos_ids=self.eos_ids, banned_ids=self._banned, first_row=first_row
        )
        decoders = [StreamDecoder(self.tokenizer, settings.stop) for _ in decoding.rows]
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


def _checked(settings: Mapping[str, Any]) -> GenerationSettings | BeamSettings:
    """With beams their own settings, else those of sampling, with a seed."""
    given = {name: value for name, value in settings.items() if value is not None}
    if given.get("num_beams", 1) != 1:
        return check_settings(BeamSettings, given)
    given.pop("num_beams", None)
    checked = settings_of(given)
    return checked.model_copy(update={"seed": seed_of(checked)})
