"""How far each parameter is from the head: for rates that fall with depth, and for layers that are released one by one."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from hanmo.core.errors import ConfigError
from hanmo.training.settings import TrainingSettings

__all__ = ["depths_below_head", "n_released", "release_layers"]

_LISTS = {"layers", "rightward", "leftward"}
"""Names of lists whose modules come one after another; the filters of convolutions, say, stand side by side."""


def depths_below_head(model: nn.Module) -> dict[str, int]:
    """For each parameter how many layers lie above it: 0 for the head and whatever else comes after the last layer (a
    pooler, a last norm), 1 for the last layer, n for the first of n, n + 1 for embeddings and what else comes before.

    Lists of layers are found by their names, whatever the family; several (two directions, two towers, encoder and
    decoder) are counted each from its own top. Tables of vectors are embeddings wherever they stand. A matrix that is
    both embedding and output counts as embedding.

    Raises:
        ConfigError: if the model has no layers one after another.
    """
    lists: dict[str, int] = {}
    for name, module in model.named_modules():
        nested = any(name.startswith(f"{outer}.") for outer in lists)
        if isinstance(module, nn.ModuleList) and len(module) and name.rsplit(".", 1)[-1] in _LISTS and not nested:
            lists[name] = len(module)
    if not lists:
        raise ConfigError(
            "this model has no layers one after another", where="training",
            remedy="Leave layer_decay and unfreeze_every out, or take a BiLSTM or a Transformer.",
        )  # fmt: skip
    tables = {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)}
    found = {}
    for name, parameter in model.named_parameters():
        home = next((one for one in lists if name.startswith(f"{one}.")), None)
        if home is not None:
            found[name] = lists[home] - int(name[len(home) + 1 :].partition(".")[0])
        else:
            around, before = _place(model, name, lists)
            found[name] = around + 1 if before or id(parameter) in tables else 0
    return found


def _place(model: nn.Module, name: str, lists: Mapping[str, int]) -> tuple[int, bool]:
    """Of a parameter outside the layers: the length of the lists that share the nearest module with it, and whether it
    comes before them there."""
    parts = name.split(".")
    for depth in range(len(parts) - 1, -1, -1):
        prefix = "".join(f"{part}." for part in parts[:depth])
        inside = {one: length for one, length in lists.items() if one.startswith(prefix)}
        if inside:
            order = [child for child, _ in model.get_submodule(prefix.removesuffix(".")).named_children()]
            first = min(order.index(one[len(prefix) :].partition(".")[0]) for one in inside)
            own = parts[depth]
            return max(inside.values()), own in order and order.index(own) < first
    raise AssertionError("the model itself holds all lists")


def n_released(settings: TrainingSettings, step: int) -> int | None:
    """Layers below the head that train at the update after `step` completed ones; None for all."""
    return None if settings.unfreeze_steps is None else step // settings.unfreeze_steps


def release_layers(optimizer: torch.optim.Optimizer, released: int | None) -> None:
    """Let gradients flow to the head and to so many layers below it (Howard & Ruder, 2018, §3.3); to all for None.

    Args:
        optimizer: built for these settings, so that its groups know their depth.
        released: how many layers, from the top; embeddings come after the last.
    """
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            parameter.requires_grad_(released is None or group["depth"] <= released)
