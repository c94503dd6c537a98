"""Model directories with something missing, damaged or of another model."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

FILES = ("config.json", "model.safetensors", "tokenizer.json")


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file(hanmo: Callable[..., Any], model_copy: Path, name: str) -> None:
    (model_copy / name).unlink()
    hanmo("generate", model_copy, "The").refused(str(model_copy), name, code=1)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("keep", [0, 0.5, 0.999])
def test_a_truncated_file(hanmo: Callable[..., Any], model_copy: Path, name: str, keep: float) -> None:
    file = model_copy / name
    data = file.read_bytes()
    file.write_bytes(data[: min(int(len(data) * keep), len(data) - 3)])
    hanmo("score", model_copy, "The old teacher").refused(str(model_copy), name, code=1)


def test_a_folder_in_the_place_of_a_file(hanmo: Callable[..., Any], model_copy: Path) -> None:
    (model_copy / "config.json").unlink()
    (model_copy / "config.json").mkdir()
    hanmo("generate", model_copy, "The").refused("config.json", code=1)


def test_the_tokenizer_of_another_model(
    hanmo: Callable[..., Any], tiny: ModuleType, model_copy: Path, run: Path, tmp_path: Path
) -> None:
    other = tiny.make_tiny_run(tmp_path / "other", corpus=run.parent / "tiny-corpus", tokenizer={"vocab_size": 300})
    shutil.copy(other.model / "tokenizer.json", model_copy / "tokenizer.json")
    hanmo("generate", model_copy, "The").refused("belongs to another model", "300", "400", code=1)


def test_sizes_that_do_not_fit_the_weights(hanmo: Callable[..., Any], model_copy: Path) -> None:
    config = json.loads((model_copy / "config.json").read_text(encoding="utf-8"))
    config["n_embd"] *= 2
    (model_copy / "config.json").write_text(json.dumps(config), encoding="utf-8")
    hanmo("generate", model_copy, "The").refused("do not fit", code=1)


def test_not_a_model(hanmo: Callable[..., Any], run: Path, tmp_path: Path) -> None:
    hanmo("generate", tmp_path / "none", "The").refused("none", "no such model directory", code=1)
    hanmo("chat", tmp_path).refused("config.json", code=1)
    hanmo("score", run / "run.json", "The").refused("a file, not a model directory", code=1)
    hanmo("generate", run, "The").refused("a run, not a model", str(run / "model"), code=1)
