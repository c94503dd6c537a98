"""Modules of the core load fast: torch, numpy, rich and pydantic come only where and when they are needed."""

from __future__ import annotations

import subprocess
import sys

_HEAVY = "sorted({name.split('.')[0] for name in sys.modules} & {'torch', 'numpy', 'pydantic', 'rich'})"


def _heavy(*modules: str) -> str:
    imports = "; ".join(f"import hanmo.core.{module}" for module in modules)
    command = f"import sys; {imports}; print({_HEAVY})"
    return subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True).stdout.strip()


def test_core_is_light() -> None:
    assert _heavy("devices", "errors", "files", "machine", "progress", "runs", "seeds", "toml") == "[]"


def test_settings_need_pydantic_only() -> None:
    assert _heavy("settings") == "['pydantic']"
