from __future__ import annotations

from typing import Any

import pytest

from hanmo.core.errors import ConfigError
from hanmo.core.settings import check_settings
from hanmo.stories.classification_recipe import ClassificationRecipe


@pytest.mark.parametrize(
    ("kind", "loss"),
    [("regression", {"class_weights": "balanced"}), ("regression", {"label_smoothing": 0.1}), ("regression", {"focal_gamma": 2}),
     ("multi", {"label_smoothing": 0.1}), ("multi", {"focal_gamma": 2})],
)  # fmt: skip
def test_what_has_no_meaning_is_refused(kind: str, loss: dict[str, Any]) -> None:
    values: dict[str, Any] = {"data": {"train": __file__, "kind": kind}, "loss": loss}
    with pytest.raises(ConfigError, match=rf'loss\.{next(iter(loss))} has no meaning for kind = "{kind}"'):
        check_settings(ClassificationRecipe, values)
    values["data"]["kind"] = "single"
    check_settings(ClassificationRecipe, values)


def test_what_has_a_meaning_is_taken() -> None:
    values: dict[str, Any] = {"data": {"train": __file__, "kind": "multi"}, "loss": {"class_weights": "balanced"}}
    assert check_settings(ClassificationRecipe, values).loss.class_weights == "balanced"
