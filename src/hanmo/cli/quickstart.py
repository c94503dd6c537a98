"""`hanmo quickstart`."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

__all__ = ["quickstart"]


def quickstart(
    *,
    corpus: Path | None = None,
    minutes: float = 3.0,
    family: Literal["gpt2", "llama"] = "gpt2",
    out: Path | None = None,
    lang: Literal["en", "zh"] = "en",
    seed: int = 0,
    resume: Annotated[bool, Parameter(negative=())] = False,
    overwrite: Annotated[bool, Parameter(negative=())] = False,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Real text → tokenizer → GPT → report, in minutes, with nothing downloaded.

    Parameters
    ----------
    corpus:
        Your own folder or file (.txt .md .rst .py .html .jsonl .csv .tsv .parquet .docx .epub .pdf, a MediaWiki dump .xml,
        .warc .wet; also .gz .bz2 .xz .zst; UTF-8, GB18030, Big5 or Latin-1).
        Without it: the running Python's standard library.
    minutes:
        Time budget of training; the number of steps is fitted to the speed of this machine.
    family:
        gpt2 or llama.
    out:
        Run folder; a new one under runs/ unless given.
    lang:
        Language of the report: en or zh.
    seed:
        Seed of everything random.
    resume:
        Go on with an interrupted run (give its --out).
    overwrite:
        Delete the run in --out and start again.
    json:
        Print the result as JSON on standard output.
    """
    from hanmo.cli.outcome import finish
    from hanmo.stories.quickstart import quickstart

    result = quickstart(
        corpus, minutes=minutes, family=family, out=out, lang=lang, seed=seed, resume=resume, overwrite=overwrite,
        command=shlex.join(["hanmo", *sys.argv[1:]]),
    )  # fmt: skip
    return finish(result, json=json)
