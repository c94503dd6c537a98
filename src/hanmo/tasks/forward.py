"""Many texts through an encoder: sorted by length, in batches of so many tokens, answers in the order of the texts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext

import numpy as np
import torch
from torch import Tensor

from hanmo.batches.by_length import batches_by_length, pad_rows
from hanmo.core.progress import progress
from hanmo.tokenizers.framed import Framed

__all__ = ["OVERLAP", "forward_batches", "forward_by_length", "forward_windows"]

OVERLAP = 64
"""Tokens that windows of a long text share."""


_MAX_TOKENS = {"cpu": 1024, "cuda": 32768}
"""A processor is as fast on small batches, which have less padding; an accelerator needs large ones."""
_LONG = 10_000
"""Texts from which on it takes long enough to show progress."""


def forward_windows(
    windows: Sequence[Sequence[Framed]],
    forward: Callable[[Mapping[str, Tensor]], Tensor],
    *,
    pad_id: int,
    device: torch.device | str = "cpu",
    max_tokens: int | None = None,
) -> np.ndarray:
    """`forward_by_length` over texts that may be several rows each: the mean over the rows of a text.

    Args:
        windows: for each text its rows; at least one text, and one row in each.
        forward: as there, to (B, C).
        pad_id: as there.
        device: as there.
        max_tokens: as there.

    Returns:
        (N, C) float32 for N texts.
    """
    owners = np.repeat(np.arange(len(windows)), [len(rows) for rows in windows])
    found = forward_by_length(
        [row for rows in windows for row in rows], forward, pad_id=pad_id, device=device, max_tokens=max_tokens
    ).numpy()
    if len(found) == len(windows):
        return found
    sums = np.zeros((len(windows), found.shape[1]), dtype=np.float32)
    np.add.at(sums, owners, found)
    return sums / np.bincount(owners)[:, None].astype(np.float32)


@torch.inference_mode()
def forward_by_length(
    rows: Sequence[Framed],
    forward: Callable[[Mapping[str, Tensor]], Tensor],
    *,
    pad_id: int,
    device: torch.device | str = "cpu",
    max_tokens: int | None = None,
) -> Tensor:
    """Run `forward` over all rows.

    Args:
        rows: ids of the texts; at least one.
        forward: from the arguments of a model (input_ids, and attention_mask and token_type_ids where they say
            something) to one answer for each row, (B, ...), of the same shape in all batches.
        pad_id: what fills rows.
        device: where the model is.
        max_tokens: most positions of a batch, padding included; what suits the device if None.

    Returns:
        Answers in the order of `rows`, (N, ...), on the CPU.
    """
    answers: list[Tensor] = []
    order: list[int] = []
    for batch, answer in forward_batches(rows, forward, pad_id=pad_id, device=device, max_tokens=max_tokens):
        answers.append(answer)
        order += batch
    whole = torch.cat(answers)
    return torch.empty_like(whole).index_copy_(0, torch.tensor(order), whole)


@torch.inference_mode()
def forward_batches(
    rows: Sequence[Framed],
    forward: Callable[[Mapping[str, Tensor]], Tensor],
    *,
    pad_id: int,
    device: torch.device | str = "cpu",
    max_tokens: int | None = None,
) -> Iterator[tuple[list[int], Tensor]]:
    """`forward_by_length` batch by batch, for answers whose shape is that of their batch.

    Yields:
        Which rows, and what `forward` makes of them, on the CPU.
    """
    if max_tokens is None:
        max_tokens = _MAX_TOKENS.get(torch.device(device).type, _MAX_TOKENS["cuda"])
    batches = batches_by_length([len(row.ids) for row in rows], max_tokens=max_tokens)
    with progress("Encode", len(rows), "texts") if len(rows) >= _LONG else nullcontext() as bar:
        for batch in batches:
            inputs = _inputs([rows[row] for row in batch], pad_id)
            yield batch, forward({name: tensor.to(device) for name, tensor in inputs.items()}).cpu()
            if bar is not None:
                bar.advance(len(batch))


def _inputs(rows: list[Framed], pad_id: int) -> dict[str, Tensor]:
    inputs = {"input_ids": pad_rows([row.ids for row in rows], pad_id)}
    lengths = torch.tensor([len(row.ids) for row in rows])
    if int(lengths.min()) < inputs["input_ids"].shape[1]:
        inputs["attention_mask"] = (torch.arange(inputs["input_ids"].shape[1]) < lengths[:, None]).long()
    if any(map(any, (row.token_type_ids for row in rows))):  # all 0 is what a model takes by itself
        inputs["token_type_ids"] = pad_rows([row.token_type_ids for row in rows], 0)
    return inputs
