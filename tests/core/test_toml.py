"""What is written as TOML reads back as the same values."""

from __future__ import annotations

import enum
import math
import tomllib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmo.core.errors import ConfigError
from hanmo.core.toml import to_toml

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
SCALARS = TEXT | st.booleans() | st.integers() | st.floats(allow_nan=False)
LISTS = st.recursive(SCALARS, lambda items: st.lists(items, max_size=4), max_leaves=8)
TABLES = st.recursive(
    st.dictionaries(TEXT, LISTS, max_size=4),
    lambda tables: st.dictionaries(TEXT, tables | LISTS, max_size=4),
    max_leaves=8,
)


@settings(deadline=None, max_examples=100)
@given(TABLES)
def test_round_trip(values: dict[str, Any]) -> None:
    read = tomllib.loads(to_toml(values))
    assert read == values
    assert repr(_sorted(read)) == repr(_sorted(values))  # True is not 1, 1.0 is not 1, -0.0 is not 0.0


def _sorted(value: Any) -> Any:
    return {key: _sorted(value[key]) for key in sorted(value)} if isinstance(value, dict) else value


@pytest.mark.parametrize(
    "text",
    [
        "",
        '"',
        "'''",
        '"""',
        "\\",
        "\\n",
        "\n",
        "\r\n",
        "\t",
        "\0",
        "\x1f",
        "\x7f",
        "\x85",
        "\u2028",
        "翰墨",
        "👩‍👩‍👧",
        "a = [b]  # c",
        "\ufeff",
    ],
)
def test_strings(text: str) -> None:
    assert tomllib.loads(to_toml({"text": text, text: 1})) == {"text": text, text: 1}


@pytest.mark.parametrize(
    "number", [0, -1, 2**63 - 1, 10**40, 1e-8, 1e16, 1e300, 5e-324, 0.1, -0.0, math.inf, -math.inf]
)
def test_numbers(number: float) -> None:
    read = tomllib.loads(to_toml({"number": number}))["number"]
    assert read == number
    assert type(read) is type(number)


def test_nan() -> None:
    assert math.isnan(tomllib.loads(to_toml({"number": math.nan}))["number"])


def test_none_is_left_out_and_empty_tables_stay() -> None:
    values = {"a": None, "b": {}, "c": {"d": None}, "e": {"f": {}}, "g": [{"x": 1, "y": None, "名字": {"z": []}}]}
    assert tomllib.loads(to_toml(values)) == {"b": {}, "c": {}, "e": {"f": {}}, "g": [{"x": 1, "名字": {"z": []}}]}
    assert tomllib.loads(to_toml({})) == {}


def test_subclasses_of_plain_types() -> None:
    kind = enum.IntEnum("Kind", {"A": 3})
    assert tomllib.loads(to_toml({"a": np.float64(0.5), "b": kind.A, "c": True})) == {"a": 0.5, "b": 3, "c": True}


@pytest.mark.parametrize("value", [object(), [None], b"x", {1, 2}])
def test_other_values_are_refused(value: object) -> None:
    with pytest.raises(TypeError, match="has no TOML form"):
        to_toml({"a": value})


def test_names_that_are_not_text_are_refused() -> None:
    with pytest.raises(ConfigError, match="is not Unicode text"):
        to_toml({"source": "caf\udce9"})


def test_it_reads_well() -> None:
    values = {"name": "小说", "seed": 0, "model": {"n_layers": 4, "rope": {"base": 1e4}}}
    assert to_toml(values) == 'name = "小说"\nseed = 0\n\n[model]\nn_layers = 4\n\n[model.rope]\nbase = 10000.0\n'
