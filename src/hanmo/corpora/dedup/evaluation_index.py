"""An index of the texts of evaluation sets, made once and mapped by every process that looks for them.

What is compared are letters (`dedup.letters`): case, width, white space and punctuation do not count. Kept are the hash of each
whole text, with that of its first eight words by which it is looked up, and of each of its n-grams. An n-gram is 13 words
of a script with spaces, or 20 Han, kana or hangul characters, or a mixture that adds up to as much.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from hanmo.core.errors import ConfigError, DataError, FormatError
from hanmo.core.files import check_replaceable, new_folder, read_json, write_json
from hanmo.corpora.dedup.evaluation_texts import list_evaluation_files, read_strings
from hanmo.corpora.dedup.letters import fold, hash_stretches

__all__ = ["ANCHOR", "GRAM", "MAX_TEXTS", "Batch", "EvaluationIndex", "Grams", "batches", "build_index", "raw_key"]

MAX_TEXTS = 10
"""Most texts of one evaluation set that an n-gram may be in: beyond, it is part of their instructions, and left out."""
WORD, WIDE = 20, 13
"""What a word and what a wide character counts for, so that 13 words are as long as 20 characters."""
GRAM = 13 * WORD
"""Length of an n-gram (13 words: Brown et al., 2020, appendix C)."""
ANCHOR = 8 * WORD
"""Length of the beginning of a text by which the whole is looked up, so that of the shortest text that is looked for (the same)."""
_BATCH_CHARS = 100_000
_BITS_PER_KEY = 16
_FORMAT = 1
_INFO = "evaluation-index.json"
_ARRAYS = (
    "grams", "gram_bits", "gram_ends", "gram_texts", "anchors", "anchor_bits", "anchor_texts",
    "text_keys", "text_raw", "text_lengths", "text_grams", "text_sets", "text_numbers",
)  # fmt: skip
_COLUMNS = {
    "text_keys": np.uint64, "text_raw": np.uint64, "text_lengths": np.int64,
    "text_sets": np.int32, "text_numbers": np.int64, "anchors": np.uint64,
}  # fmt: skip
"""A number of each for every text, and its type."""


@dataclass(frozen=True, slots=True)
class Grams:
    """N-grams of one length, one from each word at which there is one."""

    keys: np.ndarray
    """Hashes, (n,), uint64."""
    starts: np.ndarray
    """First letter of each, (n,), int64."""
    ends: np.ndarray
    """The letter behind its last, (n,), int64."""


class Batch:
    """Texts joined by line ends, since an array operation on a short text costs what it costs on a long one.

    Args:
        texts: one or more.
        first: number of the first of them, where they are some of many.

    Attributes:
        starts, ends: where each text begins and ends in the letters of all, (n,), int64.
    """

    def __init__(self, texts: list[str], first: int = 0):
        self.texts, self.first, self.text = texts, first, "\n".join(texts)
        self.letters = fold(self.text)
        self.words, self.hashes = self.letters.words, hash_stretches(self.letters.points)
        edges = np.cumsum([0, *(len(text) + 1 for text in texts)])
        edges = np.searchsorted(self.letters.places, edges)
        self.starts, self.ends = edges[:-1], edges[1:]
        self._borders = np.append(self.words, len(self.letters.points))
        self._sizes = np.zeros(len(self.words) + 1, dtype=np.int64)
        np.cumsum(np.where(self.letters.wide[self.words], WIDE, WORD), out=self._sizes[1:])

    def text_of(self, letters: np.ndarray) -> np.ndarray:
        """In which of the texts each of these letters is, counted from 0 in the batch."""
        return np.searchsorted(self.ends, letters, side="right")

    def grams(self, length: int) -> Grams:
        """The shortest run of whole words from each word on that is at least `length` long."""
        last = np.searchsorted(self._sizes, self._sizes + length)
        n = int(np.searchsorted(last, len(self._sizes)))
        starts, ends = self._borders[:n], self._borders[last[:n]]
        return Grams(self.hashes(starts, ends), starts, ends)


def batches(texts: Iterable[str]) -> Iterator[Batch]:
    """Texts in order, some at a time."""
    first, held, n_chars = 0, list[str](), 0
    for number, text in enumerate(texts):
        held.append(text)
        n_chars += len(text)
        if n_chars >= _BATCH_CHARS:
            yield Batch(held, first)
            first, held, n_chars = number + 1, [], 0
    if held:
        yield Batch(held, first)


class EvaluationIndex:
    """The texts of evaluation sets, ready to be looked up; `build_index` makes one.

    Attributes:
        names: names of the sets.
        n_texts: texts that are looked for, by set.
        n_short: strings that were too short, by set.
        n_grams: distinct n-grams that are looked for.
        arrays: numbers of the texts and n-grams.
    """

    def __init__(self, info: Mapping[str, Any], arrays: Mapping[str, np.ndarray]):
        self._info, self.arrays = info, arrays
        self.names: list[str] = info["names"]
        self.n_texts: dict[str, int] = info["n_texts"]
        self.n_short: dict[str, int] = info["n_short"]
        self.n_grams = len(arrays["grams"])

    def save(self, folder: str | Path) -> None:
        """Write a folder of .npy files, which `load` maps, and a description.

        Raises:
            ConfigError: if there is a folder with something else in it.
            StorageError: if the disk is full or may not be written.
        """
        check_replaceable(folder, _INFO)
        with new_folder(folder) as temporary:
            for name, array in self.arrays.items():
                np.save(temporary / f"{name}.npy", array, allow_pickle=False)
            write_json(temporary / _INFO, {"format": _FORMAT, **self._info})

    @classmethod
    def load(cls, folder: str | Path) -> EvaluationIndex:
        """Map the index of a folder: processes that load the same one share its memory.

        Raises:
            DataError: if there is none.
            FormatError: if it is damaged.
        """
        folder = Path(folder)
        if not (folder / _INFO).is_file():
            raise DataError("no index of evaluation texts here", where=folder, remedy="Make one with build_index.")
        info = read_json(folder / _INFO)
        if not isinstance(info, dict) or info.pop("format", None) != _FORMAT:
            raise FormatError(f"not an index of evaluation texts of format {_FORMAT}", where=folder / _INFO)
        try:
            arrays = {  # as plain arrays: each operation on a memmap costs microseconds more
                name: np.asarray(np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)) for name in _ARRAYS
            }
        except (OSError, ValueError, EOFError) as error:
            raise FormatError(f"damaged ({error})", where=folder, remedy="Make it again with build_index.") from error
        if {name: len(array) for name, array in arrays.items()} != info.get("lengths"):
            raise FormatError("its arrays do not fit each other", where=folder, remedy="Make it again.")
        return cls(info, arrays)

    def look_up(self, kind: Literal["gram", "anchor"], keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of keys, (n,), uint64, that are in the index: their places in `keys`, and where (the first of) each is in the index."""
        bits, known = self.arrays[f"{kind}_bits"], self.arrays[f"{kind}s"]
        slots = keys >> np.uint64(64 - (len(bits) * 8 - 1).bit_length())
        maybe = np.flatnonzero(bits[slots >> np.uint64(3)] >> (slots & np.uint64(7)).astype(np.uint8) & 1)
        at = np.searchsorted(known, keys[maybe])
        at[at == len(known)] = 0
        is_in = known[at] == keys[maybe] if len(known) else np.zeros(len(maybe), dtype=bool)
        return maybe[is_in], at[is_in]


def build_index(sets: Mapping[str, str | Path | Iterable[str]]) -> EvaluationIndex:
    """Index evaluation sets. Texts that say the same occur once in a set.

    Args:
        sets: by name, a file or a folder (`evaluation_texts.read_strings` reads every string of it), or the texts.

    Raises:
        ConfigError: if there are no sets.
        DataError: if a file cannot be read, or nothing in a set is long enough.
        FormatError: if a file is not what its name says.
    """
    if not sets:
        raise ConfigError("no evaluation sets were given", where="sets")
    columns: dict[str, list[np.ndarray]] = {name: [] for name in _COLUMNS}
    pairs: list[tuple[np.ndarray, np.ndarray]] = []  # keys of n-grams, and the texts they are of
    n_texts: dict[str, int] = {}
    n_short: dict[str, int] = {}
    n = 0
    for of_set, (name, source) in enumerate(sets.items()):
        seen: set[int] = set()
        n_short[name] = 0
        for batch in batches(_texts(source)):
            starts, ends = batch.starts, batch.ends
            anchors, grams = batch.grams(ANCHOR), batch.grams(GRAM)
            own = batch.text_of(anchors.starts)
            is_anchor = (anchors.starts == starts[own]) & (anchors.ends <= ends[own])
            own, anchor_keys = own[is_anchor], anchors.keys[is_anchor]
            n_short[name] += int(np.count_nonzero(ends > starts)) - len(own)
            keys = batch.hashes(starts[own], ends[own])
            new = np.array([key not in seen and not seen.add(key) for key in keys.tolist()], dtype=bool)
            own, keys = own[new], keys[new]
            numbers = np.full(len(starts), -1)
            numbers[own] = np.arange(n, n + len(own))
            n += len(own)
            places = batch.letters.places
            raw = [
                batch.text[places[start] : places[end - 1] + 1]
                for start, end in zip(starts[own], ends[own], strict=True)
            ]
            values = {
                "text_keys": keys,
                "text_raw": [raw_key(text) for text in raw],
                "text_lengths": (ends - starts)[own],
                "text_sets": np.full(len(own), of_set),
                "text_numbers": batch.first + own,
                "anchors": anchor_keys[new],
            }
            for column, dtype in _COLUMNS.items():
                columns[column].append(np.asarray(values[column], dtype=dtype))
            own = batch.text_of(grams.starts)
            inside = (grams.ends <= ends[own]) & (numbers[own] >= 0)
            pairs.append((grams.keys[inside], numbers[own[inside]]))
        n_texts[name] = len(seen)
        if not seen:
            raise DataError(
                f"no text of the evaluation set {name!r} is long enough to be looked for",
                remedy="It takes eight words or 13 Chinese characters; leave the set out if its texts are shorter.",
            )
    arrays = _arrays_of({name: np.concatenate(column) for name, column in columns.items()}, pairs)
    info = {
        "names": list(sets),
        "n_texts": n_texts,
        "n_short": n_short,
        "lengths": {name: len(array) for name, array in arrays.items()},
    }
    return EvaluationIndex(info, arrays)


def _texts(source: str | Path | Iterable[str]) -> Iterable[str]:
    if not isinstance(source, str | Path):
        yield from source
        return
    for file in list_evaluation_files(source):
        yield from read_strings(file)


def _arrays_of(columns: dict[str, np.ndarray], pairs: list[tuple[np.ndarray, np.ndarray]]) -> dict[str, np.ndarray]:
    keys, texts = (np.concatenate(column) for column in zip(*pairs, strict=True))
    order = np.lexsort((texts, keys))
    keys, texts = keys[order], texts[order]
    new = np.append(True, (keys[1:] != keys[:-1]) | (texts[1:] != texts[:-1]))[: len(keys)]
    keys, texts = keys[new], texts[new]
    # in how many texts of its set each n-gram is: those of one n-gram stand together, those of one set within them
    of_set = columns["text_sets"][texts]
    starts = np.flatnonzero(np.append(True, (keys[1:] != keys[:-1]) | (of_set[1:] != of_set[:-1]))[: len(keys)])
    lengths = np.diff(starts, append=len(keys))
    kept = np.repeat(lengths <= MAX_TEXTS, lengths)
    keys, texts = keys[kept], texts[kept]
    grams, first = np.unique(keys, return_index=True)
    anchors = columns.pop("anchors")
    order = np.argsort(anchors, kind="stable")
    return {
        "grams": grams,
        "gram_bits": _bits(grams),
        "gram_ends": np.append(first, len(keys)).astype(np.int64),
        "gram_texts": texts.astype(np.int32),
        "anchors": anchors[order],
        "anchor_bits": _bits(anchors),
        "anchor_texts": order.astype(np.int32),
        "text_grams": np.bincount(texts, minlength=len(anchors)).astype(np.int32),
        **columns,
    }


def _bits(keys: np.ndarray) -> np.ndarray:
    """A table of bits, by the first bits of a key, that says of most keys that they are not there without a search."""
    n_bits = max(10, (_BITS_PER_KEY * len(keys) - 1).bit_length())
    slots = np.unique(keys >> np.uint64(64 - n_bits))
    table = np.zeros(2 ** (n_bits - 3), dtype=np.uint8)
    np.bitwise_or.at(table, slots >> np.uint64(3), np.uint8(1) << (slots & np.uint64(7)).astype(np.uint8))
    return table


def raw_key(text: str) -> int:
    """A 64-bit hash of a text to the character."""
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")
