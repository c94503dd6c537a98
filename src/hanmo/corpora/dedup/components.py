"""Which documents may be near-duplicates of each other, by bands of their signatures, in bounded memory.

Documents that share a band are linked; what hangs together by links is a component. Whether a document is kept depends on
documents of its component alone, so components are judged apart from each other, by any number of workers, with the
answer of one worker who goes through all documents in order.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from hanmo.corpora.dedup.near import N_ROWS

__all__ = ["band_links", "find_components"]

_MIX = np.uint64(0xD1342543DE82EF95)


def _band_keys(signatures: np.ndarray, band: int) -> np.ndarray:
    """One hash per signature of its rows in a band, (n,), uint64. Equal bands have equal hashes; now and then unequal
    ones have too, which links documents for nothing."""
    rows = signatures[:, band * N_ROWS : (band + 1) * N_ROWS].astype(np.uint64)
    keys = rows[:, 0].copy()
    for column in range(1, N_ROWS):
        keys = (keys ^ (keys >> np.uint64(29))) * _MIX + rows[:, column]
    return keys ^ (keys >> np.uint64(32))


def band_links(parts: Iterable[tuple[np.ndarray, np.ndarray]], bands: range, bucket: int, n_buckets: int) -> np.ndarray:
    """Pairs of documents that follow each other among those which share a band.

    Args:
        parts: numbers (n,), int64, and signatures (n, 64), uint32, of documents, part by part.
        bands: the bands to look at.
        bucket, n_buckets: only keys that leave this remainder are held.

    Returns:
        Links, (k, 2), int64, smaller number first.
    """
    held: dict[int, list[tuple[np.ndarray, np.ndarray]]] = {band: [] for band in bands}
    for numbers, signatures in parts:
        for band in bands:
            keys = _band_keys(signatures, band)
            chosen = slice(None) if n_buckets == 1 else keys % np.uint64(n_buckets) == bucket
            held[band].append((numbers[chosen], keys[chosen]))
    links = [np.zeros((0, 2), dtype=np.int64)]
    for band in bands:
        if not held[band]:
            continue
        numbers, keys = (np.concatenate(arrays) for arrays in zip(*held.pop(band), strict=True))
        order = np.argsort(keys, kind="stable")
        same = np.flatnonzero(keys[order[1:]] == keys[order[:-1]])
        links.append(np.stack([numbers[order[same]], numbers[order[same + 1]]], axis=1))
    return np.unique(np.concatenate(links), axis=0)


def find_components(links: np.ndarray) -> list[np.ndarray]:
    """The components of two documents and more.

    Args:
        links: pairs of documents, (k, 2), int64.

    Returns:
        For each component its documents in order, (n,), int64; components by their first document.
    """
    if not len(links):
        return []
    numbers, flat = np.unique(links, return_inverse=True)
    one, other = flat.reshape(-1, 2).T
    labels = np.arange(len(numbers))
    while True:  # each takes the least label around it, then the label of that (Shiloach & Vishkin, 1982)
        least = np.minimum(labels[one], labels[other])
        new = labels.copy()
        np.minimum.at(new, labels[one], least)
        np.minimum.at(new, labels[other], least)
        np.minimum.at(new, one, least)
        np.minimum.at(new, other, least)
        while True:
            shorter = new[new]
            if np.array_equal(shorter, new):
                break
            new = shorter
        if np.array_equal(new, labels):
            break
        labels = new
    order = np.argsort(labels, kind="stable")
    starts = np.flatnonzero(np.diff(labels[order])) + 1
    return np.split(numbers[order], starts)
