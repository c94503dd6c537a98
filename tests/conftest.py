"""Shared fixtures: the data folder, the sandbox, a tiny run, a private cache, silence."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import settings

import tiny_run

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

# `make test` draws the same examples every time, so that a change fails for what it changes; `make test-all` explores
settings.register_profile("steady", derandomize=True, deadline=None)
settings.register_profile("explore", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder of real data sets; tests that need it skip where HANMO_DATA is not set."""
    root = os.environ.get("HANMO_DATA")
    if not root:
        pytest.skip("HANMO_DATA is not set: no real data sets here (docs/data.md says where they come from)")
    return Path(root)


@pytest.fixture(scope="session")
def jail() -> None:
    """For tests that shut programs in: they skip where that cannot be done. Tried when the first of them runs."""
    from hanmo.evaluation.sandbox.run import check_isolation

    if (missing := check_isolation()) is not None:
        pytest.skip(f"no sandbox here: {missing}")


@pytest.fixture(scope="session")
def tiny() -> ModuleType:
    """tests/tiny_run.py: makes a corpus and a run of seconds."""
    return tiny_run


@pytest.fixture(scope="session", autouse=True)
def _private_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What is measured about the machine goes to a folder of the tests, not to the user's."""
    before = os.environ.get("HANMO_CACHE")
    os.environ["HANMO_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    yield
    if before is None:
        del os.environ["HANMO_CACHE"]
    else:
        os.environ["HANMO_CACHE"] = before


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """No progress output, unless a test switches it on."""
    from hanmo.core.progress import is_quiet, set_quiet

    before = is_quiet()
    set_quiet(True)
    yield
    set_quiet(before)
