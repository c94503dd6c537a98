"""The story of every task over labelled examples: examples → model → training → figures → report."""

from __future__ import annotations

import json
import os
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from hanmo.core.errors import ConfigError
from hanmo.core.files import read_json, sha256_file, sha256_text, write_json, write_text
from hanmo.core.progress import say
from hanmo.core.toml import to_toml
from hanmo.stories.result import count_parameters, weights_file
from hanmo.stories.story import Story, now
from hanmo.stories.task_recipe import TaskRecipe
from hanmo.stories.task_result import TaskResult, recorded_task

if TYPE_CHECKING:
    from pathlib import Path

    from hanmo.tasks.figures import Figures
    from hanmo.tasks.loaded_model import LoadedModel
    from hanmo.tasks.splits import Splits
    from hanmo.training.interfaces import EpochBatches, Loss
    from hanmo.training.result import FitResult
    from hanmo.training.settings import TrainingSettings

__all__ = ["Judged", "Learning", "TaskStory", "TaskWork"]

RecipeT = TypeVar("RecipeT", bound=TaskRecipe)
ModelT = TypeVar("ModelT", bound="LoadedModel")


@dataclass(frozen=True, kw_only=True)
class Learning:
    """What the training loop is handed."""

    batches: EpochBatches
    loss: Loss
    watch: Callable[[], dict[str, float]]
    """Figures on dev, cheap to compute; `error` among them is what training for the task lowers."""
    notes: Mapping[str, int] = field(default_factory=dict)
    """What was made of the training examples besides themselves, and how often: for the record."""
    shown: Sequence[str] = ()
    """Lines for the plan: some of what was made."""
    unit: str = "rows"
    """What the loss counts."""


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What became of one split."""

    figures: Figures
    records: list[dict[str, Any]]
    """One for each example, the worst first: `where`, `right`, `label`, `predicted`, `text`; for JSON."""


class TaskWork(ABC, Generic[RecipeT, ModelT]):
    """How each stage of a task is done."""

    noun: ClassVar[str]
    """What examples are: "texts", "sentences", "questions"."""
    verb: ClassVar[str] = "predict"
    example: str
    """How to ask the model, as in `TaskResult`."""
    answers: ClassVar[str] = "numbers"
    """What is learned where there are no classes."""
    batch_unit: ClassVar[str] = "rows"
    """What a micro-batch holds `batch_size` of."""

    folder: Path | None = None
    """The run folder, for what a task keeps there; None where nothing is carried out."""

    def __init__(self, recipe: RecipeT):
        self.recipe = recipe

    @property
    def batch_size(self) -> int:
        """Size of a micro-batch."""
        return self.recipe.batch_size

    @property
    def folders(self) -> tuple[str, ...]:
        """Model directories of a finished run; those of adapters go with the model that they name."""
        return ("model",) if self.recipe.adapter is None else ("adapter",)

    @abstractmethod
    def read(self) -> Splits[Any]:
        """All examples, checked. They are dataclasses of plain values."""

    def examples(self) -> Splits[Any]:
        """What the recipe learns from and judges by: of what was read, its share."""
        splits = self.read()
        return splits if self.recipe.share is None else splits.with_share(self.recipe.share, self.recipe.seed)

    @abstractmethod
    def build(self, splits: Splits[Any]) -> ModelT:
        """The untrained model with its tokenizer."""

    def begin(self, splits: Splits[Any]) -> ModelT:
        """The untrained model as it is trained: with its adapter, if the recipe asks for one."""
        model = self.build(splits)
        if self.recipe.adapter is not None:
            from hanmo.tasks.adapted import adapt

            recipe: Any = self.recipe
            adapt(model.model, recipe.adapter, recipe.model.checkpoint)
        return model

    @abstractmethod
    def learn(self, model: ModelT, splits: Splits[Any]) -> Learning:
        """Batches of the training examples, their loss, and what is watched on dev."""

    @abstractmethod
    def watched(self, splits: Splits[Any]) -> tuple[str, ...]:
        """Names of what `Learning.watch` tells, which `training.monitor` may be."""

    def check_monitor(self, splits: Splits[Any]) -> None:
        """Refuse a figure to watch that there will not be.

        Raises:
            ConfigError: names those that there will be.
        """
        monitor, names = self.recipe.training.monitor, self.watched(splits)
        if monitor not in names:
            raise ConfigError(
                f"there is no figure {monitor!r} to watch", where="training.monitor",
                remedy=f"This task has {', '.join(names)}.",
            )  # fmt: skip

    @abstractmethod
    def classes(self, example: Any) -> Iterable[str]:
        """The labels of an example, to count them; none where the task has no classes."""

    def training(self, n_batches: int) -> TrainingSettings:
        """How the loop trains, with so many micro-batches in an epoch."""
        settings, averaging = self.recipe.training.fitted(n_batches), self.recipe.averaging
        if averaging is None:
            return settings
        return settings.model_copy(
            update={
                "checkpoint_steps": settings.checkpoint_steps or settings.eval_every, "checkpoint_seconds": None,
                "keep_checkpoints": max(averaging.last, settings.keep_checkpoints),
            }
        )  # fmt: skip

    def choose(self, model: ModelT, splits: Splits[Any]) -> None:
        """Choose on dev, once the model is trained, what is saved with it, such as a threshold; most tasks do not."""

    @abstractmethod
    def judge(self, model: ModelT, splits: Splits[Any], name: str) -> Judged:
        """The trained model on the split of this name, which has examples."""

    @property
    def home(self) -> str:
        """Folder of a run that holds its model, or adapter; with several tasks one for each."""
        return self.folders[0].partition("/")[0]

    def open(self, path: str | Path) -> ModelT:
        """A trained model, such as that of a finished run.

        Args:
            path: model directory, name on the hub, or folder of an adapter.

        Raises:
            ModelError: if it cannot be read, or is a model of another task.
        """
        from hanmo.tasks.loading import load

        return self.opened(load(path, device=self.recipe.device), path)

    @abstractmethod
    def opened(self, model: Any, where: object) -> ModelT:
        """What `load` has opened, as the model of this task."""

    @abstractmethod
    def read_test(self, model: ModelT, notes: Counter[str]) -> list[Any]:
        """The examples of `data.test` alone, checked against what a trained model can tell.

        Args:
            model: trained.
            notes: what was left out is counted here.
        """

    def labels_of(self, model: ModelT) -> tuple[str, ...]:
        """Names of the classes that a trained model tells; none where the task has none."""
        return ()


class TaskStory(Story[TaskRecipe, TaskResult]):
    """See above."""

    judged: tuple[str, ...] = ("dev", "test")
    """Splits that the model is tried on at the end; a search looks at `test` when it has chosen."""

    def tell(self) -> TaskResult:
        work = self._work()
        with self.timed("read"):
            splits = self._read(work)
        sizes = {name: len(getattr(splits, name)) for name in ("train", "dev", "test")}
        self.run.record(data={"examples": sizes, "labels": list(splits.labels), "notes": splits.notes})
        work.check_monitor(splits)
        model = work.begin(splits)
        self._refuse_training_text(model)
        parameters, trained = count_parameters(model.model)
        known = {"architecture": model.model.architecture, "parameters": parameters}
        few = f", of which {trained:,} ({trained / parameters:.2%}) are trained" if self.recipe.adapter else ""
        self.run.record(model=known | ({"trained_parameters": trained} if few else {}))
        say(f"{parameters:,} parameters{few}; {', '.join(f'{n:,} {name}' for name, n in sizes.items())} {work.noun}")
        with self.timed("train"):
            learning = work.learn(model, splits)
            for note, count in sorted(learning.notes.items()):
                say(f"{count:,} {note}")
            fitted = self._train(work, model, splits, learning)
        self.stages[-1]["seconds"] = round(fitted.seconds, 3)  # of all sessions
        evaluation: dict[str, Any] = {}
        if fitted.status == "stopped":
            self.close("interrupted", None)
        else:
            model.model.eval()
            if averaged := self._average(model, learning):
                self.run.record(training=self.run.read()["training"] | averaged)
            evaluation = self._finish(work, model, splits)
        return TaskResult(
            run=self.run.path, status=fitted.status, stopped_by=fitted.stopped_by, seconds=self.seconds(),
            parameters=parameters, trained=trained if few else None, n_examples=sizes["train"], evaluation=evaluation,
            noun=work.noun, example=work.example, verb=work.verb,
        )  # fmt: skip

    def _refuse_training_text(self, model: LoadedModel) -> None:
        """A checkpoint's tokenizer must not have learnt from what the model is judged by."""
        from hanmo.tokenizers.training_data import refuse_training_text

        data = getattr(self.recipe, "data", None)
        judged = [path for name in ("dev", "test") if (path := getattr(data, name, None)) and os.path.isfile(path)]
        if model.tokenizer is not None:
            refuse_training_text(model.tokenizer.training_files, judged, tokenizer="of the checkpoint")

    def recorded(self) -> TaskResult | None:
        work = self.recipe.work()
        return recorded_task(self.run, noun=work.noun, example=work.example, verb=work.verb, folders=work.folders)

    def judge(self, name: str) -> None:
        """Try the model of this finished run on one more split; nothing is trained."""
        from hanmo.evaluation.task_report import write_task_report

        work = self._work()
        splits = self._read(work)
        if name in read_json(self.run.path / "evaluation.json") or not getattr(splits, name):
            return
        model = work.open(self.run.path / work.home)
        model.model.eval()
        self._judge(work, model, splits, (name,))
        write_task_report(self.run.path, lang=self.recipe.lang)

    def _work(self) -> TaskWork[Any, Any]:
        work = self.recipe.work()
        work.folder = self.run.path
        return work

    def _read(self, work: TaskWork[Any, Any]) -> Splits[Any]:
        return work.examples()

    def _train(
        self, work: TaskWork[Any, Any], model: LoadedModel, splits: Splits[Any], learning: Learning
    ) -> FitResult:
        from hanmo.core.devices import choose_compute, pick_device
        from hanmo.models.adapters import adapter_sets
        from hanmo.training.loop import fit

        recipe = self.recipe
        if learning.notes:
            known = self.run.read()["data"]
            self.run.record(data=known | {"notes": {**known["notes"], **learning.notes}})
        assert model.tokenizer is not None
        identity = {
            "examples": sha256_text(json.dumps([asdict(example) for example in splits.train])),
            "tokenizer": model.tokenizer.sha256,
            "model": sha256_text(model.config.model_dump_json(exclude={"calibration"})),
        }
        if recipe.adapter is not None:
            base = adapter_sets(model.model)[0].base_hash
            identity |= {"base": base or "", "adapter": recipe.adapter.model_dump_json()}
        watched = set(work.watched(splits))

        def evaluate(_: Any) -> dict[str, float]:
            told = learning.watch()
            assert set(told) == watched, f"{sorted(told)} are watched, not {sorted(watched)}"
            return told

        fitted = fit(
            model.model, loss=learning.loss, batches=learning.batches,
            settings=work.training(learning.batches.n_batches), run=self.run,
            evaluate=evaluate, identity=identity, unit=learning.unit, compute=choose_compute(pick_device(recipe.device)),
            resume=self.resume and self.run.checkpoints.exists(),
        )  # fmt: skip
        known = self.run.read().get("training", {})
        self.run.record(
            training={
                "n_steps": fitted.step, "n_steps_planned": fitted.n_steps, "rows": fitted.n_tokens,
                "rows_per_s": fitted.tokens_per_s or known.get("rows_per_s", 0.0), "seconds": fitted.seconds,
                "best_step": fitted.best_step,
                "epochs": fitted.step * recipe.training.accumulate / learning.batches.n_batches,
            }
        )  # fmt: skip
        return fitted

    def _average(self, model: LoadedModel, learning: Learning) -> dict[str, Any]:
        """The mean of the last weights in place of the best ones, if dev likes it better; what is told of it in run.json."""
        from hanmo.training.averaging import average_checkpoints
        from hanmo.training.checkpoint import load_model_tensors, model_tensors
        from hanmo.training.direction import is_lower_better

        averaging = self.recipe.averaging
        if averaging is None:
            return {}
        single, before = {name: tensor.clone() for name, tensor in model_tensors(model.model).items()}, learning.watch()
        mean, steps = average_checkpoints(self.run.checkpoints, last=averaging.last)
        load_model_tensors(model.model, mean)
        after = learning.watch()
        monitor = self.recipe.training.monitor
        lower = is_lower_better(monitor)
        better = after[monitor] <= before[monitor] if lower else after[monitor] >= before[monitor]
        if not better:
            load_model_tensors(model.model, single)
        say(
            f"The mean of {len(steps)} checkpoints is {'taken' if better else 'not taken'}: {monitor} {after[monitor]:.4f} on dev, "
            f"of the best one {before[monitor]:.4f} ({'lower' if lower else 'higher'} is better)."
        )
        return {"averaged_steps": steps if better else [], "of_mean": after, "of_best": before}

    def _finish(self, work: TaskWork[Any, Any], model: LoadedModel, splits: Splits[Any]) -> dict[str, Any]:
        from hanmo.evaluation.task_report import write_task_report

        with self.timed("model"):
            work.choose(model, splits)
            model.save(self.run.path / work.home)
        with self.timed("evaluate"):
            evaluation = self._judge(work, model, splits, self.judged)
        write_text(self.run.path / "recipe.toml", to_toml(self.recipe.model_dump(mode="json")))
        assert model.tokenizer is not None
        self.run.record(
            status="finished", finished=now(), seconds=self.seconds(), energy=self.energy_used(),
            hashes={"tokenizer.json": model.tokenizer.sha256} | {
                f"{folder}/{weights_file(folder)}".removeprefix("model/"): sha256_file(
                    self.run.path / folder / weights_file(folder)
                )
                for folder in work.folders
            },
        )  # fmt: skip
        write_task_report(self.run.path, lang=self.recipe.lang)
        return evaluation

    def _judge(
        self, work: TaskWork[Any, Any], model: LoadedModel, splits: Splits[Any], names: Sequence[str]
    ) -> dict[str, Any]:
        """Add what becomes of these splits to what the folder has; all figures so far."""
        files = self.run.path / "evaluation.json", self.run.path / "predictions.jsonl"
        evaluation: dict[str, Any] = read_json(files[0]) if files[0].exists() else {}
        before = files[1].read_text(encoding="utf-8").split("\n") if files[1].exists() else []
        lines = [line for line in before if line and json.loads(line)["split"] not in names]
        for name in names:
            if getattr(splits, name):
                judged = work.judge(model, splits, name)
                evaluation[name] = judged.figures.to_dict(seed=self.recipe.seed)
                lines += [json.dumps({"split": name} | record, ensure_ascii=False) for record in judged.records]
        write_text(files[1], "\n".join(lines) + "\n")
        write_json(files[0], evaluation)
        return evaluation
