"""Which encoder-decoders the compiled beam search knows, and their decoders packed for it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from hanmo.generation.beam_layout import DecoderPlan, DecoderWeights
from hanmo.generation.kept import Kept
from hanmo.generation.packing import LINEAR, as_array, kernel_activation, weights_reason
from hanmo.models.seq2seq import Seq2SeqLM
from hanmo.nn.attention import CrossAttention, SelfAttention
from hanmo.nn.block import Block, PostNorm
from hanmo.nn.feedforward import FeedForward
from hanmo.nn.norms import LayerNorm
from hanmo.nn.sinusoids import SinusoidalEmbedding
from hanmo.nn.stack import Stack

__all__ = ["beam_refusal", "packed_decoder", "up_to_panels"]

_ROUNDS = 16
"""What the width of a head must be a multiple of: the most lanes of a register."""
_log = logging.getLogger(__name__)


def beam_refusal(model: Any) -> str | None:
    """Why the kernels cannot search with this model, or None if they can. Also logged, at debug level."""
    reason = _reason(model)
    if reason is not None:
        _log.debug("searching without compiled kernels: %s", reason)
    return reason


def _reason(model: Any) -> str | None:
    if type(model) is not Seq2SeqLM or type(model.decoder) is not Stack:
        return "it is not an encoder and a stack of decoder layers"
    if type(model.target_embedding) is not SinusoidalEmbedding or model.decoder_bias is not None:
        return "its positions are of another kind"
    if model.scale != 1.0:
        return "its hidden states are scaled"
    if model.head is not None and (type(model.head) not in LINEAR or model.head.bias is not None):
        return "its head is not a plain matrix"
    decoder = model.decoder
    if decoder.order != tuple(range(len(decoder.layers))) or not decoder.layers or decoder.norm is not None:
        return "its layers do not run once each, or a norm follows them"
    return weights_reason(model) or _layers_reason(list(decoder.layers))


def _layers_reason(layers: Sequence[Any]) -> str | None:
    """Every layer must be made of known parts, of one shape."""
    shapes = set()
    for layer in layers:
        if type(layer) is not Block:
            return "a layer is not a plain block"
        parts: list[Any] = [layer.attention, layer.cross_attention, layer.feedforward]
        if any(type(part) is not PostNorm or type(part.norm) is not LayerNorm for part in parts):
            return "its norms do not come last, or are of another kind"
        attention, cross, feedforward = (part.inner for part in parts)
        if [type(part.inner) for part in parts] != [SelfAttention, CrossAttention, FeedForward]:
            return "a layer has an attention or feed-forward of another kind"
        if attention.pattern is not None or attention.q_norm is not None or attention.n_kv_heads != attention.n_heads:
            return "a layer has attention of another kind"
        linear = [attention.qkv, attention.out, cross.q, cross.kv, cross.out, feedforward.up, feedforward.out]
        if any(type(part) not in LINEAR for part in linear):
            return "a matrix has been replaced (adapter or quantisation)"
        activation = kernel_activation(feedforward.act)
        if activation is None:
            return "its activation is unknown"
        eps = {part.norm.eps for part in parts}
        heads = {(part.n_heads, part.d_head) for part in (attention, cross)}
        if attention.d_head % _ROUNDS:
            return "its heads are no whole registers"
        whole = attention.n_heads * attention.d_head == feedforward.up.in_features
        shapes.add((activation, feedforward.out.in_features, *eps, *heads, len(eps), len(heads), whole))
    alike = len(shapes) == 1 and next(iter(shapes))[-3:] == (1, 1, True)
    return None if alike else "its layers differ, or the heads are not as wide as the model"


def up_to_panels(n: int) -> int:
    """Outputs with those that fill the last panel."""
    from hanmo.nn.attention_frame import WIDTH

    return -(-n // WIDTH) * WIDTH


def _panels(weight: Tensor) -> np.ndarray:
    """(O, I) → (panels, I, lanes), zeros behind O."""
    from hanmo.nn.attention_frame import WIDTH

    rows, columns = weight.shape
    whole = np.zeros((up_to_panels(rows), columns), np.float32)
    whole[:rows] = as_array(weight)
    return np.ascontiguousarray(whole.reshape(-1, WIDTH, columns).transpose(0, 2, 1))


def _bias(linear: Any) -> np.ndarray:
    whole = np.zeros(up_to_panels(linear.out_features), np.float32)
    if linear.bias is not None:
        whole[: linear.out_features] = as_array(linear.bias)
    return whole


def _norm(norm: LayerNorm) -> np.ndarray:
    weight = as_array(norm.weight)
    return np.stack([weight, np.zeros_like(weight) if norm.bias is None else as_array(norm.bias)])


def _pack(model: Any) -> tuple[DecoderPlan, DecoderWeights]:
    layers = list(model.decoder.layers)
    attention, cross, feedforward = (
        [getattr(layer, name).inner for layer in layers] for name in ("attention", "cross_attention", "feedforward")
    )
    embedding = model.target_embedding
    parts = {
        "qkv": [one.qkv for one in attention],
        "out": [one.out for one in attention],
        "query": [one.q for one in cross],
        "cross": [one.out for one in cross],
        "up": [one.up for one in feedforward],
        "down": [one.out for one in feedforward],
    }
    arrays = {name: np.stack([_panels(one.weight) for one in linear]) for name, linear in parts.items()}
    arrays |= {f"{name}_bias": np.stack([_bias(one) for one in linear]) for name, linear in parts.items()}
    norms = [
        np.stack([_norm(part.norm) for part in (layer.attention, layer.cross_attention, layer.feedforward)])
        for layer in layers
    ]
    activation = kernel_activation(feedforward[0].act)
    assert activation is not None
    plan = DecoderPlan(attention[0].n_heads, activation, float(layers[0].attention.norm.eps), float(embedding.scale))
    return plan, DecoderWeights(
        embedding=as_array(embedding.token.weight),
        positions=as_array(embedding.positions(0, model.config.max_len, model.head_weight.device)),
        scales=np.array([[a.scale, c.scale] for a, c in zip(attention, cross, strict=True)], np.float32),
        norms=np.stack(norms),
        head=_panels(model.head_weight),
        **arrays,
    )


packed_decoder = Kept(_pack)
"""The packed decoder of a model, packed now if its weights have changed since the last time."""
