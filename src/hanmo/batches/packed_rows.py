"""Short rows put together into long ones whose texts do not see each other: no room lost to padding."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence

from hanmo.core.errors import ConfigError
from hanmo.nn.losses import IGNORED

__all__ = ["PACKED_FILLS", "next_token_row", "pack_rows"]

PACKED_FILLS = {"position_ids": 0, "labels": IGNORED}
"""What fills up the keys of such rows besides `input_ids`, for `hanmo.batches.padded_rows`."""


def next_token_row(ids: Sequence[int], learned: Sequence[bool]) -> dict[str, list[int]]:
    """A text as a row: `input_ids`, `position_ids` from 0, and `labels`, the next id where that is learned, else -100."""
    labels = [token if asked else IGNORED for token, asked in zip(ids[1:], learned[1:], strict=True)]
    return {"input_ids": list(ids), "position_ids": list(range(len(ids))), "labels": [*labels, IGNORED]}


def pack_rows(rows: Sequence[dict[str, list[int]]], *, max_len: int) -> list[dict[str, list[int]]]:
    """Put rows together, each into the fullest that still has room for it, the longest first (best fit, decreasing).

    Positions begin again at 0 with each text; by that `hanmo.models.causal_lm.CausalLM.hidden` keeps them apart.

    Args:
        rows: of `next_token_row`.
        max_len: most tokens of a packed row.

    Raises:
        ConfigError: for a row that is longer.
    """
    order = sorted(range(len(rows)), key=lambda row: (-len(rows[row]["input_ids"]), row))
    if order and len(rows[order[0]]["input_ids"]) > max_len:
        longest = len(rows[order[0]]["input_ids"])
        raise ConfigError(f"a text of {longest} tokens does not fit into a row of {max_len}", where="max_len")
    rooms: list[tuple[int, int]] = []  # (tokens that are left, packed row), in order
    packed: list[list[int]] = []
    for row in order:
        length = len(rows[row]["input_ids"])
        place = bisect_left(rooms, (length, -1))
        if place < len(rooms):
            room, target = rooms.pop(place)
        else:
            room, target = max_len, len(packed)
            packed.append([])
        packed[target].append(row)
        if room > length:
            insort(rooms, (room - length, target))
    return [{key: [value for row in members for value in rows[row][key]] for key in rows[0]} for members in packed]
