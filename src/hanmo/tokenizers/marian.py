"""Marian's tokenizer as the models of the hub have it (Helsinki-NLP): source.spm cuts what is read, target.spm what is
written, and one vocab.json numbers the pieces of both.

No tokenizer.json can say this: a piece of source.spm may be unknown to vocab.json, and a stretch that source.spm does not
know may be a piece of the target. So the files are kept, and written again as they were.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tokenizers as hf
from hanmo.core.errors import ConfigError, DataError, FormatError, ModelError
from hanmo.core.files import read_json, remove_file, sha256_file, sha256_text, write_bytes, write_json
from hanmo.tokenizers.encodable import is_encodable, not_encodable
from hanmo.tokenizers.tokenizer import Tokenizer
from hanmo.tokenizers.vocabulary_builders import refuse, token_text, unigram
from tokenizers import AddedToken, decoders, models

__all__ = ["FILES", "MarianTokenizer", "is_marian"]

FILES = ("source.spm", "target.spm", "vocab.json")
_ROLES = {"unk_token": "<unk>", "eos_token": "</s>", "pad_token": "<pad>"}
_CODE = re.compile(r">>[^<>\s]+<<")
"""Says into which language, in front of a text."""
_Spans = list[tuple[int, int]]


def is_marian(folder: Path) -> bool:
    """Whether the files of such a tokenizer are there."""
    return all((folder / name).is_file() for name in FILES)


class MarianTokenizer(Tokenizer):
    """See above. A language code such as `>>fra<<` at the begin of a text is a token, by which the model is told.

    Args:
        folder: of the model.
        config: content of tokenizer_config.json and special_tokens_map.json.

    Raises:
        ModelError: if a file cannot be read.
        FormatError: if a file is damaged or does not fit the others, or asks for what is not supported.
    """

    def __init__(self, folder: Path, config: Mapping[str, Any]):
        where = folder / "vocab.json"
        refuse(config, folder, separate_vocabs=False, sp_model_kwargs={})
        vocabulary = _read_vocabulary(where)
        roles = {role: token_text(config.get(role)) or text for role, text in _ROLES.items()}
        if lacking := [text for text in roles.values() if text not in vocabulary]:
            raise FormatError(f"the special token {lacking[0]!r} is not in the vocabulary", where=where)
        _check_added(config, vocabulary, folder)
        super().__init__(_names(vocabulary, roles).to_str(), roles | dict(config), where=where)
        self._source, self._target = (
            Tokenizer(unigram(folder / name).to_str(), where=folder / name) for name in FILES[:2]
        )
        self._files = {name: _read_bytes(folder / name) for name in FILES}
        self._hash = sha256_text("".join(sha256_file(folder / name) for name in FILES))
        self.codes: tuple[str, ...] = tuple(token for token in vocabulary if _CODE.fullmatch(token))
        """The language codes that it knows."""
        # what a user writes never becomes a token of control, nor a code that stands inside of a text
        self._texts = {text: n for text, n in vocabulary.items() if text not in (*roles.values(), *self.codes)}
        self._unknown = vocabulary[roles["unk_token"]]

    @property
    def sha256(self) -> str:
        """Hex SHA-256 over those of the three files."""
        return self._hash

    @property
    def definition(self) -> Any:  # pyright: ignore[reportIncompatibleVariableOverride]
        """There is none.

        Raises:
            ConfigError: always.
        """
        raise ConfigError(
            "a tokenizer of source.spm and target.spm has no tokenizer.json, which this needs",
            where=FILES[0], remedy="It serves the model that it came with; train one for anything else.",
        )  # fmt: skip

    @definition.setter
    def definition(self, text: str) -> None:
        """Only names are taken of it."""

    @property
    def plain(self) -> Any:
        """As `definition`."""
        return self.definition

    @plain.setter
    def plain(self, coder: hf.Tokenizer) -> None:  # pyright: ignore[reportIncompatibleVariableOverride]
        """As `definition`."""

    def encode_batch(self, texts: Sequence[str], *, allow_special: bool = False) -> list[list[int]]:
        """Ids of texts to be read.

        Raises:
            DataError: for a language code that the model does not know.
        """
        return [ids for ids, _ in self.encode_spans(texts, allow_special=allow_special)]

    def encode_spans(self, texts: Sequence[str], *, allow_special: bool = False) -> list[tuple[list[int], _Spans]]:
        """As there; errors as of `encode_batch`."""
        if allow_special:
            raise ConfigError("this tokenizer reads no special tokens in texts", where="allow_special")
        codes = [self._code(text, number) for number, text in enumerate(texts)]
        cut = [text[len(code) :] for text, code in zip(texts, codes, strict=True)]
        rows: list[tuple[list[int], _Spans]] = []
        for code, (ids, spans) in zip(codes, self._numbers(self._source, cut), strict=True):
            n, told = len(code), self.token_id(code) if code else None
            if told is not None:
                ids, spans = [told, *ids], [(0, n), *((start + n, stop + n) for start, stop in spans)]
            rows.append((ids, spans))
        return rows

    def encode_targets(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of texts to be written, cut by target.spm."""
        return [ids for ids, _ in self._numbers(self._target, texts)]

    def _numbers(self, side: Tokenizer, texts: Sequence[str]) -> list[tuple[list[int], _Spans]]:
        for number, text in enumerate(texts):
            if not is_encodable(text):
                raise not_encodable(number)
        rows = side.plain.encode_batch(list(texts), add_special_tokens=False)
        return [([self._texts.get(piece, self._unknown) for piece in row.tokens], row.offsets) for row in rows]

    def _code(self, text: str, number: int) -> str:
        found = _CODE.match(text)
        if found is None:
            return ""
        if found[0] not in self.codes:
            known = ", ".join(self.codes) or "none"
            raise DataError(
                f"this model knows no language code {found[0]}", where=f"text {number + 1}", remedy=f"It knows {known}."
            )
        return found[0]

    def save(self, folder: str | Path) -> None:
        """Write source.spm, target.spm and vocab.json as they were read, and tokenizer_config.json.

        Raises:
            StorageError: if the folder cannot be written.
        """
        folder = Path(folder)
        for name, data in self._files.items():
            write_bytes(folder / name, data)
        write_json(folder / "tokenizer_config.json", self.config)
        remove_file(folder / "tokenizer.json")  # of another tokenizer; it would be read before these


def _read_vocabulary(file: Path) -> dict[str, int]:
    vocabulary = read_json(file)
    if not isinstance(vocabulary, dict) or not all(type(n) is int and n >= 0 for n in vocabulary.values()):
        raise FormatError("not a table of tokens and ids", where=file)
    if len(set(vocabulary.values())) != len(vocabulary):
        raise FormatError("two tokens have the same id", where=file)
    return vocabulary


def _check_added(config: Mapping[str, Any], vocabulary: Mapping[str, int], folder: Path) -> None:
    """Tokens that the config adds must be those of vocab.json."""
    added = config.get("added_tokens_decoder") or {}
    try:
        wrong = [text for n, value in added.items() if vocabulary.get(text := token_text(value) or "") != int(n)]
    except (AttributeError, TypeError, ValueError) as error:
        raise FormatError(
            "added_tokens_decoder is no table of ids and tokens", where=folder / "tokenizer_config.json"
        ) from error
    more = config.get("additional_special_tokens") or config.get("extra_special_tokens") or []
    more = list(more.values()) if isinstance(more, Mapping) else more
    wrong += [text for value in more if (text := token_text(value) or "") not in vocabulary]
    if wrong:
        raise FormatError(
            f"the added token {wrong[0]!r} is not in vocab.json under its id", where=folder / "tokenizer_config.json"
        )


def _names(vocabulary: dict[str, int], roles: Mapping[str, str]) -> hf.Tokenizer:
    """From ids to texts alone."""
    names = hf.Tokenizer(models.WordLevel(vocabulary, unk_token=roles["unk_token"]))
    names.add_special_tokens([AddedToken(text, normalized=False, special=True) for text in roles.values()])
    space = decoders.Replace("\u2581", " ")
    names.decoder = decoders.Sequence([space, decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    return names


def _read_bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise ModelError(f"cannot be read ({error.strerror})", where=file) from error
