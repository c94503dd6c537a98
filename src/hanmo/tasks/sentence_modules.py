"""How an encoder's vectors become one, as sentence-transformers says it beside the model: modules.json and what it names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hanmo.core.errors import FormatError, ModelError
from hanmo.core.files import read_json, write_json

__all__ = ["SentenceSettings", "read_sentence_settings", "write_sentence_settings"]

_MODES = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_lasttoken": "last",
}
"""Settings of its older releases, which all later ones read too."""
_NEW_MODES = {"cls": "cls", "mean": "mean", "max": "max", "lasttoken": "last"}
"""Values of the one setting that release 6 writes."""
_UNLIMITED = 1 << 30
"""Lengths from here on stand for none."""
_TYPE = "sentence_transformers.models."


@dataclass(frozen=True, kw_only=True)
class SentenceSettings:
    """What stands there."""

    pooling: str = "mean"
    """A name in `hanmo.nn.pooling.POOLINGS`."""
    normalize: bool = True
    """Whether vectors are brought to length 1."""
    max_len: int | None = None
    """Longest text in tokens, special ones included; what the model takes if None."""


def read_sentence_settings(folder: Path) -> SentenceSettings:
    """Read modules.json and the files that it names; without one, the mean of the vectors, normalised.

    Raises:
        ModelError: if a file is missing or damaged, or asks for something that is not supported.
    """
    file = folder / "modules.json"
    if not file.is_file():
        return SentenceSettings()
    settings: dict[str, Any] = {"normalize": False}
    for name, key in (("tokenizer_config.json", "model_max_length"), ("sentence_bert_config.json", "max_seq_length")):
        if (folder / name).is_file():
            longest = _read(folder / name, dict).get(key)
            if isinstance(longest, int) and longest < _UNLIMITED:
                settings["max_len"] = longest
    for module in _read(file, list):
        kind = str(module.get("type")).rpartition(".")[2]
        if kind == "Pooling":
            values = _read(folder / Path(str(module.get("path"))).name / "config.json", dict)
            settings["pooling"] = _pooling(values, file)
        elif kind == "Normalize":
            settings["normalize"] = True
        elif kind != "Transformer":
            raise ModelError(f"a part of this model is not supported: {module.get('type')!r}", where=file)
    return SentenceSettings(**settings)


def write_sentence_settings(folder: Path, settings: SentenceSettings, *, d_model: int) -> None:
    """Write the same files.

    Args:
        folder: the model directory.
        settings: what they say.
        d_model: width of the vectors.

    Raises:
        StorageError: if they cannot be written.
    """
    kinds = ["Transformer", "Pooling", *(["Normalize"] if settings.normalize else [])]
    modules = [
        {"idx": n, "name": str(n), "path": f"{n}_{kind}" if n else "", "type": _TYPE + kind}
        for n, kind in enumerate(kinds)
    ]
    pooling = {name: mode == settings.pooling for name, mode in _MODES.items()}
    write_json(folder / "1_Pooling" / "config.json", {"word_embedding_dimension": d_model} | pooling)
    write_json(folder / "sentence_bert_config.json", {"max_seq_length": settings.max_len, "do_lower_case": False})
    write_json(folder / "config_sentence_transformers.json", {"similarity_fn_name": "cosine"})
    write_json(folder / "modules.json", modules)


def _pooling(values: dict[str, Any], file: Path) -> str:
    on = [name for name, value in values.items() if name.startswith("pooling_mode_") and value is True]
    on = [str(values["pooling_mode"])] if "pooling_mode" in values else on
    known = _MODES | _NEW_MODES
    if len(on) != 1 or on[0] not in known:
        raise ModelError(
            f"this pooling is not supported: {', '.join(on) or 'none'}", where=file,
            remedy=f"Supported is one of {', '.join(known)}.",
        )  # fmt: skip
    return known[on[0]]


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
