"""Reads back everything a run folder says about itself: the one source of the report and the model card.

Every piece is optional, because a run that failed early has recorded little; a piece that is there but damaged
is an error that names file and key, because a report built around it would mislead.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from hanmo.core.errors import DataError, FormatError
from hanmo.core.files import read_json
from hanmo.evaluation.corpus_record import CorpusRecord

__all__ = [
    "Energy",
    "Evaluation",
    "Heldout",
    "Metrics",
    "ModelInfo",
    "NgramBaseline",
    "RunInfo",
    "RunRecord",
    "Sample",
    "Segmentation",
    "Shards",
    "Stage",
    "TokenizerInfo",
    "TrainingInfo",
    "read_metrics",
    "read_record",
    "read_run",
]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", protected_namespaces=(), use_attribute_docstrings=True)


class ModelInfo(_Record):
    """What was trained."""

    family: str | None = None
    parameters: int | None = None
    config: dict[str, Any] = {}


class Segmentation(_Record):
    """A text cut into tokens."""

    lang: str | None = None
    text: str = ""
    tokens: list[str] = []
    """Each token as shown; bytes that are not whole characters as `<E4 B8>`."""


class TokenizerInfo(_Record):
    """The tokenizer of the run."""

    kind: str | None = None
    vocab_size: int | None = None
    sha256: str | None = None
    characters_per_token: dict[str, float] = {}
    """By language."""
    examples: list[Segmentation] = []


class Shards(_Record):
    """One split as token ids."""

    n_tokens: int | None = None
    n_documents: int | None = None
    n_bytes: int | None = None
    sha256: str | None = None
    dtype: str | None = None


class TrainingInfo(_Record):
    """How the training went."""

    n_steps: int | None = None
    n_steps_planned: int | None = None
    tokens: int | None = None
    """Tokens seen, counting repeats."""
    tokens_per_s: float | None = None
    seconds: float | None = None
    epochs: float | None = None
    stopped_by: str | None = None
    best_step: int | None = None


class Energy(_Record):
    """Energy of the run."""

    kwh: float | None = None
    method: str | None = None
    measured: bool | None = None
    """None: read from `method`, which then starts with "measured" or "estimated"."""
    co2_kg: float | None = None
    factor: float | None = None
    """kg CO2e per kWh."""

    def is_measured(self) -> bool:
        """Whether counters were read, rather than the draw of the machine assumed."""
        return self.measured if self.measured is not None else (self.method or "").startswith("measured")


class Stage(_Record):
    """A part of the story and the time it took."""

    name: str
    seconds: float


class RunInfo(_Record):
    """run.json."""

    name: str | None = None
    status: str | None = None
    """One of "running", "finished", "early_stopped", "stopped", "interrupted", "failed"."""
    error: str | None = None
    created: str | None = None
    finished: str | None = None
    seconds: float | None = None
    command: str | None = None
    recipe: dict[str, Any] = {}
    recipe_toml: str | None = None
    seed: int | None = None
    versions: dict[str, str] = {}
    machine: dict[str, Any] = {}
    device: str | None = None
    precision: str | None = None
    compiled: bool | None = None
    stages: list[Stage] = []
    model: ModelInfo | None = None
    tokenizer: TokenizerInfo | None = None
    shards: dict[str, Shards] = {}
    """By split: "train", "heldout"."""
    training: TrainingInfo | None = None
    energy: Energy | None = None
    hashes: dict[str, str] = {}


class Heldout(_Record):
    """The model on held-out text."""

    bits_per_byte: float | None = None
    loss: float | None = None
    """Nats per token."""
    perplexity: float | None = None
    tokens: int | None = None
    bytes: int | None = None
    window: int | None = None
    """Tokens that the model sees at a time."""
    stride: int | None = None
    """Tokens from one window to the next; a token has at least window - stride before it."""


class NgramBaseline(_Record):
    """A Kneser–Ney model of the same tokens on the same held-out text."""

    bits_per_byte: float | None = None
    order: int | None = None
    """Longest n-gram."""
    tokens: int | None = None
    """Training tokens that were counted."""
    share: float | None = None
    """Of all training tokens."""


class Evaluation(_Record):
    """evaluation.json."""

    heldout: Heldout = Heldout()
    baselines: dict[str, float] = {}
    """Bits per byte of the same text: "xz", "gzip", "order0"."""
    ngram: NgramBaseline | None = None


class Sample(_Record):
    """One continuation that the model wrote."""

    temperature: float | None = None
    """0 is greedy."""
    prompt: str = ""
    text: str = ""
    """The continuation without the prompt."""
    seed: int | None = None
    top_p: float | None = None
    top_k: int | None = None


class Metrics(_Record):
    """metrics.jsonl: columns of (step, value), steps rising."""

    loss: list[tuple[int, float]] = []
    """Training loss, nats per token."""
    heldout_loss: list[tuple[int, float]] = []
    heldout_bits_per_byte: list[tuple[int, float]] = []
    lr: list[tuple[int, float]] = []
    tokens_per_s: list[tuple[int, float]] = []


class RunRecord(_Record):
    """A run folder as far as it was recorded."""

    path: Path
    run: RunInfo
    metrics: Metrics = Metrics()
    corpus: CorpusRecord | None = None
    evaluation: Evaluation | None = None
    samples: list[Sample] = []

    @property
    def name(self) -> str:
        """The run's name, or its folder's."""
        return self.run.name or self.path.resolve().name

    @property
    def checkpoint(self) -> str | None:
        """The model that training began with; None if it began with nothing."""
        return (self.run.recipe.get("model") or {}).get("checkpoint")

    @property
    def model_folder(self) -> str:
        """Where in the run folder the model is, or what was trained of it."""
        return "model" if self.run.recipe.get("adapter") is None else "adapter"


RecordT = TypeVar("RecordT", bound=BaseModel)


def _check(kind: type[RecordT], value: Any, where: object) -> RecordT:
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        problem = error.errors()[0]
        key = ".".join(str(part) for part in problem["loc"])
        raise FormatError(f"{key + ': ' if key else ''}{problem['msg']}", where=where) from error


def _json(path: Path) -> Any:
    try:
        return read_json(path) if path.is_file() else None
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", where=path) from error


def read_metrics(path: str | Path) -> Metrics:
    """Read metrics.jsonl; of a step logged twice (before and after a resume) the later line counts.

    A last line without its end is what a killed process leaves, and is dropped; values that are not finite are
    left out of the curves.

    Raises:
        FormatError: for any other line that is not a JSON object with a step, with its number.
    """
    path = Path(path)
    if not path.is_file():
        return Metrics()
    columns: dict[str, dict[int, float]] = {name: {} for name in Metrics.model_fields}
    lines = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            event = json.loads(line)
        except ValueError as error:
            if number == len(lines):
                break
            raise FormatError("not a line of JSON", where=f"{path}:{number}") from error
        if not isinstance(event, dict):
            raise FormatError("not a JSON object", where=f"{path}:{number}")
        for name, value in _columns_of(event).items():
            if value is None:
                continue
            if not isinstance(value, int | float) or isinstance(value, bool) or not isinstance(event.get("step"), int):
                raise FormatError(f"{name} and step must be numbers", where=f"{path}:{number}")
            if math.isfinite(value):
                columns[name][event["step"]] = float(value)
    return Metrics.model_validate({name: sorted(values.items()) for name, values in columns.items()})


def _columns_of(event: dict[str, Any]) -> dict[str, Any]:
    if "eval" not in event:
        return {name: event.get(name) for name in ("loss", "lr", "tokens_per_s")}
    figures = event["eval"] if isinstance(event["eval"], dict) else {}
    return {"heldout_loss": figures.get("loss"), "heldout_bits_per_byte": figures.get("bits_per_byte")}


def read_record(path: str | Path) -> RunRecord:
    """What every run has: run.json and the curves.

    Raises:
        DataError: if the folder holds no run.json.
        FormatError: for damaged JSON or a value of the wrong type, with file and key.
    """
    path = Path(path)
    run = _json(path / "run.json")
    if run is None:
        raise DataError(
            "this folder holds no run.json", where=path, remedy="Give the folder of a run, such as runs/quickstart."
        )
    return RunRecord(
        path=path, run=_check(RunInfo, run, path / "run.json"), metrics=read_metrics(path / "metrics.jsonl")
    )


def read_run(path: str | Path) -> RunRecord:
    """Read the folder of a pretraining run. Raises as `read_record`."""
    record = read_record(path)
    path = record.path
    corpus, evaluation, samples = (
        _json(path / name) for name in ("corpus/corpus.json", "evaluation.json", "samples.json")
    )
    if samples is not None and not isinstance(samples, list):
        raise FormatError("not a list of samples", where=path / "samples.json")
    found = {
        "corpus": None if corpus is None else _check(CorpusRecord, corpus, path / "corpus" / "corpus.json"),
        "evaluation": None if evaluation is None else _check(Evaluation, evaluation, path / "evaluation.json"),
        "samples": [_check(Sample, sample, f"{path / 'samples.json'}[{i}]") for i, sample in enumerate(samples or [])],
    }
    return record.model_copy(update=found)
