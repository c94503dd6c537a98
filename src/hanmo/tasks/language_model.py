"""A language model with its tokenizer: continue a text, stream it, score it. What `hanmo.load` returns."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hanmo.core.errors import ConfigError, DataError, ModelError
from hanmo.core.files import write_json
from hanmo.generation.decoding import decode
from hanmo.generation.settings import GenerationSettings
from hanmo.models.causal_lm import NextTokenModel
from hanmo.models.directory import write_model
from hanmo.tasks.model_files import check_tokenizer, seed_of, settings_of
from hanmo.tasks.score import Score
from hanmo.tokenizers.chat import chat_ids
from hanmo.tokenizers.streaming import StreamDecoder
from hanmo.tokenizers.tokenizer import Tokenizer

__all__ = ["LanguageModel"]

_ROWS_AT_ONCE = 16
_SCORE_BYTES = 128 << 20


class LanguageModel:
    """A causal language model with the tokenizer that belongs to it."""

    def __init__(
        self,
        model: NextTokenModel,
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
        self.model, self.tokenizer = model, tokenizer
        own = () if tokenizer.eos_id is None else (tokenizer.eos_id,)
        self.eos_ids: tuple[int, ...] = tuple(eos_ids) or own
        self._generation_config = dict(generation_config) if generation_config is not None else None
        check_tokenizer(model.config, tokenizer, self.eos_ids, where)

    @property
    def config(self) -> Any:
        """Settings of the model (its family's config)."""
        return self.model.config

    def __repr__(self) -> str:
        n = sum(parameter.numel() for parameter in self.model.parameters())
        return f"LanguageModel({type(self.config).__name__}, {n:,} parameters, {self.tokenizer!r})"

    def generate(self, prompt: str | Sequence[str], **settings: Any) -> Any:
        """Continue a prompt, or several.

        Args:
            prompt: one text or a list of texts; "" starts a new text.
            settings: fields of `GenerationSettings`; None means the default.

        Returns:
            The continuations, without the prompts. One prompt gives a string, a list of prompts a list; with
            n > 1 each string becomes a list of n strings.

        Raises:
            ConfigError: for a setting that cannot be, or a prompt that leaves no room in the context.
        """
        checked = settings_of(settings)
        prompts = [prompt] if isinstance(prompt, str) else list(prompt)
        texts = self._complete([self._prompt_ids(item) for item in prompts], checked)
        result: list[Any] = texts if checked.n > 1 else [item[0] for item in texts]
        return result[0] if isinstance(prompt, str) else result

    def stream(self, prompt: str, **settings: Any) -> Iterator[str]:
        """Continue one prompt piece by piece; joined, the pieces are what `generate` returns for the same seed.

        No piece holds half a character or a part of a stop string. Settings and prompt are checked before this
        returns.
        """
        return self._stream(self._prompt_ids(prompt), settings_of(settings))

    def chat(self, messages: Sequence[Mapping[str, Any]], **settings: Any) -> str:
        """Answer a conversation; `messages` have `role` and `content`.

        Raises:
            ConfigError: if the tokenizer has no chat template.
        """
        return "".join(self.stream_chat(messages, **settings))

    def stream_chat(self, messages: Sequence[Mapping[str, Any]], **settings: Any) -> Iterator[str]:
        """`chat`, piece by piece as in `stream`."""
        return self._stream(chat_ids(self.tokenizer, messages, add_generation_prompt=True), settings_of(settings))

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
            logprobs=self._logprobs([self._start_id(), *ids], max_len, stride),
            n_bytes=len(text.encode("utf-8")),
        )

    def save(self, path: str | Path) -> None:
        """Write a model directory that `hanmo.load` and `transformers` read."""
        write_model(path, self.model)
        if self._generation_config is not None:
            write_json(Path(path) / "generation_config.json", self._generation_config)
        self.tokenizer.save(path)

    @cached_property
    def _adds_bos(self) -> bool:
        return bool(self.tokenizer.config.get("add_bos_token")) and self.tokenizer.bos_id is not None

    def _start_id(self) -> int:
        """What stands before the first token of a text."""
        start = self.tokenizer.bos_id if self.tokenizer.bos_id is not None else self.tokenizer.eos_id
        if start is None:
            raise ConfigError(
                "this tokenizer has neither a begin- nor an end-of-text token to start with",
                where="tokenizer_config.json",
                remedy="Give a prompt that is not empty, or set bos_token or eos_token.",
            )
        return start

    def _prompt_ids(self, prompt: str) -> list[int]:
        ids = self.tokenizer.encode(prompt)
        return [self._start_id(), *ids] if self._adds_bos or not ids else ids

    def _complete(self, prompts: list[list[int]], settings: GenerationSettings) -> list[list[str]]:
        """`settings.n` texts for each prompt; rows are drawn apart, so a text does not depend on the batch."""
        rows = [ids for ids in prompts for _ in range(settings.n)]
        seeded = settings.model_copy(update={"seed": seed_of(settings)})
        texts: list[str] = []
        for first in range(0, len(rows), _ROWS_AT_ONCE):
            batch = rows[first : first + _ROWS_AT_ONCE]
            parts: list[list[str]] = [[] for _ in batch]
            for row, piece in self._pieces(batch, seeded, first):
                parts[row].append(piece)
            texts += ["".join(part) for part in parts]
        return [texts[i : i + settings.n] for i in range(0, len(texts), settings.n)]

    def _stream(self, ids: list[int], settings: GenerationSettings) -> Iterator[str]:
        if settings.n != 1:
            raise ConfigError(f"a stream is one text, not {settings.n}", where="n", remedy="Use generate for several.")
        seeded = settings.model_copy(update={"seed": seed_of(settings)})
        return (piece for _, piece in self._pieces([ids], seeded, 0))

    def _pieces(self, rows: list[list[int]], settings: GenerationSettings, first_row: int) -> Iterator[tuple[int, str]]:
        decoding = decode(self.model, rows, settings, eos_ids=self.eos_ids, first_row=first_row)
        decoders = [StreamDecoder(self.tokenizer, settings.stop) for _ in rows]

        def pieces() -> Iterator[tuple[int, str]]:
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

        return pieces()

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
        was_training = self.model.training
        self.model.eval()
        try:
            for first in range(0, len(ends), at_once):
                group = ends[first : first + at_once]
                inputs = torch.stack([ids[end - length : end] for end in group]).to(device)
                targets = torch.stack([ids[end - length + 1 : end + 1] for end in group]).to(device)
                for row, end in zip(self._target_logprobs(inputs, targets), group, strict=True):
                    scored += row[length - (end - len(scored)) :].tolist()
        finally:
            self.model.train(was_training)
        if not all(math.isfinite(value) for value in scored):
            raise ModelError(
                "the model's output is not a number (NaN or infinite log-probability)",
                remedy="The weights are damaged or training diverged; load an earlier checkpoint.",
            )
        return scored

    @torch.inference_mode()
    def _target_logprobs(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """(B, T) ids and their successors → log-probability of each successor, (B, T) on the CPU."""
        logits = self.model(input_ids=inputs).logits.float()
        return (logits.gather(-1, targets[..., None]).squeeze(-1) - logits.logsumexp(dim=-1)).cpu()
