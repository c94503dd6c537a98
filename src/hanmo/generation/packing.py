"""Which models the compiled kernels know, and their weights packed for them."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from functools import partial
from types import NoneType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hanmo.generation.kept import Kept
from hanmo.generation.layout import BYTES_PER_STEP, Plan, Weights
from hanmo.models.causal_lm import CausalLM
from hanmo.nn.attention import SelfAttention
from hanmo.nn.block import Block, PreNorm
from hanmo.nn.embedding import Embedding
from hanmo.nn.feedforward import ACTIVATIONS, FeedForward, GatedFeedForward
from hanmo.nn.linear import Linear
from hanmo.nn.norms import LayerNorm, RMSNorm
from hanmo.nn.positions import LearnedPositions, Rotary
from hanmo.nn.stack import Stack

__all__ = [
    "LINEAR", "Packed", "as_array", "kernel_activation", "packed_weights", "refusal", "supports",
    "weights_reason",
]  # fmt: skip

_log = logging.getLogger(__name__)

_MAX_BYTES = 2 << 30
"""Largest model that is packed: the packed copy comes on top of the model itself."""
_KERNEL_ACTIVATIONS = ("gelu_tanh", "silu", "relu", "gelu", "relu_squared", "quick_gelu")
LINEAR = (nn.Linear, Linear)
"""Plain matrices."""


def supports(model: Any) -> bool:
    """Whether the compiled kernels can decode this model on its device."""
    return refusal(model) is None


def refusal(model: Any) -> str | None:
    """Why the compiled kernels cannot decode this model, or None if they can. Also logged, at debug level."""
    reason = _reason(model)
    if reason is not None:
        _log.debug("decoding without compiled kernels: %s", reason)
    return reason


def _reason(model: Any) -> str | None:
    if type(model) is not CausalLM or type(model.stack) is not Stack or type(model.embedding) is not Embedding:
        return "it is not an embedding and a stack under a causal head"
    stack, positions = model.stack, model.embedding.positions
    if type(positions) not in (NoneType, LearnedPositions) or type(model.rotary) not in (NoneType, Rotary):
        return "its positions are of another kind"
    if model.rotary is not None and not model.rotary.fixed_up_to(model.config.max_len):
        return "its rotary frequencies change with the length of the text"
    if stack.order != tuple(range(len(stack.layers))) or not stack.layers:
        return "its layers do not run once each"
    if model.head is not None and (type(model.head) not in LINEAR or model.head.bias is not None):
        return "its head is not a plain matrix"
    return weights_reason(model) or _layers_reason(stack)


def weights_reason(model: Any) -> str | None:
    """What kernels of any kind ask of a machine and of the weights of a model."""
    if sys.platform == "win32" or sys.byteorder != "little":
        return "the kernels are for POSIX systems with little-endian processors"
    for module in model.modules():
        if module._forward_hooks or module._forward_pre_hooks:
            return "a part has hooks"
        if getattr(module, "virtual", None) is not None:
            return "it has virtual tokens"
    parameters = list(model.parameters())
    if any(p.dtype != torch.float32 or p.device.type != "cpu" or p.layout != torch.strided for p in parameters):
        return "its weights are not all float32 on the CPU"
    if sum(p.numel() for p in parameters) * 4 > _MAX_BYTES:
        return "it is too large to hold a second copy of its weights"
    if any(buffer is not None for buffer in model.buffers()):
        return "it has buffers"
    return None


def _layers_reason(stack: Stack) -> str | None:
    """Every layer must be made of known parts, of one kind and shape."""
    shapes = set()
    layers: list[Any] = list(stack.layers)
    for layer in layers:
        if type(layer) is not Block or layer.cross_attention is not None:
            return "a layer is not a plain block"
        attention, feedforward = layer.attention, layer.feedforward
        if type(attention) is not PreNorm or type(feedforward) is not PreNorm:
            return "its norms do not come first"
        a: Any = attention.inner
        f: Any = feedforward.inner
        if type(a) is not SelfAttention or type(f) not in (FeedForward, GatedFeedForward):
            return "a layer has an attention or feed-forward of another kind"
        if a.pattern is not None:
            return "a layer has sparse attention"
        if a.q_norm is not None:
            return "its queries and keys are normalised"
        linear = [a.qkv, a.out, f.out, f.gate_up if isinstance(f, GatedFeedForward) else f.up]
        if any(type(part) not in LINEAR for part in linear):
            return "a matrix has been replaced (adapter or quantisation)"
        activation = kernel_activation(f.act)
        if activation is None:
            return "its activation is unknown"
        norms: tuple[Any, ...] = (attention.norm, feedforward.norm, stack.norm)
        if {type(norm) for norm in norms} not in ({LayerNorm}, {RMSNorm}):
            return "its norms are of another kind"
        eps = {norm.eps for norm in norms}
        shapes.add(
            (type(norms[0]), *eps, type(f), activation, a.n_heads, a.n_kv_heads, a.d_head, f.out.in_features, len(eps))
        )
    return None if len(shapes) == 1 and shapes.pop()[-1] == 1 else "its layers differ"


def kernel_activation(function: Any) -> int | None:
    """The number that the kernels know an activation by."""
    for number, name in enumerate(_KERNEL_ACTIVATIONS):
        known = ACTIVATIONS[name]
        same_partial = (
            isinstance(function, partial)
            and isinstance(known, partial)
            and (function.func, function.args, function.keywords) == (known.func, known.args, known.keywords)
        )
        if function is known or same_partial:
            return number
    return None


class Packed:
    """A model's weights as the kernels read them."""

    def __init__(self, model: Any):
        self.plan, self.exact, self.draft = _pack(model)


packed_weights = Kept(Packed)
"""The packed weights of a model, packed now if they have changed since the last time."""


def as_array(tensor: Tensor) -> np.ndarray:
    """The same numbers for the kernels; the same memory where they lie one after the other."""
    return np.ascontiguousarray(tensor.detach().numpy())


def _bytes(matrices: Sequence[Tensor]) -> np.ndarray:
    return np.stack([as_array(matrix) for matrix in matrices]).view(np.uint8)


def _quantised(matrices: Sequence[Tensor]) -> tuple[np.ndarray, np.ndarray]:
    """uint8 with 128 for zero, rows padded, and one scale a row: (L, R, C padded), (L, R)."""
    rows, columns = matrices[0].shape
    packed = np.full((len(matrices), rows, -(-columns // BYTES_PER_STEP) * BYTES_PER_STEP), 128, np.uint8)
    scales = np.empty((len(matrices), rows), np.float32)
    for number, matrix in enumerate(matrices):
        scale = (matrix.detach().abs().amax(dim=1) / 127).clamp_min(1e-30)
        packed[number, :, :columns] = (matrix.detach() / scale[:, None]).round_().add_(128).to(torch.uint8).numpy()
        scales[number] = scale.numpy()
    return packed, scales


def _pack(model: Any) -> tuple[Plan, Weights, Weights]:
    layers = list(model.stack.layers)
    attention = [layer.attention.inner for layer in layers]
    feedforward = [layer.feedforward.inner for layer in layers]
    first, norm = attention[0], model.stack.norm
    gated = isinstance(feedforward[0], GatedFeedForward)
    parts = {
        "qkv": [a.qkv for a in attention],
        "out": [a.out for a in attention],
        "up": [f.gate_up if gated else f.up for f in feedforward],
        "down": [f.out for f in feedforward],
    }
    norms = [n for layer in layers for n in (layer.attention.norm, layer.feedforward.norm)] + [norm]
    empty = np.zeros((0, 0), np.float32)
    cos, sin = empty, empty
    if model.rotary is not None:
        rotation = model.rotary(None, model.config.max_len, 0, torch.device("cpu"))
        cos, sin = as_array(rotation.cos[0]), as_array(rotation.sin[0])
    positions = model.embedding.positions
    common: dict[str, np.ndarray] = {
        "embedding": as_array(model.embedding.token.weight),
        "positions": as_array(positions.weight) if positions is not None else empty,
        "cos": cos,
        "sin": sin,
        "scales": np.array([a.scale for a in attention], np.float32),
        "norms": np.stack([_norm_rows(n) for n in norms]),
        "head_bias": np.zeros((1, len(model.head_weight)), np.float32),
    }
    for name, linear in parts.items():
        common[f"{name}_bias"] = np.stack(
            [as_array(m.bias) if m.bias is not None else np.zeros(m.out_features, np.float32) for m in linear]
        )
    matrices = {name: [m.weight for m in linear] for name, linear in parts.items()} | {"head": [model.head_weight]}
    exact, draft = dict(common), dict(common)
    for name, tensors in matrices.items():
        # The head is not copied: tied or not, it is one matrix that already lies as the kernels read it.
        exact[name] = _bytes(tensors) if name != "head" else as_array(tensors[0]).view(np.uint8)[None]
        exact[f"{name}_scale"] = np.zeros((len(tensors), 0), np.float32)
        draft[name], draft[f"{name}_scale"] = _quantised(tensors)
    activation = kernel_activation(feedforward[0].act)
    assert activation is not None
    plan = Plan(first.n_heads, first.n_kv_heads, activation, gated, isinstance(norm, RMSNorm), float(norm.eps))
    return plan, Weights(**exact), Weights(**draft)


def _norm_rows(norm: LayerNorm | RMSNorm) -> np.ndarray:
    bias = getattr(norm, "bias", None)
    weight = as_array(norm.weight)
    return np.stack([weight, as_array(bias) if bias is not None else np.zeros_like(weight)])
