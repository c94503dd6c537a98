"""Small pieces that the report's sections share: tables, facts, bars, code."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hanmo.evaluation.corpus_record import CorpusRecord
from hanmo.evaluation.markup import Html, element
from hanmo.evaluation.report_writer import Writer

__all__ = ["NAMES", "code", "facts", "hbar", "nothing", "number_table", "split_note", "stopped_early"]

NAMES = {"gpt2": "GPT-2", "llama": "Llama", "bert": "BERT", "t5": "T5", "qwen2": "Qwen2", "qwen3": "Qwen3"}
"""How model families write themselves."""


def stopped_early(status: str | None) -> str | None:
    """What a run's status means to a reader: None where all is well, else the key of a sentence about it."""
    match status:
        case None | "finished" | "early_stopped":
            return None
        case "running":
            return "status_running"
        case "failed":
            return "status_failed"
        case "interrupted" | "stopped":
            return "status_interrupted"
        case _:
            return "status_other"


def split_note(corpus: CorpusRecord, say: Writer) -> str:
    """How the held-out text was chosen, and what that means for the figures."""
    return say("split_by_stretch" if corpus.split_by == "stretch" else "split_by_group")


def nothing(say: Writer) -> Html:
    """The sentence that a section has nothing to show."""
    return element("p", say("not_recorded"), cls="none")


def code(text: str) -> Html:
    """Preformatted text that the keyboard can scroll."""
    return element("pre", element("code", text), tabindex="0")


def facts(pairs: Iterable[tuple[str, object | None]]) -> Html | None:
    """A list of names and values; pairs without a value are left out, None where none is left."""
    rows: list[Html] = []
    for name, value in pairs:
        if value is not None and value != "":
            rows += [element("dt", name), element("dd", value)]
    return element("dl", *rows, cls="facts") if rows else None


def number_table(head: Sequence[str], rows: Sequence[Sequence[object]], *, last_is_sum: bool = False) -> Html:
    """A table whose first column holds names and whose others hold numbers, set flush right."""
    first, *others = head
    heads = [element("th", first, scope="col"), *(element("th", name, scope="col", cls="n") for name in others)]
    body = [
        element(
            "tr",
            element("th", row[0], scope="row", cls="keep" if len(head) > 3 else None),
            *(element("td", value, cls="n") for value in row[1:]),
            cls="sum" if last_is_sum and i == len(rows) - 1 else None,
        )
        for i, row in enumerate(rows)
    ]
    table = element("table", element("thead", element("tr", *heads)), element("tbody", *body))
    return element("div", table, cls="scroll", tabindex="0")


def hbar(share: float) -> Html:
    """A bar over `share` of its cell's width."""
    return element("span", cls="hbar", style=f"width:{100 * min(max(share, 0.0), 1.0):.2f}%")
