"""`hanmo.train`: a recipe file becomes a finished run."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from hanmo.core.errors import ConfigError, storage_error
from hanmo.core.files import sweep_orphans
from hanmo.core.runs import RunFolder
from hanmo.core.settings import Settings, apply_overrides, check_settings, load_settings, read_toml
from hanmo.stories.classification_recipe import ClassificationRecipe
from hanmo.stories.classify import ClassificationResult, ClassificationStory
from hanmo.stories.pretrain import pretrain
from hanmo.stories.recipe import PretrainRecipe
from hanmo.stories.result import PretrainResult

__all__ = ["Recipe", "Result", "open_run", "plan", "read_recipe", "train"]

Recipe = PretrainRecipe | ClassificationRecipe
Result = PretrainResult | ClassificationResult

_KINDS: dict[str, type[PretrainRecipe] | type[ClassificationRecipe]] = {
    "pretrain": PretrainRecipe,
    "text-classification": ClassificationRecipe,
}
"""By the `task` of a recipe."""


class _AnyTask(Settings):
    """What tells the kinds of recipes apart."""

    task: Literal["pretrain", "text-classification"]


def read_recipe(path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe of any kind and check all of it.

    Raises:
        ConfigError: names every unknown key, wrong type and impossible value with `file:line`.
    """
    task = apply_overrides(read_toml(path), overrides).get("task", "pretrain")
    kind = _KINDS.get(task) if isinstance(task, str) else None
    if kind is None:
        check_settings(_AnyTask, {"task": task}, source=path, overrides=overrides)
        raise AssertionError(task)
    return load_settings(kind, path, overrides)


def train(
    recipe: str | Path | Recipe,
    *,
    overrides: Sequence[str] = (),
    out: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    command: str | None = None,
) -> Result:
    """Run a recipe from raw text, or labelled examples, to a trained, evaluated model directory.

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
    checked = read_recipe(recipe, overrides) if isinstance(recipe, (str, Path)) else recipe
    path = Path(out) if out is not None else Path("runs") / checked.name
    run = open_run(path, checked, resume=resume, overwrite=overwrite)
    if isinstance(checked, ClassificationRecipe):
        return ClassificationStory(checked, run, resume).carry_out(command)
    return pretrain(checked, run, resume=resume, command=command)


def open_run(path: Path, recipe: Recipe, *, resume: bool, overwrite: bool) -> RunFolder:
    """Make or take up the run folder of a recipe; with `overwrite`, a run that is already there is deleted first.

    Raises:
        ConfigError: if `resume` and `overwrite` are both given, the folder holds something that is no run, the
            corpus lies in what would be deleted, or the device of the recipe is not there.
        StorageError: if the folder cannot be listed, deleted or made.
    """
    from hanmo.core.devices import pick_device

    if resume and overwrite:
        raise ConfigError("--resume and --overwrite exclude each other", remedy="Give one of them.")
    pick_device(recipe.device)
    try:
        if path.exists():
            sweep_orphans(path)
        if path.exists() and any(path.iterdir()) and not (path / "run.json").exists():
            raise ConfigError(
                "this folder holds something that is not a run of hanmo", where=path, remedy="Choose another --out."
            )
        if overwrite and path.exists():
            for source in recipe.sources:
                if Path(source).resolve().is_relative_to(path.resolve()):
                    raise ConfigError(
                        f"--overwrite would delete {source!r}, which the recipe reads",
                        where=path,
                        remedy="Choose another --out.",
                    )
            _empty(path)
    except OSError as error:
        raise storage_error(error, path) from error
    return RunFolder.create(path, resume=resume)


def _empty(path: Path) -> None:
    """Delete a run; run.json goes last, so that after a kill the rest is still known as a run."""
    for entry in sorted(path.iterdir(), key=lambda entry: entry.name == "run.json"):
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def plan(recipe: str | Path | Recipe, *, overrides: Sequence[str] = ()) -> str:
    """What a recipe would do: sizes, memory, and one decoded training example as the loss will see it."""
    from hanmo.core.devices import pick_device
    from hanmo.stories.classification_plan import describe_classification
    from hanmo.stories.dry_run import describe_plan

    checked = read_recipe(recipe, overrides) if isinstance(recipe, (str, Path)) else recipe
    pick_device(checked.device)
    return describe_classification(checked) if isinstance(checked, ClassificationRecipe) else describe_plan(checked)
