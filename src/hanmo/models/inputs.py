"""Checks of what a forward pass is given, shared by all families."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from hanmo.core.errors import ConfigError

__all__ = ["check_positions", "one_input", "refuse_arguments"]

_MEANINGLESS = (
    ("return_dict", True),
    ("output_attentions", False),
    ("output_hidden_states", False),
    ("use_cache", False),
)


def one_input(input_ids: Tensor | None, inputs_embeds: Tensor | None, where: str = "input_ids") -> Tensor:
    """Whichever of the two is given.

    Raises:
        ConfigError: if it is not exactly one, or it has the wrong axes or no rows.
    """
    if (input_ids is None) == (inputs_embeds is None):
        raise ConfigError(f"give either {where} or inputs_embeds", where=where)
    given, n_axes = (input_ids, 2) if input_ids is not None else (inputs_embeds, 3)
    assert given is not None
    if not isinstance(given, Tensor):
        raise ConfigError(f"a {type(given).__name__}, not a tensor", where=where, remedy="Give torch.tensor(…).")
    if given.dim() != n_axes:
        raise ConfigError(
            f"expected {n_axes} axes, got the shape {tuple(given.shape)}", where=where,
            remedy=f"Give rows of tokens: (batch, length{', width' * (n_axes - 2)}).",
        )  # fmt: skip
    if given.shape[0] == 0 or given.shape[1] == 0:
        raise ConfigError(
            f"nothing to do for an input of shape {tuple(given.shape)}",
            where=where,
            remedy="Give at least one row of at least one token.",
        )
    return given


def check_positions(position_ids: Tensor, batch: int, length: int) -> Tensor:
    """Positions as (B or 1, T).

    Raises:
        ConfigError: if the shape does not fit.
    """
    if position_ids.dim() == 1:
        position_ids = position_ids[None]
    if position_ids.dim() != 2 or position_ids.shape[0] not in (1, batch) or position_ids.shape[1] != length:
        raise ConfigError(
            f"position_ids have shape {tuple(position_ids.shape)}, expected ({batch}, {length})", where="position_ids"
        )
    return position_ids


def refuse_arguments(refused: Mapping[str, Any]) -> None:
    """Arguments that a forward pass does not know must be None, or ask for what happens anyway.

    Raises:
        ConfigError: names the first that is neither.
    """
    for name, value in refused.items():
        if value is not None and (name, value) not in _MEANINGLESS:
            raise ConfigError(
                f"the argument {name!r} is not supported by this model", where=name, remedy="Leave it out."
            )
