"""A stack that reads a whole text at once: embedding, layers, pooler. What BERT, ALBERT and RoBERTa have in common."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from hanmo.models.inputs import check_positions, one_input, refuse_arguments
from hanmo.nn.context import Context
from hanmo.nn.embedding import SegmentEmbedding
from hanmo.nn.masks import padding_mask
from hanmo.nn.outputs import EncoderOutput
from hanmo.nn.pooling import FirstTokenPooler
from hanmo.nn.sparse import Layout
from hanmo.nn.stack import Stack

__all__ = ["Encoder"]


class Encoder(nn.Module):
    """Vectors of tokens that have seen the text on both sides. B batch, T positions, D d_model."""

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
        x = self.embedding(input_ids, token_type_ids, inputs_embeds, position_ids)
        mask = padding_mask(attention_mask, batch, length) if attention_mask is not None else None
        seen: list[Tensor] | None = [] if output_hidden_states else None
        layout = Layout(causal=False, real=mask[:, 0, 0] if mask is not None else None)
        x = self.stack(x, Context(mask=mask, layout=layout), seen)
        return EncoderOutput(
            last_hidden_state=x,
            pooler_output=self.pooler(x, attention_mask) if self.pooler is not None else None,
            hidden_states=tuple(seen) if seen is not None else None,
        )
