"""`hanmo.train`: a recipe file becomes a finished run."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from hanmo.core.errors import ConfigError, storage_error
from hanmo.core.runs import RunFolder
from hanmo.core.settings import load_settings
from hanmo.stories.pretrain import PretrainResult, pretrain
from hanmo.stories.recipe import PretrainRecipe

__all__ = ["open_run", "plan", "train"]


def train(
    recipe: str | Path | PretrainRecipe,
    *,
    overrides: Sequence[str] = (),
    out: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    command: str | None = None,
) -> PretrainResult:
    """Run a recipe from raw text to a trained, evaluated model directory.

    Args:
        recipe: a TOML file or a checked recipe.
        overrides: `section.key=value` strings, applied over the file.
        out: run folder; `runs/NAME` unless given.
        resume: go on with an interrupted run, bit for bit.
        overwrite: delete a run that is already there.
        command: what the user typed, for the record.

    Raises:
        ConfigError: if the recipe or the folder cannot be used; nothing has been written then.
        HanmoError: whatever goes wrong later, with place and remedy.
    """
    checked = recipe if isinstance(recipe, PretrainRecipe) else load_settings(PretrainRecipe, recipe, overrides)
    run = open_run(Path(out) if out is not None else Path("runs") / checked.name, resume=resume, overwrite=overwrite)
    return pretrain(checked, run, resume=resume, command=command)


def open_run(path: Path, *, resume: bool, overwrite: bool) -> RunFolder:
    """Make or take up a run folder; with `overwrite`, a run that is already there is deleted first.

    Raises:
        ConfigError: if `resume` and `overwrite` are both given, or the folder holds something that is no run.
    """
    if resume and overwrite:
        raise ConfigError("--resume and --overwrite exclude each other", remedy="Give one of them.")
    if overwrite and path.exists():
        if any(path.iterdir()) and not (path / "run.json").exists():
            raise ConfigError("this folder holds something that is not a run of hanmo", where=path, remedy="Choose another --out.")
        try:
            shutil.rmtree(path)
        except OSError as error:
            raise storage_error(error, path) from error
    return RunFolder.create(path, resume=resume)


def plan(recipe: str | Path | PretrainRecipe, *, overrides: Sequence[str] = ()) -> str:
    """What a recipe would do: sizes, memory, and one decoded training example as the loss will see it."""
    from hanmo.stories.dry_run import describe_plan

    checked = recipe if isinstance(recipe, PretrainRecipe) else load_settings(PretrainRecipe, recipe, overrides)
    return describe_plan(checked)
