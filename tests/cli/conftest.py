"""The command line called in this process, and a finished run to try it on."""

from __future__ import annotations

import io
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

from hanmo.cli.app import main
from hanmo.core.toml import to_toml


@dataclass(frozen=True)
class Outcome:
    """What a command came to."""

    code: int
    out: str
    err: str

    def refused(self, *words: str, code: int | tuple[int, ...] = (1, 2)) -> str:
        """Check that this is one clear message with all of `words`, and return it."""
        assert self.code in (code if isinstance(code, tuple) else (code,)), self
        assert "Traceback" not in self.err, self.err
        assert self.err.count("hanmo: ") == 1, self.err
        assert self.out == ""
        for word in words:
            assert word in self.err, (word, self.err)
        return self.err


@pytest.fixture
def hanmo(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Outcome]:
    """`hanmo("score", model, stdin=b"...")` runs a command."""

    def run(*arguments: object, stdin: bytes = b"") -> Outcome:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8"))
        capsys.readouterr()
        code = main([str(item) for item in arguments])
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return run


@pytest.fixture(scope="session")
def run(tiny: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run, not to be changed."""
    return tiny.make_tiny_run(tmp_path_factory.mktemp("cli") / "run").run


@pytest.fixture(scope="session")
def model(run: Path) -> Path:
    """Its model directory, not to be changed."""
    return run / "model"


@pytest.fixture
def model_copy(model: Path, tmp_path: Path) -> Path:
    """A model directory to damage."""
    return Path(shutil.copytree(model, tmp_path / "model"))


@pytest.fixture
def recipe(tiny: ModuleType, run: Path, tmp_path: Path) -> Path:
    """A recipe file of the tiny run."""
    path = tmp_path / "tiny.toml"
    values = tiny.tiny_recipe(run.parent / "tiny-corpus").model_dump(mode="json")
    path.write_text(to_toml(values), encoding="utf-8")
    return path
