"""A tiny model with dropout and tied weights, ragged batches, and a way to run `fit` on them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from hanmo.core.devices import Compute
from hanmo.core.progress import set_quiet
from hanmo.core.runs import RunFolder
from hanmo.training import FitResult, TrainingSettings, fit, latest_checkpoint

VOCAB = 17


class TinyModel(nn.Module):
    """Embedding, dropout, norm, tied output: every kind of parameter that training treats differently."""

    def __init__(self, d_model: int = 8, dropout: float = 0.2):
        super().__init__()
        self.embedding = nn.Embedding(VOCAB, d_model)
        self.mix = nn.Linear(d_model, d_model)
        self.norm = nn.LayerNorm(d_model)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(d_model, VOCAB, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, input_ids: Tensor) -> Tensor:
        return self.head(self.norm(self.dropout(torch.tanh(self.mix(self.embedding(input_ids))))))


def token_loss(model: nn.Module, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    logits = model(batch["input_ids"])
    labels = batch["labels"]
    total = nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=-100, reduction="sum")
    return total, (labels != -100).sum()


class RaggedBatches:
    """Shuffled epochs over sentences of different length; the order of an epoch follows from seed and number."""

    def __init__(self, *, batch_size: int = 3, seed: int = 0, n_sentences: int = 20):
        rng = np.random.default_rng(1)
        self.sentences = [rng.integers(0, VOCAB, size=int(rng.integers(2, 9))) for _ in range(n_sentences)]
        self.batch_size, self.seed = batch_size, seed
        self.fingerprint = f"ragged-{batch_size}-{seed}-{n_sentences}"
        self.epoch, self.position = 0, 0

    def next(self) -> dict[str, Tensor]:
        if self.position + self.batch_size > len(self.sentences):
            self.epoch, self.position = self.epoch + 1, 0
        order = np.random.default_rng([self.seed, self.epoch]).permutation(len(self.sentences))
        chosen = [self.sentences[i] for i in order[self.position : self.position + self.batch_size]]
        self.position += self.batch_size
        return pad(chosen)

    def state(self) -> dict[str, Any]:
        return {"epoch": self.epoch, "position": self.position}

    def restore(self, state: dict[str, Any]) -> None:
        self.epoch, self.position = state["epoch"], state["position"]


def pad(sentences: list[np.ndarray]) -> dict[str, Tensor]:
    width = max(len(s) for s in sentences)
    ids = np.zeros((len(sentences), width), dtype=np.int64)
    labels = np.full((len(sentences), width), -100, dtype=np.int64)
    for row, sentence in enumerate(sentences):
        ids[row, : len(sentence)] = sentence
        labels[row, : len(sentence) - 1] = sentence[1:]
    return {"input_ids": torch.from_numpy(ids), "labels": torch.from_numpy(labels)}


def evaluate(model: nn.Module) -> dict[str, float]:
    """Loss on fixed sentences; draws random numbers on purpose, as a sampling evaluation would."""
    torch.rand(7)
    np.random.rand(3)
    total, count = token_loss(model, pad(RaggedBatches(seed=9).sentences))
    return {"loss": float(total / count)}


def plain_compute() -> Compute:
    return Compute(
        device=torch.device("cpu"), autocast=None, matmul_precision="highest", compile=False, n_threads=1, findings={}
    )


def train(path: Path, *, resume: bool = False, **changes: Any) -> FitResult:
    """`fit` on the tiny model; `changes` are settings, or the arguments of `fit` named here."""
    arguments: dict[str, Any] = {
        "loss": token_loss,
        "evaluate": evaluate,
        "identity": {"tokenizer": "t0", "world size": "1"},
        "compute": plain_compute(),
        "on_step": None,
        "batches": None,
        "model": None,
    }
    arguments |= {key: changes.pop(key) for key in list(changes) if key in arguments}
    settings = {"n_steps": 12, "accumulate": 3, "lr": 1e-2, "eval_every": 5, "checkpoint_steps": 4, "minutes": None}
    settings |= changes
    torch.manual_seed(settings.get("seed", 0))
    model = arguments.pop("model") or TinyModel()
    batches = arguments.pop("batches") or RaggedBatches(seed=settings.get("seed", 0))
    run = RunFolder(path)
    path.mkdir(parents=True, exist_ok=True)
    return fit(
        model, batches=batches, settings=TrainingSettings(**settings), run=run, resume=resume, **arguments
    )  # fmt: skip


def trace(path: Path) -> dict[str, Any]:
    """All that has to be equal between two runs: hashes of the newest checkpoint's tensors, state, and the log."""
    newest = latest_checkpoint(path / "checkpoints")
    assert newest is not None
    hashes = {f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in newest.glob("*.safetensors")}
    state = json.loads((newest / "state.json").read_text())
    state["progress"].pop("seconds")
    log = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    kept = [{k: v for k, v in event.items() if k not in ("seconds", "tokens_per_s")} for event in log]
    return {"checkpoint": newest.name, "hashes": hashes, "state": state, "log": kept}


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    threads = torch.get_num_threads()
    set_quiet(True)
    yield
    set_quiet(False)
    torch.set_num_threads(threads)


@pytest.fixture
def tiny() -> SimpleNamespace:
    """The names above, for test modules (which cannot import a conftest)."""
    return SimpleNamespace(
        Model=TinyModel, Batches=RaggedBatches, loss=token_loss, pad=pad, train=train, trace=trace,
        evaluate=evaluate, compute=plain_compute,
    )  # fmt: skip
