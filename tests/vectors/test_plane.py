from __future__ import annotations

import numpy as np
import pytest

from hanmo.core.errors import ConfigError, DataError
from hanmo.vectors import WordVectors
from hanmo.vectors.plane import PlaneMethod, plane


@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_two_sorts_of_words_stand_apart(method: PlaneMethod) -> None:
    rng = np.random.default_rng(0)
    centres = np.repeat(np.eye(2, 10) * 5, 15, axis=0)
    words = [f"词{i}" for i in range(30)]
    vectors = WordVectors(words, centres + rng.standard_normal((30, 10)))
    places = plane(vectors, words, method=method)
    assert places.shape == (30, 2)
    np.testing.assert_array_equal(places, plane(vectors, words, method=method))
    middles = places[:15].mean(0), places[15:].mean(0)
    for i, place in enumerate(places):
        own, other = middles if i < 15 else middles[::-1]
        assert np.linalg.norm(place - own) < np.linalg.norm(place - other)


def test_refused() -> None:
    vectors = WordVectors(["a", "b", "c"], np.eye(3))
    with pytest.raises(DataError, match="three words"):
        plane(vectors, ["a", "b"])
    with pytest.raises(ConfigError, match="unknown method 'umap'"):
        plane(vectors, ["a", "b", "c"], method="umap")  # type: ignore[arg-type] (what is tested)
