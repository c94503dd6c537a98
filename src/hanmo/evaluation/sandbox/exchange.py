"""What runs in a jail: a program that answers calls, or the tests that call it. Standard library only.

The two are in different jails and exchange plain values, a line of JSON each. So a program can change what it likes in its
own process, from `assert` to the exit code: the verdict is written by a process that it cannot reach, and what decides are
the values that its functions give back.
"""

from __future__ import annotations

import builtins
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

__all__ = ["MOST_BYTES", "decode", "encode", "judge", "serve"]

MOST_BYTES = 8 << 20
"""Longest message, in bytes."""
_SMALL = 1 << 53
_DEEPEST = 100


class _ProgramError(BaseException):
    """The program is of no use for further tests. Not an `Exception`, which tests may expect and catch."""


def encode(value: Any, depth: int = 0) -> Any:
    """A plain value as JSON can hold it: none is lost or mixed up, as 1, 1.0 and True are not.

    None, bool, int, float, complex, str, bytes, list, tuple, range, set, frozenset, dict, and iterators (as far as they
    go). Of a subclass, what the base class holds. Of anything else, only whether it counts as true.

    Raises:
        ValueError: for a value within itself a hundred times.
    """
    if depth > _DEEPEST:
        raise ValueError("a value is nested too deeply")
    kind = type(value)
    if value is None or kind is bool or kind is str:
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        number = int.__int__(value)
        return number if -_SMALL < number < _SMALL else {"int": format(number, "x")}
    if isinstance(value, float):
        return {"float": float.__float__(value).hex()}
    if isinstance(value, complex):
        return {"complex": [value.real.hex(), value.imag.hex()]}
    if isinstance(value, (bytes, bytearray)):
        return {"bytes": bytes(value).hex()}
    if isinstance(value, dict):
        pairs = dict.items(value)
        return {"dict": [[encode(key, depth + 1), encode(content, depth + 1)] for key, content in pairs]}
    if kind is range:
        return {"range": [value.start, value.stop, value.step]}
    for base, name in ((list, ""), (tuple, "tuple"), (set, "set"), (frozenset, "frozenset"), (Iterator, "iterator")):
        if isinstance(value, base):
            items = [encode(item, depth + 1) for item in value]
            return {name: items} if name else items
    return {"other": [kind.__name__, bool(value)]}


class _Other:
    """A value of a kind that does not cross: equal to nothing else."""

    def __init__(self, kind: str, true: bool):
        self._kind, self._true = kind, true

    def __bool__(self) -> bool:
        return self._true

    def __repr__(self) -> str:
        return f"<{self._kind}>"


_GROUPS: Mapping[str, Callable[[Any], Any]] = {
    "tuple": tuple, "set": set, "frozenset": frozenset, "iterator": iter, "dict": dict,
}  # fmt: skip


def decode(told: Any) -> Any:
    """The value that `encode` told.

    Raises:
        ValueError: for JSON that it does not write.
    """
    if isinstance(told, list):
        return [decode(item) for item in told]
    if not isinstance(told, dict):
        return told
    ((name, content),) = told.items()
    if name == "int":
        return int(content, 16)
    if name == "float":
        return float.fromhex(content)
    if name == "complex":
        return complex(*map(float.fromhex, content))
    if name == "bytes":
        return bytes.fromhex(content)
    if name == "other":
        return _Other(str(content[0]), bool(content[1]))
    if name == "range":
        return range(*content)
    if name in _GROUPS:
        return _GROUPS[name](decode(item) for item in content)
    raise ValueError(f"there is no kind of values {name!r}")


def _send(file: int, message: Any) -> None:
    line = json.dumps(message).encode() + b"\n"
    if len(line) > MOST_BYTES:
        raise ValueError(f"a value of more than {MOST_BYTES >> 20} MiB")
    while line:
        line = line[os.write(file, line) :]


class _Lines:
    """Messages from a pipe, none longer than allowed."""

    def __init__(self, file: int):
        self._file, self._held = file, bytearray()

    def read(self) -> Any:
        """The next one; None at the end.

        Raises:
            ValueError: if it is too long or no JSON.
        """
        start = 0
        while (end := self._held.find(b"\n", start)) < 0:
            start = len(self._held)
            if start > MOST_BYTES:
                raise ValueError("a message that is too long")
            chunk = os.read(self._file, 1 << 16)
            if not chunk:
                return None
            self._held += chunk
        line = bytes(self._held[:end])
        del self._held[: end + 1]
        return json.loads(line)


def serve(program: str, asked: int, answers: int) -> None:
    """Run a program, then call its functions as it is asked to.

    Args:
        program: source text.
        asked: pipe of calls, each {"call": name, "with": [arguments, named arguments]}.
        answers: pipe of answers: {"is": value}, or {"raised": [class, text]}; the first one, after the program has run,
            is {"is": None}.
    """
    names: dict[str, Any] = {"__name__": "program"}
    calls = _Lines(asked)

    def attempt(work: Callable[[], Any]) -> None:
        try:
            answer = {"is": encode(work())}
        except BaseException as error:
            answer = {"raised": [type(error).__name__, str(error)[:500]]}
        try:
            _send(answers, answer)
        except ValueError as error:
            _send(answers, {"raised": ["ValueError", str(error)]})

    attempt(lambda: exec(compile(program, "program", "exec", dont_inherit=True), names))
    while (call := calls.read()) is not None:
        arguments, named = decode(call["with"])
        function = names.get(call["call"], NameError(f"name {call['call']!r} is not defined"))

        def work(function: Any = function, arguments: Any = arguments, named: Any = named) -> Any:
            if isinstance(function, NameError):
                raise function
            return function(*arguments, **named)

        attempt(work)


def judge(before: str, called: Sequence[str], tests: str, asks: int, answered: int, verdict: int) -> None:
    """Run tests in which some functions are those of a program in another jail, and write what came of it.

    Args:
        before: source text that the tests need: imports, helpers.
        called: names of the functions of the program.
        tests: source text; an exception is a failure.
        asks: pipe of calls.
        answered: pipe of answers.
        verdict: pipe for {"passed": bool, "reason": text}.
    """
    answers = _Lines(answered)

    def answer() -> Any:
        try:
            told = answers.read()
            if told is None:
                raise _ProgramError("it ended before it answered")
            if "is" in told:
                return decode(told["is"])
            name, text = told["raised"]
            name, text = str(name), str(text)
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
            raise _ProgramError(f"it answered what is no value ({error})") from error
        kind = getattr(builtins, name, None)
        if isinstance(kind, type) and issubclass(kind, Exception) and not issubclass(kind, UnicodeError):
            raise kind(text)
        raise RuntimeError(f"{name}: {text}")

    def proxy(name: str) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            try:
                _send(asks, {"call": name, "with": encode((arguments, named))})
            except BrokenPipeError as error:
                raise _ProgramError("it ended before it was asked") from error
            return answer()

        return call

    names: dict[str, Any] = {"__name__": "tests"}
    try:
        try:
            answer()
        except Exception as error:
            raise _ProgramError(f"{type(error).__name__}: {error}") from error
        exec(compile(before, "before", "exec", dont_inherit=True), names)
        names |= {name: proxy(name) for name in called}
        exec(compile(tests, "tests", "exec", dont_inherit=True), names)
        told = {"passed": True, "reason": "passed"}
    except _ProgramError as error:
        told = {"passed": False, "reason": str(error)}
    except AssertionError as error:
        told = {"passed": False, "reason": f"a test fails: {error}" if str(error) else "a test fails"}
    except BaseException as error:
        told = {"passed": False, "reason": f"{type(error).__name__}: {error}"}
    told["reason"] = told["reason"][:500]
    _send(verdict, told)
