"""Programs that others wrote, as syntax trees; nothing of them is run."""

from __future__ import annotations

import ast
import warnings

__all__ = ["parse_program"]


def parse_program(source: str) -> ast.Module:
    """Parse it whatever the filter of warnings says: escapes that Python doubts are the business of its author.

    Raises:
        SyntaxError: if it is no Python.
        ValueError: for a null character.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        warnings.simplefilter("ignore", DeprecationWarning)  # what Python 3.11 calls it
        return ast.parse(source)
