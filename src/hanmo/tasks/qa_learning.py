"""Learning to point at answers: rows for batches and the loss."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hanmo.core.errors import DataError
from hanmo.nn.losses import IGNORED
from hanmo.tasks.qa_examples import QaExample
from hanmo.tasks.qa_settings import AnswerSettings
from hanmo.tokenizers.context_rows import ContextRow, encode_contexts
from hanmo.tokenizers.tokenizer import Tokenizer

__all__ = ["MATCHES", "encode_questions", "fills_of_questions", "pointing_loss", "segments_of", "windows_of"]

MATCHES = 3
"""Kinds of segments that also tell which words of a text are in the question: 2, beside 0 for it and 1 for the text."""
_AT_ONCE = 32


def windows_of(
    pairs: Sequence[tuple[str, str]],
    tokenizer: Tokenizer,
    config: Any,
    settings: AnswerSettings,
    *,
    names: Sequence[str] | None = None,
) -> Iterator[list[ContextRow]]:
    """Rows of each question with its text, a few questions at a time: long texts take much room.

    Args:
        pairs: question and text.
        tokenizer: of the model.
        config: of the model.
        settings: how long windows are.
        names: what errors call each; its number if None.

    Raises:
        DataError: for a question that is too long, by its name.
    """
    max_len = min(settings.window, getattr(config, "max_len", None) or settings.window)
    encode = partial(encode_contexts, tokenizer, max_len=max_len, overlap=min(settings.overlap, max_len // 2))
    for start in range(0, len(pairs), _AT_ONCE):
        some = pairs[start : start + _AT_ONCE]
        try:
            yield from encode(some)
        except DataError:
            for number, pair in enumerate(some, start):
                try:
                    encode([pair])
                except DataError as error:
                    where = f"question {number}" if names is None else names[number]
                    raise DataError(error.what, where=where, remedy=error.remedy) from error
            raise


def segments_of(row: ContextRow, config: Any) -> list[int] | None:
    """The `token_type_ids` that a model is given; None where it knows no segments."""
    n = getattr(config, "n_segments", None)
    if n == MATCHES:
        rest = len(row.ids) - row.first - len(row.spans)
        return [0] * row.first + (1 + row.shared.astype(int)).tolist() + [1] * rest
    return row.token_type_ids if any(row.token_type_ids) and n not in (0, 1) else None


def encode_questions(
    examples: Sequence[QaExample], tokenizer: Tokenizer, config: Any, settings: AnswerSettings, *, seed: int
) -> tuple[list[dict[str, Any]], Counter[str]]:
    """Rows for `hanmo.batches.padded_rows`, with `starts` and `ends`: 1 where an answer starts or ends, 0 where one
    might, -100 where none can.

    A window that has no whole answer points at its [CLS] token (Devlin et al., 2019, §4.3). All answers that are right
    are pointed at.

    Args:
        examples: to learn from.
        tokenizer: of the model.
        config: of the model.
        settings: how long windows are.
        seed: chooses which windows without an answer are learned, where there are more than `empty_windows`.

    Returns:
        Rows, and what was left out and how often.

    Raises:
        DataError: for a question that is too long, by its place.
    """
    draw = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, 0x9A])))
    found: list[dict[str, Any]] = []
    notes: Counter[str] = Counter()
    pairs = [(example.question, example.context) for example in examples]
    rows_of = windows_of(pairs, tokenizer, config, settings, names=[example.where for example in examples])
    for example, windows in zip(examples, rows_of, strict=True):
        full, empty = [], []
        notes["training questions have a text that is read in windows"] += len(windows) > 1
        for row in windows:
            places = [place for span in example.spans if (place := _places(row.spans, *span)) is not None]
            (full if places else empty).append(_labelled(row, places, config))
            notes["training answers longer than max_answer_len, which will not be found"] += any(
                last - first >= settings.max_answer_len for first, last in places
            )
        if example.spans and not full:
            notes["training questions left out because no window holds their answer whole"] += 1
            continue
        if len(empty) > settings.empty_windows:
            notes["windows without the answer that are not learned"] += len(empty) - settings.empty_windows
            kept = sorted(draw.choice(len(empty), settings.empty_windows, replace=False).tolist())
            empty = [empty[place] for place in kept]
        found += full + empty
    return found, +notes


def _places(spans: np.ndarray, start: int, end: int) -> tuple[int, int] | None:
    """First and last token of an answer, if all of it is in this window."""
    inside = np.flatnonzero((spans[:, 1] > start) & (spans[:, 0] < end))
    if not len(inside) or start < spans[0, 0] or end > spans[-1, 1]:
        return None
    return int(inside[0]), int(inside[-1])


def _labelled(row: ContextRow, places: Sequence[tuple[int, int]], config: Any) -> dict[str, Any]:
    inputs: dict[str, Any] = {"input_ids": row.ids}
    segments = segments_of(row, config)
    if segments is not None:
        inputs["token_type_ids"] = segments
    for side, name in enumerate(("starts", "ends")):
        labels = [IGNORED] * len(row.ids)
        labels[row.first : row.first + len(row.spans)] = [0] * len(row.spans)
        labels[row.none] = 0
        for place in places:
            labels[row.first + place[side]] = 1
        if not places:
            labels[row.none] = 1
        inputs[name] = labels
    return inputs


def fills_of_questions(pad_id: int) -> dict[str, int]:
    """What fills up each key of such a row."""
    return {"input_ids": pad_id, "token_type_ids": 0, "starts": IGNORED, "ends": IGNORED}


def pointing_loss(model: nn.Module, batch: dict[str, Tensor]) -> tuple[Tensor, int]:
    """The loss that `hanmo.training.loop.fit` is handed: a sum over rows, and how many they are.

    -log of the probability of all right starts together, and of all right ends, halved (Clark & Gardner, 2018, §2.3);
    with one answer it is the cross-entropy of Devlin et al. (2019, §4.2). Where no answer can be counts for nothing.
    """
    inputs = {name: value for name, value in batch.items() if name not in ("starts", "ends")}
    out = model(**inputs)
    total = torch.zeros((), device=out.start_logits.device)
    for logits, labels in ((out.start_logits, batch["starts"]), (out.end_logits, batch["ends"])):
        scores = logits.float()
        right = scores.masked_fill(labels != 1, -torch.inf).logsumexp(-1)
        total = total + (scores.masked_fill(labels == IGNORED, -torch.inf).logsumexp(-1) - right).sum() / 2
    return total, len(batch["input_ids"])
