"""A text tower and an image tower that meet in one space: what CLIP is made of.

Shapes: B batch, T positions, D d_model, E width of the shared space.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hanmo.core.errors import ConfigError
from hanmo.models.inputs import check_positions, one_input, refuse_arguments
from hanmo.nn.context import Context
from hanmo.nn.contrastive import Temperature, contrastive_loss
from hanmo.nn.embedding import Embedding
from hanmo.nn.linear import Linear
from hanmo.nn.masks import causal_mask, combine, padding_mask
from hanmo.nn.norms import LayerNorm
from hanmo.nn.outputs import ContrastiveOutput, EncoderOutput, ProjectedOutput
from hanmo.nn.patches import PatchEmbedding
from hanmo.nn.stack import Stack

__all__ = ["ImageTower", "ProjectedTower", "TextTower", "TwoTowers"]


class TextTower(nn.Module):
    """A causal stack; its vector at the end-of-text token stands for the text."""

    def __init__(
        self, config: Any, *, embedding: Embedding, stack: Stack, norm: LayerNorm, end_id: int | None, architecture: str
    ):
        """Args:
        config: the settings that it was built from.
        norm: applied to the output of the stack.
        end_id: the end-of-text token; if None, it is the largest id of each row.
        architecture: what `transformers` calls this composition.
        """
        super().__init__()
        self.config = config
        self.architecture = architecture
        self.embedding = embedding
        self.stack = stack
        self.norm = norm
        self.end_id = end_id

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        output_hidden_states: bool | None = None,
        **refused: Any,
    ) -> EncoderOutput:
        """Encode texts.

        Args:
            input_ids: (B, T) int64; the first end-of-text token of each row ends it.
            attention_mask: (B, T), 1 for real tokens. Not needed for padding on the right, which nothing before it
                sees.
            position_ids: (B, T) or (1, T); consecutive if None.
            output_hidden_states: also return what each layer saw, and the output before the last norm.

        Raises:
            ConfigError: for input that cannot be used, a row without an end, or an argument that has no meaning here.
        """
        refuse_arguments(refused)
        batch, length = one_input(input_ids, None).shape
        assert input_ids is not None
        if position_ids is not None:
            position_ids = check_positions(position_ids, batch, length)
        x = self.embedding(input_ids, None, position_ids)
        mask = padding_mask(attention_mask, batch, length) if attention_mask is not None else None
        if mask is not None:
            mask = combine(mask, causal_mask(length, length, x.device))
        seen: list[Tensor] | None = [] if output_hidden_states else None
        x = self.norm(self.stack(x, Context(causal=mask is None, mask=mask), seen))
        return EncoderOutput(
            last_hidden_state=x,
            pooler_output=x[torch.arange(batch, device=x.device), self._ends(input_ids)],
            hidden_states=tuple(seen) if seen is not None else None,
        )

    def _ends(self, input_ids: Tensor) -> Tensor:
        """Where each text ends, (B,)."""
        if self.end_id is None:
            return input_ids.argmax(-1)
        ends = input_ids == self.end_id
        if not torch.compiler.is_compiling() and ends.device.type == "cpu" and not bool(ends.any(-1).all()):
            row = int((~ends.any(-1)).nonzero()[0])
            raise ConfigError(
                f"row {row} has no end-of-text token {self.end_id}, whose vector would stand for it",
                where="input_ids",
                remedy="Put it at the end of each text, also of one that was cut.",
            )
        return ends.int().argmax(-1)


class ImageTower(nn.Module):
    """A vision transformer; its first vector stands for the image."""

    def __init__(
        self,
        config: Any,
        *,
        embedding: PatchEmbedding,
        embedding_norm: LayerNorm,
        stack: Stack,
        norm: LayerNorm,
        architecture: str,
    ):
        """Args:
        config: the settings that it was built from.
        embedding_norm: applied before the first layer.
        norm: applied to the vector of the image alone.
        architecture: what `transformers` calls this composition.
        """
        super().__init__()
        self.config = config
        self.architecture = architecture
        self.embedding = embedding
        self.embedding_norm = embedding_norm
        self.stack = stack
        self.norm = norm

    def forward(
        self,
        pixel_values: Tensor | None = None,
        interpolate_pos_encoding: bool = False,
        output_hidden_states: bool | None = None,
        **refused: Any,
    ) -> EncoderOutput:
        """Encode images.

        Args:
            pixel_values: normalised pixels, (B, C, height, width); see `hanmo.batches.images`.
            interpolate_pos_encoding: take images of another size than the model was trained on.
            output_hidden_states: also return what each layer saw.

        Raises:
            ConfigError: for images that cannot be used, or an argument that has no meaning here.
        """
        refuse_arguments(refused)
        if pixel_values is None:
            raise ConfigError("give images", where="pixel_values")
        x = self.embedding_norm(self.embedding(pixel_values, interpolate=interpolate_pos_encoding))
        seen: list[Tensor] | None = [] if output_hidden_states else None
        x = self.stack(x, Context(), seen)
        return EncoderOutput(
            last_hidden_state=x,
            pooler_output=self.norm(x[:, 0]),
            hidden_states=tuple(seen) if seen is not None else None,
        )


class ProjectedTower(nn.Module):
    """One tower with its way into the shared space."""

    def __init__(self, tower: TextTower | ImageTower, *, d_shared: int, architecture: str):
        """`d_shared`: E."""
        super().__init__()
        self.config = tower.config
        self.architecture = architecture
        self.tower = tower
        self.project = Linear(self.config.d_model, d_shared, bias=False)

    def forward(self, *inputs: Any, **named: Any) -> ProjectedOutput:
        """The tower's inputs → `text_embeds` or `image_embeds`, not normalised."""
        out = self.tower(*inputs, **named)
        is_text = isinstance(self.tower, TextTower)
        embeds = self.project(out.pooler_output)
        return ProjectedOutput(
            text_embeds=embeds if is_text else None,
            image_embeds=None if is_text else embeds,
            last_hidden_state=out.last_hidden_state,
            hidden_states=out.hidden_states,
        )


class TwoTowers(nn.Module):
    """Which text goes with which image."""

    def __init__(
        self,
        config: Any,
        *,
        text: TextTower,
        image: ImageTower,
        d_shared: int,
        temperature: Temperature,
        architecture: str,
    ):
        """Args:
        config: the settings that it was built from.
        d_shared: E.
        temperature: what cosines are multiplied by.
        architecture: what `transformers` calls this composition.
        """
        super().__init__()
        self.config = config
        self.architecture = architecture
        self.text = text
        self.image = image
        self.project_text = Linear(text.config.d_model, d_shared, bias=False)
        self.project_image = Linear(image.config.d_model, d_shared, bias=False)
        self.temperature = temperature

    def get_text_features(self, input_ids: Tensor | None = None, **inputs: Any) -> EncoderOutput:
        """What the text tower returns, `pooler_output` projected to (B, E); arguments as there."""
        out = self.text(input_ids, **inputs)
        out.pooler_output = self.project_text(out.pooler_output)
        return out

    def get_image_features(self, pixel_values: Tensor | None = None, **inputs: Any) -> EncoderOutput:
        """What the image tower returns, `pooler_output` projected to (B, E); arguments as there."""
        out = self.image(pixel_values, **inputs)
        out.pooler_output = self.project_image(out.pooler_output)
        return out

    def forward(
        self,
        input_ids: Tensor | None = None,
        pixel_values: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        return_loss: bool | None = None,
        interpolate_pos_encoding: bool = False,
        output_hidden_states: bool | None = None,
        **refused: Any,
    ) -> ContrastiveOutput:
        """Similarities of all texts and all images.

        Args:
            input_ids: (B_t, T) int64.
            pixel_values: (B_i, C, height, width).
            return_loss: also return the contrastive loss; text i and image i must belong together.
            attention_mask: these and the others as in the towers.

        Raises:
            ConfigError: for input that cannot be used, or an argument that has no meaning here.
        """
        refuse_arguments(refused)
        image = self.get_image_features(
            pixel_values,
            interpolate_pos_encoding=interpolate_pos_encoding,
            output_hidden_states=output_hidden_states,
        )
        text = self.get_text_features(
            input_ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
            output_hidden_states=output_hidden_states,
        )
        assert text.pooler_output is not None
        assert image.pooler_output is not None
        text_embeds = F.normalize(text.pooler_output, dim=-1)
        image_embeds = F.normalize(image.pooler_output, dim=-1)
        logits = text_embeds @ image_embeds.t() * self.temperature()
        return ContrastiveOutput(
            loss=contrastive_loss(logits) if return_loss else None,
            logits_per_image=logits.t(),
            logits_per_text=logits,
            text_embeds=text_embeds,
            image_embeds=image_embeds,
            text_model_output=text,
            vision_model_output=image,
        )
