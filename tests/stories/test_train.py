"""Which folders a run may take, and what a dry run says."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import pytest

from hanmo.core.errors import ConfigError, StorageError
from hanmo.stories.result import PretrainResult
from hanmo.stories.train import open_run, plan, train


@pytest.fixture
def recipe(tiny: ModuleType, corpus: Path):
    return tiny.tiny_recipe(corpus)


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """A folder with something of the user's."""
    folder = tmp_path / "thesis"
    folder.mkdir()
    (folder / "chapter.txt").write_text("years of work", encoding="utf-8")
    return folder


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_with_other_things_is_left_alone(recipe, foreign: Path, overwrite: bool) -> None:
    with pytest.raises(ConfigError, match="not a run"):
        train(recipe, out=foreign, overwrite=overwrite)
    assert [path.name for path in foreign.iterdir()] == ["chapter.txt"]


def test_a_run_is_not_overwritten_unasked(recipe, english: PretrainResult) -> None:
    before = english.report.stat().st_mtime_ns
    with pytest.raises(ConfigError, match=r"--resume .* --overwrite"):
        train(recipe, out=english.run)
    assert english.report.stat().st_mtime_ns == before


def test_overwrite_deletes_a_run(recipe, tmp_path: Path) -> None:
    run = tmp_path / "run"
    (run / "checkpoints").mkdir(parents=True)
    (run / "run.json").write_text("{}", encoding="utf-8")
    (run / "link").symlink_to(tmp_path)
    assert open_run(run, recipe, resume=False, overwrite=True).read() == {}
    assert list(run.iterdir()) == []
    assert tmp_path.exists()


def test_overwrite_keeps_the_run_if_the_corpus_lies_in_it(tiny: ModuleType, tmp_path: Path) -> None:
    run = tmp_path / "run"
    inside = tiny.make_tiny_corpus(run / "texts", n_files=1)
    (run / "run.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ConfigError, match="would delete"):
        train(tiny.tiny_recipe(inside), out=run, overwrite=True)
    assert len(list(inside.iterdir())) == 2


def test_resume_and_overwrite_exclude_each_other(recipe, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="exclude"):
        train(recipe, out=tmp_path / "run", resume=True, overwrite=True)


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_file_is_no_run_folder(recipe, tmp_path: Path, overwrite: bool) -> None:
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    with pytest.raises(StorageError):
        train(recipe, out=tmp_path / "file", overwrite=overwrite)
    with pytest.raises(StorageError):
        train(recipe, out=tmp_path / "file" / "run", overwrite=overwrite)
    assert (tmp_path / "file").read_text(encoding="utf-8") == "mine"


def test_an_unknown_device_is_found_before_anything_is_written(tiny: ModuleType, corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="abacus"):
        train(tiny.tiny_recipe(corpus, device="abacus"), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_what_a_killed_process_left_in_a_new_folder_is_no_hindrance(recipe, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / ".hanmo-tmp-0123456789ab-run.json").write_text("{", encoding="utf-8")
    open_run(run, recipe, resume=False, overwrite=False)
    assert list(run.iterdir()) == []


def test_dry_run(write_recipe: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    monkeypatch.chdir(tmp_path)
    path = write_recipe()
    before = set(tmp_path.rglob("*"))
    text = plan(path, overrides=["training.n_steps=77"])
    assert set(tmp_path.rglob("*")) == before
    assert "n_steps = 77" in text
    assert "77 steps" in text
    assert "parameters" in text
    assert "MiB" in text
    shown = [line.split("->") for line in text.splitlines() if line.startswith("  '") and "->" in line]
    assert len(shown) == 48
    # the loss asks for the token that comes next
    assert all(label.strip() == following.strip() for (_, label), (following, _) in pairwise(shown))


def test_dry_run_of_a_missing_device(write_recipe: Callable[..., Path]) -> None:
    with pytest.raises(ConfigError, match="abacus"):
        plan(write_recipe(), overrides=["device=abacus"])
