"""A decoder under a head: classifiers of rows and of tokens on any causal family."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import Tensor, nn

from hanmo.models.causal_lm import CausalLM
from hanmo.models.headed import HeadedModel
from hanmo.models.heads import RowClassifier, TokenClassifier, last_token
from hanmo.models.inputs import refuse_arguments
from hanmo.models.settings import DecoderHeadSettings
from hanmo.nn.init import init_normal
from hanmo.nn.outputs import EncoderOutput

__all__ = ["DecoderBackbone", "decoder_backbone", "decoder_with_head", "without_output"]


class DecoderBackbone(nn.Module):
    """A decoder's stack, without its output matrix. B batch, T positions, D d_model."""

    def __init__(self, decoder: CausalLM, *, config: Any, architecture: str):
        """Args:
        decoder: its own head must be tied, so that there is none.
        config: the settings that it was built from.
        architecture: what `transformers` calls this composition.
        """
        super().__init__()
        assert decoder.head is None
        self.config = config
        self.architecture = architecture
        self.decoder = decoder

    @property
    def token_weight(self) -> Tensor:
        """Input vectors of the tokens, (V, D)."""
        return self.decoder.embedding.token.weight

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        output_hidden_states: bool | None = None,
        **refused: Any,
    ) -> EncoderOutput:
        """The arguments are those of `CausalLM.hidden`.

        Raises:
            ConfigError: for input that cannot be used, or an argument that has no meaning here.
        """
        refuse_arguments(refused)
        seen: list[Tensor] | None = [] if output_hidden_states else None
        hidden = self.decoder.hidden(input_ids, attention_mask, position_ids, None, inputs_embeds, seen=seen)
        return EncoderOutput(last_hidden_state=hidden, hidden_states=tuple(seen) if seen is not None else None)


def without_output(config: Any) -> Any:
    """The same settings of a causal family with tied embeddings: then there is no output matrix of its own."""
    return config.model_copy(update={"tie_embeddings": True})


def decoder_backbone(config: Any, *, decoder: Callable[[Any], CausalLM], architecture: str) -> DecoderBackbone:
    """Assemble the stack of a causal family with fresh weights.

    Args:
        config: settings of the family.
        decoder: the family's builder.
        architecture: what `transformers` calls it.
    """
    return DecoderBackbone(decoder(without_output(config)), config=config, architecture=architecture)


def decoder_with_head(
    config: DecoderHeadSettings, *, decoder: Callable[[Any], CausalLM], architecture: str
) -> HeadedModel:
    """Assemble a causal family with the head that the name of the class ends in, and fresh weights.

    Args:
        config: settings of the family.
        decoder: the family's builder.
        architecture: ...ForSequenceClassification, of the vector of the last token (Radford et al., 2018, §3.2), or
            ...ForTokenClassification.
    """
    c: Any = config
    match architecture.partition("For")[2]:
        case "SequenceClassification":
            pool = partial(last_token, pad_id=c.pad_id)
            head = RowClassifier(c.d_model, c.n_labels, pool=pool, bias=False, problem_type=c.problem_type)
        case "TokenClassification":
            head = TokenClassifier(c.d_model, c.n_labels, dropout=c.dropout_head)
        case _:
            raise AssertionError(architecture)
    init_normal(head, c.init_std)
    backbone = decoder_backbone(c, decoder=decoder, architecture=architecture)
    return HeadedModel(c, backbone=backbone, head=head, architecture=architecture)
