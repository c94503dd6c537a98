"""Plain values cross between two processes without a change of kind."""

from __future__ import annotations

import collections
import json
import math
from typing import Any

import pytest

from hanmo.evaluation.sandbox.exchange import decode, encode


def _there_and_back(value: Any) -> Any:
    return decode(json.loads(json.dumps(encode(value))))


@pytest.mark.parametrize(
    "value",
    [
        None, True, 0, -1, 2**53, -(10**4000), 1.5, -0.0, math.inf, 1 + 2j, "", "翰墨 \ud800 \n", b"\x00\xff", [], [1, [2, "三"]],
        (), (1, (2,)), {1, 2}, frozenset({(1, 2)}), range(2, 9, 3), {"a": 1, (1, 2): [None]}, {1: {"float": "x"}},
    ],
)  # fmt: skip
def test_there_and_back(value: Any) -> None:
    again = _there_and_back(value)
    assert again == value
    assert type(again) is type(value)
    assert repr(again) == repr(value) or isinstance(value, int)


def test_numbers_keep_their_kind() -> None:
    assert [type(item) for item in _there_and_back([1, 1.0, True])] == [int, float, bool]
    assert math.isnan(_there_and_back(math.nan))


def test_subclasses_become_what_they_hold() -> None:
    point = collections.namedtuple("point", "x y")
    assert _there_and_back(collections.Counter("aab")) == {"a": 2, "b": 1}
    assert _there_and_back(point(1, 2)) == (1, 2)
    assert list(_there_and_back(iter([1, 2]))) == [1, 2]


def test_an_object_that_equals_everything_does_not_cross() -> None:
    class Everything:
        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = None  # type: ignore[assignment]

    class Number(int):
        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = None  # type: ignore[assignment]

    assert Everything() == 3
    assert _there_and_back([Everything()]) != [3]
    assert bool(_there_and_back(Everything()))
    assert _there_and_back(Number(3)) != 4


def test_a_value_within_itself() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(ValueError, match="nested"):
        encode(value)
