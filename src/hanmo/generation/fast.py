"""Decoding by the compiled kernels: which models they know, weights packed for them, one row's progress."""

from __future__ import annotations

import logging
import sys
import weakref
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from types import NoneType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hanmo.core.errors import ModelError
from hanmo.generation.layout import BYTES_PER_STEP, CHUNK, LINE, Plan, Room, Weights
from hanmo.models.causal_lm import CausalLM
from hanmo.nn.attention import SelfAttention
from hanmo.nn.block import Block, PreNorm
from hanmo.nn.embedding import Embedding
from hanmo.nn.feedforward import ACTIVATIONS, FeedForward, GatedFeedForward
from hanmo.nn.linear import Linear
from hanmo.nn.norms import LayerNorm, RMSNorm
from hanmo.nn.positions import LearnedPositions, Rotary
from hanmo.nn.stack import Stack

__all__ = ["MAX_ROWS", "FastRow", "refusal", "supports"]

_log = logging.getLogger(__name__)

MAX_ROWS = 4
"""Rows are computed one after the other; with more, matrices over all rows at once are faster."""
_MAX_BYTES = 2 << 30
"""Largest model that is packed: the packed copy comes on top of the model itself."""
_KERNEL_ACTIVATIONS = ("gelu_tanh", "silu", "relu", "gelu", "quick_gelu")
_LINEAR = (nn.Linear, Linear)
_N_DRAFT = 7
"""Tokens guessed ahead: with the one after them they fill eight lanes."""
_N_GRAM = 3


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
    if sys.platform == "win32" or sys.byteorder != "little":
        return "the kernels are for POSIX systems with little-endian processors"
    if type(model) is not CausalLM or type(model.stack) is not Stack or type(model.embedding) is not Embedding:
        return "it is not an embedding and a stack under a causal head"
    stack, positions = model.stack, model.embedding.positions
    if type(positions) not in (NoneType, LearnedPositions) or type(model.rotary) not in (NoneType, Rotary):
        return "its positions are of another kind"
    if stack.order != tuple(range(len(stack.layers))) or not stack.layers:
        return "its layers do not run once each"
    if model.head is not None and (type(model.head) not in _LINEAR or model.head.bias is not None):
        return "its head is not a plain matrix"
    for module in model.modules():
        if module._forward_hooks or module._forward_pre_hooks:
            return "a part has hooks"
    parameters = list(model.parameters())
    if any(p.dtype != torch.float32 or p.device.type != "cpu" or p.layout != torch.strided for p in parameters):
        return "its weights are not all float32 on the CPU"
    if sum(p.numel() for p in parameters) * 4 > _MAX_BYTES:
        return "it is too large to hold a second copy of its weights"
    if any(buffer is not None for buffer in model.buffers()):
        return "it has buffers"
    return _layers_reason(stack)


def _layers_reason(stack: Stack) -> str | None:
    """Every layer must be made of known parts, of one kind and shape."""
    shapes = set()
    for layer in stack.layers:
        if type(layer) is not Block or layer.cross_attention is not None:
            return "a layer is not a plain block"
        attention, feedforward = layer.attention, layer.feedforward
        if type(attention) is not PreNorm or type(feedforward) is not PreNorm:
            return "its norms do not come first"
        a, f = attention.inner, feedforward.inner
        if type(a) is not SelfAttention or type(f) not in (FeedForward, GatedFeedForward):
            return "a layer has an attention or feed-forward of another kind"
        linear = [a.qkv, a.out, f.out, f.gate_up if isinstance(f, GatedFeedForward) else f.up]
        if any(type(part) not in _LINEAR for part in linear):
            return "a matrix has been replaced (adapter or quantisation)"
        activation = _activation(f.act)
        if activation is None:
            return "its activation is unknown"
        norms = (attention.norm, feedforward.norm, stack.norm)
        if {type(norm) for norm in norms} not in ({LayerNorm}, {RMSNorm}):
            return "its norms are of another kind"
        eps = {norm.eps for norm in norms}
        shapes.add(
            (type(norms[0]), *eps, type(f), activation, a.n_heads, a.n_kv_heads, a.d_head, f.out.in_features, len(eps))
        )
    return None if len(shapes) == 1 and shapes.pop()[-1] == 1 else "its layers differ"


def _activation(function: Any) -> int | None:
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


class _Packed:
    """A model's weights as the kernels read them, made again when the model's weights have changed."""

    def __init__(self, model: Any):
        self.state = _state(model)
        self.plan, self.exact, self.draft = _pack(model)


_packed: weakref.WeakKeyDictionary[Any, _Packed] = weakref.WeakKeyDictionary()


def _state(model: Any) -> tuple[tuple[int, int], ...]:
    """Changes whenever a parameter is replaced or written to."""
    return tuple((parameter.data_ptr(), _version(parameter)) for parameter in model.parameters())


def _version(parameter: Tensor) -> int:
    return 0 if parameter.is_inference() else parameter._version


def _packed_weights(model: Any) -> _Packed:
    packed = _packed.get(model)
    if packed is None or packed.state != _state(model):
        packed = _packed[model] = _Packed(model)
    return packed


def _array(tensor: Tensor) -> np.ndarray:
    return np.ascontiguousarray(tensor.detach().numpy())


def _bytes(matrices: Sequence[Tensor]) -> np.ndarray:
    return np.stack([_array(matrix) for matrix in matrices]).view(np.uint8)


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
        cos, sin = _array(rotation.cos[0]), _array(rotation.sin[0])
    positions = model.embedding.positions
    common: dict[str, np.ndarray] = {
        "embedding": _array(model.embedding.token.weight),
        "positions": _array(positions.weight) if positions is not None else empty,
        "cos": cos,
        "sin": sin,
        "scales": np.array([a.scale for a in attention], np.float32),
        "norms": np.stack([_norm_rows(n) for n in norms]),
        "head_bias": np.zeros((1, len(model.head_weight)), np.float32),
    }
    for name, linear in parts.items():
        common[f"{name}_bias"] = np.stack(
            [_array(m.bias) if m.bias is not None else np.zeros(m.out_features, np.float32) for m in linear]
        )
    matrices = {name: [m.weight for m in linear] for name, linear in parts.items()} | {"head": [model.head_weight]}
    exact, draft = dict(common), dict(common)
    for name, tensors in matrices.items():
        # The head is not copied: tied or not, it is one matrix that already lies as the kernels read it.
        exact[name] = _bytes(tensors) if name != "head" else _array(tensors[0]).view(np.uint8)[None]
        exact[f"{name}_scale"] = np.zeros((len(tensors), 0), np.float32)
        draft[name], draft[f"{name}_scale"] = _quantised(tensors)
    activation = _activation(feedforward[0].act)
    assert activation is not None
    plan = Plan(first.n_heads, first.n_kv_heads, activation, gated, isinstance(norm, RMSNorm), float(norm.eps))
    return plan, Weights(**exact), Weights(**draft)


def _norm_rows(norm: LayerNorm | RMSNorm) -> np.ndarray:
    bias = getattr(norm, "bias", None)
    weight = _array(norm.weight)
    return np.stack([weight, _array(bias) if bias is not None else np.zeros_like(weight)])


class FastRow:
    """One sequence on its way: give it the prompt, then ask for tokens (greedy) or for logits."""

    def __init__(
        self, model: Any, prompt: Sequence[int], max_len: int, *, n_draft: int = _N_DRAFT, n_threads: int | None = None
    ):
        """Args:
        model: one that `supports` says yes to.
        prompt: at least one token id.
        max_len: most tokens of prompt and continuation.
        n_draft: tokens guessed ahead by the draft weights; 0 computes each token by the exact weights alone.
        n_threads: threads that share each token; as many as torch uses if None.
        """
        from hanmo.generation.kernels import advance

        vocab_size = len(model.head_weight)
        if not all(0 <= token < vocab_size for token in prompt):
            bad = next(token for token in prompt if not 0 <= token < vocab_size)
            raise ModelError(
                f"token id {bad} is outside the vocabulary of {vocab_size}",
                remedy="Encode the text with the tokenizer that belongs to this model.",
            )
        self._advance = advance
        packed = _packed_weights(model)
        self._weights = (packed.plan, packed.exact, packed.draft)
        self._n_threads = min(torch.get_num_threads(), 16) if n_threads is None else n_threads
        self._room = _room(packed.plan, packed.exact, max_len, self._n_threads)
        self._room.tokens[: len(prompt)] = prompt
        self._known, self._given, self._held = len(prompt), len(prompt), 0
        self._max_len, self._n_draft = max_len, n_draft
        self._n_copy, self._pause = _N_DRAFT, 0
        self._pool = ThreadPoolExecutor(self._n_threads - 1) if self._n_threads > 1 else None

    def next_greedy(self) -> int:
        """The next token that the exact weights find most probable."""
        if self._given == self._known:
            room_left = self._max_len - self._known - 1
            n_draft = min(self._n_draft, room_left) if self._held == self._known - 1 else 0
            n_copied = self._copy_guesses(room_left) if n_draft > 0 else 0
            count = self._run(self._held, self._known, -n_copied if n_copied else max(n_draft, 0))
            if n_copied:
                # A copy that was right is trusted further next time; one that was not is left out for a while.
                self._n_copy = CHUNK - 1 if count == n_copied + 1 else _N_DRAFT
                self._pause = 0 if count > 2 else 3
            self._held, self._known = self._known + count - 1, self._known + count
        token = int(self._room.tokens[self._given])
        self._given += 1
        return token

    def _copy_guesses(self, room_left: int) -> int:
        """Guess that the text goes on as it did after the same few tokens before; returns how many are guessed.

        Prompt lookup (Saxena, 2023): costs nothing, and code and lists repeat themselves.
        """
        self._pause -= 1
        known, tokens = self._known, self._room.tokens
        if self._pause >= 0 or known <= _N_GRAM:
            return 0
        same = np.ones(known - _N_GRAM, bool)
        for i in range(_N_GRAM):
            same &= tokens[i : known - _N_GRAM + i] == tokens[known - _N_GRAM + i]
        places = np.flatnonzero(same)
        if not len(places):
            return 0
        source, count = int(places[-1]) + _N_GRAM, min(self._n_copy, room_left)
        for i in range(count):  # one by one: a text that repeats itself is copied from its own copy
            tokens[known + i] = tokens[source + i]
        return count

    def next_logits(self, tokens: Sequence[int]) -> Tensor:
        """Logits after `tokens`: the prompt and everything chosen since; (V,) float32."""
        self._room.tokens[self._held : len(tokens)] = tokens[self._held :]
        count = (len(tokens) - 1 - self._held) % CHUNK + 1
        self._run(self._held, len(tokens), 0)
        self._held = self._known = self._given = len(tokens)
        lanes = 8 if count <= 8 else CHUNK
        vocab_size = self._weights[1].head.shape[1]
        return torch.from_numpy(self._room.logits[: vocab_size * lanes].reshape(vocab_size, lanes)[:, count - 1].copy())

    def _run(self, start: int, end: int, n_draft: int) -> int:
        arguments = (*self._weights, self._room, start, end, n_draft)
        others: list[Future[int]] = []
        done = False
        try:
            if self._pool is not None:
                others = [
                    self._pool.submit(self._advance, *arguments, rank, self._n_threads)
                    for rank in range(1, self._n_threads)
                ]
            count = self._advance(*arguments, 0, self._n_threads)
            for other in others:
                other.result()
            done = True
        finally:
            if not done:  # interrupted: the other threads must not wait for this one for ever
                self._room.sync[2 * LINE] = 1
        last = (end + abs(n_draft) - start - 1) % CHUNK
        if not np.isfinite(self._room.best_value[:, last - abs(n_draft) : last + 1].max(axis=0)).all():
            raise ModelError(
                "the model's output is not a number (NaN or infinite logits)",
                remedy="The weights are damaged or training diverged; load an earlier checkpoint.",
            )
        return count


def _room(plan: Plan, w: Weights, max_len: int, n_threads: int) -> Room:
    n_layers, d_model = w.qkv.shape[0], w.norms.shape[2]
    width = w.out.shape[2] // 4
    d_head, d_ff = width // plan.n_heads, w.down.shape[2] // 4
    widest = -(-max(d_model, width, d_ff) // BYTES_PER_STEP) * BYTES_PER_STEP

    def zeros(*shape: int, dtype: Any = np.float32) -> np.ndarray:
        return np.zeros(shape, dtype)

    return Room(
        tokens=zeros(max_len + CHUNK, dtype=np.int64),
        keys=zeros(n_layers, plan.n_kv_heads, d_head, max_len + CHUNK),
        values=zeros(n_layers, plan.n_kv_heads, max_len + CHUNK, d_head),
        x=zeros(d_model * CHUNK),
        h=zeros(n_threads, d_model * CHUNK),
        qkv=zeros(w.qkv.shape[1] * CHUNK),
        mixed=zeros(width * CHUNK),
        hidden=zeros(w.up.shape[1] * CHUNK),
        logits=zeros(w.head.shape[1] * CHUNK),
        scores=zeros(n_threads, max_len + CHUNK),
        vectors=zeros(n_threads, 2, d_head),
        coarse=zeros(n_threads, widest, dtype=np.int8),
        fine=zeros(n_threads, widest, dtype=np.int8),
        factors=zeros(n_threads, 3),
        best_value=zeros(n_threads, CHUNK),
        best_id=zeros(n_threads, CHUNK, dtype=np.int64),
        sync=zeros(3 * LINE, dtype=np.int64),
    )
