"""`hanmo.train`: a recipe file becomes a finished run."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from pydantic import field_validator

from hanmo.core.errors import ConfigError, storage_error
from hanmo.core.files import sweep_orphans
from hanmo.core.runs import RunFolder
from hanmo.core.settings import Settings, apply_overrides, check_settings, load_settings, read_toml
from hanmo.stories.classification_recipe import ClassificationRecipe
from hanmo.stories.dialogue_recipe import DialogueRecipe
from hanmo.stories.grading_recipe import GradingRecipe
from hanmo.stories.multi_task_recipe import MultiTaskRecipe
from hanmo.stories.preferences_recipe import PreferencesRecipe
from hanmo.stories.pretrain import pretrain
from hanmo.stories.qa_recipe import AnsweringRecipe
from hanmo.stories.recipe import PretrainRecipe
from hanmo.stories.result import PretrainResult
from hanmo.stories.similarity_recipe import SimilarityRecipe
from hanmo.stories.study import StudyResult, StudyStory, describe_study
from hanmo.stories.summarization_recipe import SummarizationRecipe, Text2TextGenerationRecipe
from hanmo.stories.tagging_recipe import TaggingRecipe
from hanmo.stories.task_recipe import TaskRecipe
from hanmo.stories.task_result import TaskResult
from hanmo.stories.task_story import TaskStory
from hanmo.stories.translation_recipe import TranslationRecipe

__all__ = ["TASKS", "Recipe", "Result", "for_someone", "open_run", "plan", "read_recipe", "train"]

Recipe = PretrainRecipe | TaskRecipe
Result = PretrainResult | TaskResult | StudyResult

TASKS: dict[str, type[TaskRecipe]] = {
    "text-classification": ClassificationRecipe,
    "token-classification": TaggingRecipe,
    "multi-task": MultiTaskRecipe,
    "question-answering": AnsweringRecipe,
    "sentence-similarity": SimilarityRecipe,
    "grading": GradingRecipe,
    "translation": TranslationRecipe,
    "summarization": SummarizationRecipe,
    "text2text-generation": Text2TextGenerationRecipe,
    "dialogue": DialogueRecipe,
    "preferences": PreferencesRecipe,
}
"""Recipes over labelled examples, by their `task`."""
_KINDS: dict[str, type[PretrainRecipe] | type[TaskRecipe]] = {"pretrain": PretrainRecipe, **TASKS}


class _AnyTask(Settings):
    """What tells the kinds of recipes apart."""

    task: str = "pretrain"

    @field_validator("task")
    @classmethod
    def _task_is_known(cls, task: str) -> str:
        if task not in _KINDS:
            raise ValueError(f"there is no task {task!r}; choose one of {', '.join(_KINDS)}")
        return task


def read_recipe(path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe of any kind and check all of it.

    Raises:
        ConfigError: names every unknown key, wrong type and impossible value with `file:line`.
    """
    values = apply_overrides(read_toml(path), overrides)
    task = {"task": values["task"]} if "task" in values else {}
    if values.get("task") == "corpus":
        raise ConfigError(
            "this recipe is of a corpus, not of a model", where=path, remedy=f"Build it: hanmo corpus build {path}."
        )
    kind = _KINDS[check_settings(_AnyTask, task, source=path, overrides=overrides).task]
    return load_settings(kind, path, overrides)


def train(
    recipe: str | Path | Recipe,
    *,
    overrides: Sequence[str] = (),
    out: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    adapter_for: str | None = None,
    command: str | None = None,
) -> Result:
    """Run a recipe from raw text, or labelled examples, to a trained, evaluated model directory.

    Args:
        recipe: a TOML file or a checked recipe.
        overrides: `section.key=value` strings, applied over the file.
        out: run folder; `runs/NAME` unless given.
        resume: go on with an interrupted run, bit for bit.
        overwrite: delete a run that is already there.
        adapter_for: name of a user or tenant: train an adapter of the recipe's checkpoint for them (LoRA, if the recipe
            does not say which), in a run folder of their own, `runs/NAME-FOR`.
        command: what the user typed, for the record.

    Raises:
        ConfigError: if the recipe or the folder cannot be used; nothing has been written then.
        HanmoError: whatever goes wrong later, with place and remedy.
    """
    checked = read_recipe(recipe, overrides) if isinstance(recipe, (str, Path)) else recipe
    if adapter_for is not None:
        checked = for_someone(checked, adapter_for)
    path = Path(out) if out is not None else Path("runs") / checked.name
    run = open_run(path, checked, resume=resume, overwrite=overwrite)
    if isinstance(checked, TaskRecipe):
        story = TaskStory if checked.study is None else StudyStory
        return story(checked, run, resume).carry_out(command)
    return pretrain(checked, run, resume=resume, command=command)


def for_someone(recipe: Recipe, name: str) -> Recipe:
    """The same recipe for one user or tenant, with an adapter.

    Raises:
        ConfigError: if the recipe has no checkpoint that adapters could share, or the name cannot be one of a folder.
    """
    if getattr(getattr(recipe, "model", None), "checkpoint", None) is None:
        raise ConfigError(
            "this recipe trains a model from nothing, which nobody shares", where="--adapter-for",
            remedy="Give it model.checkpoint.",
        )  # fmt: skip
    given = {} if recipe.adapter is not None else {"adapter": {"method": "lora"}}
    values = recipe.model_dump(mode="json", exclude_unset=True) | given | {"name": f"{recipe.name}-{name}"}
    return check_settings(type(recipe), values)


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
    from hanmo.stories.dry_run import describe_plan
    from hanmo.stories.task_plan import describe_task

    checked = read_recipe(recipe, overrides) if isinstance(recipe, (str, Path)) else recipe
    pick_device(checked.device)
    if not isinstance(checked, TaskRecipe):
        return describe_plan(checked)
    return "\n".join([describe_task(checked), *([] if checked.study is None else [describe_study(checked)])])
