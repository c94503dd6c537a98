"""TOML recipes checked whole by frozen pydantic models, with `a.b=c` overrides.

Every problem of a recipe is named at once, each with file, line, key and a remedy.
"""

from __future__ import annotations

import datetime
import difflib
import re
import reprlib
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from hanmo.core.errors import ConfigError

__all__ = ["Settings", "apply_overrides", "check_settings", "differs", "load_settings", "read_toml"]


class Settings(BaseModel):
    """Base of every recipe section and model configuration: frozen, typed, unknown keys refused."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=False,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
        protected_namespaces=(),
    )


SettingsT = TypeVar("SettingsT", bound=Settings)


def differs(settings: Settings, name: str) -> bool:
    """Whether a setting is another than its default. (Which were written says less: a finished run's recipe names all.)"""
    return getattr(settings, name) != type(settings).model_fields[name].get_default()


def read_toml(path: str | Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises:
        ConfigError: if the file is missing, unreadable or not TOML (with the line).
    """
    path = Path(path)
    try:
        # -sig: editors on Windows put a byte order mark in front
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise ConfigError(
            "this recipe does not exist",
            where=path,
            remedy="Check the path; `ls recipes/` lists those that come with the project.",
        ) from error
    except OSError as error:
        raise ConfigError(f"cannot read this recipe ({error.strerror})", where=path) from error
    except UnicodeDecodeError as error:
        raise ConfigError("this recipe is not UTF-8 text", where=path, remedy="Save it as UTF-8.") from error
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"at line (\d+)", str(error))
        raise ConfigError(f"not valid TOML ({error})", where=f"{path}:{line[1]}" if line else path) from error
    except (RecursionError, ValueError) as error:  # deep nesting; a number of thousands of digits
        raise ConfigError(f"not a recipe ({error})", where=path) from error


def apply_overrides(values: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """Return `values` with each `a.b=c` set; `c` is read as TOML, or as a string where it is not TOML.

    Raises:
        ConfigError: for an override without `=`, or through a key that is no table.
    """
    merged = _copy(values)
    for override in overrides:
        path, separator, text = _parse_override(override)
        if not separator or not all(path):
            raise ConfigError(
                f"cannot read the override {override!r}", where="--set", remedy="Write it as --set section.key=value."
            )
        table = merged
        for part in path[:-1]:
            table = table.setdefault(part, {})
            if not isinstance(table, dict):
                raise ConfigError(f"{part!r} is a value, not a section", where=f"--set {override}")
        table[path[-1]] = _parse_value(text)
    return merged


def _parse_override(override: str) -> tuple[list[str], str, str]:
    key, separator, text = override.partition("=")
    return [part.strip() for part in key.split(".")], separator, text


def _parse_value(text: str) -> Any:
    try:
        parsed = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return text
    # a line break would start another key, and no setting is a date: both are plain text
    if len(parsed) > 1 or isinstance(parsed["value"], datetime.date | datetime.time):
        return text
    return parsed["value"]


def _copy(value: Any) -> Any:
    return {key: _copy(item) for key, item in value.items()} if isinstance(value, Mapping) else value


def load_settings(kind: type[SettingsT], path: str | Path | None, overrides: Sequence[str] = ()) -> SettingsT:
    """Read a recipe file (or none), apply overrides, and check everything.

    Raises:
        ConfigError: names every unknown key, wrong type and impossible value with `file:line`.
    """
    values = read_toml(path) if path is not None else {}
    return check_settings(kind, apply_overrides(values, overrides), source=path, overrides=overrides)


def check_settings(
    kind: type[SettingsT], values: Mapping[str, Any], *, source: str | Path | None = None, overrides: Sequence[str] = ()
) -> SettingsT:
    """Build `kind` from plain values, turning pydantic's findings into one `ConfigError`.

    Args:
        kind: the settings to build.
        values: plain nested values.
        source: the TOML file that they come from, for line numbers.
        overrides: the `a.b=c` that were applied to them, to name those as their own place.

    Raises:
        ConfigError: names every problem.
    """
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        problems: dict[tuple[str, ...], list[Any]] = {}
        for problem in error.errors():
            if problem["type"] == "default_factory_not_called":  # a default of other keys, one of which is wrong
                continue
            problems.setdefault(_real_keys(problem, values), []).append(problem)
        places = _Places(source, overrides)
        in_order = sorted(problems.items(), key=lambda item: places.line(item[0]))
        messages = [message for keys, found in in_order for message in _describe(kind, keys, found, places)]
        raise ConfigError("\n".join(messages)) from error


def _real_keys(problem: Any, values: Any) -> tuple[str, ...]:
    """Keys of a problem without the names that pydantic adds for the branches of a union."""
    keys: list[str] = []
    location = problem["loc"]
    for number, part in enumerate(location, 1):
        is_key = isinstance(values, Mapping) and part in values
        is_index = isinstance(values, list | tuple) and isinstance(part, int) and part < len(values)
        if is_key or is_index:
            values = values[part]
        elif not (problem["type"] == "missing" and number == len(location)):
            continue
        keys.append(str(part))
    return tuple(keys)


def _describe(kind: type[Settings], keys: tuple[str, ...], problems: list[Any], places: _Places) -> Iterator[str]:
    dotted, place = ".".join(keys), places.find(keys)
    where = f"{place}: " if place else ""
    wrong = []
    for problem in problems:
        if problem["type"] == "extra_forbidden":
            known = _known_keys(kind, keys[:-1])
            close = difflib.get_close_matches(keys[-1], known, n=1, cutoff=0.5)
            hint = f"did you mean {close[0]!r}?" if close else f"known keys here: {', '.join(known)}"
            yield f"{where}unknown key {dotted!r}; {hint}"
        elif problem["type"] == "missing":
            yield f"{where}{dotted!r} is missing. Add it to the recipe or pass --set {dotted}=..."
        else:
            wrong.append(problem)
    if not wrong:
        return
    # a value that fits no branch of a union has a problem for each; problems of our own checks are each their own
    reasons = list(dict.fromkeys(_reason(problem) for problem in wrong))
    section = isinstance(wrong[0]["input"], Mapping)
    value = "" if section else f" = {_short_repr(wrong[0]['input'])}"
    subject = f"{dotted}{value}" if dotted else "" if place else kind.__name__
    yield f"{where}{subject}{': ' if subject else ''}{', or '.join(reasons)}"


def _reason(problem: Any) -> str:
    message = problem["msg"]
    for prefix in ("Value error, ", "Assertion failed, "):
        if message.startswith(prefix):
            return message.removeprefix(prefix)  # our own words
    return message[:1].lower() + message[1:]


def _short_repr(value: Any) -> str:
    brief = reprlib.Repr()
    brief.maxstring = brief.maxother = brief.maxlong = 100
    return brief.repr(value)


def _known_keys(kind: type[Settings], keys: Sequence[str]) -> list[str]:
    """Names that are allowed under `keys`, in every model that can stand there."""
    kinds: list[type[BaseModel]] = [kind]
    for key in keys:
        fields = [item.model_fields[key] for item in kinds if key in item.model_fields]
        if fields:  # else: an index of a list or a key of a mapping, whose items are of the same kinds
            kinds = [model for field in fields for model in _models_in(field.annotation)]
    return sorted({name for item in kinds for name in item.model_fields})


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in get_args(annotation) for model in _models_in(argument)]


class _Places:
    """Where the user wrote a key: an override, a line of the recipe, or the header of its section."""

    def __init__(self, source: str | Path | None, overrides: Sequence[str]):
        self.source = source
        self.overrides = [tuple(_parse_override(override)[0]) for override in overrides]
        self.lines: dict[tuple[str, ...], int] = {}
        if source is not None:
            try:
                self.lines = _key_lines(Path(source).read_text(encoding="utf-8-sig"))
            except (OSError, UnicodeDecodeError):
                self.lines = {}  # gone in the meantime: the file is named without a line

    def line(self, keys: tuple[str, ...]) -> int:
        """Line of `keys` or of what holds them; 0 if there is none."""
        return next((self.lines[keys[:n]] for n in range(len(keys), 0, -1) if keys[:n] in self.lines), 0)

    def find(self, keys: tuple[str, ...]) -> str | None:
        """The place of `keys`; None if there is no file."""
        for override in self.overrides:
            if keys[: len(override)] == override:
                return f"--set {'.'.join(override)}"
        for length in range(len(keys), 0, -1):
            if keys[:length] in self.lines:
                return f"{self.source}:{self.lines[keys[:length]]}"
            for override in self.overrides:  # a section that only the override made
                if override[:length] == keys[:length]:
                    return f"--set {'.'.join(override)}"
        return None if self.source is None else str(self.source)


def _key_lines(text: str) -> dict[tuple[str, ...], int]:
    """1-based line of every key and table of a TOML text; items of an array of tables are numbered from 0."""
    found: dict[tuple[str, ...], int] = {}
    counts: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    for number, statement in _statements(text):
        is_header = statement.lstrip().startswith("[")
        path: tuple[str, ...] = () if is_header else table
        value: Any = tomllib.loads(statement)
        while isinstance(value, dict) and len(value) == 1:
            key, value = next(iter(value.items()))
            path = (*path, key)
            if is_header and value == [{}]:
                counts[path] = counts.get(path, -1) + 1
            if is_header and path in counts:
                found.setdefault(path, number)
                path = (*path, str(counts[path]))
            found.setdefault(path, number)
        if is_header:
            table = path
    return found


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """(line, text) of each key or header: as few lines as are TOML by themselves."""
    statement, start = "", 1
    for number, line in enumerate(text.split("\n"), 1):
        if not statement:
            start = number
        statement += line + "\n"
        # what goes over several lines ends with one of these; asking tomllib at each line would take long
        if number > start and not re.search(r"[\]}]|\"\"\"|'''", line):
            continue
        try:
            empty = not tomllib.loads(statement)
        except tomllib.TOMLDecodeError:
            continue
        if not empty:
            yield start, statement
        statement = ""
