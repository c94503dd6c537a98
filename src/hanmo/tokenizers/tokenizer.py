"""Text to token ids and back, as a Hugging Face folder says it (`tokenizer.json`, `tokenizer_config.json`)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

import tokenizers as hf
from hanmo.core.errors import ConfigError, DataError, FormatError, ModelError, storage_error
from hanmo.core.files import read_json, sha256_text, write_json, write_text
from hanmo.tokenizers.pieces import find_piece_reader
from hanmo.tokenizers.training_data import FILE_NAME, TrainingFile, read_training_files, write_training_files
from hanmo.tokenizers.vocabulary_builders import token_text
from hanmo.tokenizers.vocabulary_files import convert_vocabulary, has_vocabulary

__all__ = ["ContextRow", "Framed", "Tokenizer", "WordRow", "has_tokenizer", "hide_special_pieces", "parse_definition"]

_MARKS = re.compile("[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]+")
"""Accents that combine with the letter before."""
_ROLES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")


@dataclass(frozen=True)
class Framed:
    """A text, or a pair of texts, with the special tokens around it that an encoder was trained with."""

    ids: list[int]
    """Token ids, special ones included."""
    token_type_ids: list[int]
    """Which segment each token belongs to."""
    truncated: bool = False
    """Whether the text was longer than allowed, and its end is missing."""


@dataclass(frozen=True)
class WordRow:
    """Words that were cut before, or some of them, with special tokens around."""

    ids: list[int]
    """Token ids, special ones included."""
    first: dict[int, int]
    """Number of a word → place of its first token."""
    own: frozenset[int]
    """The words that this row is to answer for; of the others another one shows more."""


@dataclass(frozen=True)
class ContextRow:
    """A question and its context, or a part of that, with special tokens around. N tokens of the context."""

    ids: list[int]
    """Token ids, special ones included."""
    token_type_ids: list[int]
    """Which segment each token belongs to."""
    none: int
    """Place of the token that is pointed at where there is no answer: the [CLS] token, or the first of the row."""
    first: int
    """Place of the first token of the context; the others follow it."""
    spans: np.ndarray
    """(N, 2) int32: the characters of the context that a token stands for, from and up to."""
    words: np.ndarray
    """(N, 2) int32: those of the whole word that it is a part of."""
    shared: np.ndarray
    """(N,) bool: whether that word is in the question too, in upper or lower case."""


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
        # Special tokens written in ordinary text are ordinary text here; `_control` is the other form.
        unwritable = hide_special_pieces(parsed, self._special)
        self._plain = self._names if unwritable is None else parse_definition(unwritable, where)
        self._plain.encode_special_tokens = True
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
    def _control(self) -> hf.Tokenizer:
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
        coder = self._control if allow_special else self._plain
        try:
            encodings = coder.encode_batch_fast(list(texts), add_special_tokens=False)
        except (TypeError, UnicodeEncodeError) as error:
            bad = next((n for n, text in enumerate(texts) if not _is_encodable(text)), None)
            raise _not_encodable(bad) from error
        return [encoding.ids for encoding in encodings]

    def encode_spans(
        self, texts: Sequence[str], *, allow_special: bool = False
    ) -> list[tuple[list[int], list[tuple[int, int]]]]:
        """`encode_batch` with the characters of the text, from and up to, that each token stands for.

        Tokens that are parts of one character have the same span.
        """
        for number, text in enumerate(texts):
            if not _is_encodable(text):
                raise _not_encodable(number)
        coder = self._control if allow_special else self._plain
        encodings = coder.encode_batch(list(texts), add_special_tokens=False)
        return [(encoding.ids, encoding.offsets) for encoding in encodings]

    def encode_framed(
        self,
        texts: Sequence[str | tuple[str, str]],
        *,
        max_len: int | None = None,
        overlong: Literal["error", "truncate"] = "error",
    ) -> list[Framed]:
        """Turn texts, or pairs of texts, into ids with special tokens around them, such as [CLS] … [SEP] … [SEP].

        Which tokens is the template of tokenizer.json; where that has none, nothing is added.

        Args:
            texts: each a string or a pair of strings.
            max_len: most tokens of a row, special ones included; any number if None.
            overlong: refuse a longer row, or cut its end (of a pair, that of the longer text). Special tokens stay.

        Raises:
            DataError: for a row that is too long, or holds half a surrogate pair.
            ConfigError: if `max_len` leaves no room for a text.
        """
        rows = [(text, None) if isinstance(text, str) else tuple(text) for text in texts]
        for number, row in enumerate(rows):
            if not all(text is None or _is_encodable(text) for text in row):
                raise _not_encodable(number)
        inputs: Any = [first if second is None else (first, second) for first, second in rows]
        encodings = self._plain.encode_batch_fast(inputs, add_special_tokens=True)
        framed = []
        for number, (encoding, (first, second)) in enumerate(zip(encodings, rows, strict=True)):
            cut = max_len is not None and len(encoding.ids) > max_len
            if cut and max_len is not None:
                if overlong == "error":
                    raise DataError(
                        f"{len(encoding.ids)} tokens, but at most {max_len} are allowed", where=f"text {number}",
                        remedy='Shorten or split it, or cut its end with overlong="truncate".',
                    )  # fmt: skip
                encoding = self._encode_cut(first, second, max_len)
            framed.append(Framed(encoding.ids, encoding.type_ids, cut))
        return framed

    def encode_windows(
        self, texts: Sequence[str | tuple[str, str]], *, max_len: int | None, overlap: int
    ) -> list[list[Framed]]:
        """`encode_framed` without a longest text: a longer one becomes several rows that overlap.

        Of a pair the longer text is cut into windows, and the shorter stands whole in each.

        Args:
            texts: each a string or a pair of strings.
            max_len: most tokens of a row, special ones included; any number if None.
            overlap: tokens that a row shares with the one before, less if there is no room for so many.

        Returns:
            For each text its rows, at least one.

        Raises:
            DataError: for a pair whose shorter text leaves less than half of the room to the longer.
            ConfigError: if `max_len` leaves no room for a text.
        """
        found = [[row] for row in self.encode_framed(texts, max_len=None)]
        if max_len is None:
            return found
        for number, (text, whole) in enumerate(zip(texts, found, strict=True)):
            if len(whole[0].ids) > max_len:
                first, second = (text, None) if isinstance(text, str) else text
                found[number] = self._windows(first, second, max_len, overlap, number)
        return found

    def encode_words(
        self, sentences: Sequence[Sequence[str]], *, max_len: int | None, overlap: int
    ) -> list[list[WordRow]]:
        """Turn sentences that are cut into words already into ids, and say which token a word begins at.

        A word that the tokenizer makes nothing of (a blank) becomes the unknown token, so that none is lost. A longer
        sentence becomes several rows that overlap; each word is answered for by the row that shows most around it.

        Args:
            sentences: words of each.
            max_len: most tokens of a row, special ones included; any number if None.
            overlap: tokens that a row shares with the one before, half a row at most.

        Returns:
            For each sentence its rows, at least one.

        Raises:
            DataError: for half a surrogate pair.
            ConfigError: if `max_len` leaves no room for a word.
        """
        unknown = self.special_tokens.get("unk_token", "\ufffd")
        rows = []
        for number, sentence in enumerate(sentences):
            if not all(_is_encodable(word) for word in sentence):
                raise _not_encodable(number)
            rows.append(list(sentence))
        room = None if max_len is None else self._room(max_len, None)
        found = []
        for words, encoding in zip(rows, self._encode_cut_words(rows), strict=True):
            if len({word for word in encoding.word_ids if word is not None}) < len(words):
                there = set(encoding.word_ids)
                mended = [word if place in there else unknown for place, word in enumerate(words)]
                encoding = self._control.encode(mended, is_pretokenized=True, add_special_tokens=False)
            if room is not None and len(encoding.ids) > room:
                encoding.truncate(room, min(overlap, room // 2))
            found.append(self._word_rows([encoding, *encoding.overflowing]))
        return found

    def _encode_cut_words(self, rows: list[list[str]]) -> list[Any]:
        return self._plain.encode_batch(rows, is_pretokenized=True, add_special_tokens=False)

    def _word_rows(self, windows: list[Any]) -> list[WordRow]:
        best: dict[int, tuple[int, int]] = {}  # word → (how much is around it, number of the window)
        rows: list[tuple[list[int], dict[int, int]]] = []
        for number, window in enumerate(windows):
            encoding = self._plain.post_process(window, add_special_tokens=True)
            first: dict[int, int] = {}
            for place, word in enumerate(encoding.word_ids):
                if word is not None and encoding.special_tokens_mask[place] == 0:
                    first.setdefault(word, place)
            rows.append((encoding.ids, first))
            for word, place in first.items():
                # a word whose beginning is in the window before is cut off here
                cut = number > 0 and place == min(first.values())
                around = -1 if cut else min(place, len(encoding.ids) - 1 - place)
                if word not in best or around > best[word][0]:
                    best[word] = (around, number)
        return [
            WordRow(ids, first, frozenset(word for word in first if best[word][1] == number))
            for number, (ids, first) in enumerate(rows)
        ]

    def encode_contexts(
        self, pairs: Sequence[tuple[str, str]], *, max_len: int, overlap: int
    ) -> list[list[ContextRow]]:
        """Turn questions with their contexts into ids, and say which characters of the context a token stands for.

        The characters are those of the text as it was given, whatever the tokenizer makes of it before it cuts it. A
        longer context becomes several rows that overlap; the question stands whole in each.

        Args:
            pairs: question and context.
            max_len: most tokens of a row, special ones included.
            overlap: tokens of the context that a row shares with the one before, less if there is no room for so many.

        Returns:
            For each pair its rows, at least one.

        Raises:
            DataError: for half a surrogate pair; for a question that leaves less than half of the room to a context that
                does not fit.
            ConfigError: if `max_len` leaves no room for a text.
        """
        for number, pair in enumerate(pairs):
            if not all(_is_encodable(text) for text in pair):
                raise _not_encodable(number)
        questions, contexts = (
            self._plain.encode_batch([pair[side] for pair in pairs], add_special_tokens=False) for side in (0, 1)
        )
        room = self._room(max_len, "")
        found = []
        for number, (question, context) in enumerate(zip(questions, contexts, strict=True)):
            spans = _with_marks(pairs[number][1], np.array(context.offsets, dtype=np.int32).reshape(-1, 2))
            words = _whole_words(spans, context.word_ids)
            asked = _whole_words(np.array(question.offsets, dtype=np.int32).reshape(-1, 2), question.word_ids)
            texts = {pairs[number][0][start:end].casefold() for start, end in asked.tolist()}
            shared = np.array([pairs[number][1][start:end].casefold() in texts for start, end in words.tolist()], bool)
            left, n = room - len(question.ids), len(context.ids)
            if n > left:
                if left < room // 2:
                    raise DataError(
                        f"a question of {len(question.ids)} tokens leaves too little of {max_len} for its context",
                        where=f"text {number}", remedy="Shorten the question, or allow longer rows.",
                    )  # fmt: skip
                context.truncate(left, min(overlap, left - 1))
            rows, start = [], 0
            for window in (context, *context.overflowing):
                end = start + len(window.ids)
                part = slice(start, end)
                rows.append(self._context_row(question, window, spans[part], words[part], shared[part]))
                start = end - min(overlap, left - 1)
            found.append(rows)
        return found

    def _context_row(self, question: Any, context: Any, *of_tokens: np.ndarray) -> ContextRow:
        encoding = self._plain.post_process(question, context, add_special_tokens=True)
        first = next((place for place, side in enumerate(encoding.sequence_ids) if side == 1), len(encoding.ids))
        mark = self.special_tokens.get("cls_token")
        none = encoding.tokens.index(mark) if mark in encoding.tokens else 0
        assert all(len(values) == len(context.ids) for values in of_tokens)
        return ContextRow(encoding.ids, encoding.type_ids, none, first, *of_tokens)

    def _windows(self, first: str, second: str | None, max_len: int, overlap: int, number: int) -> list[Framed]:
        coder, room = self._plain, self._room(max_len, second)
        one = coder.encode(first, add_special_tokens=False)
        two = None if second is None else coder.encode(second, add_special_tokens=False)
        longer = one if two is None or len(one.ids) >= len(two.ids) else two
        if two is not None:
            shorter = two if longer is one else one
            if len(shorter.ids) > room // 2:
                raise DataError(
                    f"both texts of a pair are long ({len(one.ids)} and {len(two.ids)} tokens); {max_len} are allowed",
                    where=f"text {number}", remedy="Shorten one of them.",
                )  # fmt: skip
            room -= len(shorter.ids)
        longer.truncate(room, min(overlap, room - 1))
        rows = []
        for window in (longer, *longer.overflowing):
            pair = (window, two) if longer is one else (one, window)
            encoding = coder.post_process(*pair, add_special_tokens=True)
            rows.append(Framed(encoding.ids, encoding.type_ids))
        return rows

    def _room(self, max_len: int, second: str | None) -> int:
        """Tokens of text that fit between the special ones."""
        room = max_len - self._plain.num_special_tokens_to_add(second is not None)
        if room < 1:
            raise ConfigError(f"max_len {max_len} leaves no room between the special tokens", where="max_len")
        return room

    def _encode_cut(self, first: str, second: str | None, max_len: int) -> Any:
        coder, room = self._plain, self._room(max_len, second)
        one = coder.encode(first, add_special_tokens=False)
        two = None if second is None else coder.encode(second, add_special_tokens=False)
        if two is None:
            one.truncate(room)
        else:  # the shorter one stays whole while it takes no more than half of the room
            longer, shorter = (one, two) if len(one.ids) >= len(two.ids) else (two, one)
            shorter.truncate(min(len(shorter.ids), room // 2))
            longer.truncate(room - len(shorter.ids))
        return coder.post_process(one, two, add_special_tokens=True)

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
            _remove(template)
        if self.training_files:
            write_training_files(folder, self.training_files)
        else:
            _remove(folder / FILE_NAME)

    @classmethod
    def load(cls, folder: str | Path) -> Tokenizer:
        """Read the tokenizer of a model folder: tokenizer.json, or the older files that `vocabulary_files` knows.

        Raises:
            ModelError: if there is neither.
            FormatError: if a file is truncated, not JSON, or does not fit the others.
        """
        folder = Path(folder)
        definition = _read_text(folder / "tokenizer.json")
        if definition is None and not has_vocabulary(folder):
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
        template = _read_text(folder / "chat_template.jinja")
        if definition is None:
            definition, config = convert_vocabulary(folder, config)
            return cls(definition, config, chat_template=template, where=folder)
        files = read_training_files(folder)
        return cls(definition, config, chat_template=template, where=folder / "tokenizer.json", training_files=files)


def has_tokenizer(folder: Path) -> bool:
    """Whether `Tokenizer.load` finds something to read in this folder."""
    return (folder / "tokenizer.json").is_file() or has_vocabulary(folder)


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


def _remove(file: Path) -> None:
    try:  # one left by another tokenizer would be taken for ours
        file.unlink(missing_ok=True)
    except OSError as error:
        raise storage_error(error, file) from error


def _with_marks(text: str, spans: np.ndarray) -> np.ndarray:
    """Spans (N, 2) with the accents that follow their last letter, which a tokenizer that drops accents leaves out."""
    for match in _MARKS.finditer(text):
        if not (spans[:, 0] == match.start()).any():
            spans[spans[:, 1] == match.start(), 1] = match.end()
    return spans


def _whole_words(spans: np.ndarray, word_ids: Sequence[int | None]) -> np.ndarray:
    """For tokens with these spans (N, 2) the span of the word that each is a part of."""
    ends: dict[int, list[int]] = {}
    for word, (start, end) in zip(word_ids, spans.tolist(), strict=True):
        if word is not None:
            known = ends.setdefault(word, [start, end])
            known[0], known[1] = min(known[0], start), max(known[1], end)
    whole = [span if word is None else ends[word] for word, span in zip(word_ids, spans.tolist(), strict=True)]
    return np.array(whole, dtype=np.int32).reshape(-1, 2)


def _not_encodable(number: int | None) -> DataError:
    return DataError(
        "cannot encode what is not a string, or a string with half a surrogate pair",
        where=f"text {number}",
        remedy="Repair it first, for instance with text.encode('utf-8', 'replace').decode().",
    )


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


def _is_encodable(text: object) -> bool:
    if not isinstance(text, str):
        return False
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
