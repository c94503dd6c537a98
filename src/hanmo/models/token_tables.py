"""Where any family keeps its token vectors."""

from __future__ import annotations

from torch import nn

from hanmo.core.errors import ModelError
from hanmo.nn.linear import Lookup

__all__ = ["token_tables"]


def token_tables(model: nn.Module) -> list[Lookup]:
    """The tables with a row for each token: one, or one for each side of an encoder and decoder that share none.

    Raises:
        ModelError: if the model reads no tokens (the image side of CLIP).
    """
    tables = [
        module
        for name, module in model.named_modules()
        if name.rpartition(".")[2] == "token" and isinstance(module, Lookup)
    ]
    if not tables:
        raise ModelError(f"{type(model).__name__} has no token vectors")
    return tables
