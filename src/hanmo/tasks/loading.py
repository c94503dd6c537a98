"""`hanmo.load`: a model directory, or a name on the hub, as the object that its kind of model calls for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from hanmo.core.devices import pick_device
from hanmo.core.errors import ModelError
from hanmo.core.files import read_json
from hanmo.models.directory import read_eos_ids, read_model
from hanmo.models.families import family_of
from hanmo.models.hub import find_model
from hanmo.models.lstm_seq2seq import LSTMSeq2Seq
from hanmo.models.next_token import NextTokenModel
from hanmo.models.seq2seq import Seq2SeqLM
from hanmo.tasks.adapted import find_base, is_adapter, read_adapted
from hanmo.tasks.language_model import LanguageModel
from hanmo.tasks.loaded_model import LoadedModel
from hanmo.tasks.model_files import check_files, named_dtype
from hanmo.tasks.permutation_model import PermutationModel
from hanmo.tasks.seq2seq_model import Seq2SeqModel
from hanmo.tokenizers.tokenizer import Tokenizer, has_tokenizer

__all__ = ["load", "load_language_model"]


def load(
    path: str | Path,
    *,
    adapter: str | Path | Mapping[str, str | Path] | None = None,
    device: str = "auto",
    dtype: str | torch.dtype | None = None,
) -> Any:
    """Read a model directory: config.json, model.safetensors (or shards) and tokenizer.json (or older vocabularies).

    Args:
        path: the folder, such as runs/NAME/model, or a repository of the Hugging Face hub: "org/name" or
            "org/name@revision". The folder of an adapter (runs/NAME/adapter, or one of PEFT) is read with the model that
            it names as its base.
        adapter: folder of an adapter of this model, or several by names, of which the first is active and
            `switch_adapter` takes another.
        device: auto, cpu, cuda, mps.
        dtype: float32 (also if None), bfloat16 or float16: what weights are converted to.

    Returns:
        A `LanguageModel`, which continues a text; a `Seq2SeqModel`, which writes another text for it; a
        `PermutationModel`, which does the first in its own way; or a `LoadedModel`, which writes none. All have
        `.model`, `.tokenizer`, `.config` and `.save`.

    Raises:
        ModelError: names the file that is missing or damaged, or says that the tokenizer is another model's.
        ConfigError: for a device or dtype that does not exist.
    """
    path = find_model(path)
    if adapter is None and is_adapter(path):
        adapter, path = path, find_model(find_base(path))
    check_files(path)
    kinds = {"dtype": named_dtype(dtype), "device": pick_device(device)}
    home = path
    if adapter is None:
        model = read_model(path, **kinds)
    else:
        several = adapter if isinstance(adapter, Mapping) else {"default": adapter}
        model = read_adapted(path, several, **kinds)
        first = find_model(next(iter(several.values())), weights=False)
        home = first if has_tokenizer(first) else path
    tokenizer = Tokenizer.load(home)
    if not family_of(model.config).architecture(model.architecture).generates:
        return LoadedModel(model, tokenizer, where=path)
    file = path / "generation_config.json"
    config = read_json(file) if file.exists() else None
    if isinstance(model, NextTokenModel):
        kind = LanguageModel
    else:
        kind = Seq2SeqModel if isinstance(model, (Seq2SeqLM, LSTMSeq2Seq)) else PermutationModel
    return kind(model, tokenizer, eos_ids=read_eos_ids(path), generation_config=config, where=path)


def load_language_model(
    path: str | Path,
    *,
    adapter: str | Path | Mapping[str, str | Path] | None = None,
    device: str = "auto",
    dtype: str | torch.dtype | None = None,
) -> LanguageModel:
    """`load` for what needs a model that continues a text token by token.

    Raises:
        ModelError: as there, and for a model of another kind.
    """
    lm = load(path, adapter=adapter, device=device, dtype=dtype)
    if not isinstance(lm, LanguageModel):
        raise ModelError(
            f"a {type(lm).__name__} ({lm.model.architecture}) does not continue a text token by token",
            where=path,
            remedy="Give a model such as GPT-2 or Llama; for other kinds see hanmo.load.",
        )
    return lm
