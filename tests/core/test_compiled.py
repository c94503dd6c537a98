"""Under which name a compiled function is kept: that of the functions it calls is part of it."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

CALLER = """
from hanmo.core.compiled import compiled
from {helper} import add


@compiled()
def twice(x):
    return add(x, x)
"""
HELPER = """
from hanmo.core.compiled import compiled


@compiled(inner=True)
def add(x, y):
    return x + y{more}
"""


def write(folder: Path, more: str) -> None:
    (folder / "hanmo_caller.py").write_text(CALLER.format(helper="hanmo.core.fake_helper"))
    (folder / "fake_helper.py").write_text(HELPER.format(more=more))


def load(folder: Path, name: str, place: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, folder / place)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def test_a_change_in_what_is_called_is_noticed(tmp_path: Path) -> None:
    from hanmo.core.compiled import is_kept

    found = []
    try:
        for number, more in enumerate(("", " + 1")):
            folder = tmp_path / str(number)
            folder.mkdir()
            write(folder, more)
            load(folder, "hanmo.core.fake_helper", "fake_helper.py")
            caller = load(folder, "hanmo.core.fake_caller", "hanmo_caller.py")
            assert not is_kept(caller.twice)
            assert caller.twice(3) == 6 + number
            assert is_kept(caller.twice)
            found += [path.name for path in Path(caller.twice.stats.cache_path).glob("*twice*.nbi")]
            assert caller.twice.py_func.__qualname__ == "twice"
    finally:
        sys.modules.pop("hanmo.core.fake_helper", None)
        sys.modules.pop("hanmo.core.fake_caller", None)
    assert len(found) == len(set(found)) == 2
