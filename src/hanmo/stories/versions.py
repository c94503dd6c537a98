"""Versions of what a run depends on."""

from __future__ import annotations

import importlib.metadata
import platform

__all__ = ["library_versions"]

_LIBRARIES = ("torch", "numpy", "safetensors", "tokenizers", "numba")


def library_versions() -> dict[str, str]:
    """hanmo, Python and the libraries that shape numbers."""
    from hanmo import __version__

    versions = {"hanmo": __version__, "python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return versions
