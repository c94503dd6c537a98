"""From logits to the next token. Shapes: B rows, V vocabulary.

Each filter returns new logits in which the tokens it rules out are -inf. The order in `filter_logits` is that of
`transformers`, so the same settings draw from the same distribution.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from hanmo.core.errors import ModelError
from hanmo.generation.settings import GenerationSettings

__all__ = [
    "apply_temperature",
    "choose",
    "filter_logits",
    "keep_min_p",
    "keep_top_k",
    "keep_top_p",
    "penalise_repetition",
    "row_generator",
    "sample",
]


def penalise_repetition(logits: Tensor, seen: Tensor, penalty: float) -> Tensor:
    """Divide positive logits of tokens already seen by `penalty`, multiply negative ones (Keskar et al., 2019, §4.1).

    Args:
        logits: (B, V).
        seen: ids of prompt and continuation, (B, T); a token counts once however often it occurs.
        penalty: above 1 discourages, below 1 encourages.
    """
    scores = logits.gather(-1, seen)
    return logits.scatter(-1, seen, torch.where(scores < 0, scores * penalty, scores / penalty))


def apply_temperature(logits: Tensor, temperature: float) -> Tensor:
    """(B, V) → (B, V), divided by `temperature` > 0."""
    return logits / temperature


def keep_top_k(logits: Tensor, k: int) -> Tensor:
    """Keep the k largest of each row, and those equal to the k-th; (B, V) → (B, V)."""
    k = min(k, logits.shape[-1])
    return logits.masked_fill(logits < logits.topk(k, dim=-1).values[..., -1:], -math.inf)


def keep_top_p(logits: Tensor, p: float) -> Tensor:
    """Keep the nucleus: the fewest most probable tokens whose probabilities reach `p` (Holtzman et al., 2020, §3.1).

    The most probable token always stays. (B, V) → (B, V).
    """
    ascending, order = logits.sort(dim=-1)
    outside = ascending.softmax(dim=-1).cumsum(dim=-1) <= 1 - p
    outside[..., -1] = False
    return logits.masked_fill(outside.scatter(-1, order, outside), -math.inf)


def keep_min_p(logits: Tensor, share: float) -> Tensor:
    """Keep tokens at least `share` times as probable as the most probable one (Nguyen et al., 2024); (B, V) → (B, V)."""
    probabilities = logits.softmax(dim=-1)
    return logits.masked_fill(probabilities < share * probabilities.amax(dim=-1, keepdim=True), -math.inf)


def filter_logits(logits: Tensor, settings: GenerationSettings, seen: Tensor | None = None) -> Tensor:
    """Everything `settings` ask for except the draw: penalty, temperature, top-k, top-p, min-p, in this order.

    Args:
        logits: (B, V), any float type; worked on in float32.
        settings: `temperature` 0 leaves out all but the penalty.
        seen: ids so far, (B, T); needed for a repetition penalty.

    Returns:
        (B, V) float32.
    """
    logits = logits.float()
    if settings.repetition_penalty != 1.0:
        assert seen is not None
        logits = penalise_repetition(logits, seen, settings.repetition_penalty)
    if settings.temperature == 0.0:
        return logits
    if settings.temperature != 1.0:
        # The largest logit becomes 0 first, so that a low temperature cannot overflow; the softmax is the same.
        logits = apply_temperature(logits - logits.amax(dim=-1, keepdim=True), settings.temperature)
    if settings.top_k:
        logits = keep_top_k(logits, settings.top_k)
    if settings.top_p < 1.0:
        logits = keep_top_p(logits, settings.top_p)
    if settings.min_p:
        logits = keep_min_p(logits, settings.min_p)
    return logits


def sample(logits: Tensor, generator: torch.Generator) -> Tensor:
    """Draw one token a row from softmax(logits); (B, V) → (B,) int64."""
    return torch.multinomial(logits.softmax(dim=-1), 1, generator=generator).squeeze(-1)


def choose(logits: Tensor, settings: GenerationSettings, generator: torch.Generator | None, seen: Sequence[int]) -> int:
    """The next token of one row.

    Args:
        logits: (V,).
        settings: how to choose.
        generator: source of randomness on the CPU; not used by greedy decoding.
        seen: prompt and continuation so far.

    Raises:
        ModelError: if the model gave NaN or nothing finite.
    """
    if not math.isfinite(float(logits.max())):
        raise ModelError(
            "the model's output is not a number (NaN or infinite logits)",
            remedy="The weights are damaged or training diverged; load an earlier checkpoint.",
        )
    row = logits.detach().cpu()[None]
    ids = torch.tensor([list(seen)]) if settings.repetition_penalty != 1.0 else None
    row = filter_logits(row, settings, ids)
    if settings.temperature == 0.0:
        return int(row.argmax())
    assert generator is not None
    return int(sample(row, generator))


def row_generator(seed: int, row: int) -> torch.Generator:
    """A source of randomness for one row: what is drawn for it does not depend on the other rows."""
    mixed = np.random.SeedSequence((seed, row)).generate_state(2, np.uint32)
    return torch.Generator().manual_seed(int(mixed[0]) << 31 ^ int(mixed[1]))
