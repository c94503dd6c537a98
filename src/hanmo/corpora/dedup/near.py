"""Exact and near-duplicate removal: SHA-256 of the folded text, and MinHash with banding (Broder, 1997;
Leskovec, Rajaraman & Ullman, Mining of Massive Datasets, ch. 3), each candidate verified by its true Jaccard
similarity.

A shingle is five consecutive tokens; a token is a Han, kana or hangul character, or a run of other letters and
digits, in lower case. Space and punctuation do not count. Texts with fewer than `MIN_TOKENS` tokens are compared
exactly only: of a few shingles, one changed name is a small edit in a form but another fact.

A document is dropped when it is near a document that was *kept*. So no kept pair is near (as far as the index
finds it, see `NearDuplicates`), which is what keeps copies from straddling a split, and a chain of small changes
does not pull far-apart documents into one cluster. Everything is computed with fixed constants in 64-bit integer
arithmetic: the same documents in the same order give the same answer on every machine.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable

import numpy as np

from hanmo.corpora.dedup.stretch_hashes import StretchHashes, mix
from hanmo.text.han import code_points

__all__ = ["MIN_TOKENS", "N_BANDS", "N_ROWS", "NearDuplicates", "exact_key", "jaccard", "shingles", "signature"]

MIN_TOKENS = 20
"""Shorter texts take part in exact comparison only."""
WIDTH = 5
"""Tokens in a shingle."""
N_BANDS, N_ROWS = 16, 4
"""Two texts of similarity s share a band with probability 1 − (1 − s^4)^16: 0.9998 at 0.8."""
_N_HASHES = N_BANDS * N_ROWS

_BASE = 0x9E3779B97F4A7C15
_STEPS = np.array([pow(0xD1342543DE82EF95, power, 2**64) for power in range(WIDTH)], dtype=np.uint64)


def _constants(name: str) -> np.ndarray:
    data = hashlib.shake_256(f"hanmo minhash {name}".encode()).digest(4 * _N_HASHES)
    return np.frombuffer(data, dtype="<u4").astype(np.uint32)


_MULTIPLIERS = _constants("multipliers") | np.uint32(1)
_OFFSETS = _constants("offsets")


def exact_key(text: str) -> bytes:
    """SHA-256 of a text with runs of white space folded to one space."""
    return hashlib.sha256(" ".join(text.split()).encode("utf-8", "surrogatepass")).digest()


def _character_classes() -> np.ndarray:
    """0 separator, 1 letter or digit of a spaced script, 2 a character that is a token by itself; (65536,), uint8."""
    classes = np.fromiter((chr(point).isalnum() for point in range(0x10000)), dtype=np.uint8, count=0x10000)
    for first, last in ((0x3040, 0x30FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xAC00, 0xD7AF), (0xF900, 0xFAFF)):
        classes[first : last + 1] *= 2
    return classes


_classes: np.ndarray | None = None


def _token_hashes(text: str) -> np.ndarray:
    """One hash per token, in order, (n,), uint64: a polynomial over its code points from prefix sums."""
    global _classes
    if _classes is None:
        _classes = _character_classes()
    points = code_points(text.lower())
    if text.isascii():
        kinds = _classes[points]
    else:
        kinds = _classes[np.minimum(points, 0xFFFF)]
        kinds[points >= 0x20000] = 2
    is_token, is_run = kinds > 0, kinds == 1
    between = np.ones(len(kinds) + 1, dtype=bool)  # whether another token may begin here: not inside of a run
    np.logical_and(is_run[1:], is_run[:-1], out=between[1:-1])
    np.logical_not(between[1:-1], out=between[1:-1])
    starts = (is_token & between[:-1]).nonzero()[0]
    if not len(starts):
        return np.zeros(0, dtype=np.uint64)
    ends = (is_token & between[1:]).nonzero()[0] + 1
    return StretchHashes(points, _BASE)(starts, ends)


def shingles(text: str) -> np.ndarray:
    """The set of shingles of a text as sorted distinct 64-bit hashes, (n,), uint64; empty below `MIN_TOKENS` tokens."""
    tokens = _token_hashes(text)
    if len(tokens) < MIN_TOKENS:
        return np.zeros(0, dtype=np.uint64)
    count = len(tokens) - WIDTH + 1
    mixed = tokens[:count].copy()
    for place in range(1, WIDTH):
        mixed += tokens[place : place + count] * _STEPS[place]
    hashes = mix(mixed)
    hashes.sort()
    is_first = np.ones(count, dtype=bool)
    np.not_equal(hashes[1:], hashes[:-1], out=is_first[1:])
    return hashes[is_first]


def jaccard(first: np.ndarray, second: np.ndarray) -> float:
    """Jaccard similarity |A ∩ B| / |A ∪ B| of two sorted sets; 0 where either is empty."""
    if not len(first) or not len(second):
        return 0.0
    common = len(np.intersect1d(first, second, assume_unique=True))
    return common / (len(first) + len(second) - common)


def signature(shingle_set: np.ndarray) -> np.ndarray:
    """MinHash signature of a set of shingles, (64,), uint32."""
    result = np.full(_N_HASHES, np.iinfo(np.uint32).max, dtype=np.uint32)
    high = (shingle_set >> np.uint64(32)).astype(np.uint32)
    for start in range(0, len(high), 1024):  # 64 × 1024 words stay in the processor's cache
        hashed = high[None, start : start + 1024] * _MULTIPLIERS[:, None]
        hashed ^= hashed >> np.uint32(15)
        hashed *= np.uint32(0x2C1B3C6D)
        hashed += _OFFSETS[:, None]
        np.minimum(result, hashed.min(axis=1), out=result)
    return result


class NearDuplicates:
    """The kept documents so far; says for the next one whether it is near one of them.

    Args:
        text_of: gives the text of a document by its number (they are not held here).
        threshold: Jaccard similarity from which two documents are near-duplicates.
    """

    def __init__(self, text_of: Callable[[int], str], threshold: float = 0.8):
        self._text_of, self._threshold = text_of, threshold
        self._bands: list[dict[bytes, list[int]]] = [{} for _ in range(N_BANDS)]
        self._signatures: dict[int, np.ndarray] = {}
        self._cache: OrderedDict[int, np.ndarray] = OrderedDict()

    def find_or_keep(self, number: int, own_signature: np.ndarray) -> int | None:
        """Return the number of a kept document that this one is near to, or keep this one and return None.

        Args:
            number: of the document.
            own_signature: its MinHash signature, (64,), uint32; not of an empty set.
        """
        keys = [own_signature[band * N_ROWS : (band + 1) * N_ROWS].tobytes() for band in range(N_BANDS)]
        candidates = {found for band, key in zip(self._bands, keys, strict=True) for found in band.get(key, ())}
        for candidate in sorted(candidates):
            # Four standard errors below the threshold: what is left out here would not have been verified.
            if np.mean(self._signatures[candidate] == own_signature) < self._threshold - 0.2:
                continue
            if jaccard(self._shingles_of(number), self._shingles_of(candidate)) >= self._threshold:
                return candidate
        for band, key in zip(self._bands, keys, strict=True):
            band.setdefault(key, []).append(number)
        self._signatures[number] = own_signature
        return None

    def _shingles_of(self, number: int) -> np.ndarray:
        found = self._cache.get(number)
        if found is None:
            found = shingles(self._text_of(number))
            self._cache[number] = found
        self._cache.move_to_end(number)
        if len(self._cache) > 256:
            self._cache.popitem(last=False)
        return found
