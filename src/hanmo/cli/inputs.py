"""What verbs take: flags, and text as an argument, a file, or standard input."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from hanmo.core.errors import ConfigError, DataError

__all__ = ["Flag", "read_text_argument"]

Flag = Annotated[bool, Parameter(negative=())]
"""An option that is there or not: --json, and no --no-json."""


def read_text_argument(text: str | None, file: Path | None) -> str:
    """The text given, or the decoded contents of `file`, or standard input.

    Raises:
        ConfigError: if both are given or the file does not exist.
        DataError: if there is nothing in it.
    """
    from hanmo.text.encoding import decode

    if text is not None and file is not None:
        raise ConfigError("a text and --file were both given", remedy="Give one of them.")
    if text is None:
        try:
            data = file.read_bytes() if file is not None else sys.stdin.buffer.read()
        except OSError as error:
            raise ConfigError(f"cannot read this file ({error.strerror})", where=file) from error
        text = decode(data).text
    if not text:
        raise DataError("the text is empty", where=file or "standard input")
    return text
