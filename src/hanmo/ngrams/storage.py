"""The folder of a model: `ngram.json`, `ngram.safetensors` (mapped, not read), and the tokenizer of a model of tokens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from hanmo.core.errors import FormatError, ModelError
from hanmo.core.files import check_replaceable, new_folder, read_json, write_json
from hanmo.ngrams.arrays import digest_file, map_arrays, write_arrays
from hanmo.ngrams.automaton import Automaton
from hanmo.ngrams.lexicon import Lexicon
from hanmo.ngrams.model import NgramInfo, NgramModel
from hanmo.tokenizers.tokenizer import Tokenizer

__all__ = ["check_out", "load_folder", "save"]

_FORMAT = 1
_INFO, _ARRAYS, _TOKENIZER = "ngram.json", "ngram.safetensors", "tokenizer"
_KINDS: dict[str, tuple[Any, int]] = {
    "table": (np.uint64, 2), "backoffs": (np.float64, 2), "word_logs": (np.float64, 1),
    "word_states": (np.uint32, 1), "order_ends": (np.int64, 1),
    "slots": (np.uint64, 1), "starts": (np.int64, 1), "letters": (np.uint8, 1),
}  # fmt: skip


def check_out(folder: str | Path) -> None:
    """Refuse a folder of something else, which writing a model would destroy.

    Raises:
        ConfigError: if it is neither empty nor holds a model.
    """
    check_replaceable(folder, _INFO)


def save(model: NgramModel, folder: str | Path) -> None:
    """Write the folder (`NgramModel.save`)."""
    check_out(folder)
    holders: dict[str, Any] = {
        **vars(model.automaton),
        **{name: getattr(model.lexicon, name) for name in ("slots", "starts", "letters")},
    }
    with new_folder(folder) as temporary:
        digest = write_arrays(temporary / _ARRAYS, {name: holders[name] for name in _KINDS})
        values = {"format": _FORMAT, "blake2b": digest}
        write_json(temporary / _INFO, values | model.info.model_dump(mode="json"))
        if model.tokenizer is not None:
            model.tokenizer.save(temporary / _TOKENIZER)


def load_folder(folder: str | Path, *, verify: bool = False, in_memory: bool = False) -> NgramModel:
    """Map the model of a folder.

    Args:
        folder: as `save` wrote it.
        verify: also compare the hash of all numbers, which reads the whole file.
        in_memory: copy the numbers into memory of the process.

    Raises:
        FormatError: if a file is missing, damaged or cut short.
        ModelError: if there is no model.
    """
    folder = Path(folder)
    if not (folder / _INFO).is_file():
        raise ModelError(
            f"no n-gram model here ({_INFO} is missing)", where=folder, remedy="Train one: hanmo ngram train."
        )
    values = read_json(folder / _INFO)
    if not isinstance(values, dict) or values.pop("format", None) != _FORMAT:
        raise FormatError(f"not an n-gram model of format {_FORMAT}", where=folder / _INFO)
    digest = values.pop("blake2b", None)
    try:
        info = NgramInfo.model_validate(values)
    except ValidationError as error:
        raise FormatError(
            f"not the description of an n-gram model ({error.errors()[0]['msg']})", where=folder / _INFO
        ) from error
    path = folder / _ARRAYS
    try:
        arrays = map_arrays(path, _KINDS)
    except FileNotFoundError as error:
        raise FormatError(f"{_ARRAYS} is missing", where=folder, remedy="Copy the whole folder again.") from error
    _check(arrays, info, path)
    if verify and digest_file(path) != digest:
        raise FormatError("its BLAKE2b hash is not the one in ngram.json: changed or damaged", where=path)
    if in_memory:
        arrays = {name: _copied(array) for name, array in arrays.items()}
    lexicon = Lexicon(**{name: arrays.pop(name) for name in ("starts", "letters", "slots")})
    tokenizer = Tokenizer.load(folder / _TOKENIZER) if (folder / _TOKENIZER).is_dir() else None
    return NgramModel(info, lexicon, Automaton(**arrays), tokenizer)


def _copied(array: np.ndarray) -> np.ndarray:
    copy = array.copy()
    copy.flags.writeable = False  # as where it is mapped: kernels are compiled once
    return copy


def _check(arrays: dict[str, np.ndarray], info: NgramInfo, path: Path) -> None:
    """Whether the arrays fit each other; what is in them is watched when it is used."""
    n_words, slots = len(arrays["word_logs"]), arrays["slots"]
    fits = (
        arrays["table"].shape[1] == 2
        and arrays["backoffs"].shape[1:] == (2,)
        and len(arrays["backoffs"]) > 0
        and len(arrays["word_states"]) == len(arrays["starts"]) - 1 == n_words == info.n_grams[0]
        and len(arrays["order_ends"]) == info.order == len(info.n_grams)
        and len(slots) > n_words
        and len(slots).bit_count() == 1
        and arrays["starts"][0] == 0
        and arrays["starts"][-1] == len(arrays["letters"])
        and bool((np.diff(arrays["starts"]) >= 0).all())
        and int(arrays["word_states"].max()) < len(arrays["backoffs"])
        and arrays["order_ends"][0] == 1
        and bool((np.diff(arrays["order_ends"]) >= 0).all())
        and arrays["order_ends"][-1] == len(arrays["backoffs"])
    )
    if not fits:
        raise FormatError("the arrays of this n-gram model do not fit each other", where=path, remedy="Train it again.")
