"""Which layers attend sparsely: one setting that families share."""

from __future__ import annotations

from collections.abc import Sequence

from hanmo.core.settings import Settings
from hanmo.nn.sparse import Dense, Pattern, SparsePattern

__all__ = ["PatternSettings", "check_patterns"]


class PatternSettings(Settings):
    """What attention sees, layer by layer."""

    attention: tuple[Pattern, ...] = ()
    """Patterns of the first layers, repeated for those that follow: one for all layers to be alike, two for them to
    take turns, `n_layers` for each to have its own. None given: every layer is dense."""

    def pattern(self, depth: int) -> SparsePattern | None:
        """The pattern of the layer at this depth; None if it is dense."""
        chosen = self.attention[depth % len(self.attention)] if self.attention else None
        return None if isinstance(chosen, Dense) else chosen

    @property
    def is_dense(self) -> bool:
        """Whether no layer is sparse."""
        return all(isinstance(pattern, Dense) for pattern in self.attention)


def check_patterns(attention: Sequence[Pattern], n_layers: int) -> None:
    """Each pattern must have a layer.

    Raises:
        ValueError: if there are more patterns than layers.
    """
    if len(attention) > n_layers:
        raise ValueError(f"attention has {len(attention)} patterns for {n_layers} layers")
