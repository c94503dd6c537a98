"""Sparse attention in `config.json`: windows by the keys that a family has for them, other patterns by one of ours.

Other libraries pass over our key and would compute dense attention with these weights.
"""

from __future__ import annotations

from typing import Any

__all__ = ["PATTERN_KEY", "fold_layer_windows", "fold_window", "unfold_layer_windows", "unfold_window"]

PATTERN_KEY = "hanmo_attention"
"""Its name, for `ours_only`."""

_DENSE, _WINDOW = "full_attention", "sliding_attention"


def unfold_window(values: dict[str, Any]) -> dict[str, Any]:
    """One `sliding_window` for all layers → a pattern."""
    window = values.get("sliding_window", 4096)
    if values.get(PATTERN_KEY):  # a file of ours, which says null there
        return values
    values = {key: value for key, value in values.items() if key != "sliding_window"}
    return values if window is None else values | {PATTERN_KEY: [_pattern(window)]}


def fold_window(values: dict[str, Any]) -> dict[str, Any]:
    """The way back; patterns that the key cannot express stay where they are."""
    patterns = values.get(PATTERN_KEY, [])
    if not _only_windows(patterns) or any(pattern["kind"] == "dense" for pattern in patterns):
        return values | {"sliding_window": None}
    values = {key: value for key, value in values.items() if key != PATTERN_KEY}
    return values | {"sliding_window": patterns[0]["window"] if patterns else None}


def unfold_layer_windows(values: dict[str, Any]) -> dict[str, Any]:
    """`use_sliding_window`, `sliding_window`, `max_window_layers` and `layer_types` → patterns.

    What they cannot mean is left where it is, to be refused by name.
    """
    if values.get(PATTERN_KEY) and not values.get("use_sliding_window"):  # a file of ours
        return {key: value for key, value in values.items() if key not in _LAYER_KEYS}
    window = values.get("sliding_window", 4096) if values.get("use_sliding_window") else None
    n_layers, kinds = values.get("num_hidden_layers", 32), values.get("layer_types")
    if kinds is None:
        start = values.get("max_window_layers", 28)
        kinds = [_DENSE if window is None or i < start else _WINDOW for i in range(n_layers)]
    known = {_DENSE} if window is None else {_DENSE, _WINDOW}
    if len(kinds) != n_layers or not set(kinds) <= known or values.get(PATTERN_KEY):
        return values
    values = {key: value for key, value in values.items() if key not in _LAYER_KEYS}
    if _WINDOW not in kinds:
        return values
    period = next(n for n in range(1, n_layers + 1) if all(kinds[i] == kinds[i % n] for i in range(n_layers)))
    patterns = [_pattern(window) if kind == _WINDOW else {"kind": "dense"} for kind in kinds[:period]]
    return values | {PATTERN_KEY: patterns}


_LAYER_KEYS = ("use_sliding_window", "sliding_window", "max_window_layers", "layer_types")


def fold_layer_windows(values: dict[str, Any]) -> dict[str, Any]:
    """The way back; patterns that these keys cannot express stay where they are."""
    patterns, n_layers = values.get(PATTERN_KEY, []), values["num_hidden_layers"]
    kinds, window = [_DENSE] * n_layers, None
    if _only_windows(patterns):
        values = {key: value for key, value in values.items() if key != PATTERN_KEY}
        window = next((pattern["window"] for pattern in patterns if pattern["kind"] != "dense"), None)
        if window is not None:
            cycle = [_DENSE if pattern["kind"] == "dense" else _WINDOW for pattern in patterns]
            kinds = [cycle[i % len(cycle)] for i in range(n_layers)]
    return values | {
        "use_sliding_window": window is not None,
        "sliding_window": window,
        "max_window_layers": kinds.index(_WINDOW) if _WINDOW in kinds else n_layers,
        "layer_types": kinds,
    }


def _pattern(window: Any) -> dict[str, Any]:
    return {"kind": "sliding_window", "window": window}


def _only_windows(patterns: Any) -> bool:
    """Whether these are dense layers and windows of one width."""
    kinds = {pattern["kind"] for pattern in patterns}
    widths = {pattern["window"] for pattern in patterns if pattern["kind"] == "sliding_window"}
    return kinds <= {"dense", "sliding_window"} and len(widths) <= 1
