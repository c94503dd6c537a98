"""A language model with its tokenizer: continue a text, stream it, score it. What `hanmo.load` returns."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from hanmo.core.errors import ConfigError, DataError, ModelError
from hanmo.generation.beam import BeamSettings, beam_search
from hanmo.generation.decoding import Decoding, decode
from hanmo.generation.forms import parse_form
from hanmo.generation.settings import GenerationSettings
from hanmo.generation.token_forms import token_form
from hanmo.models.next_token import NextTokenModel
from hanmo.nn.evaluating import evaluating
from hanmo.tasks.score import Score
from hanmo.tasks.writing_model import WritingModel, as_asked, streamable, text_of, text_pieces, whole_texts
from hanmo.tokenizers.chat import chat_ids
from hanmo.tokenizers.infilling import Order, infill_tokens

__all__ = ["LanguageModel"]

_ROWS_AT_ONCE = 16
_SCORE_BYTES = 128 << 20


class LanguageModel(WritingModel):
    """A causal language model with the tokenizer that belongs to it."""

    model: NextTokenModel

    def generate(self, prompt: str | Sequence[str], **settings: Any) -> Any:
        """Continue a prompt, or several.

        Args:
            prompt: one text or a list of texts; "" starts a new text.
            settings: fields of `GenerationSettings`, or with `num_beams` above 1 those of `BeamSettings`; None means
                what generation_config.json says, else the default.

        Returns:
            The continuations, without the prompts. One prompt gives a string, a list of prompts a list; with
            n > 1 each string becomes a list of n strings, of a beam search best first.

        Raises:
            ConfigError: for a setting that cannot be, or a prompt that leaves no room in the context.
        """
        checked = self.settings(settings)
        prompts = [prompt] if isinstance(prompt, str) else list(prompt)
        texts = self.texts([self.prompt_ids(item) for item in prompts], checked)
        return as_asked(texts, checked.n, single=isinstance(prompt, str))

    def complete(self, prompts: Sequence[Sequence[int]], **settings: Any) -> list[Any]:
        """`generate` for several prompts that are ids already, such as those of `hanmo.tokenizers.chat.chat_ids`."""
        checked = self.settings(settings)
        return as_asked(self.texts([list(ids) for ids in prompts], checked), checked.n, single=False)

    def infill(self, prefix: str, suffix: str, *, order: Order = "psm", **settings: Any) -> Any:
        """Write what stands between two texts, with a model that was trained to (`[infilling]` in its recipe).

        Args:
            prefix: what stands before.
            suffix: what stands behind.
            order: psm shows the beginning first, spm the end (`hanmo.tokenizers.infilling`).
            settings: fields of `GenerationSettings`.

        Returns:
            The middle; with n > 1 a list of n.

        Raises:
            ModelError: if the tokenizer has no tokens for it.
            ConfigError: for a setting that cannot be, or texts that leave no room in the context.
        """
        checked = self.settings(settings)
        before, behind = self.tokenizer.encode_batch([prefix, suffix])
        ids = infill_tokens(self.tokenizer).arrange(before, behind, order)
        return as_asked(self.texts([ids], checked), checked.n, single=True)

    def stream(self, prompt: str, **settings: Any) -> Iterator[str]:
        """Continue one prompt piece by piece; joined, the pieces are what `generate` returns for the same seed.

        No piece holds half a character or a part of a stop string. Settings and prompt are checked before this
        returns.
        """
        return self._stream(self.prompt_ids(prompt), self.settings(settings))

    def chat(self, messages: Sequence[Mapping[str, Any]], **settings: Any) -> str:
        """Answer a conversation; `messages` have `role` and `content`.

        Raises:
            ConfigError: if the tokenizer has no chat template.
        """
        return "".join(self.stream_chat(messages, **settings))

    def stream_chat(self, messages: Sequence[Mapping[str, Any]], **settings: Any) -> Iterator[str]:
        """`chat`, piece by piece as in `stream`."""
        return self._stream(chat_ids(self.tokenizer, messages, add_generation_prompt=True), self.settings(settings))

    def score(self, text: str, *, stride: int | None = None) -> Score:
        """Log-probability of every token of a text.

        The first token is scored after the begin- or end-of-text token, as texts follow each other in training.
        A text longer than the context is scored in overlapping windows: each token once, with at least
        `max_len - stride` tokens before it (but for the first window). `stride=max_len` gives the disjoint windows
        of the rolling log-likelihood that lm-evaluation-harness computes.

        Args:
            text: at least one character.
            stride: tokens scored by each further window, 1 to max_len; max_len // 2 if None.

        Raises:
            DataError: if there is nothing to score.
            ConfigError: if `stride` cannot be, or the tokenizer has no token to start with.
        """
        max_len = self.config.max_len
        stride = max(1, max_len // 2) if stride is None else stride
        if not 1 <= stride <= max_len:
            raise ConfigError(f"stride {stride} is not between 1 and the context, {max_len}", where="stride")
        ids = self.tokenizer.encode(text)
        if not ids:
            raise DataError("there is no text to score", where="text", remedy="Give at least one character.")
        return Score(
            ids=ids,
            tokens=[self.tokenizer.token_bytes(token).decode("utf-8", "replace") for token in ids],
            logprobs=self._logprobs([self.start_id(), *ids], max_len, stride),
            n_bytes=len(text.encode("utf-8")),
        )

    @cached_property
    def _adds_bos(self) -> bool:
        return bool(self.tokenizer.config.get("add_bos_token")) and self.tokenizer.bos_id is not None

    def start_id(self) -> int:
        """What stands before the first token of a text."""
        start = self.tokenizer.bos_id if self.tokenizer.bos_id is not None else self.tokenizer.eos_id
        if start is None:
            raise ConfigError(
                "this tokenizer has neither a begin- nor an end-of-text token to start with",
                where="tokenizer_config.json",
                remedy="Give a prompt that is not empty, or set bos_token or eos_token.",
            )
        return start

    def prompt_ids(self, prompt: str) -> list[int]:
        """Ids of a text to go on from, with the token at its begin where the model wants one; "" starts a new text."""
        ids = self.tokenizer.encode(prompt)
        return [self.start_id(), *ids] if self._adds_bos or not ids else ids

    def texts(self, prompts: list[list[int]], settings: GenerationSettings | BeamSettings) -> list[str]:
        """`settings.n` texts for each prompt, one prompt's after another's; rows are drawn apart, so a text does not depend on
        the batch."""
        if isinstance(settings, BeamSettings):
            return self._search(prompts, settings)
        rows = [ids for ids in prompts for _ in range(settings.n)]
        texts: list[str] = []
        for first in range(0, len(rows), _ROWS_AT_ONCE):
            texts += whole_texts(
                self._decode(rows[first : first + _ROWS_AT_ONCE], settings, first), self.tokenizer, settings.stop
            )
        return texts

    def _search(self, prompts: list[list[int]], settings: BeamSettings) -> list[str]:
        texts: list[str] = []
        at_once = max(1, 4 * _ROWS_AT_ONCE // settings.num_beams)
        for first in range(0, len(prompts), at_once):
            for found in beam_search(self.model, prompts[first : first + at_once], settings, eos_ids=self.eos_ids):
                texts += [text_of(row.tokens, self.tokenizer) for row in found]
        return texts

    def _stream(self, ids: list[int], settings: GenerationSettings | BeamSettings) -> Iterator[str]:
        settings = streamable(settings)
        decoding = self._decode([ids], settings, 0)
        return (piece for _, piece in text_pieces(decoding, self.tokenizer, settings.stop))

    def _decode(self, rows: list[list[int]], settings: GenerationSettings, first_row: int) -> Decoding:
        rules = None
        if settings.form is not None:
            form = parse_form(settings.form)
            size = len(self.model.head_weight)
            rule = token_form(form, self.tokenizer, eos_ids=self.eos_ids, vocab_size=size)
            rules = [rule.row(self.tokenizer.decode(row) if form.counts_prompt else "") for row in rows]
        return decode(self.model, rows, settings, eos_ids=self.eos_ids, first_row=first_row, rules=rules)

    def _logprobs(self, sequence: list[int], max_len: int, stride: int) -> list[float]:
        """Of sequence[1:]; `sequence` starts with what stands before the text."""
        n = len(sequence) - 1
        ends = [min(n, max_len)]
        while ends[-1] < n:
            ends.append(min(n, ends[-1] + stride))
        length = ends[0]
        device = self.model.head_weight.device
        ids = torch.tensor(sequence)
        at_once = max(1, _SCORE_BYTES // (4 * length * self.config.vocab_size))
        scored: list[float] = []
        with evaluating(self.model):
            for first in range(0, len(ends), at_once):
                group = ends[first : first + at_once]
                inputs = torch.stack([ids[end - length : end] for end in group]).to(device)
                targets = torch.stack([ids[end - length + 1 : end + 1] for end in group]).to(device)
                for row, end in zip(self.target_logprobs(inputs, targets), group, strict=True):
                    scored += row[length - (end - len(scored)) :].tolist()
        if not all(math.isfinite(value) for value in scored):
            raise ModelError(
                "the model's output is not a number (NaN or infinite log-probability)",
                remedy="The weights are damaged or training diverged; load an earlier checkpoint.",
            )
        return scored

    @torch.inference_mode()
    def target_logprobs(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """(B, T) ids and their successors → log-probability of each successor, (B, T) on the CPU."""
        logits = self.model(input_ids=inputs).logits.float()
        return (logits.gather(-1, targets[..., None]).squeeze(-1) - logits.logsumexp(dim=-1)).cpu()
