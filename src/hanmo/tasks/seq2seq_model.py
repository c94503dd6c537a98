"""An encoder-decoder with its tokenizer: write a text for a text (a translation, a summary). `hanmo.load` returns it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from hanmo.core.errors import ConfigError
from hanmo.generation.beam import BeamSettings
from hanmo.generation.decoding import Decoding
from hanmo.generation.seq2seq import decode_seq2seq, generate_seq2seq
from hanmo.generation.settings import GenerationSettings
from hanmo.models.lstm_seq2seq import LSTMSeq2Seq
from hanmo.models.seq2seq import Seq2SeqLM
from hanmo.tasks.writing_model import WritingModel, as_asked, streamable, text_pieces, whole_texts

__all__ = ["Seq2SeqModel"]

_SOURCES_AT_ONCE = 16


class Seq2SeqModel(WritingModel):
    """A model that reads a source and writes a target, with the tokenizer of both.

    The first end-of-text token also ends each source.
    """

    model: Seq2SeqLM | LSTMSeq2Seq
    continues = False

    @property
    def banned_ids(self) -> tuple[int, ...]:
        """Tokens that are never written. Padding also starts the target, so a model may well find it probable; it is never text."""
        return () if self.config.pad_id is None else tuple({self.config.pad_id} - set(self.eos_ids))

    def generate(self, source: str | Sequence[str], **settings: Any) -> Any:
        """Write a text for a source, or one for each of several.

        Args:
            source: one text or a list of texts.
            settings: fields of `GenerationSettings`, or with `num_beams` above 1 those of `BeamSettings`; None means
                what generation_config.json says, else the default.

        Returns:
            One source gives a string, a list of sources a list; with n > 1 each string becomes a list of n strings, of
            a beam search best first.

        Raises:
            ConfigError: for a setting that cannot be, or a source that is too long.
        """
        checked = self.settings(settings)
        sources = [source] if isinstance(source, str) else list(source)
        texts: list[str] = []
        at_once = max(1, _SOURCES_AT_ONCE // checked.n)
        for first in range(0, len(sources), at_once):
            ids, mask = self._batch(sources[first : first + at_once])
            if isinstance(checked, BeamSettings):
                found = generate_seq2seq(
                    self.model, ids, mask, checked, eos_ids=self.eos_ids, banned_ids=self.banned_ids
                )
                texts += [self.tokenizer.decode(text.tokens) for row in found for text in row]
            else:
                decoding = self._decode(ids, mask, checked, first * checked.n)
                texts += whole_texts(decoding, self.tokenizer, checked.stop)
        return as_asked(texts, checked.n, single=isinstance(source, str))

    def stream(self, source: str, **settings: Any) -> Iterator[str]:
        """Write a text for one source piece by piece; joined, the pieces are what `generate` returns for the same seed.

        No piece holds half a character or a part of a stop string. Settings are checked before this returns.

        Raises:
            ConfigError: for a setting that cannot be; beams and several texts cannot be streamed.
        """
        checked = streamable(self.settings(settings))
        ids, mask = self._batch([source])
        return (piece for _, piece in text_pieces(self._decode(ids, mask, checked, 0), self.tokenizer, checked.stop))

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
        return self.padded(rows)

    def padded(self, rows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        """Rows of ids side by side, and their mask, (B, S) each, on the model's device."""
        longest, device = max(len(row) for row in rows), self.model.head_weight.device
        fill = self.fill_id
        ids = torch.tensor([[*row] + [fill] * (longest - len(row)) for row in rows], device=device)
        mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows], device=device)
        return ids, mask

    def _decode(self, ids: Tensor, mask: Tensor, settings: GenerationSettings, first_row: int) -> Decoding:
        return decode_seq2seq(
            self.model, ids, mask, settings, eos_ids=self.eos_ids, banned_ids=self.banned_ids, first_row=first_row
        )
