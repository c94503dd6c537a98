"""How the tensors and settings of each family are called in public checkpoints."""

from __future__ import annotations

__all__: list[str] = []
