"""`hanmo evaluate MODEL`: how good a trained model is on labelled examples, and whether it is better than another one."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hanmo.core.errors import ConfigError, DataError
from hanmo.core.files import read_json, write_text
from hanmo.core.progress import say
from hanmo.core.settings import apply_overrides, check_settings, read_toml
from hanmo.models.hub import find_model
from hanmo.stories.classification_recipe import ClassificationRecipe
from hanmo.stories.result import model_folder
from hanmo.stories.task_story import Judged, TaskWork
from hanmo.stories.train import TASKS

if TYPE_CHECKING:
    from hanmo.metrics.significance import PairedTest
    from hanmo.tasks.splits import Splits

__all__ = ["ZERO_SHOT", "Judgement", "evaluate"]

ZERO_SHOT = {
    "zero-shot-classification": "This example is {}.",
    "zero-shot-image-classification": "This is a photo of {}.",
}
"""Tasks that are judged and not trained → the sentence with {} for the label, if no other is given."""
_IMAGES = "zero-shot-image-classification"
_SPLIT_KEYS: Mapping[str, Any] = {"fold": None, "test_fraction": None, "leaks": "keep", "dev": None, "dev_target": None}
"""What says how examples are shared out, of which there is no need here."""


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What became of the examples."""

    model: str
    """Which model was judged."""
    task: str
    """Name of the task."""
    source: str
    """Where the examples are from."""
    figures: dict[str, Any]
    """As in evaluation.json: `n`, `scores`, `intervals`, …"""
    records: list[dict[str, Any]]
    """As in predictions.jsonl: one for each example, the worst first."""
    notes: dict[str, int]
    """What was left out or noticed, and how often."""
    against: str | None = None
    """The other model."""
    against_figures: dict[str, Any] | None = None
    """Its figures on the same examples."""
    tests: Mapping[str, PairedTest] | None = None
    """Figure → paired bootstrap test of both models."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, without the records."""
        tests = None if self.tests is None else {name: asdict(test) for name, test in self.tests.items()}
        return {name: value for name, value in vars(self).items() if name != "records"} | {"tests": tests}

    def summary(self) -> str:
        """Lines for people."""
        scores, intervals = self.figures["scores"], self.figures["intervals"]
        width = max(map(len, scores))
        if self.tests is None or self.against_figures is None:
            head = f"{self.model} on {self.figures['n']:,} examples of {self.source}"
            lines = [f"  {name:<{width}}  {_with_ends(value, intervals.get(name))}" for name, value in scores.items()]
            return "\n".join([head, *lines])
        theirs = self.against_figures["intervals"]
        rows = [("", "A", "B", "A - B", "p")]
        for name, test in self.tests.items():
            a, b = _with_ends(test.a, intervals[name]), _with_ends(test.b, theirs[name])
            apart = _with_ends(test.difference, {"low": test.low, "high": test.high})
            rows.append((name, a, b, apart, f"{test.p_value:.3g}"))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            f"A  {self.model}", f"B  {self.against}", f"on {self.figures['n']:,} examples of {self.source}", "",
            *("  ".join(["", *(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))]).rstrip() for row in rows),
        ]  # fmt: skip
        n = next(iter(self.tests.values())).n_resamples
        return "\n".join([*lines, "", f"Paired bootstrap (Koehn, 2004), {n:,} resamples, 95 % intervals."])


def evaluate(
    model: str | Path,
    *,
    file: str | Path | None = None,
    against: str | Path | None = None,
    recipe: str | Path | None = None,
    task: str | None = None,
    template: str | None = None,
    overrides: Sequence[str] = (),
    out: str | Path | None = None,
) -> Judgement:
    """Try a trained model on labelled examples; nothing is trained.

    Args:
        model: run folder, its model directory, or any model with a head for the task, with `recipe` or `task`.
        file: labelled examples in the form that the model learned from; the `test` of its recipe if None.
        against: another run or model, judged on the same examples; figures are then compared by a paired test.
        recipe: a TOML file that says where examples are and how to read them; that of the run if None.
        task: in place of a recipe, with `file`: examples are read as a recipe of this task does by default. Also
            "zero-shot-classification": classes that nobody trained for, told by a model of entailment or a language model;
            and "zero-shot-image-classification": `file` is then a folder with a folder of images for each class.
        template: zero-shot only, the sentence with {} for the label.
        overrides: `section.key=value` strings, applied over the recipe: `data.label=2`.
        out: where all predictions are written, the worst first (.jsonl).

    Raises:
        ConfigError: if it is not known how to read the examples, or two models are not of one task.
        DataError: for examples that cannot be used or labels that the model does not tell; each with file and line.
        ModelError: for a model that is missing, damaged, or of another task.
    """
    untrained = task if task in ZERO_SHOT else None
    if template is not None and untrained is None:
        raise ConfigError(
            "a template is for classes that nobody trained for",
            where="template",
            remedy=f"Set the task {next(iter(ZERO_SHOT))}.",
        )
    first = _Candidate.find(model)
    if untrained is not None:  # what it learned is not what it is asked
        first, task = replace(first, recipe=None), "text-classification"
    values, told = _recipe_values(first, recipe, task, file, overrides)
    work = _work_of(values)
    if untrained is None:
        opened, splits, notes = _open(work, first)
    else:
        opened, splits, notes = _without_training(work.recipe, first.place, untrained, template or ZERO_SHOT[untrained])
    if file is not None:
        notes["of them are also in the training data"] += _known_to(first, values, splits.test, work, opened)
    for note, count in sorted(notes.items()):
        if count:
            say(f"{count:,} {note}")
    judged = work.judge(opened, splits, "test")
    seed = work.recipe.seed
    common: dict[str, Any] = {
        "model": str(model), "task": untrained or values["task"], "source": told,
        "figures": judged.figures.to_dict(seed=seed), "records": judged.records,
        "notes": {note: count for note, count in sorted(notes.items()) if count},
    }  # fmt: skip
    if out is not None:
        write_text(Path(out), "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in judged.records))
    if against is None:
        return Judgement(**common)
    other = _judged_beside(_Candidate.find(against), values, splits)
    from hanmo.tasks.figures import compare_figures

    return Judgement(
        **common, against=str(against), against_figures=other.figures.to_dict(seed=seed),
        tests=compare_figures(judged.figures, other.figures, seed=seed),
    )  # fmt: skip


@dataclass(frozen=True)
class _Candidate:
    """A model, and what its run says of it."""

    place: str | Path
    """What `TaskWork.open` takes."""
    recipe: dict[str, Any] | None
    """Of its run; None for a model that has none."""

    @classmethod
    def find(cls, given: str | Path) -> _Candidate:
        """What a user means by a run folder, a model directory in one, or any other model."""
        path = Path(given)
        run = next((place for place in (path, path.parent) if (place / "run.json").is_file()), None)
        if run is None:
            return cls(given, None)
        known = read_json(run / "run.json")
        recipe = known.get("recipe") or {}
        if recipe.get("task") not in TASKS:
            return cls(model_folder(run) if run == path else given, None)
        if known.get("status") != "finished":
            raise ConfigError(
                f"this run is {known.get('status', 'not begun')}, and has no trained model yet", where=run,
                remedy="Go on with it: hanmo train RECIPE --resume.",
            )  # fmt: skip
        if recipe.get("study") is not None:
            told = read_json(run / "evaluation.json")
            if run == path and "soup" not in told:
                return cls.find(run / told["best_run"])
            recipe = recipe | {"study": None}
        return cls(model_folder(run) if run == path else given, recipe)


def _recipe_values(
    first: _Candidate, recipe: str | Path | None, task: str | None, file: str | Path | None, overrides: Sequence[str]
) -> tuple[dict[str, Any], str]:
    """The recipe by which examples are read, and what they are called."""
    if recipe is not None:
        values = read_toml(recipe)
    elif task is not None and (first.recipe is None or first.recipe["task"] != task):
        if file is None:
            raise ConfigError("no examples are given", where="file", remedy="Give a file, or a recipe.")
        values = {"task": task, "data": {}, "training": {"epochs": 1}}
    elif first.recipe is not None:
        values = first.recipe
    else:
        find_model(first.place, weights=False)  # one that is not there is told first
        raise ConfigError(
            "this model has no run that says how examples are read", where=first.place,
            remedy="Give a recipe, or a task and a file.",
        )  # fmt: skip
    values = apply_overrides(values, overrides)
    name = values.get("task", "pretrain")
    if name not in TASKS:
        raise ConfigError(f"a recipe of {name!r} has no labelled examples", where="task", remedy="Give one of a task.")
    if "data" not in values:
        if file is not None:
            raise ConfigError(
                "this run has several tasks; one file cannot be of all",
                where="file",
                remedy="Judge one of them, RUN/model/NAME, and say of which task it is.",
            )
        return values, "its test sets"
    data = dict(values["data"])
    if file is not None:
        data |= {"test": str(file), "test_target": None, "also": (), "unseen": ()}
    if data.get("test") is None and (data.get("test_fraction") is not None):
        return values, f"the part of {data['train']} that was set aside"
    if data.get("test") is None:
        raise ConfigError("this recipe has no test set", where="[data] test", remedy="Give a file.")
    kind: Any = TASKS[name].model_fields["data"].annotation
    # what it learned from need not be there any more
    data |= {"train": data["test"], "train_target": data.get("test_target"), **_SPLIT_KEYS}
    return values | {"data": {key: value for key, value in data.items() if key in kind.model_fields}}, str(data["test"])


def _work_of(values: dict[str, Any]) -> TaskWork[Any, Any]:
    return check_settings(TASKS[values["task"]], values).work()


def _open(work: TaskWork[Any, Any], candidate: _Candidate) -> tuple[Any, Splits[Any], Counter[str]]:
    """The model, and the examples as its test set."""
    from hanmo.tasks.splits import Splits

    notes: Counter[str] = Counter()
    data = getattr(work.recipe, "data", None)
    model = work.open(candidate.place)
    model.model.eval()
    if data is not None and data.test is None:
        splits = work.examples()
        return model, replace(splits, labels=work.labels_of(model) or splits.labels), notes
    examples = work.read_test(model, notes)
    if not examples:
        raise ConfigError("this recipe has no test set", where="[data] test", remedy="Give a file.")
    return model, Splits([], [], examples, work.labels_of(model), {}), notes


def _without_training(
    recipe: Any, place: str | Path, task: str, template: str
) -> tuple[Any, Splits[Any], Counter[str]]:
    """A model that tells the classes of a recipe without having learned them, and the examples."""
    from hanmo.tasks.labelled_images import ZeroShotImageClassifier, read_labelled_images
    from hanmo.tasks.loading import load
    from hanmo.tasks.opened import as_image_matcher
    from hanmo.tasks.splits import Splits
    from hanmo.tasks.text_examples import read_test_texts
    from hanmo.tasks.zero_shot import ZeroShotClassifier, as_guesser

    if not isinstance(recipe, ClassificationRecipe) or recipe.data.kind != "single":
        raise ConfigError(
            "only one class a text is told without training", where="task", remedy='Take kind = "single".'
        )
    data, notes = recipe.data, Counter[str]()
    assert data.test is not None
    examples = read_labelled_images(data.test, data.names) if task == _IMAGES else read_test_texts(data, (), notes)
    told = [str(example.label) for example in examples]
    labels = tuple(data.names.values()) or tuple(sorted(set(told)))
    if len(labels) < 2:
        raise DataError(f"all examples have the label {told[0]!r}", where=data.test)
    say(f"Without training, one of: {', '.join(labels)}")
    opened = load(place, device=recipe.device)
    if task == _IMAGES:
        model: Any = ZeroShotImageClassifier(as_image_matcher(opened, place), labels, template)
    else:
        model = ZeroShotClassifier(as_guesser(opened, place), labels, template)
    return model, Splits([], [], examples, labels, {}), notes


def _judged_beside(candidate: _Candidate, values: dict[str, Any], splits: Splits[Any]) -> Judged:
    """Another model on examples that were read."""
    theirs = candidate.recipe or values
    if theirs["task"] != values["task"]:
        raise ConfigError(
            f"a model of {theirs['task']} cannot be compared with one of {values['task']}", where=candidate.place
        )
    asked = theirs | ({"data": values["data"]} if "data" in values else {})
    work = _work_of(asked)
    model = work.open(candidate.place)
    model.model.eval()
    labels = work.labels_of(model)
    if set(labels) != set(splits.labels if labels else ()):
        raise ConfigError(
            f"the two models tell different labels: {', '.join(sorted(set(labels) ^ set(splits.labels))[:10])} only one of them",
            where=candidate.place, remedy="Compare models that learned the same labels.",
        )  # fmt: skip
    return work.judge(model, replace(splits, labels=labels), "test")


def _known_to(
    first: _Candidate, values: dict[str, Any], test: Sequence[Any], work: TaskWork[Any, Any], model: Any
) -> int:
    """How many examples the model has learned from, if its training data are there and can be read."""
    own = (first.recipe or {}).get("data") or {}
    train, other, file = own.get("train"), own.get("train_target"), Path(values["data"]["test"]).resolve()
    held = [Path(own[name]).resolve() for name in ("dev", "test") if own.get(name)]
    if (
        train is None or not Path(train).exists() or file in held
    ):  # its own were kept apart, or not, when it was trained
        return 0
    asked = values["data"] | {"test": train, "train": train} | ({"test_target": other} if other is not None else {})
    try:
        learned = _work_of(values | {"data": asked}).read_test(model, Counter())
    except (ConfigError, DataError) as error:  # in another form, or mended when it was learned
        say(f"Whether examples are also in the training data cannot be told: {error}")
        return 0
    seen = {_content(example) for example in learned}
    return sum(_content(example) in seen for example in test)


def _content(example: Any) -> str:
    """All that an example says but its place."""
    return repr({name: value for name, value in asdict(example).items() if name not in ("where", "id", "article")})


def _with_ends(value: float, ends: Mapping[str, Any] | None) -> str:
    return f"{value:.4f}" + ("" if ends is None else f" [{ends['low']:.4f}, {ends['high']:.4f}]")
