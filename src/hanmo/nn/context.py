"""What all layers of one forward pass share besides their input."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from hanmo.nn.cache import Cache, SourceCache
from hanmo.nn.positions import Rotation
from hanmo.nn.sparse import Layout

__all__ = ["Context"]


@dataclass(frozen=True, kw_only=True)
class Context:
    """Handed unchanged through the stack; each sublayer takes what it knows.

    A family that needs something more (a relative bias, a second stream) adds a field here and the sublayer that
    reads it; the layers in between stay as they are.
    """

    causal: bool = False
    """Each position sees only itself and earlier ones."""
    mask: Tensor | None = None
    """Further limits, broadcastable to (B, H, T, S): bool (True = may look) or added to the scores."""
    layout: Layout | None = None
    """What stands where, for layers that make their own mask."""
    rotation: Rotation | None = None
    """Angles for rotary positions."""
    cache: Cache | None = None
    """Keys and values of earlier positions."""
    source: Tensor | None = None
    """What cross-attention looks at, (B, S, D_source)."""
    source_mask: Tensor | None = None
    """Like `mask`, for cross-attention."""
    source_cache: SourceCache | None = None
    """Keys and values of the source: filled by the first pass, read by later ones, which need no `source`."""
