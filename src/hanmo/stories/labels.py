"""`hanmo labels`: which labels of a training set to look at again. Each example is judged by a model that has not seen it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hanmo.core.errors import ConfigError
from hanmo.core.files import read_json, write_json, write_text
from hanmo.core.progress import format_duration, say
from hanmo.core.runs import RunFolder
from hanmo.stories.classification_recipe import ClassificationRecipe
from hanmo.stories.result import StoryResult
from hanmo.stories.story import Story, now
from hanmo.stories.task_recipe import TaskRecipe
from hanmo.stories.task_result import TaskResult
from hanmo.stories.task_story import TaskStory
from hanmo.stories.train import open_run, read_recipe

if TYPE_CHECKING:
    import numpy as np

    from hanmo.tasks.splits import Splits
    from hanmo.tasks.text_examples import TextExample

__all__ = ["LabelsResult", "LabelsStory", "find_label_errors"]

_FOUND, _PROBABILITIES = "label_errors.jsonl", "probabilities.json"


@dataclass(frozen=True, kw_only=True)
class LabelsResult(StoryResult):
    """Labels to review."""

    n_examples: int
    """Examples that were judged."""
    n_suspects: int
    """Those whose label is to be looked at."""
    accuracy: float
    """Share of the examples whose label is what the model finds most probable."""
    noise: float
    """Estimated share of wrong labels."""

    @property
    def found(self) -> Path:
        """The suggestions."""
        return self.run / _FOUND

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"run": str(self.run), "found": str(self.found)}

    def told(self) -> list[str]:
        return [
            f"{self.n_suspects:,} of {self.n_examples:,} labels to review (estimated share of wrong labels "
            f"{100 * self.noise:.1f} %; out of sample the model agrees with {100 * self.accuracy:.1f} % of the labels), "
            f"all in {format_duration(self.seconds)}.",
            "",
            f"  to review  {self.found}",
        ]


def find_label_errors(
    recipe: str | Path | TaskRecipe,
    *,
    folds: int = 5,
    overrides: Sequence[str] = (),
    out: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    command: str | None = None,
) -> LabelsResult:
    """Cut the training examples of a recipe into folds, train its model on all but one of them in turn, and name the
    examples of that one whose labels the model confidently disbelieves (see `hanmo.tasks.label_errors`).

    Args:
        recipe: a classifier of texts with one class a text; a TOML file or a checked recipe. Examples of its `dev` file are
            watched by and not judged; without one, all of `train` is judged.
        folds: how many; more are slower, and each model learns from more.
        overrides: `section.key=value` strings, applied over the file.
        out: folder; `runs/NAME-labels` unless given.
        resume: go on with an interrupted run.
        overwrite: delete one that is already there.
        command: what the user typed, for the record.

    Returns:
        How many there are; label_errors.jsonl in the folder has them, the surest first: `where`, `text` (and `pair`),
        `label`, `suggested`, their probabilities, `margin`.

    Raises:
        ConfigError: for a recipe of another kind, or fewer than two folds.
        HanmoError: whatever goes wrong in training, with place and remedy.
    """
    checked = read_recipe(recipe, overrides) if isinstance(recipe, (str, Path)) else recipe
    if not isinstance(checked, ClassificationRecipe) or checked.data.kind != "single":
        raise ConfigError(
            "label errors are found among texts of one class each", where="recipe",
            remedy='Give a recipe with task = "text-classification" and kind = "single".',
        )  # fmt: skip
    for name in ("study", "share"):
        if getattr(checked, name) is not None:
            raise ConfigError(
                f"a search for label errors judges all examples once; {name} has no meaning for it", where=name
            )
    if folds < 2:
        raise ConfigError(f"folds = {folds}: two or more are needed", where="--folds")
    path = Path(out) if out is not None else Path("runs") / f"{checked.name}-labels"
    run = open_run(path, checked, resume=resume, overwrite=overwrite)
    return LabelsStory(checked, run, resume, folds).carry_out(command)


class LabelsStory(Story[ClassificationRecipe, LabelsResult]):
    """See above. Each fold lies in folds/ of the folder."""

    def __init__(self, recipe: ClassificationRecipe, run: RunFolder, resume: bool, folds: int):
        super().__init__(recipe, run, resume)
        self.folds = folds
        before = run.read().get("labels", {}).get("folds", folds)
        if before != folds:
            raise ConfigError(
                f"this run has {before} folds, not {folds}", where=run.path, remedy="Resume with the same number."
            )

    def tell(self) -> LabelsResult:
        import numpy as np

        from hanmo.tasks.splits import Splits, set_aside, take_fold
        from hanmo.tasks.text_classification import targets
        from hanmo.tasks.text_examples import text_key

        self.run.record(labels={"folds": self.folds})
        data, seed = self.recipe.data, self.recipe.seed
        read = self.recipe.work().read()
        has_dev = data.dev is not None and data.fold is None
        pool = read.train if has_dev else [*read.train, *read.dev]
        if data.test_fraction is not None:  # a part of `train` like any other here
            pool = [*pool, *read.test]
        probabilities = np.zeros((len(pool), len(read.labels)))
        places = {id(example): number for number, example in enumerate(pool)}
        parameters = 0
        for number in range(1, self.folds + 1):
            rest, held_out = take_fold(pool, (number, self.folds), text_key, lambda example: example.label, seed)
            train, dev = (rest, read.dev) if has_dev else set_aside(rest, data.dev_fraction, text_key, seed)
            say(f"Fold {number} of {self.folds}")
            story = self._fold(number, Splits(train, dev, held_out, read.labels, read.notes))
            result = story.carry_out(None)
            if result.status == "stopped":
                self.close("interrupted", None)
                return self._result({}, len(pool), result)
            shutil.rmtree(story.run.checkpoints, ignore_errors=True)
            probabilities[[places[id(example)] for example in held_out]] = story.probabilities()
            parameters = result.parameters
        labels = targets(pool, read.labels, "single")
        found = self._write(pool, read.labels, probabilities, labels)
        self.run.record(
            status="finished", finished=now(), seconds=self.seconds(), energy=self.energy_used(),
            labels={"folds": self.folds, "parameters": parameters, "examples": len(pool)} | found,
        )  # fmt: skip
        return self._result(found | {"parameters": parameters}, len(pool), None)

    def recorded(self) -> LabelsResult | None:
        known = self.run.read()
        if known.get("status") != "finished" or not (self.run.path / _FOUND).is_file():
            return None
        return self._result(known["labels"], known["labels"]["examples"], None)

    def _fold(self, number: int, splits: Splits[TextExample]) -> _FoldStory:
        path = self.run.path / "folds" / str(number)
        started = (path / "run.json").exists()
        story = _FoldStory(self.recipe, RunFolder.create(path, resume=started), started)
        story.splits, story.home = splits, self.run.path
        return story

    def _write(
        self, pool: list[TextExample], names: Sequence[str], probabilities: np.ndarray, labels: np.ndarray
    ) -> dict[str, Any]:
        """Write the suggestions, and say what there is to say about all of them."""
        from hanmo.tasks.label_errors import confident_joint, estimated_joint, find_suspects

        suspects = find_suspects(probabilities, labels)
        lines = []
        for suspect in suspects:
            example, row = pool[suspect.index], probabilities[suspect.index]
            pair = {} if example.pair is None else {"pair": example.pair}
            line = {"where": example.where, "text": example.text, **pair, "label": example.label,
                    "suggested": names[suspect.suggested], "probability": round(float(row[suspect.suggested]), 6),
                    "probability_of_label": round(float(row[labels[suspect.index]]), 6),
                    "margin": round(suspect.margin, 6)}  # fmt: skip
            lines.append(json.dumps(line, ensure_ascii=False) + "\n")
        write_text(self.run.path / _FOUND, "".join(lines))
        joint = confident_joint(probabilities, labels)
        return {
            "suspects": len(suspects),
            "accuracy": float((probabilities.argmax(1) == labels).mean()),
            "noise": float(1 - estimated_joint(joint, labels).trace()),
            "classes": list(names),
            "confident_joint": joint.tolist(),
        }

    def _result(self, found: dict[str, Any], n: int, stopped: TaskResult | None) -> LabelsResult:
        return LabelsResult(
            run=self.run.path, status="stopped" if stopped else "finished",
            stopped_by=stopped.stopped_by if stopped else None, seconds=self.seconds(),
            parameters=found.get("parameters", 0), n_examples=n, n_suspects=found.get("suspects", 0),
            accuracy=found.get("accuracy", 0.0), noise=found.get("noise", 0.0),
        )  # fmt: skip


class _FoldStory(TaskStory):
    """A model that learns from all folds but one, and then only says what it thinks of that one: its `test`."""

    splits: Splits[TextExample]

    def probabilities(self) -> list[list[float]]:
        """Of the classes of each held-out example."""
        return read_json(self.run.path / _PROBABILITIES)

    def recorded(self) -> TaskResult | None:
        known = self.run.read()
        if known.get("status") != "finished" or not (self.run.path / _PROBABILITIES).is_file():
            return None
        return TaskResult(
            run=self.run.path, status="finished", stopped_by=None, seconds=known["seconds"],
            parameters=known["model"]["parameters"], n_examples=known["data"]["examples"]["train"], noun="texts", example="",
        )  # fmt: skip

    def _read(self, work: Any) -> Splits[Any]:
        return self.splits

    def _finish(self, work: Any, model: Any, splits: Splits[Any]) -> dict[str, Any]:
        with self.timed("evaluate"):
            found = model.probabilities([example.texts for example in splits.test])
            write_json(self.run.path / _PROBABILITIES, found.tolist())
        self.run.record(status="finished", finished=now(), seconds=self.seconds(), energy=self.energy_used())
        return {}
