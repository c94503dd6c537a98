"""Plain values as TOML text (the standard library reads TOML but does not write it)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from hanmo.core.errors import ConfigError

__all__ = ["to_toml"]


def to_toml(values: Mapping[str, Any]) -> str:
    """Write nested tables of strings, numbers, booleans and lists; None is left out, as TOML has none.

    Raises:
        ConfigError: for a string that is not Unicode text (the name of a file that is not UTF-8).
        TypeError: for a value that has no TOML form.
    """
    lines: list[str] = []
    _write(values, (), lines)
    return "\n".join(lines).strip() + "\n"


def _write(table: Mapping[str, Any], path: tuple[str, ...], lines: list[str]) -> None:
    plain = {key: value for key, value in table.items() if value is not None and not isinstance(value, Mapping)}
    tables = {key: value for key, value in table.items() if isinstance(value, Mapping)}
    if path and (plain or not tables):
        lines += ["", f"[{'.'.join(map(_key, path))}]"]
    lines += [f"{_key(key)} = {_value(value)}" for key, value in plain.items()]
    for key, value in tables.items():
        _write(value, (*path, key), lines)


def _key(key: str) -> str:
    return key if key.replace("_", "").replace("-", "").isalnum() and key.isascii() else _value(key)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        if re.search("[\ud800-\udfff]", value):
            raise ConfigError(f"{value!r} is not Unicode text", remedy="Rename the file or folder it names.")
        # a JSON string is a TOML basic string, but for DEL
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, int):
        return int.__repr__(value)
    if isinstance(value, float):
        return float.__repr__(value)  # not numpy's own repr
    if isinstance(value, list | tuple):
        return f"[{', '.join(_value(item) for item in value)}]"
    if isinstance(value, Mapping):  # inside a list
        items = (f"{_key(key)} = {_value(item)}" for key, item in value.items() if item is not None)
        return f"{{{', '.join(items)}}}"
    raise TypeError(f"{type(value).__name__} has no TOML form")
