"""TOML recipes checked whole by frozen pydantic models, with `a.b=c` overrides.

Every problem of a recipe is named at once, each with file, line, key and a remedy.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from hanmo.core.errors import ConfigError

__all__ = ["Settings", "apply_overrides", "check_settings", "load_settings", "read_toml"]


class Settings(BaseModel):
    """Base of every recipe section and model configuration: frozen, typed, unknown keys refused."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=False, allow_inf_nan=False, use_attribute_docstrings=True, protected_namespaces=()
    )


SettingsT = TypeVar("SettingsT", bound=Settings)


def read_toml(path: str | Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises:
        ConfigError: if the file is missing, unreadable or not TOML (with the line).
    """
    path = Path(path)
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError("this recipe does not exist", where=path, remedy="Check the path; `ls recipes/` lists those that come with the project.") from error
    except OSError as error:
        raise ConfigError(f"cannot read this recipe ({error.strerror})", where=path) from error
    except UnicodeDecodeError as error:
        raise ConfigError("this recipe is not UTF-8 text", where=path, remedy="Save it as UTF-8.") from error
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"at line (\d+)", str(error))
        raise ConfigError(f"not valid TOML ({error})", where=f"{path}:{line[1]}" if line else path) from error


def apply_overrides(values: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """Return `values` with each `a.b=c` set; `c` is read as TOML, or as a string where it is not TOML.

    Raises:
        ConfigError: for an override without `=`, or through a key that is no table.
    """
    merged = _copy(values)
    for override in overrides:
        key, separator, text = override.partition("=")
        path = [part.strip() for part in key.split(".")]
        if not separator or not all(path):
            raise ConfigError(f"cannot read the override {override!r}", where="--set", remedy="Write it as --set section.key=value.")
        table = merged
        for part in path[:-1]:
            table = table.setdefault(part, {})
            if not isinstance(table, dict):
                raise ConfigError(f"{part!r} is a value, not a section", where=f"--set {override}")
        try:
            table[path[-1]] = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            table[path[-1]] = text
    return merged


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
    """Build `kind` from plain values, turning pydantic's findings into one `ConfigError`."""
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        lines = Path(source).read_text(encoding="utf-8").splitlines() if source is not None else []
        overridden = {item.partition("=")[0].strip() for item in overrides}
        problems = [_describe(kind, problem, source, lines, overridden) for problem in error.errors()]
        raise ConfigError("\n".join(problems) if len(problems) > 1 else problems[0]) from error


def _describe(kind: type[Settings], problem: Any, source: str | Path | None, lines: list[str], overridden: set[str]) -> str:
    location = [part for part in problem["loc"] if not str(part).startswith(("function-", "tagged-union"))]
    keys = [str(part) for part in location]
    dotted = ".".join(keys)
    if dotted in overridden:
        where = f"--set {dotted}"
    elif source is not None:
        line = _line_of(lines, keys)
        where = f"{source}:{line}" if line else str(source)
    else:
        where = dotted or kind.__name__
    if problem["type"] == "extra_forbidden":
        known = _known_keys(kind, keys[:-1])
        close = difflib.get_close_matches(keys[-1], known, n=1, cutoff=0.5)
        hint = f"did you mean {close[0]!r}?" if close else f"known keys here: {', '.join(known)}"
        return f"{where}: unknown key {dotted!r}; {hint}"
    if problem["type"] == "missing":
        return f"{where}: {dotted!r} is missing. Add it to the recipe or pass --set {dotted}=..."
    message = problem["msg"].removeprefix("Value error, ")
    return f"{where}: {dotted} = {problem['input']!r}: {message[:1].lower() + message[1:]}" if dotted else f"{where}: {message}"


def _known_keys(kind: type[Settings], keys: Sequence[str]) -> list[str]:
    current: Any = kind
    for key in keys:
        field = current.model_fields.get(key)
        if field is None:
            return sorted(current.model_fields)
        kinds = [field.annotation, *get_args(field.annotation)]
        nested = [item for item in kinds if isinstance(item, type) and issubclass(item, BaseModel)]
        if not nested:
            return []
        current = nested[0]
    return sorted(current.model_fields)


def _line_of(lines: list[str], keys: list[str]) -> int | None:
    """1-based line of `keys` in TOML text: the key inside its table, else its table's header."""
    table: list[str] = []
    fallback = None
    for number, line in enumerate(lines, 1):
        header = re.match(r"\s*\[+([^\]]+)\]+", line)
        if header:
            table = [part.strip().strip("\"'") for part in header[1].split(".")]
            if table and keys[: len(table)] == table:
                fallback = number
            continue
        entry = re.match(r"\s*([\w\-\"'. ]+?)\s*=", line)
        if entry:
            path = table + [part.strip().strip("\"'") for part in entry[1].split(".")]
            if path == keys[: len(path)]:
                return number
    return fallback
