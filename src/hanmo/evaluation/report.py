"""report.html: one page that tells the whole story of a run, from its folder alone, and opens offline."""

from __future__ import annotations

from pathlib import Path

from hanmo.core.errors import ConfigError
from hanmo.core.files import write_text
from hanmo.evaluation.report_about import footer, headline, machine_section, next_section, recipe_section
from hanmo.evaluation.report_page import page
from hanmo.evaluation.report_samples import samples_section
from hanmo.evaluation.report_sections import (
    corpus_section,
    evaluation_section,
    tokenizer_section,
    training_section,
)
from hanmo.evaluation.report_writer import Language, Writer
from hanmo.evaluation.run_files import RunRecord, read_run

__all__ = ["report_page", "write_report"]

_SECTIONS = {
    "corpus": corpus_section,
    "tokenizer": tokenizer_section,
    "training": training_section,
    "evaluation": evaluation_section,
    "samples": samples_section,
    "recipe": recipe_section,
    "machine": machine_section,
    "next": next_section,
}
"""The story in order; a key is the anchor and the name of its heading."""


def report_page(record: RunRecord, *, lang: Language = "en") -> str:
    """The report of a run as HTML.

    Raises:
        ConfigError: for a language other than "en" and "zh".
    """
    if lang not in ("en", "zh"):
        raise ConfigError(f"there is no report in {lang!r}", where="--lang", remedy="Choose en or zh.")
    say = Writer(lang)
    return page(
        lang="zh-Hans" if lang == "zh" else "en",
        title=record.name,
        kind=say("kind"),
        contents=say("contents"),
        sections=[(name, say(name), section(record, say)) for name, section in _SECTIONS.items()],
        head=headline(record, say),
        foot=footer(record, say),
    )


def write_report(run_path: str | Path, *, lang: Language = "en") -> Path:
    """Read a run folder and write its `report.html`.

    Pieces that were not recorded are named as such, so that a run that failed or was interrupted gets a report
    of what there is.

    Args:
        run_path: the run folder.
        lang: language of the page.

    Returns:
        The path of the page.

    Raises:
        DataError: if the folder holds no run.json.
        FormatError: if a file of the run is damaged.
        StorageError: if the page cannot be written.
    """
    target = Path(run_path) / "report.html"
    write_text(target, report_page(read_run(run_path), lang=lang))
    return target
