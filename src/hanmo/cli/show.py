"""`hanmo show MODEL`."""

from __future__ import annotations

import json as json_library
from typing import Annotated

from cyclopts import Parameter

__all__ = ["show"]


def show(
    model: str,
    *,
    positions: int | None = None,
    depth: int | None = None,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Draw a model: its parts with shapes, parameters, memory and FLOPs. Only config.json is read.

    Parameters
    ----------
    model:
        A model directory, a run (runs/NAME), or a repository of the Hugging Face hub (org/name).
    positions:
        Count the FLOPs of a token that looks at so many positions; the longest text of the model if not given.
    depth:
        How many levels to draw; all if not given.
    json:
        Print JSON.
    """
    from hanmo.core.errors import ConfigError
    from hanmo.models.describe import describe

    if depth is not None and depth < 0:
        raise ConfigError(f"depth = {depth} is no number of levels", where="depth")
    description = describe(model, n_positions=positions)
    if json:
        print(json_library.dumps(description.to_dict(), ensure_ascii=False))
    else:
        print(description.describe(depth))
    return 0
