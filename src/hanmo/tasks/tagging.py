"""Learning to tag words: rows for batches and the loss."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from hanmo.nn.label_schemes import guess_scheme
from hanmo.nn.losses import IGNORED
from hanmo.tasks.tag_examples import TagExample
from hanmo.tokenizers.tokenizer import Tokenizer
from hanmo.tokenizers.word_rows import WordRow, encode_words

__all__ = ["CASES", "case_of", "encode_tagged", "fills_of_tags", "tag_inputs", "tagging_loss"]

CASES = 5
"""Kinds of spelling that `case_of` tells apart."""


def case_of(word: str) -> int:
    """0 lower case or no letters, 1 a capital first, 2 capitals alone, 3 capitals inside, 4 with a digit."""
    if any(character.isdigit() for character in word):
        return 4
    if word.islower() or not any(character.isupper() for character in word):
        return 0
    if word.isupper() and len(word) > 1:
        return 2
    return 1 if word[0].isupper() and not any(character.isupper() for character in word[1:]) else 3


def tag_inputs(row: WordRow, words: Sequence[str], config: Any, *, cases: bool) -> dict[str, list[int]]:
    """What a model is given besides ids: characters of words, where it reads them; how they are spelt, as segments."""
    more: dict[str, list[int]] = {}
    if getattr(config, "characters", ""):
        spelt = [""] * len(row.ids)
        for word, place in row.first.items():
            spelt[place] = words[word]
        more["char_ids"] = config.char_ids(spelt)
    if cases:
        kinds = [0] * len(row.ids)
        for word, place in row.first.items():
            kinds[place] = case_of(words[word])
        more["token_type_ids"] = kinds
    return more


def encode_tagged(
    examples: Sequence[TagExample], tokenizer: Tokenizer, config: Any, *, overlap: int, cases: bool, notes: Counter[str]
) -> list[dict[str, Any]]:
    """Rows for `hanmo.batches.padded_rows`: the tag of each word on its first token, -100 elsewhere.

    Args:
        examples: to learn from.
        tokenizer: of the model.
        config: of the model.
        overlap: tokens that windows share.
        cases: whether segments tell how words are spelt.
        notes: how many sentences became windows is counted here.
    """
    index = {name: number for number, name in enumerate(config.labels)}
    spans = guess_scheme(config.labels) is not None
    windows = encode_words(
        tokenizer, [example.words for example in examples], max_len=getattr(config, "max_len", None), overlap=overlap
    )
    notes["training sentences are longer than the model reads, and become windows"] += sum(
        len(rows) > 1 for rows in windows
    )
    found = []
    for example, rows in zip(examples, windows, strict=True):
        for row in rows:
            labels = [IGNORED] * len(row.ids)
            words = sorted(row.first)
            for word in words[slice(*_whole(words, example.tags))] if spans and words else words:
                labels[row.first[word]] = index[example.tags[word]]
            if any(label != IGNORED for label in labels):
                more = tag_inputs(row, example.words, config, cases=cases)
                found.append({"input_ids": row.ids, "labels": labels} | more)
    return found


def _whole(words: Sequence[int], tags: Sequence[str]) -> tuple[int, int]:
    """Which words of a window are left when spans that it cuts through are not learned from it."""
    inside = ("I-", "M-", "E-")
    start, end = 0, len(words)
    if words[0] > 0:
        while start < end and (tags[words[start]].startswith(inside) or tags[words[start]] in ("I", "M", "E")):
            start += 1
    if words[-1] + 1 < len(tags) and (tags[words[-1] + 1].startswith(inside) or tags[words[-1] + 1] in ("I", "M", "E")):
        while end > start and not (tags[words[end - 1]].startswith("B-") or tags[words[end - 1]] == "B"):
            end -= 1
        end = max(start, end - 1)
    return start, end


def fills_of_tags(pad_id: int) -> dict[str, int]:
    """What fills up each key of such a row."""
    return {"input_ids": pad_id, "labels": IGNORED, "char_ids": 0, "token_type_ids": 0}


def tagging_loss(model: nn.Module, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """The loss that `hanmo.training.loop.fit` is handed: a sum over words, and how many they are."""
    n = (batch["labels"] != IGNORED).sum()
    return model(**batch).loss * n, n
