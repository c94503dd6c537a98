"""`hanmo doctor`."""

from __future__ import annotations

import json as json_library
from typing import Annotated

from cyclopts import Parameter

__all__ = ["doctor"]


def doctor(*, json: Annotated[bool, Parameter(negative=())] = False) -> int:
    """Versions, processor, accelerators, extras present and missing, and what to do about them.

    Parameters
    ----------
    json:
        Print JSON.
    """
    from hanmo.stories.doctor import examine

    findings = examine()
    if json:
        print(json_library.dumps(findings.to_dict(), ensure_ascii=False, indent=2))
    else:
        print(findings.describe())
    return 0
