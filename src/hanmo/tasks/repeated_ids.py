"""Ids that a table gives to several of its examples: often a file that was joined twice, or an example counted twice."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from hanmo.core.progress import say

__all__ = ["id_name", "say_repeated_ids"]

_NAMES = ("id", "guid", "uid", "idx", "index", "qid", "example_id", "question_id", "编号", "序号")
_SHOWN = 10


def id_name(names: Iterable[str], *, but: Iterable[object]) -> str | None:
    """Which of these columns holds the id of an example; None if none is called so, or it is one of `but`.

    A column that is read for something else, such as groups of examples, may repeat what it holds.
    """
    read = set(but)
    by_lower = {name.strip("\ufeff ").lower(): name for name in names if name not in read}
    return next((by_lower[name] for name in _NAMES if name in by_lower), None)


def say_repeated_ids(ids: Sequence[tuple[Any, str]], where: object) -> None:
    """Name the ids that are there more than once; nothing is left out for it.

    Args:
        ids: each id with the place of its example, as "file:line" or "file: [number]"; empty ones count as none.
        where: the file.
    """
    places: dict[str, list[str]] = {}
    for value, place in ids:
        if (name := str(value).strip()) and value is not None:
            places.setdefault(name, []).append(place)
    repeated = {name: found for name, found in places.items() if len(found) > 1}
    if not repeated:
        return
    shown = "; ".join(f"{name!r} at {_places(found, str(where))}" for name, found in list(repeated.items())[:_SHOWN])
    more = f"; and {len(repeated) - _SHOWN:,} more" if len(repeated) > _SHOWN else ""
    say(f"{where}: ids of more than one example (all of them are used): {shown}{more}")


def _places(found: Sequence[str], where: str) -> str:
    more = " …" if len(found) > _SHOWN else ""
    return ", ".join(place.removeprefix(where).lstrip(": ") for place in found[:_SHOWN]) + more
