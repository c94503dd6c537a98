"""Training and held-out side, by groups of documents.

A group is what must not be torn apart: a file with all its pieces, or a row or line that is a document of its own.
With fewer than `MIN_GROUPS` groups (three novels, say) a split by file would hold out a whole book or nothing;
then the pieces of each file are grouped into contiguous stretches, up to `MIN_GROUPS` of them per file. Held-out
text then comes from books whose other chapters are trained on: no passage is on both sides, but names and style
are, so the held-out loss is lower than on an unknown book. The report says which of the two was done.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from hanmo.core.errors import DataError

__all__ = ["MIN_GROUPS", "Member", "Split", "check_split", "split_groups"]

MIN_GROUPS = 20
"""With fewer groups than this, long files are split inside."""


@dataclass(frozen=True, slots=True)
class Member:
    """What the split needs to know of a document."""

    group: str
    piece: int | None
    """Number of the piece within its group, or None for a document that was not cut."""
    n_chars: int
    key: bytes
    """Hash of its folded text."""


@dataclass(frozen=True, slots=True)
class Split:
    """Which documents are held out."""

    heldout: tuple[bool, ...]
    """One flag per document, in order."""
    groups: tuple[str, ...]
    """The group each document was treated as part of."""
    by: Literal["group", "stretch"]
    """Whether groups stayed whole or long files were split into contiguous stretches."""


def split_groups(members: Sequence[Member], *, share: float, seed: int) -> Split:
    """Choose groups to hold out, in an order given by a hash of seed and name, until `share` of the characters.

    At least one group is held out and at least one is left to train on; a group that alone is more than twice what
    is wanted is passed over while there are others.

    Raises:
        DataError: if there are fewer than two groups.
    """
    groups = [member.group for member in members]
    by: Literal["group", "stretch"] = "group"
    if len(set(groups)) < MIN_GROUPS and any(member.piece is not None for member in members):
        groups, by = _stretches(members), "stretch"
    sizes: Counter[str] = Counter()
    for group, member in zip(groups, members, strict=True):
        sizes[group] += member.n_chars
    if len(sizes) < 2:
        raise DataError(
            f"{len(sizes)} document is too few to hold one out for evaluation",
            remedy="Give more documents, or a smaller piece_chars so that a long text is cut into more pieces.",
        )
    wanted, taken = share * sizes.total(), 0
    order = sorted(sizes, key=lambda group: hashlib.sha256(f"{seed}\0{group}".encode("utf-8", "replace")).digest())
    chosen: set[str] = set()
    for group in order:
        if taken >= wanted or len(chosen) == len(sizes) - 1:
            break
        if sizes[group] <= 2 * (wanted - taken):
            chosen.add(group)
            taken += sizes[group]
    if not chosen:
        chosen.add(min(order, key=lambda group: sizes[group]))
    split = Split(tuple(group in chosen for group in groups), tuple(groups), by)
    check_split(members, split)
    return split


def _stretches(members: Sequence[Member]) -> list[str]:
    pieces: dict[str, list[int]] = {}
    for number, member in enumerate(members):
        pieces.setdefault(member.group, []).append(number)
    groups = [member.group for member in members]
    for group, numbers in pieces.items():
        numbers.sort(key=lambda number: (members[number].piece or 0, number))
        n_stretches = min(MIN_GROUPS, len(numbers))
        if n_stretches > 1:
            for place, number in enumerate(numbers):
                groups[number] = f"{group}@{place * n_stretches // len(numbers)}"
    return groups


def check_split(members: Sequence[Member], split: Split) -> None:
    """Make sure that no group and no copy of a document is on both sides.

    Raises:
        DataError: naming the first group that is.
    """
    for what, names in (("group", split.groups), ("text", [member.key.hex() for member in members])):
        sides: dict[str, bool] = {}
        for number, (name, side) in enumerate(zip(names, split.heldout, strict=True)):
            if sides.setdefault(name, side) != side:
                raise DataError(
                    f"the same {what} is in the training and in the held-out side", where=members[number].group
                )
