"""Which of several texts goes with an image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional as F

from hanmo.batches.by_length import pad_rows
from hanmo.batches.images import ImageSettings, prepare_images
from hanmo.core.errors import ModelError
from hanmo.models.towers import TwoTowers
from hanmo.tasks.loaded_model import LoadedModel
from hanmo.tokenizers.framed import encode_framed
from hanmo.tokenizers.tokenizer import Tokenizer

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["ImageMatcher"]

_AT_ONCE = 32


class ImageMatcher(LoadedModel):
    """Two towers (CLIP) with tokenizer and what is done to images before (Radford et al., 2021, §3.1.2)."""

    tokenizer: Tokenizer
    model: TwoTowers

    def __init__(self, model: Any, tokenizer: Tokenizer, images: ImageSettings, *, where: object = None):
        """Args: as there, and

        images: what `preprocessor_config.json` says.

        Raises:
            ModelError: if the model has no tower for images beside the one for texts.
        """
        super().__init__(model, tokenizer, where=where)
        if not isinstance(model, TwoTowers):
            raise ModelError(
                f"a {model.architecture} does not compare images with texts", where=where, remedy="Take a CLIP model."
            )
        self.images = images

    @torch.inference_mode()
    def match(self, images: Sequence[Image | np.ndarray | str | Path], texts: Sequence[str]) -> np.ndarray:
        """Probability of each text for each image: a softmax over the scaled cosines of the texts, (N, L) float32.

        Raises:
            DataError: for a text longer than the model can read, or a file that is no image.
        """
        device = next(self.model.parameters()).device
        rows = encode_framed(self.tokenizer, texts, max_len=self.config.text.max_len)
        # a text ends at its first end-of-text token: what fills up behind it is never looked at
        fill = self.tokenizer.pad_id if self.tokenizer.pad_id is not None else rows[0].ids[-1]
        ids = pad_rows([row.ids for row in rows], fill).to(device)
        mask = pad_rows([[1] * len(row.ids) for row in rows], 0).to(device)
        said = self.model.get_text_features(ids, attention_mask=mask).pooler_output
        assert said is not None
        said = F.normalize(said, dim=-1)
        found = [np.zeros((0, len(texts)), dtype=np.float32)]
        for first in range(0, len(images), _AT_ONCE):
            pixels = prepare_images(images[first : first + _AT_ONCE], self.images).to(device)
            seen = self.model.get_image_features(pixels).pooler_output
            assert seen is not None
            logits = F.normalize(seen, dim=-1) @ said.t() * self.model.temperature()
            found.append(logits.float().softmax(-1).cpu().numpy())
        return np.concatenate(found)
