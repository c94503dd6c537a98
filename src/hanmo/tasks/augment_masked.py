"""What a masked language model reads in the place of words (Kobayashi, 2018, §2; Wu et al., 2019, §3.2, without labels)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from hanmo.core.errors import ModelError
from hanmo.tasks.augment_words import Words, is_han, like_case
from hanmo.tasks.forward import forward_by_length
from hanmo.tasks.loaded_model import LoadedModel
from hanmo.tasks.loading import load
from hanmo.tokenizers.framed import Framed
from hanmo.tokenizers.word_rows import encode_words

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Gaps", "MaskedWords"]


@dataclass(frozen=True, slots=True)
class Gaps:
    """Words of a text that are to be filled in anew."""

    words: Words
    places: tuple[int, ...]
    rng: np.random.Generator
    """Draws what is filled in."""


@dataclass(slots=True)
class _Work:
    ids: list[int]
    masks: list[tuple[int, bool]]
    """Word of each mask from left to right, and whether it stands for a Chinese character."""
    found: dict[int, str] = field(default_factory=dict)


class MaskedWords:
    """A masked language model that fills in words.

    An English word is one mask, filled by a token that is a whole word; a Chinese word is a mask for each character,
    filled from left to right, each seeing those before it.
    """

    def __init__(self, path: str | Path, *, device: str, n: int):
        """Args:
        path: the model.
        device: where it runs.
        n: most probable tokens that are drawn from.

        Raises:
            ModelError: if it is no masked language model.
        """
        lm = load(path, device=device)
        name = lm.model.architecture
        if not isinstance(lm, LoadedModel) or lm.tokenizer is None or not name.endswith(("MaskedLM", "PreTraining")):
            raise ModelError(
                f"a {name} fills in no masks", where=path, remedy="Give a masked language model, such as BERT."
            )
        mask = lm.tokenizer.token_id(lm.tokenizer.special_tokens.get("mask_token", ""))
        if mask is None:
            raise ModelError("this tokenizer has no mask", where=path, remedy="Give a masked language model.")
        self._model, self._tokenizer, self._n, self._mask = lm.model.eval(), lm.tokenizer, n, mask
        self._fill = lm.fill_id
        self._max_len: int | None = getattr(lm.config, "max_len", None)
        self._words, self._characters = self._whole(lm.config.vocab_size)

    def fill(self, gaps: Sequence[Gaps]) -> list[Words]:
        """The texts with other words in their gaps; those of words that do not fit into the model's context stay."""
        rows = encode_words(self._tokenizer, [gap.words.words for gap in gaps], max_len=None, overlap=0)
        work = [self._open(gap, found[0].ids, found[0].first) for gap, found in zip(gaps, rows, strict=True)]
        while open_ones := [number for number, one in enumerate(work) if one.masks]:
            framed = [Framed(work[number].ids, [0] * len(work[number].ids)) for number in open_ones]
            device = next(self._model.parameters()).device
            best = forward_by_length(framed, self._read, pad_id=self._fill, device=device)
            for number, answer in zip(open_ones, best, strict=True):
                self._take(gaps[number], work[number], answer)
        return [
            gap.words.replaced(
                {place: like_case(word, gap.words.words[place]) for place, word in one.found.items() if word}
            )
            for gap, one in zip(gaps, work, strict=True)
        ]

    def _open(self, gap: Gaps, ids: list[int], first: Mapping[int, int]) -> _Work:
        """Masks in the place of the words; of a text longer than the model, what is round the first of them."""
        order = sorted(first)
        start, end = first[order[0]], len(ids)
        while ids[end - 1] in self._tokenizer.special_ids:
            end -= 1
        pieces: list[tuple[int, list[int]]] = []
        for word, after in zip(order, [*order[1:], None], strict=True):
            tokens = ids[first[word] : end if after is None else first[after]]
            if word in gap.places and self._can_fill(gap.words.words[word]):
                tokens = [self._mask] * (len(gap.words.words[word]) if is_han(gap.words.words[word]) else 1)
            pieces.append((word, tokens))
        if self._max_len is not None:
            pieces = _window(pieces, min(gap.places), self._max_len - start - (len(ids) - end))
        masks = [(word, is_han(gap.words.words[word])) for word, tokens in pieces for t in tokens if t == self._mask]
        return _Work([*ids[:start], *(token for _, tokens in pieces for token in tokens), *ids[end:]], masks)

    def _can_fill(self, word: str) -> bool:
        """Whether there is a choice."""
        return int((self._characters if is_han(word) else self._words).sum()) > 1

    @torch.inference_mode()
    def _read(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Numbers and scores of the best tokens for the first mask of each row, of words and of characters, (B, 2, n + 1,
        2); one more than are asked for, as the word itself may be among them."""
        logits: Any = self._model(**inputs)
        scores = getattr(logits, "logits", None)
        scores = logits.prediction_logits if scores is None else scores
        masks = (inputs["input_ids"] == self._mask).float().argmax(-1)
        here = scores[torch.arange(len(masks), device=masks.device), masks].float()  # (B, V)
        found = []
        for allowed in (self._words, self._characters):
            kept = here.masked_fill(~allowed.to(here.device), -torch.inf)
            values, ids = kept.topk(min(self._n + 1, kept.shape[-1]), dim=-1)
            found.append(torch.stack([ids.float(), values], -1))
        return torch.stack(found, 1)

    def _take(self, gap: Gaps, work: _Work, best: Tensor) -> None:
        """Draw one of the best for the first mask."""
        word, han = work.masks.pop(0)
        place = work.ids.index(self._mask)
        original = gap.words.words[word]
        so_far = work.found.get(word, "")
        options = [
            (int(token), float(score))
            for token, score in best[int(han)].tolist()
            if score > -np.inf and self._name(int(token)).lower() != original.lower()
        ][: self._n]
        scores = np.array([score for _, score in options])
        shares = np.exp(scores - scores.max())
        token = options[int(gap.rng.choice(len(options), p=shares / shares.sum()))][0]
        work.ids[place] = token
        work.found[word] = so_far + self._name(token)

    def _name(self, token: int) -> str:
        return self._tokenizer.decode([token]).strip()

    def _whole(self, n_rows: int) -> tuple[Tensor, Tensor]:
        """Which tokens are whole words of letters, and which a Chinese character, (V,) each."""
        names = [self._name(token) for token in range(self._tokenizer.vocab_size)]
        asked = [number for number, name in enumerate(names) if name.isalpha() and name.isprintable()]
        # the word before it shows the token as it stands within a text
        rows = encode_words(self._tokenizer, [["a", names[number]] for number in asked], max_len=None, overlap=0)
        words, characters = (torch.zeros(n_rows, dtype=torch.bool) for _ in range(2))
        for number, (row, *_) in zip(asked, rows, strict=True):
            start = row.first.get(1)
            rest = [token for token in row.ids[start:] if token not in self._tokenizer.special_ids] if start else []
            if rest == [number]:
                if len(names[number]) == 1 and is_han(names[number]):
                    characters[number] = True
                elif not any(is_han(character) for character in names[number]):
                    words[number] = True
        return words, characters


def _window(pieces: list[tuple[int, list[int]]], word: int, room: int) -> list[tuple[int, list[int]]]:
    """Whole words around this one, `room` tokens at most, half of them before it."""
    middle = next(place for place, (number, _) in enumerate(pieces) if number == word)
    low, before = middle, 0
    while low > 0 and before + len(pieces[low - 1][1]) <= room // 2:
        low -= 1
        before += len(pieces[low][1])
    high, total = low, 0
    while high < len(pieces) and total + len(pieces[high][1]) <= room:
        total += len(pieces[high][1])
        high += 1
    return pieces[low:high]
