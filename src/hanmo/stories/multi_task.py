"""Several tasks on one encoder, stage by stage: each stage is that of each task by itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hanmo.stories.multi_task_recipe import ClassificationEntry, MultiTaskRecipe, TaggingEntry
from hanmo.stories.task_model import build_encoder
from hanmo.stories.task_story import Judged, Learning, TaskWork

if TYPE_CHECKING:
    from hanmo.tasks.loaded_model import LoadedModel
    from hanmo.tasks.multi_task import MultiTaskModel, TaskedExample
    from hanmo.tasks.splits import Splits
    from hanmo.tokenizers.tokenizer import Tokenizer

__all__ = ["MultiTaskWork"]


class MultiTaskWork(TaskWork[MultiTaskRecipe, "MultiTaskModel"]):
    """See above. Labels, figures and notes have the name of their task in front."""

    noun = "examples"

    def __init__(self, recipe: MultiTaskRecipe):
        super().__init__(recipe)
        self._works: dict[str, TaskWork[Any, Any]] = {entry.name: entry.recipe(recipe).work() for entry in recipe.tasks}
        first = recipe.tasks[0]
        self.example = self._works[first.name].example.replace("{model}", f"{{model}}/{first.name}")

    @property
    def folders(self) -> tuple[str, ...]:
        return tuple(f"{super(MultiTaskWork, self).folders[0]}/{name}" for name in self._works)

    def read(self) -> Splits[TaskedExample]:
        from hanmo.tasks.multi_task import TaskedExample
        from hanmo.tasks.splits import Splits

        whole: Splits[TaskedExample] = Splits([], [], [], (), {})
        for name, work in self._works.items():
            found = work.read()
            more = {
                split: [*getattr(whole, split), *(TaskedExample(name, example) for example in getattr(found, split))]
                for split in ("train", "dev", "test")
            }
            labels = (*whole.labels, *(f"{name}: {label}" for label in found.labels))
            notes = whole.notes | {f"{name}: {note}": n for note, n in found.notes.items()}
            whole = Splits(more["train"], more["dev"], more["test"], labels, notes)
        return whole

    def build(self, splits: Splits[TaskedExample]) -> MultiTaskModel:
        from hanmo.models.families import family_of
        from hanmo.tasks.multi_task import MultiTaskModel, copy_of, share_encoder

        parts = {name: self._part(splits, name) for name in self._works}
        texts = [text for example in splits.train for text in _texts(example.example)]
        models: dict[str, Any] = {}
        tokenizer: Tokenizer | None = None
        for entry in self._classifiers_first():
            head, choose = self._head(entry.name, parts[entry.name])
            if tokenizer is None:
                models[entry.name], tokenizer = build_encoder(
                    self.recipe.model, texts, choose=choose, head=head, seed=self.recipe.seed
                )
            else:
                first: Any = next(iter(models.values()))
                config = type(first.config).model_validate(first.config.model_dump() | _NO_HEAD | head)
                family = family_of(config)
                models[entry.name] = family.architecture(choose(list(family.architectures))).build(config)
        assert tokenizer is not None
        share_encoder(models)
        loaded: dict[str, LoadedModel] = {}
        for entry in self.recipe.tasks:
            loaded[entry.name] = self._loaded(entry, models[entry.name], copy_of(tokenizer), parts[entry.name])
        return MultiTaskModel(loaded)

    def begin(self, splits: Splits[TaskedExample]) -> MultiTaskModel:
        model = self.build(splits)
        if self.recipe.adapter is not None:
            from hanmo.tasks.adapted import adapt_together

            assert self.recipe.model.checkpoint is not None
            networks = [model.parts[entry.name].model for entry in self._classifiers_first()]
            adapt_together(networks, self.recipe.adapter, self.recipe.model.checkpoint)
        return model

    def learn(self, model: MultiTaskModel, splits: Splits[TaskedExample]) -> Learning:
        from hanmo.batches.mixture import MixedBatches
        from hanmo.tasks.multi_task import mixed_task_loss

        parts = {name: self._part(splits, name) for name in self._works}
        learned = {name: work.learn(model.parts[name], parts[name]) for name, work in self._works.items()}

        def watch() -> dict[str, float]:
            found = {name: learning.watch() for name, learning in learned.items()}
            every = {f"{name}_{key}": value for name, figures in found.items() for key, value in figures.items()}
            return every | {"error": sum(figures["error"] for figures in found.values()) / len(found)}

        return Learning(
            batches=MixedBatches(
                {name: learning.batches for name, learning in learned.items()},
                sizes=[len(part.train) for part in parts.values()],
                alpha=self.recipe.alpha,
                seed=self.recipe.seed,
            ),
            loss=mixed_task_loss({name: learning.loss for name, learning in learned.items()}),
            watch=watch,
            notes={f"{name}: {note}": n for name, learning in learned.items() for note, n in learning.notes.items()},
        )

    def watched(self, splits: Splits[TaskedExample]) -> tuple[str, ...]:
        parts = {name: work.watched(self._part(splits, name)) for name, work in self._works.items()}
        return ("error", *(f"{name}_{key}" for name, keys in parts.items() for key in keys))

    def classes(self, example: TaskedExample) -> Iterable[str]:
        return (f"{example.task}: {label}" for label in self._works[example.task].classes(example.example))

    def choose(self, model: MultiTaskModel, splits: Splits[TaskedExample]) -> None:
        for name, work in self._works.items():
            work.choose(model.parts[name], self._part(splits, name))

    def judge(self, model: MultiTaskModel, splits: Splits[TaskedExample], name: str) -> Judged:
        from hanmo.tasks.figures import Figures

        tasks: dict[str, Figures] = {}
        records: list[dict[str, Any]] = []
        for task, work in self._works.items():
            part = self._part(splits, task)
            if getattr(part, name):
                judged = work.judge(model.parts[task], part, name)
                tasks[task] = judged.figures
                records += [{"task": task} | record for record in judged.records]
        return Judged(
            figures=Figures(
                n=sum(figures.n for figures in tasks.values()),
                metrics={f"{task} {key}": one for task, its in tasks.items() for key, one in its.metrics.items()},
                plain={f"{task} {key}": value for task, its in tasks.items() for key, value in its.plain.items()},
                details={"tasks": {task: its.to_dict(seed=self.recipe.seed) for task, its in tasks.items()}},
            ),
            records=records,
        )

    def open(self, path: str | Path) -> MultiTaskModel:
        from hanmo.tasks.multi_task import MultiTaskModel

        return MultiTaskModel({name: work.open(Path(path) / name) for name, work in self._works.items()})

    def opened(self, model: Any, where: object) -> MultiTaskModel:
        raise NotImplementedError("several tasks have a directory each")

    def read_test(self, model: MultiTaskModel, notes: Counter[str]) -> list[TaskedExample]:
        from hanmo.tasks.multi_task import TaskedExample

        found: list[TaskedExample] = []
        for entry in self.recipe.tasks:
            if entry.data.test is not None:
                examples = self._works[entry.name].read_test(model.parts[entry.name], notes)
                found += [TaskedExample(entry.name, example) for example in examples]
        return found

    def labels_of(self, model: MultiTaskModel) -> tuple[str, ...]:
        return tuple(
            f"{name}: {label}" for name, work in self._works.items() for label in work.labels_of(model.parts[name])
        )

    def _classifiers_first(self) -> list[ClassificationEntry | TaggingEntry]:
        """The tasks, those in front whose model may pool: its encoder has the pooler of the checkpoint."""
        return sorted(self.recipe.tasks, key=lambda entry: isinstance(entry, TaggingEntry))

    def _part(self, splits: Splits[TaskedExample], name: str) -> Splits[Any]:
        """The examples of one task."""
        from hanmo.tasks.splits import Splits

        own = [
            [one.example for one in getattr(splits, split) if one.task == name] for split in ("train", "dev", "test")
        ]
        labels = tuple(label.removeprefix(f"{name}: ") for label in splits.labels if label.startswith(f"{name}: "))
        return Splits(own[0], own[1], own[2], labels, {})

    def _head(self, name: str, part: Splits[Any]) -> tuple[dict[str, Any], Any]:
        """Settings of the head of a task, and what chooses its class."""
        from hanmo.tasks.tagger import tag_architecture
        from hanmo.tasks.text_classification import PROBLEM_TYPES
        from hanmo.tasks.text_classifier import sequence_architecture

        entry = next(entry for entry in self.recipe.tasks if entry.name == name)
        if isinstance(entry, TaggingEntry):
            return {"labels": part.labels}, partial(tag_architecture, crf=entry.crf)
        return {"labels": part.labels, "problem_type": PROBLEM_TYPES[entry.data.kind]}, sequence_architecture

    def _loaded(self, entry: Any, model: Any, tokenizer: Tokenizer, part: Splits[Any]) -> LoadedModel:
        from hanmo.tasks.tagger import Tagger
        from hanmo.tasks.text_classifier import TextClassifier

        if not isinstance(entry, TaggingEntry):
            return TextClassifier(model, tokenizer)
        by_character = all(len(word) == 1 for example in part.train[:1000] for word in example.words)
        return Tagger(model, tokenizer, unit="character" if by_character else "word")


_NO_HEAD: dict[str, Any] = {"problem_type": None}
"""What a head does not take over from that of another task."""


def _texts(example: Any) -> Iterator[str]:
    """What an example of either kind says."""
    words: Sequence[str] | None = getattr(example, "words", None)
    if words is not None:
        yield " ".join(words)
        return
    yield from (text for text in (example.text, example.pair) if text is not None)
