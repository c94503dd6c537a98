"""A tokenizer from whatever a user has: a model directory, a run folder, tokenizer.json, or one vocabulary file."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hanmo.core.errors import FormatError, ModelError
from hanmo.tokenizers.tokenizer import Tokenizer, has_tokenizer

__all__ = ["open_tokenizer"]


def open_tokenizer(path: str | Path) -> Tokenizer:
    """Read a tokenizer.

    Args:
        path: a folder with a tokenizer (of `hanmo tokenizer train`, of a model), a run folder (its `model` or `tokenizer`),
            a tokenizer.json under any name, a vocab.txt of BERT's kind under any name that ends in .txt, or a
            SentencePiece .model. With other vocabulary files name their folder.

    Raises:
        ModelError: if there is nothing of this kind.
        FormatError: if a file is damaged.
    """
    path = Path(path)
    if path.is_dir():
        places = (path, path / "model", path / "tokenizer")
        return Tokenizer.load(next((place for place in places if has_tokenizer(place)), path))
    if not path.is_file():
        raise ModelError("there is no such file or folder", where=path, remedy="Check the path.")
    if path.name == "tokenizer.json":
        return Tokenizer.load(path.parent)
    match path.suffix.lower():
        case ".json":
            return Tokenizer(_text(path), where=path)
        case ".txt":
            return _alone(path, "vocab.txt")
        case ".model":
            return _alone(path, "tokenizer.model")
    raise ModelError(
        "not a tokenizer that is known", where=path,
        remedy="Give a folder, a tokenizer.json, a vocab.txt or a SentencePiece .model.",
    )  # fmt: skip


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise FormatError("not UTF-8 text", where=path, remedy="The file may be damaged; copy it again.") from error


def _alone(path: Path, name: str) -> Tokenizer:
    """Read a vocabulary file under the name that its kind has, with the config beside it if there is one."""
    config = path.parent / "tokenizer_config.json"
    with tempfile.TemporaryDirectory(prefix="hanmo-vocabulary-") as folder:
        shutil.copyfile(path, Path(folder) / name)
        if path.name == name and config.is_file():
            shutil.copyfile(config, Path(folder) / config.name)
        try:
            return Tokenizer.load(folder)
        except FormatError as error:
            raise FormatError(error.what, where=path) from error
