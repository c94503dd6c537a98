"""report.html of a study: what was tried, what it came to, and how far that can be trusted."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hanmo.core.errors import ConfigError
from hanmo.core.files import write_text
from hanmo.evaluation.markup import Html, element, join
from hanmo.evaluation.plots import Line, line_plot, ticks
from hanmo.evaluation.report_about import footer, machine_section, recipe_section, stat_card
from hanmo.evaluation.report_blocks import nothing, number_table, stopped_early
from hanmo.evaluation.report_page import page
from hanmo.evaluation.report_writer import Language, Writer
from hanmo.evaluation.study_files import Group, Several, StudyRecord, read_study
from hanmo.evaluation.task_files import SplitFigures

__all__ = ["study_page", "write_study_report"]

_MOST_ROWS = 200
_CLEAR = 1.96
"""Standard errors beyond which a difference is called one."""


def write_study_report(run_path: str | Path, *, lang: Language = "en") -> Path:
    """Read the folder of a study and write its `report.html`.

    Raises:
        DataError: if the folder holds no run.json.
        FormatError: if a file of the study is damaged.
        StorageError: if the page cannot be written.
    """
    target = Path(run_path) / "report.html"
    write_text(target, study_page(read_study(run_path), lang=lang))
    return target


def study_page(record: StudyRecord, *, lang: Language = "en") -> str:
    """The report as HTML.

    Raises:
        ConfigError: for a language other than "en" and "zh".
    """
    if lang not in ("en", "zh"):
        raise ConfigError(f"there is no report in {lang!r}", where="--lang", remedy="Choose en or zh.")
    say = Writer(lang)
    question = _question(record)
    sections = [
        ("study", say(f"study_{question}"), _runs(record, question, say)),
        ("results", say("results"), _figures(record, say)),
        ("recipe", say("recipe"), recipe_section(record.run, say)),
        ("machine", say("machine"), machine_section(record.run, say)),
    ]
    return page(
        lang="zh-Hans" if lang == "zh" else "en",
        title=record.run.name,
        kind=say("kind_study"),
        contents=say("contents"),
        sections=sections,
        head=_head(record, say),
        foot=footer(record.run, say),
    )


def _question(record: StudyRecord) -> str:
    asked = record.section
    return (
        "search"
        if asked.get("search")
        else "curve"
        if asked.get("fractions")
        else "folds"
        if asked.get("folds")
        else "seeds"
    )


def _best(record: StudyRecord) -> Group | None:
    """The group that the cards are about: what was chosen, or the one that learned from most."""
    if not record.groups:
        return None
    return record.groups[record.chosen if record.chosen is not None else -1]


def _plus_minus(several: Several) -> str:
    if several.sd is not None:
        return f"{several.mean:.3f} ± {several.sd:.3f}"
    around = several.around
    return f"{several.mean:.3f}" + (f" [{around[0]:.3f}, {around[1]:.3f}]" if around is not None else "")


def _head(record: StudyRecord, say: Writer) -> Html:
    parts: list[Html | None] = []
    if (key := stopped_early(record.run.run.status)) is not None:
        parts.append(element("div", element("p", say(key, status=record.run.run.status)), cls="banner"))
    best, cards = _best(record), []
    if record.soup is not None and "test" in record.soup.figures and record.by in record.soup.figures["test"].scores:
        value = record.soup.figures["test"].scores[record.by]
        cards.append(
            stat_card(
                f"{say('study_soup')} · {say('split_test')}",
                f"{value:.3f}",
                say("study_of_soup", n=len(record.soup.runs)),
                main=True,
            )
        )
    if best is not None and best.figures and record.by is not None:
        for number, split in enumerate(name for name in ("test", "dev")[: 1 if cards else 2] if name in best.figures):
            several = best.figures[split].get(record.by)
            if several is not None:
                name = f"{say.score(record.by)} · {say(f'split_{split}')}"
                note = say("study_of_runs", n=len(several.values)) if several.sd is not None else None
                value = f"{several.mean:.3f}" + (f" ± {several.sd:.3f}" if several.sd is not None else "")
                cards.append(stat_card(name, value, note, main=not cards and number == 0))
    if record.groups:
        cards.append(stat_card(say("study_runs"), say.integer(sum(len(group.runs) for group in record.groups)), None))
    if record.run.run.seconds is not None:
        cards.append(stat_card(say("card_time"), say.time(record.run.run.seconds), None))
    parts.append(element("dl", *cards, cls="cards") if cards else None)
    return join(parts)


# -- what was tried ------------------------------------------------------------------------------------------------


def _runs(record: StudyRecord, question: str, say: Writer) -> Html:
    by = record.by
    if by is None:
        return nothing(say)
    parts: list[Html | None] = []
    if question == "curve":
        parts += [_curve(record, by, say), _verdict(record, by, say)]
    else:
        parts.append(element("p", say(f"study_{question}_lead", score=say.score(by)), cls="soft"))
    parts.append(_table(record, by, question, say))
    parts.append(_soup(record, say))
    if question == "search":
        parts.append(_by_value(record, by, say))
    failed = [group for group in record.groups if group.failed is not None]
    if failed:
        listed = "\n".join(f"{_choice(group, say)}: {group.failed}" for group in failed)
        summary = element("summary", say("study_failed", n=len(failed)))
        parts.append(element("details", summary, element("pre", listed, tabindex="0")))
    return join(parts)


def _soup(record: StudyRecord, say: Writer) -> Html | None:
    """What the mean of the weights came to."""
    soup = record.soup
    if soup is None:
        return None
    splits = [name for name in ("dev", "test") if name in soup.figures]
    names = list(dict.fromkeys(name for split in splits for name in soup.figures[split].scores))
    rows = [[say.score(name), *(_of_soup(soup.figures[split], name) for split in splits)] for name in names]
    head = [say("score"), *(say(f"split_{split}") for split in splits)]
    runs = ", ".join(run.rpartition("/")[2] for run in soup.runs)
    lead = element("p", say("study_soup_lead", runs=runs), cls="soft")
    return join((element("h3", say("study_soup")), lead, number_table(head, rows)))


def _of_soup(figures: SplitFigures, name: str) -> str:
    value, ends = figures.scores.get(name), figures.intervals.get(name)
    if value is None:
        return "–"
    return f"{value:.3f}" + ("" if ends is None else f" [{ends.low:.3f}, {ends.high:.3f}]")


def _judged_split(record: StudyRecord) -> str:
    """Test if every group was judged by it."""
    return "test" if all("test" in group.figures for group in record.groups) else "dev"


def _curve(record: StudyRecord, by: str, say: Writer) -> Html:
    lines = []
    for split, cls in (("dev", "c-train"), ("test", "c-model")):
        found = [
            (group.n_examples, group.figures[split][by])
            for group in record.groups
            if group.n_examples is not None and by in group.figures.get(split, {})
        ]
        ends = [(n, several.around) for n, several in found]
        for end in (0, 1):
            points = [(n, around[end]) for n, around in ends if around is not None]
            lines.append(Line(name=say("study_band", split=say(f"split_{split}")), points=points, cls=cls, faint=True))
        lines.append(Line(name=say(f"split_{split}"), points=[(n, one.mean) for n, one in found], cls=cls, dots=True))
    named: set[str] = set()
    for place, line in enumerate(lines):  # both edges of a band have one entry in the legend
        if line.faint and line.name in named:
            lines[place] = Line(name="", points=line.points, cls=line.cls, faint=True)
        named.add(line.name)
    return line_plot(
        lines, title=say.score(by), x_label=say("study_examples"), x_text=say.integer, y_text=lambda y: f"{y:g}",
        value_text=lambda y: f"{y:.3f}", tip_head=lambda x: say("study_tip", n=say.integer(x)),
    )  # fmt: skip


def _verdict(record: StudyRecord, by: str, say: Writer) -> Html | None:
    """Whether the last step of the curve is more than chance, and what another doubling would bring at that pace."""
    split = _judged_split(record)
    points = [
        (group.n_examples, group.figures[split][by])
        for group in record.groups
        if group.n_examples and by in group.figures.get(split, {})
    ]
    if len(points) < 2 or points[-2][0] >= points[-1][0]:
        return None
    (few, before), (many, after) = points[-2:]
    gain = (after.mean - before.mean) * (-1 if record.lower_is_better else 1)
    errors = [one.standard_error for one in (before, after)]
    chance = None if None in errors else _CLEAR * math.hypot(*(error for error in errors if error is not None))
    key = "unknown" if chance is None else "rising" if gain > chance else "falling" if gain < -chance else "flat"
    text = say(
        f"curve_{key}", few=say.integer(few), many=say.integer(many), score=say.score(by), split=say(f"split_{split}"),
        before=f"{before.mean:.3f}", after=f"{after.mean:.3f}", gain=f"{gain / math.log2(many / few):.3f}",
    )  # fmt: skip
    return element("p", text, cls="lead below")


def _table(record: StudyRecord, by: str, question: str, say: Writer) -> Html:
    """A line for each group, the best first in a search, each run a dot on a common axis."""
    split = "dev" if question == "search" else _judged_split(record)
    rows = [(number, group, group.figures[split][by]) for number, group in enumerate(record.groups) if group.figures]
    if question == "search":
        rows.sort(key=lambda row: row[2].mean * (1 if record.lower_is_better else -1))
    if question in ("seeds", "folds"):
        rows = [(number, group, one) for number, group, _ in rows for one in _each(group, split, by)]
    shown = rows[:_MOST_ROWS]
    ends = [end for _, _, one in shown for end in (*one.values, *(one.around or ()))]
    low, high = min(ends), max(ends)
    margin = (high - low) * 0.04 or 0.01
    axis = (low - margin, high + margin)
    keys = list(dict.fromkeys(key for _, group, _ in rows for key in group.choice))
    heads = [say("study_run")] if question in ("seeds", "folds") else [_key(key, say) for key in keys]
    cells = [element("th", head, scope="col") for head in heads]
    cells += [
        element("th", _scale(axis), scope="col", cls="wide"),
        element("th", f"{say.score(by)} · {say(f'split_{split}')}", scope="col", cls="n"),
    ]
    cells += [element("th", say("study_time"), scope="col", cls="n")] if question == "search" else []
    body = []
    for place, (number, group, one) in enumerate(shown):
        best = number == record.chosen
        names = (
            [_link(group.runs[place])] if question in ("seeds", "folds") else [_value(group, key, say) for key in keys]
        )
        line = [element("th", names[0], scope="row", cls="keep")]
        line += [element("td", name) for name in names[1:]]
        line += [element("td", _strip(one, axis, best=best), cls="wide"), element("td", _plus_minus(one), cls="n")]
        line += [element("td", say.time(group.seconds), cls="n")] if question == "search" else []
        body.append(element("tr", *line, cls="sum" if best else None))
    table = element("table", element("thead", element("tr", *cells)), element("tbody", *body), cls="strips")
    hidden = element("p", say("study_hidden", n=len(rows) - _MOST_ROWS), cls="soft") if len(rows) > _MOST_ROWS else None
    return join((element("div", table, cls="scroll", tabindex="0"), hidden))


def _each(group: Group, split: str, by: str) -> list[Several]:
    several = group.figures[split][by]
    return [
        Several(mean=value, values=[value], intervals=[interval])
        for value, interval in zip(several.values, several.intervals, strict=True)
    ]


def _link(run: str) -> Html:
    return element("a", run.rpartition("/")[2], href=f"{run}/report.html")


def _key(key: str, say: Writer) -> object:
    return say("study_examples") if key == "share" else element("code", key)


def _value(group: Group, key: str, say: Writer) -> object:
    if key == "share" and group.n_examples is not None:
        text = f"{say.integer(group.n_examples)} ({say.percent(group.choice[key])})"
    else:
        text = _shown(group.choice.get(key))
    return element("a", text, href=f"{group.runs[0]}/report.html") if len(group.runs) == 1 else text


def _shown(value: Any) -> str:
    return (
        f"{value:g}"
        if isinstance(value, float)
        else value
        if isinstance(value, str)
        else json.dumps(value, ensure_ascii=False)
    )


def _choice(group: Group, say: Writer) -> str:
    if "share" in group.choice:
        return say("study_tip", n=say.integer(group.n_examples))
    return ", ".join(f"{key} = {_shown(value)}" for key, value in group.choice.items())


def _percent(value: float, axis: tuple[float, float]) -> str:
    return f"{100 * (value - axis[0]) / (axis[1] - axis[0]):.2f}%"


def _scale(axis: tuple[float, float]) -> Html:
    marks = [
        element("text", f"{value:g}", x=_percent(value, axis), y="1em", cls="mid") for value in ticks(*axis, about=4)
    ]
    return element("svg", *marks, style="height:1.2em", aria_hidden="true")


def _strip(several: Several, axis: tuple[float, float], *, best: bool) -> Html:
    """Dots for runs, a stroke for their mean, and a bar for how far they lie apart (or for the interval of one)."""
    middle = "50%"
    parts = [
        element("line", x1=_percent(value, axis), x2=_percent(value, axis), y1="0", y2="100%", cls="grid")
        for value in ticks(*axis, about=4)
    ]
    colour = "c-model" if best else "c-train"
    if (around := several.around) is not None:
        ends = [_percent(value, axis) for value in around]
        parts.append(
            element("line", x1=ends[0], x2=ends[1], y1=middle, y2=middle, cls=colour, stroke_width="2", opacity=".45")
        )
    if len(several.values) > 1:
        at = _percent(several.mean, axis)
        parts.append(element("line", x1=at, x2=at, y1="15%", y2="85%", cls=colour, stroke_width="3"))
    parts += [
        element("circle", element("title", f"{value:.4f}"), cx=_percent(value, axis), cy=middle, r="4", cls=colour)
        for value in several.values
    ]
    return element(
        "svg",
        *parts,
        style="height:1.5em",
        role="img",
        aria_label=_plus_minus(several),
    )


def _by_value(record: StudyRecord, by: str, say: Writer) -> Html | None:
    """For each key of the search its values: the best figure with each, and the mean over all others."""
    pick = min if record.lower_is_better else max
    parts = []
    for key, values in record.section.get("search", {}).items():
        rows = []
        for value in values:
            means = [
                group.figures["dev"][by].mean
                for group in record.groups
                if group.figures and group.choice.get(key) == value
            ]
            if means:
                rows.append([_shown(value), f"{pick(means):.3f}", f"{sum(means) / len(means):.3f}", len(means)])
        if len(rows) > 1:
            head = [key, say("study_best"), say("study_mean"), say("study_tried")]
            parts.append(element("div", number_table(head, rows), style="margin-bottom:1.4rem"))
    if not parts:
        return None
    return join((element("h3", say("study_by_value", score=say.score(by))), element("div", *parts, cls="two")))


# -- all figures ---------------------------------------------------------------------------------------------------


def _figures(record: StudyRecord, say: Writer) -> Html:
    best = _best(record)
    if best is None or not best.figures:
        return nothing(say)
    splits = [name for name in ("dev", "test") if name in best.figures]
    names = list(dict.fromkeys(name for split in splits for name in best.figures[split]))
    rows = [
        [
            say.score(name),
            *(_plus_minus(best.figures[split][name]) if name in best.figures[split] else "–" for split in splits),
        ]
        for name in names
    ]
    repeated = any(one.sd is not None for one in best.figures[splits[0]].values())
    note = say("study_sd_note", n=len(best.runs)) if repeated else say("interval_note")
    about: Sequence[Html] = [element("p", say("study_about", choice=_choice(best, say)))] if best.choice else []
    head = [say("score"), *(say(f"split_{split}") for split in splits)]
    return join((*about, number_table(head, rows), element("p", note, cls="soft below")))
