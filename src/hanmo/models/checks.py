"""Checks that the settings of several families share; pydantic turns a ValueError into a message with its place."""

from __future__ import annotations

from hanmo.nn.feedforward import ACTIVATIONS

__all__ = ["check_activation", "check_heads", "check_pad"]


def check_heads(d_model: int, n_heads: int, n_kv_heads: int | None = None) -> None:
    """Heads must share the width evenly, and query heads the key/value heads.

    Raises:
        ValueError: if they do not.
    """
    if d_model % n_heads:
        raise ValueError(f"d_model {d_model} is not a multiple of n_heads {n_heads}")
    if n_kv_heads is not None and n_heads % n_kv_heads:
        raise ValueError(f"n_heads {n_heads} is not a multiple of n_kv_heads {n_kv_heads}")


def check_pad(pad_id: int | None, vocab_size: int) -> None:
    """Padding must be a token that there is.

    Raises:
        ValueError: if it is not.
    """
    if pad_id is not None and pad_id >= vocab_size:
        raise ValueError(f"pad_id {pad_id} is outside the vocabulary of {vocab_size}")


def check_activation(name: str) -> None:
    """The activation must be one that there is.

    Raises:
        ValueError: if it is not.
    """
    if name not in ACTIVATIONS:
        raise ValueError(f"unknown activation {name!r}; known are {', '.join(ACTIVATIONS)}")
