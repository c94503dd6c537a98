"""The first of its key stays: the one rule by which duplicates below the document are dropped, also over many parts.

A corpus is processed in parts, by several workers. Each part gives an array of 64-bit keys; which of them stood earlier, in
the same part or one before, is told bucket by bucket, where a bucket is a range of keys: all that is equal meets in
one bucket, and no more than a bucket is in memory. The answer does not depend on how many buckets there are.

    worker of a part:    for bucket, places in enumerate(split_by_key(keys, n_buckets)): store keys[places]
    worker of a bucket:  in_bucket(later_occurrences, [keys of part 0, keys of part 1, ...])

`over_parts` is the same in one process.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from hanmo.core.errors import ConfigError

__all__ = ["in_bucket", "later_occurrences", "over_parts", "repeated", "split_by_key"]

Rule = Callable[[np.ndarray], np.ndarray]
"""From keys, (n,), to a mark for each, (n,), bool; looks at equality and order of keys only."""


def later_occurrences(keys: np.ndarray) -> np.ndarray:
    """Whether the same key stood earlier.

    Args:
        keys: (n,), uint64, in the order of the corpus.

    Returns:
        (n,), bool; False for the first of each key.
    """
    order, starts = _groups(keys)
    later = np.ones(len(keys), dtype=bool)
    if len(keys):
        later[np.minimum.reduceat(order, starts)] = False
    return later


def repeated(keys: np.ndarray) -> np.ndarray:
    """Whether the same key stands anywhere else, earlier or later; (n,), bool, for keys (n,), uint64."""
    order, starts = _groups(keys)
    result = np.empty(len(keys), dtype=bool)
    lengths = np.diff(starts, append=len(keys))
    result[order] = np.repeat(lengths > 1, lengths)
    return result


def _groups(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """An order that brings equal keys together, and where in it each key begins."""
    order = np.argsort(keys)  # not stable, but several times as fast, and no caller needs it
    ordered = keys[order]
    is_start = np.ones(len(keys), dtype=bool)
    np.not_equal(ordered[1:], ordered[:-1], out=is_start[1:])
    return order, np.flatnonzero(is_start)


def split_by_key(keys: np.ndarray, n_buckets: int) -> list[np.ndarray]:
    """Where the keys of each bucket stand, in order: `n_buckets` arrays of positions, int64.

    Bucket b holds the keys from b·2^64/n_buckets on. Keys are expected to be hashes, so that buckets are of about one size.

    Raises:
        ConfigError: if there is to be no bucket, or more than 65,536.
    """
    if not 1 <= n_buckets <= 65_536:
        raise ConfigError(f"n_buckets must be from 1 to 65536, got {n_buckets}", where="n_buckets")
    # 32 bits of the key times the number of buckets, without the lower 32: a range of keys each
    bucket = ((keys >> np.uint64(32)) * np.uint64(n_buckets) >> np.uint64(32)).astype(np.uint16)
    order = np.argsort(bucket, kind="stable")  # a radix sort, for 16 bits
    return np.split(order, np.cumsum(np.bincount(bucket, minlength=n_buckets))[:-1])


def in_bucket(rule: Rule, parts: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Apply `later_occurrences` or `repeated` over the keys that one bucket has of each part, in the order of the parts.

    Returns:
        The marks of each part, (n of the part,), bool.
    """
    ends = np.cumsum([len(keys) for keys in parts])
    return np.split(rule(np.concatenate(parts)), ends[:-1]) if len(parts) else []


def over_parts(rule: Rule, parts: Sequence[np.ndarray], n_buckets: int) -> list[np.ndarray]:
    """The same answer as `rule` over all parts together, with the keys of one bucket in memory at a time.

    Args:
        rule: `later_occurrences` or `repeated`.
        parts: keys of each part, uint64, in the order of the corpus; may be mapped from files.
        n_buckets: number of ranges of keys.

    Returns:
        The marks of each part, (n of the part,), bool.
    """
    marks = [np.zeros(len(keys), dtype=bool) for keys in parts]
    places = [split_by_key(keys, n_buckets) for keys in parts]
    for bucket in range(n_buckets):
        here = [places_of_part[bucket] for places_of_part in places]
        found = in_bucket(rule, [keys[at] for keys, at in zip(parts, here, strict=True)])
        for marks_of_part, at, mark in zip(marks, here, found, strict=True):
            marks_of_part[at] = mark
    return marks
