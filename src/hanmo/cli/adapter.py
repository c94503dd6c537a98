"""`hanmo adapter`: adapters of models that stay as they are."""

from __future__ import annotations

import json as json_library
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

__all__ = ["merge", "show"]


def merge(adapter: str, *, out: Path, base: str | None = None) -> int:
    """Write the model that an adapter makes of its base, as a whole model directory.

    Parameters
    ----------
    adapter:
        Folder of an adapter (runs/NAME/adapter).
    out:
        Where the model goes.
    base:
        Its model, if that is no longer where the adapter says.
    """
    from hanmo.core.errors import ConfigError
    from hanmo.tasks.loading import load

    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        what = "this folder is not empty" if out.is_dir() else "this is a file, no folder"
        raise ConfigError(what, where=out, remedy="Choose another --out.")
    model = load(adapter) if base is None else load(base, adapter=adapter)
    if not model.adapters:
        raise ConfigError("this is a whole model, no adapter", where=adapter, remedy="Give the folder of an adapter.")
    model.merge_adapter()
    model.save(out)
    print(f"Wrote {out}")
    return 0


def show(adapter: Path, *, json: Annotated[bool, Parameter(negative=())] = False) -> int:
    """What an adapter is: its kind, its base, its places and sizes. Only its own files are read.

    Parameters
    ----------
    adapter:
        Folder of an adapter (runs/NAME/adapter, or one of PEFT).
    json:
        Print JSON.
    """
    from hanmo.models.adapter_files import describe_adapter

    told = describe_adapter(adapter)
    if json:
        print(json_library.dumps(told, ensure_ascii=False))
        return 0
    for key, value in told.items():
        shown = ", ".join(map(str, value)) if isinstance(value, list) else value
        print(f"{key:<12}{f'{shown:,}' if isinstance(shown, int) else shown}")
    return 0
