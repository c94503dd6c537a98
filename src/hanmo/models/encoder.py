"""A stack that reads a whole text at once: embedding, layers, pooler. What BERT, ALBERT and RoBERTa have in common."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from hanmo.core.errors import ConfigError
from hanmo.models.inputs import check_positions, one_input, refuse_arguments
from hanmo.nn.cache import GrowingCache
from hanmo.nn.context import Context
from hanmo.nn.embedding import SegmentEmbedding
from hanmo.nn.frozen_linear import compute_dtype
from hanmo.nn.masks import padding_mask
from hanmo.nn.outputs import EncoderOutput
from hanmo.nn.pooling import FirstTokenPooler
from hanmo.nn.sparse import Layout
from hanmo.nn.stack import Stack
from hanmo.nn.virtual_tokens import Prefix, SoftPrompt, VirtualTokens

__all__ = ["Encoder"]


class Encoder(nn.Module):
    """Vectors of tokens that have seen the text on both sides. B batch, T positions, D d_model."""

    takes_virtual = ("prompt", "prefix")
    virtual: VirtualTokens | None
    """Learned positions before the text, of an adapter; a caller knows nothing of them."""

    def __init__(
        self,
        config: Any,
        *,
        embedding: SegmentEmbedding,
        stack: Stack,
        pooler: FirstTokenPooler | None = None,
        architecture: str,
    ):
        """Args:
        config: the settings that it was built from.
        pooler: makes one vector of a row; None where no head asks for it.
        architecture: what `transformers` calls this composition.
        """
        super().__init__()
        self.config = config
        self.architecture = architecture
        self.embedding = embedding
        self.stack = stack
        self.pooler = pooler
        self.virtual = None

    @property
    def token_weight(self) -> Tensor:
        """Input vectors of the tokens, (V, E)."""
        return self.embedding.token.weight

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        output_hidden_states: bool | None = None,
        **refused: Any,
    ) -> EncoderOutput:
        """Encode a batch.

        Args:
            input_ids: (B, T) int64.
            attention_mask: (B, T), 1 for real tokens, padding on either side.
            token_type_ids: which segment a token belongs to, (B, T); all 0 if None.
            position_ids: (B, T) or (1, T); the family's own numbering if None.
            inputs_embeds: token vectors (B, T, E) in place of ids.
            output_hidden_states: also return what each layer saw.

        Raises:
            ConfigError: for input that cannot be used, or an argument that has no meaning here.
        """
        refuse_arguments(refused)
        given = one_input(input_ids, inputs_embeds)
        batch, length = given.shape[:2]
        if position_ids is not None:
            position_ids = check_positions(position_ids, batch, length)
        cache, n_before, n_new = None, 0, 0
        if self.virtual is not None:
            n_before = self.virtual.n_tokens
            attention_mask = self.virtual.real(attention_mask)
            if position_ids is not None:
                raise ConfigError(
                    "positions are given, but this model has virtual tokens, which come first", where="position_ids",
                    remedy="Leave position_ids out, or switch the adapter off.",
                )  # fmt: skip
        if isinstance(self.virtual, SoftPrompt):
            vectors = self.embedding.vectors(input_ids) if inputs_embeds is None else inputs_embeds
            input_ids, inputs_embeds, n_new = None, self.virtual.before(vectors), n_before
            if token_type_ids is not None:
                token_type_ids = F.pad(token_type_ids, (n_new, 0))
        elif isinstance(self.virtual, Prefix):
            cache = GrowingCache()
            self.virtual.fill(cache, batch, compute_dtype(self.embedding.token.weight))
        x = self.embedding(input_ids, token_type_ids, inputs_embeds, position_ids, n_before - n_new)
        mask = padding_mask(attention_mask, batch, n_before + length) if attention_mask is not None else None
        seen: list[Tensor] | None = [] if output_hidden_states else None
        layout = Layout(causal=False, real=mask[:, 0, 0] if mask is not None else None)
        x = self.stack(x, Context(mask=mask, layout=layout, cache=cache), seen)
        own = attention_mask if attention_mask is None else attention_mask[:, n_before - n_new :]
        return EncoderOutput(
            last_hidden_state=x[:, n_new:],
            pooler_output=self.pooler(x, own) if self.pooler is not None else None,
            hidden_states=tuple(one[:, n_new:] for one in seen) if seen is not None else None,
            virtual_hidden_state=x[:, :n_new] if n_new else None,
        )
