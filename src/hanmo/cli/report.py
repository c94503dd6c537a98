"""`hanmo report RUN`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

__all__ = ["report"]


def report(run: Path, *, lang: Literal["en", "zh"] | None = None) -> int:
    """Write report.html of a run folder again.

    Parameters
    ----------
    run:
        A run folder (runs/NAME).
    lang:
        en or zh; the language of the recipe unless given.
    """
    from hanmo.core.errors import ConfigError
    from hanmo.core.runs import RunFolder
    from hanmo.evaluation.report import write_report
    from hanmo.evaluation.study_report import write_study_report
    from hanmo.evaluation.task_report import write_task_report

    info = RunFolder(run).read()
    if not info:
        raise ConfigError(
            "there is no run here (run.json is missing)", where=run, remedy="Give a run folder such as runs/quickstart."
        )
    recipe = info.get("recipe", {})
    write = write_report if recipe.get("task", "pretrain") == "pretrain" else write_task_report
    write = write_study_report if recipe.get("study") else write
    print(write(run, lang=lang or recipe.get("lang", "en")))
    return 0
