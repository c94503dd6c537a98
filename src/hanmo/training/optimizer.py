"""The optimizer of a run, AdamW or Muon with AdamW, and its state as named tensors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from typing import Any

import torch
from torch import Tensor, nn

from hanmo.core.errors import ConfigError, FormatError
from hanmo.training.layers import depths_below_head
from hanmo.training.muon import HiddenMatrix, Muon, hidden_matrices
from hanmo.training.settings import TrainingSettings

__all__ = [
    "adamw",
    "build_optimizer",
    "load_optimizer_tensors",
    "optimizer_tensors",
    "set_learning_rate",
    "trained_parameters",
]

_FUSED_DEVICES = {"cpu", "cuda", "xpu", "mps"}


def trained_parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    """Parameters that training changes, by name; a tied one appears once, under its first name."""
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def build_optimizer(model: nn.Module, settings: TrainingSettings) -> torch.optim.Optimizer:
    """The optimizer that `settings.optimizer` names, over the trained parameters of `model`.

    Raises:
        ConfigError: if the settings treat layers apart and the model has none.
    """
    if settings.optimizer == "adamw":
        return adamw(model, settings)
    head = _head(model) if settings.head_lr is not None else frozenset()
    matrices = [matrix for matrix in hidden_matrices(model) if id(matrix.weight) not in head]
    others = _adamw_groups(model, settings, without={id(matrix.weight) for matrix in matrices})
    return Muon(
        _by_depth(matrices, model, settings), others,
        lr=settings.lr, muon_lr=settings.muon_lr or settings.lr, momentum=settings.muon_momentum, weight_decay=settings.weight_decay,
        betas=(settings.beta1, settings.beta2), eps=settings.eps, fused=_can_fuse(model),
    )  # fmt: skip


def adamw(model: nn.Module, settings: TrainingSettings) -> torch.optim.AdamW:
    """AdamW (Loshchilov & Hutter, 2019, algorithm 2) over the trained parameters of `model`.

    Tensors of two or more dimensions (matrices and embeddings) decay; norms and biases do not (as GPT-2's
    public reproductions do it).
    """
    betas = settings.beta1, settings.beta2
    return torch.optim.AdamW(
        _adamw_groups(model, settings), lr=settings.lr, betas=betas, eps=settings.eps, fused=_can_fuse(model)
    )


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float, settings: TrainingSettings) -> None:
    """Give every group the rate of this step; Muon's groups, and those of deeper layers, follow in proportion."""
    for group in optimizer.param_groups:
        share = (settings.muon_lr or settings.lr) / settings.lr if group.get("muon") else 1.0
        if settings.layer_decay is not None:
            share *= settings.layer_decay ** group["depth"]
        if settings.head_lr is not None and group.get("head"):
            share = settings.head_lr / settings.lr
        group["lr"] = rate * share


def _adamw_groups(
    model: nn.Module, settings: TrainingSettings, without: Set[int] = frozenset()
) -> list[dict[str, Any]]:
    parameters = [parameter for parameter in trained_parameters(model).values() if id(parameter) not in without]
    depths = _depths(model, settings)
    head = _head(model) if settings.head_lr is not None else frozenset()
    groups: dict[tuple[bool, int, bool], list[nn.Parameter]] = {}
    for parameter in parameters:
        kind = (parameter.dim() < 2, depths[id(parameter)] or 0, id(parameter) in head)
        groups.setdefault(kind, []).append(parameter)
    return [
        {"params": chosen, "weight_decay": 0.0 if is_vector else settings.weight_decay}
        | ({"depth": depth} if _knows_depths(settings) else {})
        | ({"head": True} if in_head else {})
        for (is_vector, depth, in_head), chosen in sorted(groups.items(), key=lambda item: item[0])
    ]


def _head(model: nn.Module) -> Set[int]:
    """What a head adds to a stack: parameters of the module of that name, without a matrix that is the embedding too.

    Raises:
        ConfigError: if there is none.
    """
    tables = {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)}
    head = getattr(model, "head", None)
    found = {id(parameter) for parameter in head.parameters()} - tables if isinstance(head, nn.Module) else set()
    if not found:
        raise ConfigError(
            "this model has no head of its own that could have another rate", where="training.head_lr",
            remedy="Leave head_lr out.",
        )  # fmt: skip
    return found


def _knows_depths(settings: TrainingSettings) -> bool:
    return settings.layer_decay is not None or settings.unfreeze_steps is not None


def _by_depth(
    matrices: Iterable[HiddenMatrix], model: nn.Module, settings: TrainingSettings
) -> dict[int | None, list[HiddenMatrix]]:
    depths = _depths(model, settings)
    found: dict[int | None, list[HiddenMatrix]] = {}
    for matrix in matrices:
        found.setdefault(depths[id(matrix.weight)], []).append(matrix)
    return found


def _depths(model: nn.Module, settings: TrainingSettings) -> dict[int, int | None]:
    """By parameter: how far it is from the head, where that matters; None where all are alike."""
    trained = trained_parameters(model)
    if not _knows_depths(settings):
        return dict.fromkeys(map(id, trained.values()))
    depths = depths_below_head(model)
    return {id(parameter): depths[name] for name, parameter in trained.items()}


def _can_fuse(model: nn.Module) -> bool:
    parameters = trained_parameters(model).values()
    return all(parameter.device.type in _FUSED_DEVICES and parameter.is_floating_point() for parameter in parameters)


def optimizer_tensors(optimizer: torch.optim.Optimizer, model: nn.Module) -> dict[str, Tensor]:
    """State of `optimizer` as `{parameter name}|{slot}`; a parameter that never had a gradient has none."""
    return {
        f"{name}|{slot}": value
        for name, parameter in trained_parameters(model).items()
        for slot, value in optimizer.state.get(parameter, {}).items()
    }


def load_optimizer_tensors(optimizer: torch.optim.Optimizer, model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Give `optimizer` the state that `optimizer_tensors` took.

    Raises:
        FormatError: if a tensor belongs to no trained parameter of `model`.
    """
    parameters = trained_parameters(model)
    positions = {id(p): i for i, p in enumerate(p for group in optimizer.param_groups for p in group["params"])}
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        name, _, slot = key.rpartition("|")
        if name not in parameters or (slot != "step" and value.shape != parameters[name].shape):
            raise FormatError(f"the optimizer state {key!r} does not fit this model", where="optimizer.safetensors")
        state.setdefault(positions[id(parameters[name])], {})[slot] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
