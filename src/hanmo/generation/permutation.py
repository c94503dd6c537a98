"""Token by token with a model that guesses places: a dummy token is added, and a target stands where it is.

The prompt is read in both directions, each new token with the two before it again, all earlier ones from memory
(Yang et al., 2019, use the same trick to write text). Such a model is made for longer prompts than one of the next
token.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Any

import torch
from torch import Tensor

from hanmo.core.errors import ConfigError
from hanmo.generation.sampling import choose, row_generator
from hanmo.generation.settings import GenerationSettings
from hanmo.nn.evaluating import evaluating

__all__ = ["generate_by_permutation"]

_READ_AGAIN = 2
"""Tokens that are computed anew at each step although they are in memory, so that they see what follows them."""


def generate_by_permutation(
    model: Any,
    prompts: Sequence[Sequence[int]],
    settings: GenerationSettings,
    *,
    eos_ids: Collection[int] = (),
    use_mems: bool | None = None,
    first_row: int = 0,
) -> list[list[int]]:
    """Continue each prompt.

    Args:
        model: takes `perm_mask`, `target_mapping`, `mems` and `use_mems`, and returns logits of the targets; put in
            evaluation mode while tokens are computed.
        prompts: token ids of each row, of any lengths. Rows of one length are computed together; there is no padding.
        settings: `n` and `stop` are the caller's matter.
        eos_ids: a row ends where the model chooses one of these; it is not part of the output.
        use_mems: keep what was computed for earlier tokens, or read the whole text anew for each; as the model's
            settings say if None. The two differ, since memory was made before the tokens that follow were known.
        first_row: number of the first row among all rows of this seed.

    Returns:
        The new tokens of each row.

    Raises:
        ConfigError: for an empty prompt.
    """
    for number, prompt in enumerate(prompts):
        if not prompt:
            raise ConfigError(f"prompt {number} has no tokens", where="prompts", remedy="Give at least one token.")
    seed = int.from_bytes(os.urandom(7)) if settings.seed is None else settings.seed
    generators = [row_generator(seed, first_row + row) for row in range(len(prompts))]
    by_length: dict[int, list[int]] = defaultdict(list)
    for row, prompt in enumerate(prompts):
        by_length[len(prompt)].append(row)
    texts = [list(prompt) for prompt in prompts]
    with evaluating(model), torch.inference_mode():
        for rows in by_length.values():
            _continue(model, rows, texts, settings, generators, frozenset(eos_ids), use_mems)
    return [text[len(prompt) :] for text, prompt in zip(texts, prompts, strict=True)]


def _continue(
    model: Any,
    rows: list[int],
    texts: list[list[int]],
    settings: GenerationSettings,
    generators: list[torch.Generator],
    eos_ids: frozenset[int],
    use_mems: bool | None,
) -> None:
    """Add to the texts of some rows of equal length."""
    device = next(model.parameters()).device
    ids = torch.tensor([texts[row] for row in rows], device=device)  # (B, T)
    active, mems = set(rows), None
    for _ in range(settings.max_new_tokens):
        logits, mems = _step(model, ids, mems, use_mems)
        # an ended row goes on with its last token; nobody looks at what comes of it
        new = ids[:, -1].tolist()
        for place, row in enumerate(rows):
            if row not in active:
                continue
            token = choose(logits[place], settings, generators[row], texts[row])
            if token in eos_ids:
                active.remove(row)
                continue
            texts[row].append(token)
            new[place] = token
        if not active:
            return
        ids = torch.cat((ids, torch.tensor(new, device=device)[:, None]), dim=1)


def _step(
    model: Any, ids: Tensor, mems: tuple[Tensor, ...] | None, use_mems: bool | None
) -> tuple[Tensor, tuple[Tensor, ...] | None]:
    """Scores of the next token, (B, V), and memory of all but the last tokens, if the model keeps it."""
    new = ids if mems is None else ids[:, -_READ_AGAIN:]
    batch, length = new.shape[0], new.shape[1] + 1
    perm_mask = torch.zeros(batch, length, length, dtype=torch.bool, device=ids.device)
    perm_mask[:, :, -1] = True  # nobody sees the dummy
    targets = torch.zeros(batch, 1, length, device=ids.device)
    targets[:, 0, -1] = 1
    out = model(
        input_ids=torch.cat((new, torch.zeros_like(new[:, :1])), dim=1),
        perm_mask=perm_mask,
        target_mapping=targets,
        mems=mems,
        use_mems=use_mems,
    )
    # the dummy, and one token less than will be read again: the one just chosen is not there yet
    kept = tuple(memory[:, :-_READ_AGAIN] for memory in out.mems) if out.mems is not None else None
    return out.logits[:, -1], kept
