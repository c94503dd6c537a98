"""Sizes that cannot be are refused with the recipe, before any work."""

from __future__ import annotations

from typing import Any

import pytest

from hanmo.core.errors import ConfigError
from hanmo.core.settings import check_settings
from hanmo.stories.recipe import PretrainRecipe


def test_the_defaults_hold() -> None:
    assert check_settings(PretrainRecipe, {}).model.d_model % PretrainRecipe().model.n_heads == 0


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"model": {"d_model": 30, "n_heads": 4}}, "not a multiple"),
        ({"model": {"n_kv_heads": 1}}, "no meaning"),
        ({"model": {"family": "llama", "d_model": 12, "n_heads": 4}}, "even head width"),
        ({"model": {"family": "llama", "n_kv_heads": 2}}, "not a multiple of n_kv_heads"),
        ({"model": {"family": "llama", "dropout": 0.1}}, "no dropout"),
        ({"corpus": {"source": "nowhere/at/all"}}, "does not exist"),
        ({"name": "../up"}, "name"),
        ({"training": {}}, "n_steps or as minutes"),
    ],
)
def test_impossible(values: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        check_settings(PretrainRecipe, values)
