"""Learning from mixtures of two examples of a batch (Guo et al., 2019, after Zhang et al., 2018).

B batch, T positions, E width of token vectors, C classes.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hanmo.training.interfaces import Loss

__all__ = ["mixed_loss"]


def mixed_loss(loss: Loss, how: Literal["words", "sentences"], alpha: float) -> Loss:
    """A loss that mixes each row of a batch with another one of it: λ of the one, 1 - λ of the other, of inputs and of
    labels, λ ~ Beta(α, α) drawn for each batch.

    "words" (eq. 1) mixes token vectors at each position, zeros past the end of the shorter text. "sentences" (eq. 2) mixes
    the vectors that the last matrix of the classifier sees; that matrix is affine, so that it is the scores which are mixed
    here, and the two are the same.

    The label of a mixture is both labels with these weights: cross-entropy is linear in the target, and the squared error
    differs from that of a mixed number by what no parameter can change.

    Args:
        loss: from a classifier of rows and its batch with `labels`; called once with either label.
        how: what is mixed.
        alpha: α.
    """

    def mixed(model: nn.Module, batch: dict[str, Tensor]) -> tuple[Tensor, int | Tensor]:
        share = float(torch.distributions.Beta(alpha, alpha).sample())
        order = torch.randperm(len(batch["labels"])).to(batch["labels"].device)
        both = _Mixture(model, how, share, order)
        first, n = loss(both, batch)
        second, _ = loss(both, batch | {"labels": batch["labels"][order]})
        return share * first + (1 - share) * second, n

    return mixed


class _Mixture(nn.Module):
    """The model as the loss sees it: its answer to the mixture, computed once."""

    def __init__(self, model: nn.Module, how: Literal["words", "sentences"], share: float, order: Tensor):
        super().__init__()
        self._model, self._how, self._share, self._order = model, how, share, order
        self._answer: Any = None

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None, **inputs: Tensor) -> Any:
        """As the model's own, without labels."""
        if self._answer is None:
            if self._how == "sentences":
                output: Any = self._model(input_ids=input_ids, attention_mask=attention_mask, **inputs)
                self._answer = replace(output, logits=self._mix(output.logits))
            else:
                self._answer = self._of_words(input_ids, attention_mask, inputs)
        return self._answer

    def _of_words(self, input_ids: Tensor, attention_mask: Tensor | None, inputs: dict[str, Tensor]) -> Any:
        backbone: Any = self._model.backbone
        vectors = F.embedding(input_ids, backbone.token_weight)  # (B, T, E)
        if attention_mask is None:
            return self._model(inputs_embeds=self._mix(vectors), **inputs)
        vectors = vectors * attention_mask[..., None]
        either = attention_mask | attention_mask[self._order]
        return self._model(inputs_embeds=self._mix(vectors), attention_mask=either, **inputs)

    def _mix(self, values: Tensor) -> Tensor:
        return self._share * values + (1 - self._share) * values[self._order]
