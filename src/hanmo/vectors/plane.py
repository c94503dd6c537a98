"""Word vectors brought down to two dimensions, for a map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np

from hanmo.core.errors import ConfigError, DataError
from hanmo.vectors.neighbours import unit_vectors
from hanmo.vectors.word_vectors import WordVectors

__all__ = ["PlaneMethod", "plane"]

PlaneMethod = Literal["pca", "tsne"]

_PERPLEXITY = 30.0


def plane(vectors: WordVectors, words: Sequence[str], *, method: PlaneMethod = "tsne", seed: int = 0) -> np.ndarray:
    """Coordinates of words on a plane, (N, 2): near ones have high cosines.

    "pca" keeps the two directions in which the words differ most: distances mean something, clusters overlap. "tsne"
    (van der Maaten & Hinton, 2008) keeps who is near whom: clusters stand apart, distances between them mean little,
    and are evened out so that the plane is filled.

    Args:
        vectors: of the words; brought to length 1 first.
        words: three or more.
        method: "pca" or "tsne".
        seed: of t-SNE; it begins with PCA, so that another seed changes little.

    Raises:
        ConfigError: for an unknown method.
        DataError: for too few words, or words without a vector.
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    if method not in get_args(PlaneMethod):
        raise ConfigError(f"unknown method {method!r}", where="method", remedy="Known methods: pca, tsne.")
    if len(words) < 3 or vectors.dim < 2:
        raise DataError(f"a map needs three words and two dimensions, got {len(words)} words of dim {vectors.dim}")
    units = unit_vectors(vectors, words)
    if method == "pca":
        return PCA(n_components=2, svd_solver="full").fit_transform(units)
    perplexity = min(_PERPLEXITY, (len(words) - 1) / 3)
    tsne = TSNE(n_components=2, init="pca", metric="cosine", perplexity=perplexity, random_state=seed)
    return _spread(tsne.fit_transform(units))


def _spread(places: np.ndarray) -> np.ndarray:
    """Stretch both axes where points crowd, half way to evenly spaced ones; the order along an axis stays."""
    low, high = places.min(0), places.max(0)
    even = np.argsort(np.argsort(places, axis=0, kind="stable"), axis=0) / (len(places) - 1)  # ranks in [0, 1]
    return ((places - low) / np.maximum(high - low, 1e-12) + even) / 2
