"""Tokens that cannot come at a place, by `TextRules`. Shapes: N rows, V vocabulary, T tokens so far.

The order in `keep_rules` is that of `transformers`.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from hanmo.generation.settings import TextRules

__all__ = ["NOTHING", "forbid_repeated_ngrams", "forbid_words", "keep_rules"]

NOTHING = -1
"""Stands for padding in a history: no token's id."""


def keep_rules(
    logits: Tensor, history: Tensor, rules: TextRules, *, held_back: Tensor, first: bool, last: Tensor
) -> Tensor:
    """Everything that `rules` forbid or force.

    Args:
        logits: (N, V), logits or log-probabilities.
        history: ids of prompt and text so far, (N, T); -1 where there is nothing.
        rules: what holds.
        held_back: ids that end a text where it may not end yet, else none, (E,).
        first: whether the next token is the first of the texts.
        last: whether it is the last that a row may have, (N,) bool.

    Returns:
        (N, V), with -inf for what cannot come.
    """
    if rules.no_repeat_ngram_size:
        logits = forbid_repeated_ngrams(logits, history, rules.no_repeat_ngram_size)
    for words in rules.bad_words_ids:
        logits = forbid_words(logits, history, words)
    if len(held_back):
        logits = logits.index_fill(1, held_back, -math.inf)
    if first and rules.forced_bos_token_id is not None:
        logits = _force(logits, rules.forced_bos_token_id, torch.ones_like(last))
    if rules.forced_eos_token_id is not None:
        logits = _force(logits, rules.forced_eos_token_id, last)
    return logits


def _force(logits: Tensor, token: int, rows: Tensor) -> Tensor:
    alone = torch.full_like(logits, -math.inf)
    alone[:, token] = 0.0
    return torch.where(rows[:, None], alone, logits)


def forbid_words(logits: Tensor, history: Tensor, words: tuple[int, ...]) -> Tensor:
    """Rule out the last of these tokens where the others stand before it.

    Args:
        logits: (N, V).
        history: (N, T); -1 where there is nothing.
        words: at least one token.
    """
    *before, token = words
    if len(before) > history.shape[1]:
        return logits
    same = (history[:, history.shape[1] - len(before) :] == torch.tensor(before, device=history.device)).all(-1)
    logits = logits.clone()
    logits[same, token] = -math.inf
    return logits


def forbid_repeated_ngrams(logits: Tensor, history: Tensor, n: int) -> Tensor:
    """Rule out each token that would complete n tokens that are already there (Paulus et al., 2018, §2.5).

    Args:
        logits: (N, V).
        history: ids of prompt and continuation, (N, T); -1 where there is nothing.
        n: at least 1.
    """
    length = history.shape[1]
    if length < n:
        return logits
    windows = history.unfold(1, n, 1)  # (N, T - n + 1, n)
    same = (windows[..., :-1] == history[:, None, length - n + 1 :]).all(-1)
    row, place = same.nonzero(as_tuple=True)
    last = windows[row, place, n - 1]
    logits = logits.clone()
    logits[row[last >= 0], last[last >= 0]] = -math.inf
    return logits
