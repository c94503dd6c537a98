"""One vector for a text: an encoder, a pooling, and unit length where the model was trained so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from hanmo.core.devices import pick_device
from hanmo.core.errors import ConfigError, ModelError
from hanmo.core.progress import say
from hanmo.models.directory import read_model
from hanmo.models.hub import find_model
from hanmo.nn.evaluating import evaluating
from hanmo.nn.pooling import POOLINGS
from hanmo.tasks.forward import OVERLAP, forward_batches, forward_windows
from hanmo.tasks.loaded_model import LoadedModel
from hanmo.tasks.sentence_modules import SentenceSettings, read_sentence_settings, write_sentence_settings
from hanmo.tokenizers.framed import Framed, encode_framed, encode_windows
from hanmo.tokenizers.tokenizer import Tokenizer

__all__ = ["Overlong", "SentenceEncoder", "load_sentence_encoder", "sentence_architecture"]

Overlong = Literal["error", "truncate", "windows"]
"""What to do with a text that is too long: refuse it, cut its end, or take the mean of the vectors of its parts."""


def sentence_architecture(names: Sequence[str]) -> str:
    """The class of a family that is an encoder without a head.

    Raises:
        ConfigError: if it has none.
    """
    for name in names:
        if name.endswith("Model") and not name.endswith(("LMHeadModel", "MTModel", "CLIPModel", "VisionModel")):
            return name
    raise ConfigError(
        "this family has no encoder of texts", where="model",
        remedy="Take an encoder such as BERT.",
    )  # fmt: skip


class SentenceEncoder(LoadedModel):
    """Texts to vectors whose products say how alike they are (Reimers & Gurevych, 2019)."""

    tokenizer: Tokenizer

    def __init__(
        self,
        model: Any,
        tokenizer: Tokenizer,
        *,
        pooling: str = "mean",
        normalize: bool = True,
        max_len: int | None = None,
        where: object = None,
    ):
        """Args:
        model: any that returns `last_hidden_state`; of one with a head, the backbone is taken.
        tokenizer: its tokenizer.
        pooling: a name in `hanmo.nn.pooling.POOLINGS`.
        normalize: bring each vector to length 1.
        max_len: longest text in tokens, special ones included; what the model takes if None.
        where: what errors name.

        Raises:
            ConfigError: for a pooling that there is not.
            ModelError: if the model is no encoder, or the tokenizer is another model's.
        """
        if pooling not in POOLINGS:
            raise ConfigError(f"unknown pooling {pooling!r}", where="pooling", remedy=f"Choose: {', '.join(POOLINGS)}.")
        backbone = getattr(model, "backbone", model).eval()
        if not hasattr(backbone, "token_weight"):
            raise ModelError(
                f"a {model.architecture} is no encoder of texts", where=where, remedy="Take an encoder such as BERT."
            )
        super().__init__(backbone, tokenizer, where=where)
        self.pooling, self.normalize = pooling, normalize
        longest = getattr(self.config, "max_len", None)
        self.max_len: int | None = longest if max_len is None else min(max_len, longest or max_len)

    def encode(
        self, texts: Sequence[str], *, overlong: Overlong = "error", max_tokens: int | None = None
    ) -> np.ndarray:
        """Vectors of texts.

        Args:
            texts: any number of them.
            overlong: what to do with a text of more than `max_len` tokens; how many were cut is said.
            max_tokens: most positions of a batch, padding included; what suits the device if None.

        Returns:
            (N, D) float32; the same for a text whatever stands beside it, but for rounding.

        Raises:
            DataError: for a text that is too long.
        """
        if isinstance(texts, str):
            raise ConfigError("texts is one string", where="texts", remedy="Give a list of texts.")
        if not len(texts):
            return np.zeros((0, self.config.d_model), dtype=np.float32)
        windows = self._windows(texts, overlong)
        with evaluating(self.model):
            means = forward_windows(
                windows,
                self._vectors,
                pad_id=self.fill_id,
                device=next(self.model.parameters()).device,
                max_tokens=max_tokens,
            )
        return _unit(means) if self.normalize and any(len(rows) > 1 for rows in windows) else means

    def token_vectors(
        self, texts: Sequence[str], *, overlong: Literal["error", "truncate"] = "error"
    ) -> list[np.ndarray]:
        """Vectors of the tokens of texts, special ones included.

        Args:
            texts: any number of them.
            overlong: as in `encode`.

        Returns:
            For each text (T, D) float32, with T its own.

        Raises:
            DataError: for a text that is too long.
        """
        rows = [windows[0] for windows in self._windows(texts, overlong)]
        found: list[np.ndarray] = [np.zeros((0, 0), dtype=np.float32)] * len(rows)
        self.model.eval()
        for batch, hidden in forward_batches(
            rows, self._hidden, pad_id=self.fill_id, device=next(self.model.parameters()).device
        ):
            for place, row in enumerate(batch):
                found[row] = hidden[place, : len(rows[row].ids)].numpy().copy()
        return found

    def similarity(self, first: Sequence[str], second: Sequence[str], *, overlong: Overlong = "error") -> np.ndarray:
        """Cosine of each text of `first` with the one of `second` in the same place, (N,) float32, -1..1.

        A text that stands in several places is read once.

        Raises:
            DataError: for a text that is too long.
        """
        places = {text: place for place, text in enumerate(dict.fromkeys([*first, *second]))}
        vectors = _unit(self.encode(list(places), overlong=overlong))
        one, two = ([places[text] for text in texts] for texts in (first, second))
        return (vectors[one] * vectors[two]).sum(1)

    def save(self, path: str | Path) -> None:
        """Write a model directory that `load_sentence_encoder` and sentence-transformers read."""
        super().save(path)
        settings = SentenceSettings(pooling=self.pooling, normalize=self.normalize, max_len=self.max_len)
        write_sentence_settings(Path(path), settings, d_model=self.config.d_model)

    def _windows(self, texts: Sequence[str], overlong: Overlong) -> list[list[Framed]]:
        """For each text its rows: one, but for long texts in windows."""
        if overlong == "windows":
            return encode_windows(self.tokenizer, texts, max_len=self.max_len, overlap=OVERLAP)
        rows = encode_framed(self.tokenizer, texts, max_len=self.max_len, overlong=overlong)
        if cut := sum(row.truncated for row in rows):
            say(f"{cut} of {len(rows)} texts were cut to {self.max_len} tokens")
        return [[row] for row in rows]

    def _hidden(self, inputs: Mapping[str, Tensor]) -> Tensor:
        return self.model(**inputs).last_hidden_state.float()

    def _vectors(self, inputs: Mapping[str, Tensor]) -> Tensor:
        pooled = POOLINGS[self.pooling](self._hidden(inputs), inputs.get("attention_mask"))
        return F.normalize(pooled, dim=-1) if self.normalize else pooled


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


def load_sentence_encoder(
    path: str | Path, *, device: str = "auto", dtype: torch.dtype | None = torch.float32
) -> SentenceEncoder:
    """Read a model directory, or a repository "org/name", as a sentence encoder.

    Pooling, normalisation and longest text are those of the directory's `modules.json` (the form of
    sentence-transformers) where there is one, else the mean, normalised.

    Args:
        path: the folder, or a name on the hub.
        device: auto, cpu, cuda, mps.
        dtype: what weights are converted to; as in the file if None.

    Raises:
        ModelError: if files are missing or damaged, or ask for something that is not supported.
    """
    folder = find_model(path)
    settings = read_sentence_settings(folder)
    model = read_model(folder, device=pick_device(device), dtype=dtype)
    return SentenceEncoder(
        model, Tokenizer.load(folder), pooling=settings.pooling, normalize=settings.normalize,
        max_len=settings.max_len, where=folder,
    )  # fmt: skip
