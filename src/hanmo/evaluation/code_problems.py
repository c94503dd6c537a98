"""Programming problems of HumanEval (Chen et al., 2021) and MBPP (Austin et al., 2021), as the sandbox takes them."""

from __future__ import annotations

import ast
import builtins
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from hanmo.core.errors import ConfigError, DataError
from hanmo.evaluation.program_text import parse_program
from hanmo.evaluation.sandbox.run import ProgramTests
from hanmo.tasks.text_files import read_text_file

__all__ = ["BENCHMARKS", "Benchmark", "Problem", "find_benchmark", "read_problems"]

Benchmark = Literal["humaneval", "mbpp"]
BENCHMARKS: Mapping[Benchmark, str] = {
    "humaneval": "humaneval/HumanEval.jsonl.gz",
    "mbpp": "mbpp_sanitized/sanitized-mbpp.even.json",
}
"""Name → its file below $HANMO_DATA."""

_HUMANEVAL_STOPS = ("\nclass", "\ndef", "\n#", "\nif", "\nprint", "\n@")
_MBPP_STOPS = ("\nclass", "\nassert", '\n"""', "\nprint", "\nif", "\n```")


@dataclass(frozen=True)
class Problem:
    """What a model continues, and how it is told whether the continuation is right."""

    task_id: str
    """Its name in the file."""
    prompt: str
    """What the model continues."""
    before: str
    """What a program begins with: the prompt where the answer goes on from it, else nothing."""
    solution: str
    """The answer of the benchmark's authors."""
    tests: ProgramTests
    """What is asked of a program."""
    stop: tuple[str, ...]
    """Where an answer ends: what begins the next piece of a file."""

    def program(self, completion: str) -> str:
        """Source text of the program that a completion makes."""
        return self.before + completion


def find_benchmark(name: Benchmark) -> Path:
    """Its file below $HANMO_DATA.

    Raises:
        ConfigError: if the variable is not set or the file is not there.
    """
    root = os.environ.get("HANMO_DATA")
    path = Path(root or ".", BENCHMARKS[name])
    if root is None or not path.is_file():
        what = "$HANMO_DATA is not set" if root is None else f"{BENCHMARKS[name]} is not below $HANMO_DATA"
        raise ConfigError(what, where=name, remedy="Set it to the folder of data sets, or give the file.")
    return path


def read_problems(name: Benchmark, path: str | Path | None = None) -> list[Problem]:
    """Read all problems of a benchmark.

    Args:
        name: humaneval, with task_id, prompt, canonical_solution, test and entry_point in each object; or mbpp, with
            task_id, prompt (or text), code, test_list, and test_imports (or test_setup_code).
        path: a list in .json, or an object on each line of .jsonl; also as .gz. The file below $HANMO_DATA if None.

    Raises:
        ConfigError: if there is no file.
        DataError: naming file and line (or number in the list) of what cannot be a problem.
    """
    path = find_benchmark(name) if path is None else Path(path)
    read = _humaneval if name == "humaneval" else _mbpp
    problems: dict[str, Problem] = {}
    for where, item in _items(path):
        try:
            problem = read(item)
        except KeyError as error:
            raise DataError(f"{error} is missing, found {', '.join(item)}", where=where) from error
        except (TypeError, ValueError, SyntaxError) as error:
            raise DataError(f"no problem of {name} ({error})", where=where) from error
        if problem.task_id in problems:
            raise DataError(f"a second problem {problem.task_id!r}", where=where, remedy="Name each otherwise.")
        problems[problem.task_id] = problem
    if not problems:
        raise DataError("there is no problem in this file", where=path)
    return list(problems.values())


def _items(path: Path) -> list[tuple[str, dict[str, Any]]]:
    text = read_text_file(path)
    items: list[tuple[str, Any]] = []
    if text.lstrip().startswith("["):
        try:
            items = [(f"{path}, number {number}", item) for number, item in enumerate(json.loads(text), 1)]
        except (ValueError, RecursionError) as error:
            raise DataError(f"not JSON ({error})", where=path) from error
    else:
        for number, line in enumerate(text.split("\n"), 1):
            if not line.strip():
                continue
            try:
                items.append((f"{path}:{number}", json.loads(line)))
            except (ValueError, RecursionError) as error:
                raise DataError(f"not JSON ({error})", where=f"{path}:{number}") from error
    for where, item in items:
        if not isinstance(item, dict):
            raise DataError("a problem is an object", where=where)
    return items


def _humaneval(item: Mapping[str, Any]) -> Problem:
    prompt, entry = _text(item["prompt"]), _text(item["entry_point"])
    if not entry.isidentifier():
        raise ValueError(f"entry_point {entry!r} is no name")
    # helpers that some tests need stand in the prompt, before a function with nothing but its description, or not even that
    before = prompt
    try:
        parse_program(before)
    except SyntaxError:
        before += "    pass\n"
        parse_program(before)
    tests = ProgramTests(before=before, called=(entry,), code=f"{_text(item['test'])}\ncheck({entry})\n")
    return Problem(
        _text(item["task_id"]), prompt, prompt, _text(item["canonical_solution"]), tests, _HUMANEVAL_STOPS
    )  # fmt: skip


def _mbpp(item: Mapping[str, Any]) -> Problem:
    """The prompt is that of Fried et al. (2022): the description and the tests as the text at the head of a file."""
    asked = _text(item["prompt"] if "prompt" in item else item["text"]).strip()
    imports = item["test_imports"] if "test_imports" in item else [item.get("test_setup_code", "")]
    solution, code = _text(item["code"]), "\n".join(map(_text, item["test_list"]))
    names = parse_program(solution).body
    # tests were written to run after the solution: they use what it imports
    modules = [ast.unparse(node) for node in names if isinstance(node, (ast.Import, ast.ImportFrom))]
    own = {node.name for node in names if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    before = "\n".join([*modules, *map(_text, imports)])
    tests = ProgramTests(before=before, called=_called(f"{before}\n{code}", own), code=code)
    return Problem(str(item["task_id"]), f'"""\n{asked}\n{code}\n"""\n', "", solution, tests, _MBPP_STOPS)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{str(value)[:40]!r} is no text")
    return value


def _called(source: str, own: set[str]) -> tuple[str, ...]:
    """Names that tests use and that a program has to bring: those of the solution, and what else nobody defines."""
    used, known = set(), set(dir(builtins))
    for node in ast.walk(parse_program(source)):
        if isinstance(node, ast.Name):
            (used if isinstance(node.ctx, ast.Load) else known).add(node.id)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            known |= {(name.asname or name.name).split(".")[0] for name in node.names}
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            known.add(node.name)
        elif isinstance(node, ast.arg):
            known.add(node.arg)
    return tuple(sorted(used & own | used - known))
