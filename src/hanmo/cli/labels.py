"""`hanmo labels RECIPE`."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

__all__ = ["labels"]


def labels(
    recipe: Path,
    *,
    folds: int = 5,
    set_: Annotated[tuple[str, ...], Parameter(name="--set", negative=())] = (),
    out: Path | None = None,
    resume: Annotated[bool, Parameter(negative=())] = False,
    overwrite: Annotated[bool, Parameter(negative=())] = False,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Name the training examples whose labels are probably wrong, to review them: label_errors.jsonl.

    Parameters
    ----------
    recipe:
        A TOML file of a classifier of texts; its model is trained once for each fold.
    folds:
        Parts that the examples are cut into; each is judged by a model that learned from the others.
    set_:
        Override a value: --set training.epochs=3. May be given several times.
    out:
        Folder; runs/NAME-labels of the recipe unless given.
    resume:
        Go on with an interrupted run.
    overwrite:
        Delete a run that is already there and start again.
    json:
        Print the result as JSON on standard output.
    """
    from hanmo.cli.outcome import finish
    from hanmo.stories.labels import find_label_errors

    result = find_label_errors(
        recipe,
        folds=folds,
        overrides=set_,
        out=out,
        resume=resume,
        overwrite=overwrite,
        command=shlex.join(["hanmo", *sys.argv[1:]]),
    )
    return finish(result, json=json)
