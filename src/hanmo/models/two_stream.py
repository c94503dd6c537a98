"""A stack with memory that can read a text and guess tokens of it at once: what XLNet is without its heads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hanmo.core.errors import ConfigError
from hanmo.models.inputs import one_input, refuse_arguments
from hanmo.nn.dropout import dropped
from hanmo.nn.embedding import check_ids
from hanmo.nn.linear import Lookup
from hanmo.nn.masks import causal_mask, combine, padding_mask
from hanmo.nn.outputs import EncoderOutput
from hanmo.nn.two_stream import TwoStreamContext, TwoStreamStack, distance_vectors, relative_distances

__all__ = ["RecurrenceConfig", "TwoStreamEncoder"]


class RecurrenceConfig(Protocol):
    """What is asked of the settings beyond building the parts."""

    @property
    def vocab_size(self) -> int: ...
    @property
    def d_model(self) -> int: ...
    @property
    def n_layers(self) -> int: ...
    @property
    def dropout(self) -> float: ...
    @property
    def direction(self) -> str: ...
    @property
    def same_length(self) -> bool: ...
    @property
    def mirrored_halves(self) -> bool: ...
    @property
    def clamp_len(self) -> int: ...
    @property
    def mem_len(self) -> int: ...
    @property
    def reuse_len(self) -> int: ...
    @property
    def use_mems_eval(self) -> bool: ...
    @property
    def use_mems_train(self) -> bool: ...


class TwoStreamEncoder(nn.Module):
    """Vectors of tokens, or of places whose tokens are to be guessed.

    B batch, T positions, M positions in memory, S = M + T, P targets, D d_model.
    """

    def __init__(self, config: RecurrenceConfig, *, stack: TwoStreamStack, architecture: str):
        """Args:
        config: the settings that it was built from.
        architecture: what `transformers` calls this composition.
        """
        super().__init__()
        self.config = config
        self.architecture = architecture
        self.token = Lookup(config.vocab_size, config.d_model)
        self.target = nn.Parameter(torch.zeros(config.d_model))
        """What every target starts from, whatever its token."""
        self.stack = stack

    @property
    def token_weight(self) -> Tensor:
        """Input vectors of the tokens, (V, D)."""
        return self.token.weight

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        mems: Sequence[Tensor] | None = None,
        perm_mask: Tensor | None = None,
        target_mapping: Tensor | None = None,
        input_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        use_mems: bool | None = None,
        output_hidden_states: bool | None = None,
        **refused: Any,
    ) -> EncoderOutput:
        """Encode a batch.

        Args:
            input_ids: (B, T) int64.
            attention_mask: (B, T), 1 for real tokens, padding on either side.
            token_type_ids: which segment a token belongs to, (B, T), any numbers: what counts is whether two tokens are
                of the same. Memory is of segment 0. If None, segments play no part.
            mems: what an earlier call returned, n_layers times (B, M, D); positions there can always be looked at.
            perm_mask: (B, T, T), 1 where position i may not look at j. Each position of the content stream sees itself
                all the same.
            target_mapping: (B, P, T), 1 where target i stands at position j, each at another one (vectors at the same
                place would be added). With it, what is returned are vectors of targets that know their place but not
                their token; without it, vectors of tokens.
            input_mask: `attention_mask` the other way round (1 for padding); give one of them.
            inputs_embeds: token vectors (B, T, D) in place of ids.
            use_mems: return memory for the next segment; as the settings say if None.
            output_hidden_states: also return what each layer saw: of both streams in turn where there are targets.

        Returns:
            `last_hidden_state` (B, T, D), or (B, P, D) with targets. A target that may look at nothing at all knows
            its place only.

        Raises:
            ConfigError: for input that cannot be used, or an argument that has no meaning here.
        """
        refuse_arguments(refused)
        c = self.config
        given = one_input(input_ids, inputs_embeds)
        batch, length = given.shape[:2]
        if input_mask is not None:
            if attention_mask is not None:
                raise ConfigError("give either attention_mask or input_mask", where="input_mask")
            attention_mask = input_mask <= 0
        _check_shape("token_type_ids", token_type_ids, (batch, length))
        _check_shape("perm_mask", perm_mask, (batch, length, length))
        if target_mapping is not None:
            n_targets = target_mapping.shape[1] if target_mapping.dim() == 3 else 0
            _check_shape("target_mapping", target_mapping, (batch, max(n_targets, 1), length))
        n_mems = self._check_memory(mems, batch)
        x = self._embed(input_ids, inputs_embeds)
        query_mask = self._mask(attention_mask, perm_mask, batch, length, n_mems, x.device)
        content_mask = None
        if query_mask is not None:
            itself = torch.eye(length, dtype=torch.bool, device=x.device)
            content_mask = query_mask | F.pad(itself, (n_mems, 0))
        context = TwoStreamContext(
            distances=self._drop(self._distances(batch, length, n_mems + length, x)),
            content_mask=content_mask,
            query_mask=query_mask,
            other_segment=_other_segment(token_type_ids, n_mems) if token_type_ids is not None else None,
            targets=target_mapping.to(x.dtype) if target_mapping is not None else None,
        )
        queries = None
        if target_mapping is not None:
            queries = self._drop(self.target.expand(batch, target_mapping.shape[1], -1))
        keep = use_mems if use_mems is not None else (c.use_mems_train if self.training else c.use_mems_eval)
        seen: list[tuple[Tensor, Tensor | None]] | None = [] if output_hidden_states or keep else None
        content, queries = self.stack(self._drop(x), queries, context, mems if n_mems else None, seen)
        return EncoderOutput(
            last_hidden_state=self._drop(content if queries is None else queries),
            hidden_states=tuple(_flatten(seen)) if output_hidden_states and seen is not None else None,
            mems=self._remember(seen, mems) if keep and seen is not None else None,
        )

    def _embed(self, input_ids: Tensor | None, inputs_embeds: Tensor | None) -> Tensor:
        if inputs_embeds is not None:
            _check_shape("inputs_embeds", inputs_embeds, (*inputs_embeds.shape[:2], self.config.d_model))
            return inputs_embeds
        assert input_ids is not None
        check_ids(input_ids, self.token.num_embeddings, training=self.training)
        return self.token(input_ids)

    def _drop(self, x: Tensor) -> Tensor:
        return dropped(x, self.config.dropout, self.training)

    def _mask(
        self,
        attention_mask: Tensor | None,
        perm_mask: Tensor | None,
        batch: int,
        length: int,
        n_mems: int,
        device: torch.device,
    ) -> Tensor | None:
        """What a position may look at besides itself, broadcastable to (B, 1, T, S); None for everything."""
        padding = padding_mask(attention_mask, batch, length) if attention_mask is not None else None
        allowed = combine(padding, perm_mask[:, None] <= 0 if perm_mask is not None else None)
        if allowed is not None and n_mems:
            allowed = F.pad(allowed, (n_mems, 0), value=True)
        if self.config.direction == "bi":
            return allowed
        past = causal_mask(length, n_mems + length, device)
        if self.config.same_length:
            past = past.triu()  # as far back as the first position of the segment can look
        return combine(allowed, past)

    def _distances(self, batch: int, length: int, n_keys: int, x: Tensor) -> Tensor:
        """(1 or B, R, D)."""
        c = self.config
        distances = relative_distances(length, n_keys, backward=c.direction == "bi", device=x.device)
        if c.clamp_len > 0:
            distances = distances.clamp(-c.clamp_len, c.clamp_len)
        forward = distance_vectors(distances, c.d_model)[None].to(x.dtype)
        if not c.mirrored_halves:
            return forward
        if batch % 2:
            raise ConfigError(
                f"{batch} rows cannot be halved: this model reads the second half of a batch from right to left",
                where="input_ids",
                remedy="Give an even number of rows, or set bi_data to false for anything but pretraining.",
            )
        backward = distance_vectors(-distances, c.d_model)[None].to(x.dtype)
        return torch.cat((forward.expand(batch // 2, -1, -1), backward.expand(batch // 2, -1, -1)))

    def _check_memory(self, mems: Sequence[Tensor] | None, batch: int) -> int:
        if mems is None:
            return 0
        c = self.config
        if len(mems) != c.n_layers:
            raise ConfigError(f"mems are of {len(mems)} layers, this model has {c.n_layers}", where="mems")
        n_mems = mems[0].shape[1] if mems[0].dim() == 3 else 0
        for memory in mems:
            _check_shape("mems", memory, (batch, n_mems, c.d_model))
        return n_mems

    def _remember(
        self, seen: Sequence[tuple[Tensor, Tensor | None]], mems: Sequence[Tensor] | None
    ) -> tuple[Tensor, ...]:
        """What each layer saw, cut to the settings' lengths; no gradient flows into it (Dai et al., 2019, §3.2)."""
        c, new = self.config, []
        for depth, (content, _) in enumerate(seen[: c.n_layers]):
            kept = content[:, : c.reuse_len] if c.reuse_len else content
            if mems is not None:
                kept = torch.cat((mems[depth], kept), dim=1)
            new.append((kept[:, -c.mem_len :] if c.mem_len else kept).detach())
        return tuple(new)


def _other_segment(token_type_ids: Tensor, n_mems: int) -> Tensor:
    """(B, T) → (B, 1, T, S) bool."""
    keys = F.pad(token_type_ids, (n_mems, 0))
    return (token_type_ids[:, :, None] != keys[:, None, :])[:, None]


def _flatten(seen: Sequence[tuple[Tensor, Tensor | None]]) -> list[Tensor]:
    return [stream for pair in seen for stream in pair if stream is not None]


def _check_shape(name: str, tensor: Tensor | None, shape: tuple[int, ...]) -> None:
    if tensor is not None and tuple(tensor.shape) != shape:
        raise ConfigError(f"{name} have shape {tuple(tensor.shape)}, expected {shape}", where=name)
