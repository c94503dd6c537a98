"""report.html of a classifier: what it learned from, how well it does, and where it errs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hanmo.core.errors import ConfigError
from hanmo.core.files import write_text
from hanmo.evaluation.markup import Html, element, join
from hanmo.evaluation.report_about import footer, machine_section, recipe_section, stat_card
from hanmo.evaluation.report_blocks import facts, hbar, nothing, number_table, stopped_early
from hanmo.evaluation.report_page import page
from hanmo.evaluation.report_sections import loss_curves
from hanmo.evaluation.report_writer import Language, Writer
from hanmo.evaluation.task_files import PairedRecord, Prediction, SplitFigures, TaskRecord, read_task_run

__all__ = ["task_page", "write_task_report"]

_MOST_CLASSES = 30
"""A larger confusion matrix would not be read."""
_SHOWN_ERRORS = 20
_SHOWN_TEXTS = 10
_WRITTEN = ("dialogue", "preferences")
"""Tasks whose answers are texts, of which none is the right one."""
_NUMBERS = ("regression", "scores")
"""Kinds whose answers are numbers, so that none is right or wrong."""
_SPEEDS = {
    "token-classification": "words_speed", "translation": "speed", "summarization": "speed",
    "text2text-generation": "speed", "dialogue": "speed",
}  # fmt: skip
"""What the loss of a task counts, where it is not rows."""
_LENGTHS = (10, 20, 40, 80, 160, 320)
"""Borders of the classes of lengths, in characters."""


def write_task_report(run_path: str | Path, *, lang: Language = "en") -> Path:
    """Read a run folder and write its `report.html`.

    Raises:
        DataError: if the folder holds no run.json.
        FormatError: if a file of the run is damaged.
        StorageError: if the page cannot be written.
    """
    target = Path(run_path) / "report.html"
    write_text(target, task_page(read_task_run(run_path), lang=lang))
    return target


def task_page(record: TaskRecord, *, lang: Language = "en") -> str:
    """The report as HTML.

    Raises:
        ConfigError: for a language other than "en" and "zh".
    """
    if lang not in ("en", "zh"):
        raise ConfigError(f"there is no report in {lang!r}", where="--lang", remedy="Choose en or zh.")
    say = Writer(lang)
    sections = {
        "examples": _examples(record, say),
        "results": _results(record, say),
        **_judged(record, say),
        "training": loss_curves(
            record.run.metrics,
            say,
            speed_title=_SPEEDS.get(record.task, "rows_speed"),
        )
        or nothing(say),
        "recipe": recipe_section(record.run, say),
        "machine": machine_section(record.run, say),
    }
    return page(
        lang="zh-Hans" if lang == "zh" else "en",
        title=record.run.name,
        kind=say(f"kind_{record.task}"),
        contents=say("contents"),
        sections=[(name, say(name), body) for name, body in sections.items()],
        head=_head(record, say),
        foot=footer(record.run, say),
    )


def _judged(record: TaskRecord, say: Writer) -> dict[str, Html]:
    """What it made of single examples."""
    if record.task == "dialogue":
        return {"samples": _answers(record, say)}
    if any(row.score is not None for row in record.predictions):
        return {"written_texts": _written(record, say)}
    return {"errors": _errors(record, say)}


def _best_split(record: TaskRecord) -> tuple[str, SplitFigures] | None:
    """Test figures, or those of dev where there is no test set."""
    for name in ("test", "dev"):
        if name in record.evaluation:
            return name, record.evaluation[name]
    return None


def _head(record: TaskRecord, say: Writer) -> Html:
    parts: list[Html | None] = []
    if (key := stopped_early(record.run.run.status)) is not None:
        parts.append(element("div", element("p", say(key, status=record.run.run.status)), cls="banner"))
    cards = []
    best = _best_split(record)
    if best is not None:
        name, figures = best
        for number, (score, value) in enumerate(list(figures.scores.items())[:3]):
            interval = figures.intervals.get(score)
            note = f"{say(f'split_{name}')}" + (
                f", 95%: {interval.low:.3f} – {interval.high:.3f}" if interval is not None else ""
            )
            cards.append(stat_card(say.score(score), f"{value:.3f}", note, main=number == 0))
    if record.run.run.seconds is not None:
        cards.append(stat_card(say("card_time"), say.time(record.run.run.seconds), None))
    parts.append(element("dl", *cards, cls="cards") if cards else None)
    return join(parts)


def _examples(record: TaskRecord, say: Writer) -> Html:
    data = record.data
    if not data.examples:
        return nothing(say)
    known = [(say(f"split_{name}"), say.integer(n)) for name, n in data.examples.items() if n]
    if record.kind not in _NUMBERS and len(data.labels) > 1:  # one alone says nothing: an answer, in questions
        known.append((say("labels"), ", ".join(data.labels)))
    for key, n in data.notes.items():
        known.append((say(f"note_{key}") if say.known(f"note_{key}") else key, say.integer(n)))
    return join([facts(known)])


def _results(record: TaskRecord, say: Writer) -> Html:
    if not record.evaluation:
        return nothing(say)
    if tasks := dict.fromkeys(task for figures in record.evaluation.values() for task in figures.tasks):
        return join(part for task in tasks for part in (element("h3", task), _results(_of_task(record, task), say)))
    names = list(dict.fromkeys(score for figures in record.evaluation.values() for score in figures.scores))
    rows = []
    for score in names:
        cells = [say.score(score)]
        for figures in record.evaluation.values():
            interval = figures.intervals.get(score)
            around = f" [{interval.low:.3f}, {interval.high:.3f}]" if interval is not None else ""
            cells.append(f"{figures.scores[score]:.3f}{around}" if score in figures.scores else "–")
        rows.append(cells)
    parts: list[Html | None] = [
        number_table([say("score"), *(say(f"split_{name}") for name in record.evaluation)], rows),
        element("p", say("interval_note"), cls="soft below"),
    ]
    best = _best_split(record)
    assert best is not None
    name, figures = best
    if figures.signatures:
        told = [(say.score(score), signature) for score, signature in figures.signatures.items()]
        parts += [element("h3", say("signatures")), facts(told)]
    if figures.against_baseline is not None:
        parts += [element("h3", say("against_baseline")), _against_baseline(figures.against_baseline, say)]
    if figures.per_class:
        parts += [element("h3", say("per_class", split=say(f"split_{name}"))), _per_class(figures, say)]
    if figures.confusion and len(figures.confusion) <= _MOST_CLASSES:
        parts += [element("h3", say("confusion")), _confusion(figures, list(figures.per_class), say)]
    lengths = _by_length([row for row in record.predictions if row.split == name and row.score is None], say)
    if lengths is not None and record.kind not in _NUMBERS and record.task not in _WRITTEN:
        parts += [element("h3", say("by_length")), lengths]
    return join(parts)


def _of_task(record: TaskRecord, task: str) -> TaskRecord:
    """What there is about one of several tasks."""
    rows = [row for row in record.predictions if row.task == task]
    numbers = bool(rows) and all(isinstance(row.label, float) for row in rows)
    own = {name: figures.tasks[task] for name, figures in record.evaluation.items() if task in figures.tasks}
    return record.model_copy(
        update={"evaluation": own, "predictions": rows, "kind": "regression" if numbers else "single"}
    )


def _against_baseline(test: PairedRecord, say: Writer) -> Html:
    around = f"[{test.low:.3f}, {test.high:.3f}]"
    told = say("against_baseline_lead", difference=f"{test.difference:.3f}", around=around, p=f"{test.p_value:.3g}")
    return element("p", told)


def _per_class(figures: SplitFigures, say: Writer) -> Html:
    head = [say("class"), "F1", "", say("class_precision"), say("recall"), say("examples_of_class")]
    rows = [
        [name, f"{one.f1:.3f}", hbar(one.f1), f"{one.precision:.3f}", f"{one.recall:.3f}", say.integer(one.support)]
        for name, one in figures.per_class.items()
    ]
    cells = [
        element(
            "tr",
            element("th", row[0], scope="row", cls="keep"),
            *(element("td", value, cls="wide lean" if place == 1 else "n") for place, value in enumerate(row[1:])),
        )
        for row in rows
    ]
    heads = [element("th", name, scope="col", cls="n" if place and name else None) for place, name in enumerate(head)]
    table = element("table", element("thead", element("tr", *heads)), element("tbody", *cells))
    return element("div", table, cls="scroll", tabindex="0")


def _confusion(figures: SplitFigures, labels: Sequence[str], say: Writer) -> Html:
    body = []
    for name, row in zip(labels, figures.confusion, strict=True):
        total = max(1, sum(row))
        cells = [
            element(
                "td", say.integer(n), cls="n",
                style=f"background:color-mix(in srgb,var({'--green' if name == other else '--seal'}) {45 * n / total:.0f}%,transparent)",
            )
            for other, n in zip(labels, row, strict=True)
        ]  # fmt: skip
        body.append(element("tr", element("th", name, scope="row", cls="keep"), *cells))
    corner = element("th", say("right_by_predicted"), scope="col")
    heads = [corner, *(element("th", name, scope="col", cls="n") for name in labels)]
    table = element("table", element("thead", element("tr", *heads)), element("tbody", *body), cls="confusion")
    return element("div", table, cls="scroll", tabindex="0")


def _by_length(rows: Sequence[Prediction], say: Writer) -> Html | None:
    groups: dict[int, list[Prediction]] = {}
    for row in rows:
        length = len(row.text) + len(row.pair or "") if row.length is None else row.length
        groups.setdefault(sum(length > border for border in _LENGTHS), []).append(row)
    if not groups:
        return None
    table = []
    for place in sorted(groups):
        low = 1 if place == 0 else _LENGTHS[place - 1] + 1
        name = f"{low} – {_LENGTHS[place]}" if place < len(_LENGTHS) else f"> {_LENGTHS[-1]}"
        found = groups[place]
        right = sum(row.right for row in found) / len(found)
        table.append([name, f"{right:.3f}", say.integer(len(found))])
    return number_table([say("characters"), say("share_right"), say("texts")], table)


def _errors(record: TaskRecord, say: Writer) -> Html:
    best = _best_split(record)
    wrong = [row for row in record.predictions if best is not None and row.split == best[0] and not row.right]
    if not wrong:
        return nothing(say) if not record.predictions else element("p", say("no_errors"))
    own = f"errors_lead_{record.task}"
    lead = own if say.known(own) else "errors_lead"
    parts = [element("p", say(lead, n=say.integer(len(wrong)), shown=min(len(wrong), _SHOWN_ERRORS)), cls="soft")]
    for row in wrong[:_SHOWN_ERRORS]:
        sure = f" ({row.probability:.3f})" if row.probability is not None else ""
        meta = f"{say('right_label')} {_shown(row.label)} · {say('predicted_label')} {_shown(row.predicted)}{sure} · {row.where}"
        text = row.text if row.pair is None else f"{row.text}\n{row.pair}"
        parts.append(element("div", element("p", meta, cls="meta"), element("p", text, cls="text"), cls="sample"))
    return join(parts)


def _written(record: TaskRecord, say: Writer) -> Html:
    """The worst and the best of what was written."""
    best = _best_split(record)
    rows = [row for row in record.predictions if best is not None and row.split == best[0] and row.score is not None]
    rows.sort(key=lambda row: row.score or 0.0)
    worst = rows[:_SHOWN_TEXTS]
    parts = [element("h3", say("worst_texts")), *(_pair(row, say) for row in worst)]
    if finest := rows[len(worst) :][-_SHOWN_TEXTS:][::-1]:
        parts += [element("h3", say("best_texts")), *(_pair(row, say) for row in finest)]
    return join(parts)


def _pair(row: Prediction, say: Writer) -> Html:
    told = [
        element("p", f"{say('written_score')} {row.score:.1f} · {row.where}", cls="meta"),
        element("p", row.text, cls="text"),
        element("p", f"{say('written_label')} {_shown(row.predicted)}", cls="text"),
        element("p", f"{say('right_label')} {_shown(row.label)}", cls="text"),
    ]
    return element("div", *told, cls="sample")


def _answers(record: TaskRecord, say: Writer) -> Html:
    """What the model wrote, below what people did."""
    best = _best_split(record)
    rows = [row for row in record.predictions if best is not None and row.split == best[0]][:_SHOWN_ERRORS]
    if not rows:
        return nothing(say)
    shown = [
        element(
            "div",
            element("p", row.where, cls="meta"),
            element("p", row.text, cls="text", dir="auto"),
            element("p", f"{say('answer_people')} {_shown(row.label)}", cls="soft"),
            element("p", element("b", _shown(row.predicted)), cls="text", dir="auto"),
            cls="sample",
        )
        for row in rows
    ]
    return join([element("p", say("answers_lead", shown=len(rows)), cls="soft"), *shown])


def _shown(label: str | float | list[str]) -> str:
    if isinstance(label, list):
        return ", ".join(label) or "–"
    return label if isinstance(label, str) else f"{label:.3f}"
