"""Paths as people write them in recipes."""

from __future__ import annotations

import os
import re

__all__ = ["existing_path"]


def existing_path(path: str) -> str:
    """A path with the variables of the environment in it ($HANMO_DATA/…) put in.

    Raises:
        ValueError: if a variable is not set, or there is nothing at the path.
    """
    known = os.path.expandvars(path)
    if unset := re.search(r"\$\{?(\w+)", known):
        raise ValueError(f"the variable {unset[1]} is not set; set it to a folder, or write the path itself")
    if not os.path.exists(known):
        raise ValueError(f"{known} does not exist")
    return known
