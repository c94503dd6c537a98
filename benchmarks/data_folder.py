"""Where benchmarks find real texts."""

from __future__ import annotations

import os
from argparse import ArgumentParser
from pathlib import Path

__all__ = ["data_folder"]


def data_folder(parser: ArgumentParser) -> Path:
    """The folder that HANMO_DATA names; without it the command ends and says what to do."""
    folder = os.environ.get("HANMO_DATA")
    if not folder:
        parser.error("the variable HANMO_DATA is not set: docs/data.md says where the texts come from")
    return Path(folder)
