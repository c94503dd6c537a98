from __future__ import annotations

import json
from pathlib import Path

import pytest

from hanmo.core.errors import FormatError
from hanmo.tasks.json_objects import parse_json, read_objects

OBJECTS = [{"text": "好", "n": 1}, {"text": "😀", "n": 2}]


def found(path: Path) -> tuple[list[tuple[dict[str, object], str]], list[str]]:
    problems: list[str] = []
    return [(value, where.removeprefix(str(path))) for value, where in read_objects(path, problems)], [
        problem.removeprefix(str(path)) for problem in problems
    ]


@pytest.mark.parametrize("ascii_only", [True, False])
def test_lines_and_lists(tmp_path: Path, ascii_only: bool) -> None:
    path = tmp_path / "a.json"
    written = [json.dumps(one, ensure_ascii=ascii_only) for one in OBJECTS]
    path.write_text("\n\n".join(written), encoding="utf-8")
    assert found(path) == ([(OBJECTS[0], ":1"), (OBJECTS[1], ":3")], [])
    path.write_text(f"\n[{', '.join(written)}]\n", encoding="utf-8")
    assert found(path) == ([(OBJECTS[0], ": [0]"), (OBJECTS[1], ": [1]")], [])


def test_what_is_wrong_is_named_in_order(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('3\n{"a": \n{"b": 1}\n{"c": "\\ud83d"}\n"x"\n{"d": "\\\\ud83d"}\n' + '{"e":' * 100_000 + "\n")
    values, problems = found(path)
    assert values == [({"b": 1}, ":3"), ({"d": "\\ud83d"}, ":6")]
    assert [problem[:20] for problem in problems] == [
        ":1: a int, not an ob", ":2: not JSON (Expect", r":4: not JSON (\ud83d", ":5: a str, not an ob", ":7: not JSON (too de",
    ]  # fmt: skip
    path.write_text('[{"a": 1},\n {"b": }]')
    with pytest.raises(FormatError, match=r"a\.jsonl:2: not JSON"):
        found(path)


def test_pairs_of_surrogates_are_text() -> None:
    assert parse_json(r'"\ud83d\ude00"') == "😀"
    for half in (r'"\ud83d"', r'{"a": ["\uDE00\uD83D"]}', r'{"\udfff": 1}'):
        with pytest.raises(ValueError, match="half of a surrogate pair"):
            parse_json(half)
