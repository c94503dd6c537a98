"""Adapters of a model that has a tokenizer: made for a task, written, and loaded with the model that they belong to."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from hanmo.core.errors import ConfigError, ModelError
from hanmo.models.adapter_files import ADAPTER_CONFIG, base_hash, read_adapter, read_adapter_config, write_adapter
from hanmo.models.adapter_settings import AdapterSettings, PromptSettings
from hanmo.models.adapter_sites import model_rules
from hanmo.models.adapters import AdapterSet, adapters_of
from hanmo.models.directory import read_config, read_model, write_config
from hanmo.models.families import family_of
from hanmo.models.hub import find_model
from hanmo.models.weight_files import list_tensors
from hanmo.tokenizers.tokenizer import Tokenizer

__all__ = [
    "adapt", "adapt_together", "attach_adapter", "find_base", "is_adapter", "read_adapted", "save_adapter",
]  # fmt: skip

_TASKS = {
    "ForSequenceClassification": "SEQ_CLS",
    "ForTokenClassification": "TOKEN_CLS",
    "ForQuestionAnswering": "QUESTION_ANS",
    "ForCausalLM": "CAUSAL_LM",
    "LMHeadModel": "CAUSAL_LM",
    "ForConditionalGeneration": "SEQ_2_SEQ_LM",
    "MTModel": "SEQ_2_SEQ_LM",
}
"""End of the name of a class → PEFT's name of its task."""
_HEADS = ("head.", "pooler.", "backbone.pooler.")


def adapt(model: Any, settings: AdapterSettings, checkpoint: str) -> AdapterSet:
    """Freeze a model and give it a fresh adapter; what its checkpoint lacks (a head, a pooler) is trained whole.

    Args:
        model: read from `checkpoint`, with the head of a task.
        settings: of the adapter.
        checkpoint: folder or repository.

    Raises:
        ConfigError: if a pattern names nothing, or something else than the head is fresh, or what was asked for cannot go
            to this model.
    """
    return adapt_together([model], settings, checkpoint)[0]


def adapt_together(models: Sequence[Any], settings: AdapterSettings, checkpoint: str) -> list[AdapterSet]:
    """`adapt` for models that have one encoder: one adapter on it, and a head for each.

    Args:
        models: the first has all parts of the encoder that any of them uses.
        settings: of the adapter.
        checkpoint: folder or repository of the encoder.

    Raises:
        ConfigError: as there.
    """
    folder = find_model(checkpoint)
    name, digest = str(folder.resolve()) if os.path.exists(checkpoint) else checkpoint, base_hash(folder)
    wanted = [
        settings.model_copy(update={"save": tuple(dict.fromkeys([*settings.save, *_fresh_modules(model, folder)]))})
        for model in models
    ]
    sets = [AdapterSet(model, base_name=name, base_hash=digest) for model in models]
    first, *others = sets
    first.hold(settings.base_dtype, besides=wanted[0].save)
    text = settings.text if isinstance(settings, PromptSettings) else None
    start_ids = None if text is None else Tokenizer.load(folder).encode(text)
    if start_ids == []:
        raise ConfigError("the tokenizer makes no token of this text", where="adapter.text", remedy="Give another.")
    first.add("default", wanted[0], start_ids=start_ids)
    for other, own in zip(others, wanted[1:], strict=True):
        other.share("default", first, own)
    return sets


def _fresh_modules(model: Any, folder: Path) -> list[str]:
    """Names of the head, and of what a checkpoint lacks.

    Raises:
        ConfigError: if something else than the head is fresh.
    """
    family = family_of(model.config)
    stored = {family.canonical(tensor.name): tensor.shape for tensor in list_tensors(folder)}
    names: list[str] = []
    for rule in model_rules(model):
        shapes = rule.shapes(model.get_parameter(rule.ours).shape)
        fresh = any(stored.get(family.canonical(name) or name) != shape for name, shape in shapes.items())
        is_head = rule.ours.startswith("head.") and hasattr(model, "backbone")
        if fresh and not rule.ours.startswith(_HEADS) and not set(family.copies.values()) & set(rule.theirs):
            raise ConfigError(
                f"{rule.theirs[0]} is not as the checkpoint has it, and an adapter does not hold it", where="adapter",
                remedy="Leave out what changes it (match_features, case_features), or train the whole model.",
            )  # fmt: skip
        if is_head or (fresh and rule.ours.startswith(_HEADS)):
            names += [name.rpartition(".")[0] for name in rule.theirs]
    return names


def is_adapter(path: Path) -> bool:
    """Whether a folder holds an adapter and no whole model."""
    return (path / ADAPTER_CONFIG).is_file() and not any(path.glob("model*.safetensors"))


def find_base(folder: Path) -> str:
    """The model that an adapter names as its own.

    Raises:
        ModelError: if it names none, or one that is not there.
    """
    name = read_adapter_config(folder).get("base_model_name_or_path")
    if not isinstance(name, str) or not name:
        raise ModelError(
            "this adapter does not say which model it belongs to", where=folder / ADAPTER_CONFIG,
            remedy="Give it: hanmo.load(BASE, adapter=ADAPTER), or --adapter.",
        )  # fmt: skip
    if not os.path.exists(name) and (os.path.isabs(name) or name.count("/") != 1):
        raise ModelError(
            f"the model that this adapter belongs to is not at {name!r}", where=folder / ADAPTER_CONFIG,
            remedy="Put it back, or give it where it is now: hanmo.load(BASE, adapter=ADAPTER), or --adapter.",
        )  # fmt: skip
    return name


def read_adapted(
    base: str | Path,
    adapters: Mapping[str, str | Path],
    *,
    dtype: torch.dtype | None = torch.float32,
    device: torch.device | str = "cpu",
) -> Any:
    """A model with adapters, the first of them active.

    Args:
        base: folder or repository of the model.
        adapters: name → PEFT directory; all for the same class of the model, with the same labels.
        dtype: of the weights.
        device: where to put them.

    Raises:
        ModelError: if something is missing or damaged, or belongs to another model.
    """
    found = find_model(base)
    architecture, changes = _class_of(found, find_model(next(iter(adapters.values())), weights=False))
    model = read_model(found, architecture=architecture, changes=changes, dtype=dtype, device=device)
    name = str(found.resolve()) if os.path.exists(base) else str(base)
    own = AdapterSet(model, base_name=name, base_hash=base_hash(found))
    for name, folder in adapters.items():
        attach_adapter(own, folder, name)
    own.switch(next(iter(adapters)))
    model.eval()
    return model


def attach_adapter(adapters: AdapterSet, folder: str | Path, name: str) -> None:
    """Read one more adapter onto a model, and switch to it.

    Raises:
        ModelError: as `read_adapter`, or if it is for another class of the model or other labels.
    """
    path, model = find_model(folder), adapters.model
    if (path / "config.json").is_file():
        theirs: Any = read_config(path)
        labels = getattr(theirs, "labels", None)
        if type(theirs) is not type(model.config) or labels != getattr(model.config, "labels", None):
            raise ModelError(
                "this adapter is for another kind of model or other labels than the model has", where=path,
                remedy="Load it alone: hanmo.load(ADAPTER).",
            )  # fmt: skip
    read_adapter(adapters, path, name)


def save_adapter(folder: str | Path, model: Any) -> None:
    """Write the active adapter of a model, with the settings that the model is built from.

    Raises:
        ConfigError: if none is active.
    """
    adapters = adapters_of(model)
    assert adapters is not None
    if adapters.active is None:
        raise ConfigError("no adapter is active that could be saved", where=folder, remedy="Switch to one.")
    task = next((task for end, task in _TASKS.items() if model.architecture.endswith(end)), None)
    write_adapter(folder, adapters, adapters.active, task_type=task)
    with adapters.disabled():  # with virtual tokens it names fewer positions
        write_config(folder, model)


def _class_of(base: Path, adapter: Path) -> tuple[str | None, dict[str, Any]]:
    """The class that an adapter was trained as, and the settings in which it differs from its base."""
    config: Any = read_config(base)
    if (adapter / "config.json").is_file():
        from hanmo.core.files import read_json

        theirs: Any = read_config(adapter)
        if type(theirs) is not type(config):
            raise ModelError(
                f"this adapter is for another family ({type(theirs).__name__}) than its base ({type(config).__name__})",
                where=adapter, remedy="Give the base that it was trained on.",
            )  # fmt: skip
        names = read_json(adapter / "config.json").get("architectures") or [None]
        ours, wanted = config.model_dump(), theirs.model_dump()
        return names[0], {key: value for key, value in wanted.items() if ours.get(key) != value}
    values = read_adapter_config(adapter)
    end = next((end for end, task in _TASKS.items() if task == values.get("task_type")), None)
    if end is None or end in ("ForCausalLM", "ForConditionalGeneration"):
        return None, {}
    name = next((one for one in family_of(config).architectures if one.endswith(end)), None)
    if name is None:
        raise ModelError(f"this family has no class for the task {values['task_type']!r}", where=adapter)
    rows = [
        tensor.shape[0]
        for tensor in list_tensors(adapter, name="adapter_model.safetensors")
        if tensor.name.endswith((".classifier.weight", ".score.weight", ".out_proj.weight", ".logits_proj.weight"))
    ]
    return name, {
        "labels": tuple(f"LABEL_{n}" for n in range(rows[0]))
    } if rows and end != "ForQuestionAnswering" else {}
