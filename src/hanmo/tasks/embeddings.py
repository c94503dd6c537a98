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
from hanmo.core.errors import ConfigError, FormatError, ModelError
from hanmo.core.files import read_json
from hanmo.core.progress import say
from hanmo.models.directory import read_model
from hanmo.models.hub import find_model
from hanmo.nn.pooling import POOLINGS
from hanmo.tasks.forward import forward_by_length
from hanmo.tokenizers.tokenizer import Tokenizer

__all__ = ["SentenceEncoder", "load_sentence_encoder"]


class SentenceEncoder:
    """Texts to vectors whose products say how alike they are (Reimers & Gurevych, 2019)."""

    def __init__(
        self,
        model: Any,
        tokenizer: Tokenizer,
        *,
        pooling: str = "mean",
        normalize: bool = True,
        max_len: int | None = None,
    ):
        """Args:
        model: any that returns `last_hidden_state`; of one with a head, the backbone is taken.
        tokenizer: its tokenizer.
        pooling: a name in `hanmo.nn.pooling.POOLINGS`.
        normalize: bring each vector to length 1.
        max_len: longest text in tokens, special ones included; what the model takes if None.

        Raises:
            ConfigError: for a pooling that there is not.
        """
        if pooling not in POOLINGS:
            raise ConfigError(f"unknown pooling {pooling!r}", where="pooling", remedy=f"Choose: {', '.join(POOLINGS)}.")
        self.model = getattr(model, "backbone", model).eval()
        self.tokenizer = tokenizer
        self.pooling, self.normalize = pooling, normalize
        longest = getattr(self.model.config, "max_len", None)
        self.max_len: int | None = longest if max_len is None else min(max_len, longest or max_len)

    def encode(
        self, texts: Sequence[str], *, overlong: Literal["error", "truncate"] = "error", max_tokens: int | None = None
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
        weight = next(self.model.parameters())
        if not len(texts):
            return np.zeros((0, self.model.config.d_model), dtype=np.float32)
        rows = self.tokenizer.encode_framed(texts, max_len=self.max_len, overlong=overlong)
        if cut := sum(row.truncated for row in rows):
            say(f"{cut} of {len(rows)} texts were cut to {self.max_len} tokens")
        pad_id = self.tokenizer.pad_id or 0
        return forward_by_length(
            rows, self._vectors, pad_id=pad_id, device=weight.device, max_tokens=max_tokens
        ).numpy()

    def _vectors(self, inputs: Mapping[str, Tensor]) -> Tensor:
        hidden = self.model(**inputs).last_hidden_state.float()
        pooled = POOLINGS[self.pooling](hidden, inputs.get("attention_mask"))
        return F.normalize(pooled, dim=-1) if self.normalize else pooled


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
    settings = _read_modules(folder)
    model = read_model(folder, device=pick_device(device), dtype=dtype)
    return SentenceEncoder(model, Tokenizer.load(folder), **settings)


_MODES = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_lasttoken": "last",
}


def _read_modules(folder: Path) -> dict[str, Any]:
    """Arguments of `SentenceEncoder` from modules.json and the files that it names."""
    file = folder / "modules.json"
    if not file.is_file():
        return {}
    settings: dict[str, Any] = {"normalize": False}
    about = folder / "sentence_bert_config.json"
    if about.is_file():
        settings["max_len"] = _read(about, dict).get("max_seq_length")
    for module in _read(file, list):
        kind = str(module.get("type")).rpartition(".")[2]
        if kind == "Pooling":
            values = _read(folder / Path(str(module.get("path"))).name / "config.json", dict)
            on = [name for name, value in values.items() if name.startswith("pooling_mode_") and value is True]
            if len(on) != 1 or on[0] not in _MODES:
                raise ModelError(
                    f"this pooling is not supported: {', '.join(on) or 'none'}", where=file,
                    remedy=f"Supported is one of {', '.join(_MODES)}.",
                )  # fmt: skip
            settings["pooling"] = _MODES[on[0]]
        elif kind == "Normalize":
            settings["normalize"] = True
        elif kind != "Transformer":
            raise ModelError(f"a part of this model is not supported: {module.get('type')!r}", where=file)
    return settings


def _read(file: Path, kind: type) -> Any:
    try:
        values = read_json(file)
    except OSError as error:
        raise ModelError(f"cannot read this file ({error.strerror})", where=file) from error
    except FormatError as error:
        raise ModelError(error.what, where=error.where, remedy="Copy or download the model again.") from error
    if not isinstance(values, kind):
        raise ModelError(f"not a JSON {'object' if kind is dict else 'list'}", where=file)
    return values
