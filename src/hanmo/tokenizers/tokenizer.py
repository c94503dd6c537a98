"""Text to token ids and back, as a Hugging Face folder says it (`tokenizer.json`, `tokenizer_config.json`)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import tokenizers as hf
from hanmo.core.errors import ConfigError, DataError, FormatError, ModelError
from hanmo.core.files import read_json, remove_file, sha256_text, write_json, write_text
from hanmo.tokenizers.encodable import is_encodable, not_encodable
from hanmo.tokenizers.pieces import find_piece_reader
from hanmo.tokenizers.training_data import FILE_NAME, TrainingFile, read_training_files, write_training_files
from hanmo.tokenizers.vocabulary_builders import token_text
from hanmo.tokenizers.vocabulary_files import convert_vocabulary, has_vocabulary

__all__ = ["Tokenizer", "has_tokenizer", "hide_special_pieces", "parse_definition"]

_ROLES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")


class Tokenizer:
    """A tokenizer whose special tokens cannot be written by the text it reads.

    Args:
        definition: the text of a tokenizer.json; kept as it is, so that saving changes no byte of it.
        config: the content of tokenizer_config.json; keys this project does not use are kept.
        chat_template: Jinja source that turns messages into one text, or None for the one in `config`, if any.
        where: the file or folder that errors name.
        training_files: what it was trained on, where that is known.

    Raises:
        FormatError: if the definition is damaged or a special token of the config is not in the vocabulary.
    """

    def __init__(
        self,
        definition: str,
        config: Mapping[str, Any] | None = None,
        *,
        chat_template: str | None = None,
        where: object = "tokenizer.json",
        training_files: Sequence[TrainingFile] = (),
    ):
        self.definition = definition
        self.training_files = tuple(training_files)
        self.config = dict(config or {})
        self._names = parse_definition(definition, where)
        vocabulary = self._names.get_vocab(with_added_tokens=True)
        self._pieces: dict[int, str] = {token_id: piece for piece, token_id in vocabulary.items()}
        self._added = {i: token.content for i, token in self._names.get_added_tokens_decoder().items()}
        self._special = {i for i, token in self._names.get_added_tokens_decoder().items() if token.special}
        parsed = json.loads(definition)
        self._read_piece = find_piece_reader(parsed)
        # Special tokens written in ordinary text are ordinary text here; `control` is the other form.
        unwritable = hide_special_pieces(parsed, self._special)
        plain = self._names if unwritable is None else parse_definition(unwritable, where)
        plain.encode_special_tokens = True
        self.plain: hf.Tokenizer = plain
        """The library's tokenizer, to which special tokens in text are text: what makes rows of several kinds."""
        self.vocab_size: int = max(self._pieces, default=-1) + 1
        self.special_tokens: dict[str, str] = {}
        for role in _ROLES:
            text = token_text(self.config.get(role))
            if text is None:
                continue
            if text not in vocabulary:
                raise FormatError(
                    f"{role} is {text!r}, which is not in the vocabulary",
                    where=where,
                    remedy="The files may come from two different tokenizers; copy them again from one source.",
                )
            self.special_tokens[role] = text
        self.eos_token, self.bos_token, self.pad_token = map(
            self.special_tokens.get, ("eos_token", "bos_token", "pad_token")
        )
        self.eos_id, self.bos_id, self.pad_id = (
            None if token is None else vocabulary[token] for token in (self.eos_token, self.bos_token, self.pad_token)
        )
        self.unk_id: int | None = _unknown_id(parsed, vocabulary)
        self.chat_template: str | None = chat_template or _default_template(self.config.get("chat_template"))

    @property
    def sha256(self) -> str:
        """Hex SHA-256 of tokenizer.json: what shards and run folders record to notice another tokenizer."""
        return self._sha256

    @cached_property
    def _sha256(self) -> str:
        return sha256_text(self.definition)

    @cached_property
    def control(self) -> hf.Tokenizer:
        """The library's tokenizer that reads special tokens in text as control tokens."""
        # A second parse, not a toggled flag: a flag on a shared object would be a race between threads.
        return parse_definition(self.definition, "tokenizer.json")

    @property
    def special_ids(self) -> frozenset[int]:
        """Ids of the control tokens (marked special in tokenizer.json)."""
        return frozenset(self._special)

    @property
    def special_names(self) -> frozenset[str]:
        """Texts of the control tokens."""
        return frozenset(self._added[token_id] for token_id in self._special)

    def __repr__(self) -> str:
        return f"Tokenizer(vocab_size={self.vocab_size}, eos_token={self.eos_token!r}, sha256={self.sha256[:12]})"

    def encode(self, text: str, *, allow_special: bool = False) -> list[int]:
        """Turn text into ids. No token is added in front or behind.

        Args:
            text: any string of Unicode scalar values.
            allow_special: read special tokens such as `<|endoftext|>` as control tokens. Never for text that
                a user wrote: the default makes it ordinary text.

        Raises:
            DataError: if the text holds half a surrogate pair, which no UTF-8 file can.
        """
        return self.encode_batch([text], allow_special=allow_special)[0]

    def encode_batch(self, texts: Sequence[str], *, allow_special: bool = False) -> list[list[int]]:
        """`encode` for many texts at once, on all cores."""
        coder = self.control if allow_special else self.plain
        try:
            encodings = coder.encode_batch_fast(list(texts), add_special_tokens=False)
        except (TypeError, UnicodeEncodeError) as error:
            bad = next((n for n, text in enumerate(texts) if not is_encodable(text)), None)
            raise not_encodable(bad) from error
        return [encoding.ids for encoding in encodings]

    def encode_targets(self, texts: Sequence[str]) -> list[list[int]]:
        """`encode_batch` for texts that a model is to write: other ids only where source and target are cut differently."""
        return self.encode_batch(texts)

    def encode_spans(
        self, texts: Sequence[str], *, allow_special: bool = False
    ) -> list[tuple[list[int], list[tuple[int, int]]]]:
        """`encode_batch` with the characters of the text, from and up to, that each token stands for.

        Tokens that are parts of one character have the same span.
        """
        for number, text in enumerate(texts):
            if not is_encodable(text):
                raise not_encodable(number)
        coder = self.control if allow_special else self.plain
        encodings = coder.encode_batch(list(texts), add_special_tokens=False)
        return [(encoding.ids, encoding.offsets) for encoding in encodings]

    def decode(self, ids: Iterable[int], *, skip_special: bool = True) -> str:
        """Turn ids into text; bytes that are no UTF-8 become U+FFFD.

        Raises:
            DataError: for an id that this tokenizer does not have.
        """
        ids = [int(token_id) for token_id in ids]
        for token_id in ids:
            self._piece(token_id)
        return self._names.decode(ids, skip_special_tokens=skip_special)

    def token_bytes(self, token_id: int) -> bytes:
        """The exact bytes that a token stands for; a special token's are those of its name.

        Raises:
            DataError: for an id that this tokenizer does not have.
            ConfigError: for a kind of tokenizer whose tokens are not byte strings (WordPiece).
        """
        piece = self._piece(token_id)
        if token_id in self._added:
            return piece.encode("utf-8")
        if self._read_piece is None:
            raise ConfigError(
                "the tokens of this tokenizer are not byte strings",
                remedy="Decode whole sequences with decode(); streaming needs a byte-level or SentencePiece tokenizer.",
            )
        return self._read_piece(piece)

    def vocabulary(self) -> dict[str, int]:
        """All tokens as tokenizer.json writes them → their ids."""
        return self._names.get_vocab(with_added_tokens=True)

    def token_id(self, token: str) -> int | None:
        """Id of a token by its exact name, such as `<|im_end|>`, or None."""
        return self._names.token_to_id(token)

    def _piece(self, token_id: int) -> str:
        try:
            return self._pieces[token_id]
        except KeyError:
            raise DataError(
                f"id {token_id} is not in this tokenizer, which has {self.vocab_size} tokens",
                remedy="The ids come from another tokenizer, or the model's vocabulary is larger than its tokenizer's.",
            ) from None

    def with_chat_template(self, template: str) -> Tokenizer:
        """The same tokenizer with another chat template."""
        config = {key: value for key, value in self.config.items() if key != "chat_template"}
        return Tokenizer(self.definition, config, chat_template=template, training_files=self.training_files)

    def with_training_files(self, files: Sequence[TrainingFile]) -> Tokenizer:
        """The same tokenizer with a record of what it was trained on, which `save` writes beside it."""
        return Tokenizer(self.definition, self.config, chat_template=self.chat_template, training_files=files)

    def save(self, folder: str | Path) -> None:
        """Write tokenizer.json, tokenizer_config.json and, where there are such, chat_template.jinja and training_data.json.

        Raises:
            StorageError: if the folder cannot be written.
        """
        folder = Path(folder)
        write_text(folder / "tokenizer.json", self.definition)
        write_json(folder / "tokenizer_config.json", self.config)
        template = folder / "chat_template.jinja"
        if self.chat_template is not None:
            write_text(template, self.chat_template)
        else:
            remove_file(template)  # one left by another tokenizer would be taken for ours
        if self.training_files:
            write_training_files(folder, self.training_files)
        else:
            remove_file(folder / FILE_NAME)

    @classmethod
    def load(cls, folder: str | Path) -> Tokenizer:
        """Read the tokenizer of a model folder: tokenizer.json, or the older files that `vocabulary_files` knows.

        Raises:
            ModelError: if there is neither.
            FormatError: if a file is truncated, not JSON, or does not fit the others.
        """
        from hanmo.tokenizers.marian import MarianTokenizer, is_marian  # a Tokenizer itself

        folder = Path(folder)
        definition = _read_text(folder / "tokenizer.json")
        marian = definition is None and is_marian(folder)
        if definition is None and not marian and not has_vocabulary(folder):
            raise ModelError(
                "there is no tokenizer.json" if folder.is_dir() else "there is no such folder",
                where=folder / "tokenizer.json" if folder.is_dir() else folder,
                remedy="Copy it from where the model came from, or train one: hanmo.tokenizers.bpe.train_bpe.",
            )
        config: dict[str, Any] = {}
        # special_tokens_map.json is the older place of the special tokens; the config overrides it.
        for name in ("special_tokens_map.json", "tokenizer_config.json"):
            if (folder / name).is_file():
                values = read_json(folder / name)
                if not isinstance(values, dict):
                    raise FormatError("not a JSON object", where=folder / name)
                config |= values
        if marian:
            return MarianTokenizer(folder, config)
        template = _read_text(folder / "chat_template.jinja")
        if definition is None:
            definition, config = convert_vocabulary(folder, config)
            return cls(definition, config, chat_template=template, where=folder)
        files = read_training_files(folder)
        return cls(definition, config, chat_template=template, where=folder / "tokenizer.json", training_files=files)


def has_tokenizer(folder: Path) -> bool:
    """Whether `Tokenizer.load` finds something to read in this folder."""
    from hanmo.tokenizers.marian import is_marian

    return (folder / "tokenizer.json").is_file() or is_marian(folder) or has_vocabulary(folder)


def parse_definition(definition: str, where: object) -> hf.Tokenizer:
    """Parse the text of a tokenizer.json, switching off any truncation and padding it asks for.

    Raises:
        FormatError: if it is damaged.
    """
    try:
        parsed = hf.Tokenizer.from_str(definition)
    except Exception as error:  # the library raises bare Exception
        raise FormatError(
            f"not a tokenizer.json that can be read ({error})",
            where=where,
            remedy="The file may be truncated; copy it again.",
        ) from error
    # Text cut without a word is what we never do.
    parsed.no_truncation()
    parsed.no_padding()
    return parsed


def hide_special_pieces(parsed: dict[str, Any], special: set[int]) -> str | None:
    """The definition without the texts of special tokens; None where none could be written anyway.

    The pieces of a Unigram model are found wherever their text stands, `</s>` too. A space never reaches the model,
    so no text has a piece with a space in it.
    """
    model = parsed.get("model")
    if not isinstance(model, dict) or (model.get("type") or "Unigram") != "Unigram" or "unk_id" not in model:
        return None
    pieces = [[f" {text}" if i in special else text, score] for i, (text, score) in enumerate(model["vocab"])]
    added = [
        token | {"content": f" {token['content']}"} if token["id"] in special and token["id"] < len(pieces) else token
        for token in parsed.get("added_tokens") or []
    ]
    return json.dumps(parsed | {"model": model | {"vocab": pieces}, "added_tokens": added}, ensure_ascii=False)


def _unknown_id(parsed: Mapping[str, Any], vocabulary: Mapping[str, int]) -> int | None:
    """Id of the token that the model puts for what it does not know; byte-level models have none, whatever the config."""
    model = parsed.get("model") or {}
    if model.get("byte_fallback"):
        return None
    number = model.get("unk_id")
    return number if number is not None else vocabulary.get(model.get("unk_token") or "")


def _read_text(path: Path) -> str | None:
    try:
        # Line endings as they are: universal newlines would change the hash.
        return path.read_bytes().decode("utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except UnicodeDecodeError as error:
        raise FormatError("not UTF-8 text", where=path, remedy="The file may be damaged; copy it again.") from error
    except OSError as error:
        raise ModelError(f"cannot be read ({error.strerror})", where=path) from error


def _default_template(value: Any) -> str | None:
    """A chat template is written as a string or as a list of named ones, of which `default` counts."""
    if isinstance(value, list):
        named = {item.get("name"): item.get("template") for item in value if isinstance(item, Mapping)}
        value = named.get("default")
    return value if isinstance(value, str) and value else None
