"""`hanmo train RECIPE`."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

__all__ = ["train"]


def train(
    recipe: Path,
    *,
    set_: Annotated[tuple[str, ...], Parameter(name="--set", negative=())] = (),
    out: Path | None = None,
    resume: Annotated[bool, Parameter(negative=())] = False,
    overwrite: Annotated[bool, Parameter(negative=())] = False,
    adapter_for: str | None = None,
    dry_run: Annotated[bool, Parameter(negative=())] = False,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Run a recipe: from raw text to a trained, evaluated model directory.

    Parameters
    ----------
    recipe:
        A TOML file; see recipes/.
    set_:
        Override a value: --set training.minutes=20. May be given several times.
    out:
        Run folder; runs/NAME of the recipe unless given.
    resume:
        Go on with an interrupted run, bit for bit.
    overwrite:
        Delete a run that is already there and start again.
    adapter_for:
        Train a small adapter of the recipe's checkpoint for this user or tenant, in runs/NAME-FOR.
    dry_run:
        Check everything, print the plan, the size and one decoded training example; train nothing.
    json:
        Print the result as JSON on standard output.
    """
    from hanmo.cli.outcome import finish
    from hanmo.stories.train import for_someone, plan, read_recipe, train

    if dry_run:
        checked = read_recipe(recipe, set_)
        print(plan(checked if adapter_for is None else for_someone(checked, adapter_for)))
        return 0
    result = train(
        recipe,
        overrides=set_,
        out=out,
        resume=resume,
        overwrite=overwrite,
        adapter_for=adapter_for,
        command=shlex.join(["hanmo", *sys.argv[1:]]),
    )
    return finish(result, json=json)
