"""A model whose large products are computed in 8 bits: faster on many CPUs, and not to be trained or written."""

from __future__ import annotations

from torch import nn

from hanmo.core.errors import ModelError
from hanmo.nn.int8_linear import Int8Linear
from hanmo.nn.linear import Linear

__all__ = ["use_int8"]

_LEAST = 64
"""Layers with fewer inputs or outputs (heads, as a rule) stay as they are: little to gain, much to lose."""


def use_int8(model: nn.Module, *, where: object) -> None:
    """Put `Int8Linear` in the place of the linear layers, in the model itself.

    Args:
        model: in float32 on the CPU.
        where: what errors name: the model's folder.

    Raises:
        ModelError: for a model on another device, or one without such layers.
    """
    if any(tensor.device.type != "cpu" for tensor in model.parameters()):
        raise ModelError("8 bits are for the CPU", where=where, remedy='Give device="cpu", or leave dtype out.')
    found = [
        (module, name, layer)
        for module in model.modules()
        for name, layer in module.named_children()
        if type(layer) is Linear and min(layer.weight.shape) >= _LEAST
    ]
    if not found:
        raise ModelError("no layer of this model is worth 8 bits", where=where, remedy="Leave dtype out.")
    for module, name, layer in found:
        setattr(module, name, Int8Linear(layer))
