"""Rotary positions in `config.json`: `rope_parameters` (version 5), or `rope_scaling` beside `rope_theta` (before)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["ROPE_NAMES", "fold_rope", "unfold_rope"]

ROPE_NAMES = {"rope_theta": "rope_base", "rope_scaling": "rope_scaling"}
"""To be added to a family's `names`."""

_LENGTH = "original_max_position_embeddings"
_NEEDED: dict[str, tuple[str, ...]] = {
    "linear": ("factor",),
    "dynamic": ("factor",),
    "yarn": ("factor", _LENGTH),
    "llama3": ("factor", _LENGTH, "low_freq_factor", "high_freq_factor"),
    "longrope": ("factor", _LENGTH, "short_factor", "long_factor"),
}
_OPTIONAL: dict[str, tuple[str, ...]] = {
    "yarn": ("attention_factor", "beta_fast", "beta_slow", "mscale", "mscale_all_dim", "truncate"),
    "longrope": ("attention_factor",),
}


def unfold_rope(max_len: int) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """The `unfold` of a family: either form → `rope_theta`, and our settings under `rope_scaling`.

    What is not known is left under `rope_parameters`, to be refused by name.

    Args:
        max_len: what a missing `max_position_embeddings` means there.
    """

    def unfold(values: dict[str, Any]) -> dict[str, Any]:
        values = dict(values)
        # with both, rope_scaling counts
        rope = values.pop("rope_scaling", None) or values.get("rope_parameters")
        values.pop("rope_parameters", None)
        if not isinstance(rope, dict):
            return values | ({"rope_parameters": rope} if rope else {})
        given = dict(rope)
        if (base := given.pop("rope_theta", None)) is not None:
            values["rope_theta"] = base
        old_kind = given.pop("type", None)
        kind = given.pop("rope_type", old_kind or "default")
        if given.pop("partial_rotary_factor", 1.0) not in (None, 1.0):
            values["partial_rotary_factor"] = "not 1"
        if given.get("truncate", True) is None:
            given["truncate"] = False
        given = {key: value for key, value in given.items() if value is not None}
        if kind == "default" and not given:
            return values
        length = values.get("max_position_embeddings") or max_len
        if _LENGTH in _NEEDED.get(kind, ()):
            outer = values.pop(_LENGTH, None)
            given[_LENGTH] = outer or given.get(_LENGTH, length)
        if kind in _OPTIONAL and "factor" not in given and given[_LENGTH]:
            given["factor"] = length / given[_LENGTH]
        known = {*_NEEDED.get(kind, ()), *_OPTIONAL.get(kind, ())}
        if kind not in _NEEDED or not set(_NEEDED[kind]) <= set(given) <= known:
            return values | {"rope_parameters": rope}
        ours = {"kind": kind} | {_ours(key): value for key, value in given.items()}
        if kind == "dynamic":
            ours["original_len"] = length
        return values | {"rope_scaling": ours}

    return unfold


def fold_rope(values: dict[str, Any]) -> dict[str, Any]:
    """The way back: version 5 and newer engines read `rope_parameters`, everything older the other two."""
    values = dict(values)
    scaling, base = values.pop("rope_scaling"), values["rope_theta"]
    if scaling is None:
        return values | {"rope_parameters": {"rope_type": "default", "rope_theta": base}}
    kind = scaling["kind"]
    known = (*_NEEDED[kind], *_OPTIONAL.get(kind, ()))
    theirs = {"rope_type": kind} | {key: scaling[_ours(key)] for key in known if scaling[_ours(key)] is not None}
    theirs = {key: list(value) if isinstance(value, tuple) else value for key, value in theirs.items()}
    return values | {"rope_scaling": theirs, "rope_parameters": theirs | {"rope_theta": base}}


def _ours(key: str) -> str:
    return "original_len" if key == _LENGTH else key
