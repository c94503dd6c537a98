"""A backbone with a head for a task."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from hanmo.core.errors import ConfigError
from hanmo.models.heads import Encoded
from hanmo.nn.outputs import Output

__all__ = ["HeadedModel"]


class HeadedModel(nn.Module):
    """Any stack that returns an `EncoderOutput`, and a head that turns it into scores and a loss."""

    def __init__(self, config: Any, *, backbone: nn.Module, head: nn.Module, architecture: str):
        """Args:
        config: the settings that it was built from.
        backbone: its `forward` takes the inputs and returns an `EncoderOutput`; `token_weight` are its input vectors.
        head: one of `hanmo.models.heads`.
        architecture: what `transformers` calls this composition.
        """
        super().__init__()
        self.config = config
        self.architecture = architecture
        self.backbone = backbone
        self.head = head

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        next_sentence_label: Tensor | None = None,
        sentence_order_label: Tensor | None = None,
        start_positions: Tensor | None = None,
        end_positions: Tensor | None = None,
        label_mask: Tensor | None = None,
        **inputs: Any,
    ) -> Output:
        """Scores, and a loss where labels are given.

        Args:
            input_ids: (B, T) int64.
            attention_mask: (B, T), 1 for real tokens.
            labels: what the head asks for.
            next_sentence_label: (B,), for heads that judge pairs.
            sentence_order_label: the same under ALBERT's name.
            start_positions: (B,), for heads that point at spans.
            end_positions: (B,).
            label_mask: (B, T), which tokens get a label, for heads that score sequences of labels.
            inputs: the backbone's other arguments.

        Raises:
            ConfigError: for input that cannot be used, or labels that this head has no use for.
        """
        if next_sentence_label is not None and sentence_order_label is not None:
            raise ConfigError(
                "labels of pairs were given twice", where="sentence_order_label", remedy="Leave one of them out."
            )
        pair = next_sentence_label if next_sentence_label is not None else sentence_order_label
        encoded = self.backbone(input_ids=input_ids, attention_mask=attention_mask, **inputs)
        targets = {
            "labels": labels, "pair_labels": pair,
            "start_positions": start_positions, "end_positions": end_positions, "label_mask": label_mask,
        }  # fmt: skip
        out = self.head(
            Encoded(encoded, attention_mask, input_ids, self.backbone.token_weight),  # pyright: ignore[reportArgumentType]
            **{name: value for name, value in targets.items() if value is not None},
        )
        if encoded.mems is not None:
            out.mems = encoded.mems
        return out
