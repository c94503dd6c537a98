"""What a story came to: in memory for the caller, and read back from the run folder of one that is finished."""

from __future__ import annotations

import shlex
from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from hanmo.core.files import read_json
from hanmo.core.progress import format_duration
from hanmo.core.runs import RunFolder

__all__ = [
    "PretrainResult", "StoryResult", "count_parameters", "example_prompt", "model_folder", "recorded_result", "weights_file",
]  # fmt: skip

_FILES = ("evaluation.json", "samples.json", "recipe.toml", "report.html")
"""What a finished run has."""
_MODEL_FILES = ("config.json", "tokenizer.json", "tokenizer_config.json", "README.md")
"""What its model directory has, or that of its adapter."""


@dataclass(frozen=True, kw_only=True)
class StoryResult(ABC):
    """Where everything is, and the figures that matter."""

    run: Path
    status: str
    """"finished", "early_stopped" or "stopped" (a signal; the run can be resumed)."""
    stopped_by: str | None
    """Name of the signal, if one stopped the run."""
    seconds: float
    """Wall time of the whole story, all its sessions together."""
    parameters: int
    trained: int | None = None
    """How many of them were trained, where that was an adapter."""
    evaluation: dict[str, Any] = field(default_factory=dict)
    """Contents of evaluation.json; empty if the run was stopped."""

    @property
    def model(self) -> Path:
        """The model directory, or that of the adapter."""
        return model_folder(self.run)

    @property
    def told_parameters(self) -> str:
        """How many there are."""
        few = "" if self.trained is None else f"{self.trained:,} of "
        return f"{few}{self.parameters:,} parameters"

    @property
    def report(self) -> Path:
        """The report."""
        return self.run / "report.html"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        paths = {"run": str(self.run), "model": str(self.model), "report": str(self.report)}
        return asdict(self) | paths

    def summary(self) -> str:
        """A few lines for a terminal: figures, files, and how to go on."""
        if self.status == "stopped":
            return f"Stopped. Everything so far is in {self.run}; go on with the same command and --out {self.run} --resume."
        return "\n".join(self.told())

    @abstractmethod
    def told(self) -> list[str]:
        """The lines of a finished story."""


@dataclass(frozen=True, kw_only=True)
class PretrainResult(StoryResult):
    """A language model."""

    n_tokens: int
    """Tokens trained on."""
    tokens_per_s: float
    """Mean speed of the training steps of the last session that did any."""
    prompt: str = ""
    """A beginning that fits the corpus, to try the model on."""

    def told(self) -> list[str]:
        heldout, baselines = self.evaluation["heldout"], self.evaluation["baselines"]
        if ngram := self.evaluation.get("ngram"):  # runs of earlier versions have none
            baselines = baselines | {f"{ngram['order']}-gram": ngram["bits_per_byte"]}
        others = ", ".join(f"{name} {value:.3f}" for name, value in baselines.items())
        return [
            f"Trained {self.told_parameters} on {self.n_tokens:,} tokens ({self.tokens_per_s:,.0f} tokens/s), "
            f"all in {format_duration(self.seconds)}.",
            f"Held-out text: {heldout['bits_per_byte']:.3f} bits per byte (for the same text: {others}).",
            "",
            f"  report   {self.report}",
            f"  model    {self.model}",
            "",
            "Go on with:",
            f"  hanmo generate {shlex.quote(str(self.model))} {shlex.quote(self.prompt)}",
            f"  hanmo chat {shlex.quote(str(self.model))}",
            "  hanmo quickstart --corpus my_folder",
        ]


def recorded_result(run: RunFolder) -> PretrainResult | None:
    """The result of a run that is finished and has all its files; None for any other.

    Raises:
        FormatError: if run.json or evaluation.json is damaged.
    """
    known, folder = run.read(), model_folder(run.path)
    files = [run.path / name for name in _FILES]
    files += [folder / name for name in (*_MODEL_FILES, weights_file(folder.name))]
    if known.get("status") != "finished" or not all(file.is_file() for file in files):
        return None
    training = known["training"]
    return PretrainResult(
        run=run.path,
        status="early_stopped" if training["stopped_by"] == "early stopping" else "finished",
        stopped_by=None,
        seconds=known["seconds"],
        parameters=known["model"]["parameters"],
        trained=known["model"].get("trained_parameters"),
        n_tokens=training["tokens"],
        tokens_per_s=training["tokens_per_s"],
        evaluation=read_json(run.path / "evaluation.json"),
        prompt=example_prompt(run),
    )


def example_prompt(run: RunFolder) -> str:
    """The first line of the first sample's prompt; "" where there are no samples."""
    samples = read_json(run.path / "samples.json")
    return samples[0]["prompt"].strip().partition("\n")[0] if samples else ""


def model_folder(run: Path) -> Path:
    """What a run leaves to be loaded: its model directory, or that of the adapter that it trained."""
    adapter = run / "adapter"
    return adapter if adapter.is_dir() else run / "model"


def weights_file(folder: str) -> str:
    """Name of the weights in a folder of a run."""
    return "adapter_model.safetensors" if folder.split("/")[0] == "adapter" else "model.safetensors"


def count_parameters(model: Any) -> tuple[int, int]:
    """Numbers of a model, and those of them that are trained. What a frozen layer holds in few bits is a buffer."""
    from hanmo.nn.frozen_linear import FrozenLinear

    held = [module for module in model.modules() if isinstance(module, FrozenLinear)]
    n_held = sum(module.weight.numel() + (0 if module.bias is None else module.bias.numel()) for module in held)
    counts = [(parameter.numel(), parameter.requires_grad) for parameter in model.parameters()]
    return n_held + sum(n for n, _ in counts), sum(n for n, trained in counts if trained)
