"""Which of the models that `hanmo.load` returns write a text for a text, as what, and how checkpoints want to be asked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from hanmo.core.errors import ModelError
from hanmo.core.files import read_json
from hanmo.models.hub import find_model
from hanmo.tasks.language_model import LanguageModel
from hanmo.tasks.prompted_model import PromptedModel
from hanmo.tasks.seq2seq_model import Seq2SeqModel
from hanmo.tasks.text2text import Languages, Text2Text, has_purpose
from hanmo.tasks.text2text_model import Text2TextModel

__all__ = ["as_text2text", "task_params", "translation_params"]


def as_text2text(opened: Any, where: object = None) -> Text2Text:
    """An opened model as one that writes a text for a text.

    Raises:
        ModelError: if it does not, or is a decoder that was not trained to.
    """
    if isinstance(opened, Seq2SeqModel):
        return Text2TextModel.of(opened, where=where)
    if isinstance(opened, LanguageModel):
        if has_purpose(opened.tokenizer):
            return PromptedModel.of(opened, where=where)
        raise ModelError(
            "this decoder was not trained to write a text for a text: it has no prompt that tells it where a source ends",
            where=where,
            remedy='Train it with task = "summarization" and model.checkpoint, or ask it in your own words by text-generation.',
        )
    raise ModelError(
        f"a {type(opened).__name__} does not write a text for a text", where=where,
        remedy="Give an encoder-decoder (a Marian model, a T5, an LSTM of a translation recipe), or a decoder that was "
        "trained to by such a recipe.",
    )  # fmt: skip


def task_params(model: Text2Text, path: Any, task: str) -> dict[str, Any]:
    """What config.json says of a task (`task_specific_params`, as T5's checkpoints have it): `prefix`, settings as in
    generation_config.json.

    Args:
        model: of this place; one that a recipe trained says itself what it is for, and nothing here counts.
        path: directory or name on the hub.
        task: "summarization", "translation_en_to_de".

    Raises:
        ModelError: if what is said is no object, or its prefix no text.
    """
    return _params(model, path).get(task, {})


def translation_params(model: Text2Text, path: Any) -> dict[Languages, dict[str, Any]]:
    """The same for each pair of languages that it says something of."""
    found = _params(model, path)
    pairs = {name: re.fullmatch(r"translation_([\w-]+?)_to_([\w-]+)", name) for name in found}
    return {(pair[1], pair[2]): found[name] for name, pair in pairs.items() if pair is not None}


def _params(model: Text2Text, path: Any) -> dict[str, dict[str, Any]]:
    if has_purpose(model.tokenizer):
        return {}
    config = find_model(path, weights=False) / "config.json"
    if not config.is_file():  # an adapter, which has a task of its own
        return {}
    found = read_json(config).get("task_specific_params") or {}
    if not isinstance(found, Mapping) or not all(isinstance(said, Mapping) for said in found.values()):
        raise ModelError("task_specific_params is not an object of objects", where=f"{path}/config.json")
    return {str(task): _checked(said, f"{path}/config.json") for task, said in found.items()}


def _checked(said: Mapping[str, Any], where: str) -> dict[str, Any]:
    found = dict(said)
    if not isinstance(found.get("prefix", ""), str):
        raise ModelError(f"the prefix {found['prefix']!r} in task_specific_params is no text", where=where)
    return found
