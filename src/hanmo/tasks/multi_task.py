"""Several tasks on one encoder: a model for each, whose encoder is the same module (Caruana, 1997; Liu et al., 2019, §3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from hanmo.batches.mixture import SOURCE
from hanmo.core.errors import ConfigError
from hanmo.tasks.loaded_model import LoadedModel
from hanmo.tokenizers.tokenizer import Tokenizer
from hanmo.training.interfaces import Loss

__all__ = ["MultiTaskModel", "TaskedExample", "copy_of", "mixed_task_loss", "share_encoder"]


@dataclass(frozen=True, slots=True)
class TaskedExample:
    """An example, and which task it is of."""

    task: str
    example: Any

    @property
    def where(self) -> str:
        """File and line."""
        return self.example.where


class _Heads(nn.Module):
    """The models side by side."""

    def __init__(self, models: Mapping[str, nn.Module]):
        super().__init__()
        # modules have names of their own (type, train) that a task must not have
        self.tasks = nn.ModuleDict({f"task_{name}": model for name, model in models.items()})
        first: Any = next(iter(models.values()))
        self.config: Any = first.config
        self.architecture = " + ".join(str(model.architecture) for model in models.values())

    def part(self, task: str) -> nn.Module:
        """One of them."""
        return self.tasks[f"task_{task}"]

    def forward(self, task: str, **inputs: Any) -> Any:
        """The answer of one of them."""
        return self.part(task)(**inputs)


class MultiTaskModel(LoadedModel):
    """Models of several tasks, by name, that share their encoder."""

    def __init__(self, parts: Mapping[str, LoadedModel]):
        super().__init__(
            _Heads({name: part.model for name, part in parts.items()}), next(iter(parts.values())).tokenizer
        )
        self.parts = dict(parts)

    def save(self, path: str | Path) -> None:
        """Write a model directory for each task, `path`/TASK, that loads alone: the encoder is in each."""
        for name, part in self.parts.items():
            part.save(Path(path) / name)


def share_encoder(models: Mapping[str, Any]) -> None:
    """Make the backbone of all models that of the first.

    Args:
        models: of one family, with a head each; the first pools, if any does.

    Raises:
        ConfigError: for a model without a backbone of its own.
    """
    for name, model in models.items():
        if not hasattr(model, "backbone"):
            raise ConfigError(
                f"a {model.architecture} has no encoder apart from its head", where=f"[[tasks]] {name}",
                remedy="Take an encoder such as BERT, or one from nothing.",
            )  # fmt: skip
    shared = next(iter(models.values())).backbone
    for model in models.values():
        model.backbone = shared


def copy_of(tokenizer: Tokenizer) -> Tokenizer:
    """The same tokenizer with a config of its own, for what a task notes in it."""
    return Tokenizer(
        tokenizer.definition,
        dict(tokenizer.config),
        chat_template=tokenizer.chat_template,
        training_files=tokenizer.training_files,
    )


def mixed_task_loss(losses: Mapping[str, Loss]) -> Loss:
    """The loss of batches of `hanmo.batches.mixture`: each by the loss of its task, whose mean counts by the rows of the batch,
    whatever that task counts (rows, words): so batches of several tasks can be accumulated.

    Args:
        losses: by task, in the order of the sources.
    """
    names = list(losses)

    def loss(model: nn.Module, batch: dict[str, Tensor]) -> tuple[Tensor, int | Tensor]:
        name = names[int(batch[SOURCE])]
        own: Any = model
        total, n = losses[name](own.part(name), {key: value for key, value in batch.items() if key != SOURCE})
        rows = len(batch["input_ids"])
        return total / n * rows, rows

    return loss
