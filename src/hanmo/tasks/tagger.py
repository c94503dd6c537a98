"""A model that tags words, with its tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from hanmo.batches.by_length import batches_by_length, pad_rows
from hanmo.core.errors import ConfigError, ModelError
from hanmo.models.crf_head import CrfHead
from hanmo.nn.evaluating import evaluating
from hanmo.tasks.loaded_model import LoadedModel
from hanmo.tasks.tagging import CASES, fills_of_tags, tag_inputs
from hanmo.tokenizers.tokenizer import Tokenizer
from hanmo.tokenizers.word_rows import WordRow, encode_words

__all__ = ["OVERLAP", "Tagged", "Tagger", "tag_architecture"]

OVERLAP = 32
"""Tokens that windows of a long sentence share."""
_UNIT_KEY = "hanmo_word_unit"
_MAX_TOKENS = 2048
Unit = Literal["word", "character"]


def tag_architecture(names: Sequence[str], *, crf: bool) -> str:
    """The class of a family that tags words.

    Raises:
        ConfigError: if it has none.
    """
    kind = "CrfForTokenClassification" if crf else "ForTokenClassification"
    for name in names:
        if name.endswith(kind) and ("Crf" in name) == crf:
            return name
    raise ConfigError(
        f"this family has no head for tags {'with' if crf else 'without'} a CRF", where="model",
        remedy="Set crf = false, or take BERT or the BiLSTM." if crf else "Take an encoder such as BERT.",
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Tagged:
    """The tags of one sentence."""

    tags: tuple[str, ...]
    """One for each word."""
    scores: tuple[float, ...]
    """Probability of each."""


class Tagger(LoadedModel):
    """Sentences to tags."""

    tokenizer: Tokenizer

    def __init__(self, model: Any, tokenizer: Tokenizer, *, where: object = None, unit: Unit | None = None):
        """Args: as there, and

        unit: what a text without words marked is cut into; what the tokenizer's config says if None.

        Raises:
            ModelError: if the model has no head for tags.
        """
        super().__init__(model, tokenizer, where=where)
        if not model.architecture.endswith("ForTokenClassification"):
            raise ModelError(
                f"a {model.architecture} does not tag words", where=where,
                remedy='Train one on tagged sentences first: a recipe with task = "token-classification".',
            )  # fmt: skip
        if unit is not None:
            tokenizer.config[_UNIT_KEY] = unit

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the tags, in the order of their scores."""
        return self.config.labels

    @property
    def unit(self) -> Unit:
        """What a text is cut into."""
        return "character" if self.tokenizer.config.get(_UNIT_KEY) == "character" else "word"

    @property
    def has_crf(self) -> bool:
        """Whether tags are chosen together."""
        return "Crf" in str(self.model.architecture)

    @property
    def uses_cases(self) -> bool:
        """Whether segments stand for spelling; see `hanmo.tasks.tagging.case_of`."""
        return getattr(self.config, "n_segments", 0) == CASES

    def tag(self, sentences: Sequence[Sequence[str]], *, max_tokens: int = _MAX_TOKENS) -> list[Tagged]:
        """Tag words.

        A sentence longer than the model can read is read in windows that overlap: none of it is left out.

        Args:
            sentences: words of each.
            max_tokens: most positions of a batch, padding included.

        Returns:
            Tags with their probabilities: those of the word by itself, with a CRF those over all sequences.
        """
        if isinstance(sentences, str) or any(isinstance(sentence, str) for sentence in sentences):
            raise ConfigError("a text where words belong", where="sentences", remedy="Give lists of words.")
        windows = encode_words(
            self.tokenizer, sentences, max_len=getattr(self.config, "max_len", None), overlap=OVERLAP
        )
        tags = [["O"] * len(words) for words in sentences]
        scores = [[0.0] * len(words) for words in sentences]
        rows = [(number, row) for number, found in enumerate(windows) for row in found if row.first]
        with evaluating(self.model):
            for batch in batches_by_length([len(row.ids) for _, row in rows], max_tokens=max_tokens):
                chosen = [rows[place] for place in batch]
                labels, sure = self._forward(chosen, sentences)
                for (number, row), names, probabilities in zip(chosen, labels, sure, strict=True):
                    for word in row.own:
                        place = row.first[word]
                        tags[number][word] = self.labels[names[place]]
                        scores[number][word] = float(probabilities[place])
        return [Tagged(tuple(names), tuple(found)) for names, found in zip(tags, scores, strict=True)]

    @torch.inference_mode()
    def _forward(
        self, rows: Sequence[tuple[int, WordRow]], sentences: Sequence[Sequence[str]]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Number of the label at each place, (B, T), and its probability."""
        device = next(self.model.parameters()).device
        fills = fills_of_tags(self.fill_id)
        inputs: dict[str, list[list[int]]] = {"input_ids": [row.ids for _, row in rows]}
        for number, row in rows:
            for key, values in tag_inputs(row, sentences[number], self.config, cases=self.uses_cases).items():
                inputs.setdefault(key, []).append(values)
        tensors: dict[str, Tensor] = {key: pad_rows(values, fills[key]).to(device) for key, values in inputs.items()}
        length = tensors["input_ids"].shape[1]
        lengths = torch.tensor([len(row.ids) for _, row in rows], device=device)
        tensors["attention_mask"] = (torch.arange(length, device=device) < lengths[:, None]).long()
        if not self.has_crf:
            return _best(self.model(**tensors).logits.float().softmax(-1))
        asked = torch.zeros_like(tensors["input_ids"])
        for place, (_, row) in enumerate(rows):
            asked[place, list(row.first.values())] = 1
        output = self.model(**tensors, label_mask=asked)
        labels = output.decoded.clamp(min=0)
        head = self.model.head
        assert isinstance(head, CrfHead)
        sure = head.crf.marginals(output.logits.float(), asked).gather(-1, labels[..., None])[..., 0]
        return labels.cpu().numpy(), sure.cpu().numpy()


def _best(probabilities: Tensor) -> tuple[np.ndarray, np.ndarray]:
    values, labels = probabilities.max(-1)
    return labels.cpu().numpy(), values.cpu().numpy()
