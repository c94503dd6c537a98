"""`hanmo.pipeline("fill-mask", …)`: which tokens may stand in the place of a mask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from hanmo.core.errors import ConfigError, DataError, ModelError
from hanmo.tasks.forward import forward_batches
from hanmo.tasks.loaded_model import LoadedModel
from hanmo.tasks.pipeline import Pipeline, read_text
from hanmo.tokenizers.framed import Framed
from hanmo.tokenizers.mask_token import mask_id_of, masked_encoder
from hanmo.tokenizers.tokenizer import Tokenizer

__all__ = ["FillMaskPipeline", "MaskFiller"]


class MaskFiller(LoadedModel):
    """A masked language model."""

    tokenizer: Tokenizer

    def __init__(self, model: Any, tokenizer: Tokenizer, *, where: object = None):
        """Args: as there.

        Raises:
            ModelError: if the model does not guess tokens, or the tokenizer has no mask.
        """
        super().__init__(model, tokenizer, where=where)
        if not model.architecture.endswith(("ForMaskedLM", "ForPreTraining")):
            raise ModelError(
                f"a {model.architecture} does not guess masked tokens", where=where,
                remedy="Take one of the kind of BertForMaskedLM.",
            )  # fmt: skip
        self.mask_id = mask_id_of(tokenizer, where)
        self.mask_token: str = tokenizer.special_tokens["mask_token"]
        self._encode = masked_encoder(tokenizer)

    def fill(
        self, texts: Sequence[str], *, top_k: int = 5, targets: Sequence[str] | None = None
    ) -> list[list[list[dict[str, Any]]]]:
        """For each text, and each of its masks, the most probable tokens.

        Args:
            texts: strings with the mask token in them.
            top_k: how many tokens.
            targets: choose among these alone; their probabilities stay those among all tokens.

        Returns:
            Objects of "score" (probability), "token" (id), "token_str", and "sequence": the text with this token, other
            masks and special tokens shown where there are several masks.

        Raises:
            DataError: for a text without a mask, or too long for the model.
            ConfigError: for a target that is not one token, or no answer asked for.
        """
        if top_k < 1:
            raise ConfigError(f"top_k = {top_k} asks for no token", where="top_k")
        chosen = None if targets is None else torch.tensor(self._target_ids(targets))
        rows = self._encode(texts)
        self._check(rows)
        found: list[list[list[dict[str, Any]]]] = [[] for _ in rows]
        self.model.eval()
        device = next(self.model.parameters()).device
        for batch, logits in forward_batches(rows, self._logits, pad_id=self.fill_id, device=device):
            # (M, V), the masks of the batch row by row; a model may have rows that no token belongs to
            probabilities = logits.softmax(-1)[:, : self.tokenizer.vocab_size]
            if chosen is not None:
                probabilities = probabilities[:, chosen]
            scores, places = probabilities.topk(min(top_k, probabilities.shape[1]))
            tokens = places if chosen is None else chosen[places]
            start = 0
            for row in batch:
                masks = [place for place, token in enumerate(rows[row].ids) if token == self.mask_id]
                for mask, own, ids in zip(masks, scores[start:].tolist(), tokens[start:].tolist(), strict=False):
                    found[row].append(
                        [
                            self._answer(rows[row].ids, mask, token, score, alone=len(masks) == 1)
                            for token, score in zip(ids, own, strict=True)
                        ]
                    )
                start += len(masks)
        return found

    def _logits(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Scores at the masks alone, (M, V): over all positions they would be most of the work."""
        hidden = self.model.backbone(**inputs).last_hidden_state  # pyright: ignore[reportCallIssue]
        masks = inputs["input_ids"] == self.mask_id
        head, table = self.model.head.tokens, self.model.backbone.token_weight  # pyright: ignore[reportAttributeAccessIssue]
        return head(hidden[masks], table).float()  # pyright: ignore[reportCallIssue]

    def _answer(self, ids: list[int], mask: int, token: int, score: float, *, alone: bool) -> dict[str, Any]:
        filled = [*ids[:mask], token, *ids[mask + 1 :]]
        return {
            "score": score, "token": token, "token_str": self.tokenizer.decode([token], skip_special=False),
            "sequence": self.tokenizer.decode(filled, skip_special=alone),
        }  # fmt: skip

    def _check(self, rows: Sequence[Framed]) -> None:
        max_len = getattr(self.config, "max_len", None)
        for number, row in enumerate(rows):
            if self.mask_id not in row.ids:
                raise DataError(
                    f"there is no {self.mask_token} in this text", where=f"text {number}",
                    remedy=f"Put {self.mask_token} where a token is to be guessed.",
                )  # fmt: skip
            if max_len is not None and len(row.ids) > max_len:
                raise DataError(
                    f"{len(row.ids)} tokens, but at most {max_len} are allowed", where=f"text {number}",
                    remedy="Give less of what is around the mask.",
                )  # fmt: skip

    def _target_ids(self, targets: Sequence[str]) -> list[int]:
        targets = [targets] if isinstance(targets, str) else targets
        found = []
        for target in targets:
            token = self.tokenizer.token_id(target)
            ids = [token] if token is not None else self.tokenizer.encode(target)
            unknown = self.tokenizer.special_tokens.get("unk_token")
            if len(ids) != 1 or (unknown is not None and ids[0] == self.tokenizer.token_id(unknown)):
                pieces = " ".join(self.tokenizer.decode([piece], skip_special=False) for piece in ids)
                raise ConfigError(
                    f"the target {target!r} is not one token of this model ({pieces or 'nothing'})", where="targets",
                    remedy="Give words that it has as a whole.",
                )  # fmt: skip
            found.append(ids[0])
        if not found:
            raise ConfigError("there is no target to choose from", where="targets", remedy="Leave targets out.")
        return list(dict.fromkeys(found))


class FillMaskPipeline(Pipeline):
    """See above. The answer to a text with one mask is a list of `{"score", "token", "token_str", "sequence"}`, to one with
    several a list of such lists."""

    def __init__(self, filler: MaskFiller):
        self.filler = filler

    def read(self, item: Any) -> str:
        """A text, or {"text": …}."""
        return read_text(item)

    def answers(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, items: list[str], *, top_k: int = 5, targets: Sequence[str] | None = None
    ) -> list[Any]:
        """See `MaskFiller.fill`."""
        if not items:
            return []
        return [
            masks[0] if len(masks) == 1 else masks for masks in self.filler.fill(items, top_k=top_k, targets=targets)
        ]
