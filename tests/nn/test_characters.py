"""Character features of words, against what they are by definition."""

from __future__ import annotations

import pytest
import torch

from hanmo.core.errors import ConfigError
from hanmo.nn.characters import CharacterFeatures


def test_against_the_definition() -> None:
    torch.manual_seed(0)
    features = CharacterFeatures(9, 4, 6, length=5)
    ids = torch.tensor([[3, 8, 1, 0, 0, 0, 0, 0, 0, 0], [2, 0, 0, 0, 0, 4, 5, 6, 7, 8]])
    found = features(ids)
    assert found.shape == (2, 2, 6)
    for row, word, length in ((0, 0, 3), (1, 0, 1), (1, 1, 5)):
        vectors = torch.zeros(length + 2, 4)
        vectors[1:-1] = features.characters.weight[ids[row, 5 * word : 5 * word + length]]
        each = [features.filters(vectors[place : place + 3].flatten()) for place in range(length)]
        torch.testing.assert_close(found[row, word], torch.stack(each).amax(0))
    assert (found[0, 1] == 0).all()  # a word without characters


def test_gradients_reach_characters_that_are_there() -> None:
    features = CharacterFeatures(9, 4, 6, length=5)
    features(torch.tensor([[3, 8, 0, 0, 0, 0, 0, 0, 0, 0]])).sum().backward()
    moved = features.characters.weight.grad.abs().sum(1) > 0
    assert moved.nonzero().flatten().tolist() == [3, 8]
    assert torch.isfinite(features.filters.weight.grad).all()


def test_refused() -> None:
    features = CharacterFeatures(9, 4, 6, length=5)
    with pytest.raises(ConfigError, match=r"expected \(B, T \* 5\)"):
        features(torch.zeros(1, 7, dtype=torch.long))
    with pytest.raises(ConfigError, match="character"):
        features(torch.full((1, 5), 9))
