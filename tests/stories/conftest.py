"""One tiny run in English and one in Chinese, shared by the tests of this folder; they must not change them."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from hanmo.core.toml import to_toml
from hanmo.stories.result import PretrainResult


@pytest.fixture(scope="session")
def corpus(tiny: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """English and Chinese files."""
    return tiny.make_tiny_corpus(tmp_path_factory.mktemp("texts") / "corpus")


@pytest.fixture(scope="session")
def english(tiny: ModuleType, corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> PretrainResult:
    """A finished run; report in English, GPT-2, both languages in the text."""
    return tiny.make_tiny_run(tmp_path_factory.mktemp("runs") / "english", corpus=corpus)


@pytest.fixture(scope="session")
def chinese(tiny: ModuleType, corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> PretrainResult:
    """A finished run; report in Chinese, Llama, Chinese text only, trained a little longer."""
    folder = tmp_path_factory.mktemp("chinese")
    only = folder / "corpus"
    only.mkdir()
    for file in corpus.glob("札记-*"):
        (only / file.name).write_bytes(file.read_bytes())
    return tiny.make_tiny_run(
        folder / "run", "zh", corpus=only, model={"family": "llama", "n_kv_heads": 1, "d_model": 32},
        training={"n_steps": 150, "eval_every": 75}, tokenizer={"vocab_size": 300},
    )  # fmt: skip


@pytest.fixture
def write_recipe(tiny: ModuleType, corpus: Path, tmp_path: Path) -> Callable[..., Path]:
    """`write_recipe(training={...})` writes the tiny recipe with these changes as a file."""

    def write(**changes: Any) -> Path:
        path = tmp_path / "recipe.toml"
        path.write_text(to_toml(tiny.tiny_recipe(corpus, **changes).model_dump(mode="json")), encoding="utf-8")
        return path

    return write


class Command:
    """A running `hanmo`; `result()` waits for its end."""

    def __init__(
        self, server: subprocess.Popen[str], folder: Path, arguments: tuple[object, ...], file_bytes: int | None
    ):
        assert server.stdin is not None
        assert server.stdout is not None
        self._answers = server.stdout
        self._out, self._err = folder / "out.txt", folder / "err.txt"
        request = {
            "arguments": [str(item) for item in arguments], "folder": str(folder),
            "out": str(self._out), "err": str(self._err), "file_bytes": file_bytes,
        }  # fmt: skip
        server.stdin.write(json.dumps(request) + "\n")
        server.stdin.flush()
        self.pid = int(self._answers.readline())

    def has_ended(self) -> bool:
        return bool(select.select([self._answers], [], [], 0)[0])

    def send(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def result(self) -> tuple[int, str, str]:
        """Exit code, standard output, standard error."""
        code = int(self._answers.readline())
        return code, self._out.read_text(encoding="utf-8"), self._err.read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def fork_server() -> Iterator[subprocess.Popen[str]]:
    """A process that forks a `hanmo` for each request."""
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("fork_server.py"))], text=True, encoding="utf-8",
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    yield process
    process.stdin.close()
    process.stdout.close()
    assert process.wait(timeout=60) == 0


@pytest.fixture
def hanmo_process(fork_server: subprocess.Popen[str], tmp_path: Path) -> Callable[..., Command]:
    """`hanmo_process("train", ...)` starts a command; with `file_bytes`, no file may grow beyond that."""

    def start(*arguments: object, file_bytes: int | None = None) -> Command:
        return Command(fork_server, tmp_path, arguments, file_bytes)

    return start
