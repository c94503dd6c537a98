"""Several runs of one recipe with changes, told as one story: seeds, folds, a learning curve, a search."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from hanmo.core.errors import ConfigError, TrainingError
from hanmo.core.files import read_json, write_json, write_text
from hanmo.core.progress import format_duration, say
from hanmo.core.runs import RunFolder
from hanmo.core.settings import Settings, check_settings
from hanmo.core.toml import to_toml
from hanmo.stories.result import StoryResult, model_folder
from hanmo.stories.story import Story, now
from hanmo.stories.study_recipe import StudySection, Trial
from hanmo.stories.task_recipe import TaskRecipe
from hanmo.stories.task_result import TaskResult, describe_figures
from hanmo.stories.task_story import TaskStory
from hanmo.training.direction import is_lower_better

__all__ = ["StudyResult", "StudyStory", "changed_recipe", "describe_study"]

_FILES = ("evaluation.json", "recipe.toml", "report.html")


@dataclass(frozen=True, kw_only=True)
class StudyResult(StoryResult):
    """What several runs came to. `evaluation` has `by`, `lower_is_better`, `chosen` (number of a group, or None) and
    `groups`, each with its `choice`, its `runs` and the figures of each split: `mean`, `sd` and `values`."""

    n_runs: int
    """How many there were."""

    @property
    def model(self) -> Path:
        """The soup, if one was made; else of the best group its run that did best on dev."""
        best = self.run if "soup" in self.evaluation else self.run / self.evaluation.get("best_run", "")
        return model_folder(best)

    def told(self) -> list[str]:
        groups, chosen = self.evaluation["groups"], self.evaluation["chosen"]
        lines = [f"{self.n_runs} runs, all in {format_duration(self.seconds)}."]
        for group in groups if chosen is None else [groups[chosen]]:
            head = f"{_shown(group['choice'])}: " if group["choice"] else ""
            lines += [f"{head}{split}: {_figures(figures)}" for split, figures in group["figures"].items()]
        if soup := self.evaluation.get("soup"):
            names = ", ".join(run.rpartition("/")[2] for run in soup["runs"])
            lines += [
                f"soup of {names}: {split}: {describe_figures(found)}" for split, found in soup["figures"].items()
            ]
        lines += ["", f"  report   {self.report}", f"  model    {self.model}"]
        if chosen is not None:
            sets = " ".join(
                f"--set {shlex.quote(f'{key}={_typed(value)}')}" for key, value in groups[chosen]["choice"].items()
            )
            lines += ["", f"Chosen by {self.evaluation['by']} on dev; the same again:", f"  hanmo train RECIPE {sets}"]
        return lines


class StudyStory(Story[TaskRecipe, StudyResult]):
    """See above. Each run lies in runs/ of the folder, and is a whole run of its own recipe."""

    def __init__(self, recipe: TaskRecipe, run: RunFolder, resume: bool):
        super().__init__(recipe, run, resume)
        assert recipe.study is not None
        self.study: StudySection = recipe.study

    def tell(self) -> StudyResult:
        trials = self.study.plan(self.recipe.seed)
        recipes = [
            changed_recipe(self.recipe, trial) for trial in trials
        ]  # whatever cannot be is named before the first
        done: dict[str, TaskResult] = {}
        failed: dict[int, str] = {}
        for number, (trial, recipe) in enumerate(zip(trials, recipes, strict=True), 1):
            say(f"Run {number} of {len(trials)}: {trial.name} ({_shown(trial.changes)})")
            try:
                result = self._story(trial, recipe).carry_out(None)
            except TrainingError as error:
                if not self.study.search:
                    raise
                say(f"{trial.name} failed and is left out of the choice: {error}")
                failed[trial.group] = str(error)
                continue
            if result.status == "stopped":
                self.close("interrupted", None)
                return self._result({}, len(trials), result)
            # weights are in model/; what a resume would need is many times as large
            shutil.rmtree(result.run / "checkpoints", ignore_errors=True)
            done[trial.name] = result
            self._decides(
                result.evaluation["dev"]["scores"]
            )  # a name that there is not is told after one run, not after all
        evaluation = self._evaluate(trials, recipes, done, failed)
        if self.study.soup:
            with self.timed("soup"):
                evaluation["soup"] = self._soup(
                    evaluation, [done[trial.name] for trial in trials if trial.name in done]
                )
        return self._finish(evaluation, len(trials))

    def compared(self, recipe: dict[str, Any]) -> dict[str, Any]:
        # by which figure to choose, and whether to make a soup, may be told anew: no run depends on it
        study = {key: value for key, value in (recipe.get("study") or {}).items() if key not in ("by", "soup")}
        return recipe | {"study": study}

    def recorded(self) -> StudyResult | None:
        if self.run.read().get("status") != "finished" or not all((self.run.path / name).is_file() for name in _FILES):
            return None
        evaluation = read_json(self.run.path / "evaluation.json")
        if self.study.soup and "soup" not in evaluation:
            return None
        return self._result(evaluation, sum(len(group["runs"]) for group in evaluation["groups"]), None)

    def _story(self, trial: Trial, recipe: TaskRecipe) -> TaskStory:
        path = self.run.path / "runs" / trial.name
        started = (path / "run.json").exists()
        story = TaskStory(recipe, RunFolder.create(path, resume=started), started)
        story.home = self.run.path
        if self.study.search:
            story.judged = ("dev",)
        return story

    def _evaluate(
        self,
        trials: Sequence[Trial],
        recipes: Sequence[TaskRecipe],
        done: Mapping[str, TaskResult],
        failed: Mapping[int, str],
    ) -> dict[str, Any]:
        groups: list[dict[str, Any]] = []
        for number in range(trials[-1].group + 1):
            own = [trial for trial in trials if trial.group == number]
            results = [done[trial.name] for trial in own if trial.name in done]
            group: dict[str, Any] = {
                "choice": own[0].choice, "runs": [f"runs/{trial.name}" for trial in own if trial.name in done],
                "n_examples": round(fmean(result.n_examples for result in results)) if results else None,
                "seconds": sum(result.seconds for result in results),
                "figures": {} if number in failed else _summary([result.evaluation for result in results]),
            }  # fmt: skip
            groups.append(group | ({"failed": failed[number]} if number in failed else {}))
        whole = [number for number, group in enumerate(groups) if group["figures"]]
        if not whole:
            raise TrainingError(f"no combination could be trained; the first: {next(iter(failed.values()))}")
        by = self._decides(groups[whole[0]]["figures"]["dev"])
        lower = is_lower_better(by)
        best = (min if lower else max)(whole, key=lambda number: groups[number]["figures"]["dev"][by]["mean"])
        if self.study.search:
            self._look_at_test(groups[best], trials, recipes, best)
        values = groups[best]["figures"]["dev"][by]["values"]
        place = values.index(min(values) if lower else max(values))
        return {
            "by": by, "lower_is_better": lower, "chosen": best if self.study.search else None,
            "best_run": groups[best]["runs"][place], "groups": groups,
        }  # fmt: skip

    def _decides(self, figures: Mapping[str, Any]) -> str:
        """Name of the figure that decides."""
        by = self.study.by or next(iter(figures))
        if by not in figures:
            raise ConfigError(
                f"there is no figure {by!r}", where="study.by", remedy=f"This task has {', '.join(figures)}."
            )
        return by

    def _look_at_test(
        self, group: dict[str, Any], trials: Sequence[Trial], recipes: Sequence[TaskRecipe], number: int
    ) -> None:
        """Judge the runs that were chosen, and no others, by examples that chose nothing."""
        stories = [
            self._story(trial, recipe) for trial, recipe in zip(trials, recipes, strict=True) if trial.group == number
        ]
        for story in stories:
            story.judge("test")
        group["figures"] = _summary([read_json(story.run.path / "evaluation.json") for story in stories])

    def _soup(self, evaluation: dict[str, Any], results: Sequence[TaskResult]) -> dict[str, Any]:
        """The mean of weights of these runs, its model directory and predictions, and what becomes of dev and test."""
        from hanmo.stories.soup import make_soup

        by, lower = evaluation["by"], evaluation["lower_is_better"]
        order = sorted(results, key=lambda one: one.evaluation["dev"]["scores"][by] * (1 if lower else -1))
        work = self.recipe.work()
        splits = work.examples()
        soup = make_soup(work, splits, [one.run for one in order], by=by, lower_is_better=lower)
        soup.model.save(self.run.path / work.home)
        figures: dict[str, Any] = {}
        lines: list[str] = []
        for name in ("dev", "test"):
            if getattr(splits, name):
                judged = work.judge(soup.model, splits, name)
                figures[name] = judged.figures.to_dict(seed=self.recipe.seed)
                lines += [json.dumps({"split": name} | record, ensure_ascii=False) + "\n" for record in judged.records]
        write_text(self.run.path / "predictions.jsonl", "".join(lines))
        return {"runs": [f"runs/{run.name}" for run in soup.runs], "figures": figures}

    def _finish(self, evaluation: dict[str, Any], n_runs: int) -> StudyResult:
        from hanmo.evaluation.study_report import write_study_report

        write_json(self.run.path / "evaluation.json", evaluation)
        task = {"task": self.recipe.model_dump()["task"]}
        values = task | self.recipe.model_dump(mode="json", exclude_unset=True)
        write_text(self.run.path / "recipe.toml", to_toml(values))
        first = RunFolder(self.run.path / evaluation["best_run"]).read()
        self.run.record(
            status="finished", finished=now(), seconds=self.seconds(), energy=self.energy_used(),
            data=first["data"], model=first["model"],
        )  # fmt: skip
        write_study_report(self.run.path, lang=self.recipe.lang)
        return self._result(evaluation, n_runs, None)

    def _result(self, evaluation: dict[str, Any], n_runs: int, stopped: TaskResult | None) -> StudyResult:
        return StudyResult(
            run=self.run.path, status="stopped" if stopped else "finished",
            stopped_by=stopped.stopped_by if stopped else None,
            seconds=self.seconds() if stopped else self.run.read()["seconds"],
            parameters=self.run.read().get("model", {}).get("parameters", 0), evaluation=evaluation, n_runs=n_runs,
        )  # fmt: skip


def changed_recipe(recipe: TaskRecipe, trial: Trial) -> TaskRecipe:
    """The recipe of one run.

    Raises:
        ConfigError: if the changes make it impossible.
    """
    values = recipe.model_dump(exclude_unset=True, exclude={"study"})
    values["name"] = f"{recipe.name[:40]}.{trial.name}"[:64]
    for key, value in trial.changes.items():
        _put(recipe, values, key.split("."), value)
    try:
        return check_settings(type(recipe), values)
    except ConfigError as error:
        raise ConfigError(str(error), where=f"[study] {trial.name} ({_shown(trial.changes)})") from error


def describe_study(recipe: TaskRecipe) -> str:
    """What would be run, on a few lines."""
    assert recipe.study is not None
    trials = recipe.study.plan(recipe.seed)
    for trial in trials:
        changed_recipe(recipe, trial)
    shown = [f"  {trial.name}: {_shown(trial.changes)}" for trial in trials[:20]]
    more = [f"  … and {len(trials) - 20} more"] if len(trials) > 20 else []
    return "\n".join([f"a study of {len(trials)} runs:", *shown, *more])


def _put(section: Any, values: dict[str, Any], keys: Sequence[str], value: Any) -> None:
    key, *rest = keys
    if not rest:
        values[key] = value
        return
    inner = getattr(section, key, None)
    # a section that the recipe leaves to its default keeps what the default says
    values.setdefault(key, inner.model_dump(exclude_unset=True) if isinstance(inner, Settings) else {})
    if not isinstance(values[key], dict):
        raise ConfigError(f"{key!r} is no section, and has no {'.'.join(rest)!r}", where="[study] search")
    _put(inner, values[key], rest, value)


def _summary(evaluations: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Of each split that all runs were judged by: each figure's mean, deviation and values; 95 % intervals of one run."""
    found: dict[str, dict[str, Any]] = {}
    for split in ("dev", "test"):
        if not all(split in evaluation for evaluation in evaluations):
            continue
        several = [evaluation[split] for evaluation in evaluations]
        found[split] = {}
        for name in several[0]["scores"]:
            values = [figures["scores"][name] for figures in several if name in figures["scores"]]
            if len(values) == len(several):
                found[split][name] = {
                    "mean": fmean(values), "sd": stdev(values) if len(values) > 1 else None, "values": values,
                    "intervals": [figures["intervals"].get(name) for figures in several],
                }  # fmt: skip
    return found


def _figures(figures: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{name} {one['mean']:.4f}" + (f" ± {one['sd']:.4f}" if one["sd"] is not None else "")
        for name, one in figures.items()
    )


def _typed(value: Any) -> str:
    """As --set reads it."""
    return value if isinstance(value, str) else json.dumps(value)


def _shown(changes: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} = {list(value) if isinstance(value, tuple) else value}" for key, value in changes.items())
