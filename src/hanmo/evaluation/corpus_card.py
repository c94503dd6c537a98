"""card.html of a corpus: what came in, what each step took out and why, and what is in it, with examples to judge by."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hanmo.core.errors import ConfigError, DataError, FormatError
from hanmo.core.files import read_json, write_text
from hanmo.core.toml import to_toml
from hanmo.evaluation.corpus_record import CorpusRecord, Shown
from hanmo.evaluation.markup import Html, element, join
from hanmo.evaluation.plots import bar_plot
from hanmo.evaluation.report_about import stat_card
from hanmo.evaluation.report_blocks import code, facts, hbar, nothing, number_table, split_note
from hanmo.evaluation.report_page import page
from hanmo.evaluation.report_sections import skipped_section
from hanmo.evaluation.report_writer import Language, Writer

__all__ = ["corpus_page", "read_corpus", "write_corpus_card"]

_COLOURS = {"zh": "c-model", "en": "c-train", "code": "c-speed", "other": "c-lr"}
_DUPLICATES = ("exact duplicate", "near-duplicate")


def write_corpus_card(
    folder: str | Path, *, title: str | None = None, lang: Language = "en", version: str = ""
) -> Path:
    """Read the corpus.json of a folder and write its card.html.

    Raises:
        DataError: if there is no corpus in the folder.
        FormatError: if corpus.json is damaged.
        StorageError: if the page cannot be written.
    """
    target = Path(folder) / "card.html"
    record = read_corpus(folder)
    write_text(target, corpus_page(record, title=title or Path(folder).resolve().name, lang=lang, version=version))
    return target


def read_corpus(folder: str | Path) -> CorpusRecord:
    """Read corpus.json.

    Raises:
        DataError: if there is none.
        FormatError: if it is damaged.
    """
    path = Path(folder) / "corpus.json"
    if not path.is_file():
        raise DataError(
            "there is no corpus in this folder (no corpus.json)", where=folder, remedy="Build one: hanmo corpus build."
        )
    try:
        return CorpusRecord.model_validate(read_json(path))
    except ValueError as error:
        raise FormatError(f"no corpus.json of a corpus ({error})", where=path) from error


def corpus_page(record: CorpusRecord, *, title: str, lang: Language = "en", version: str = "") -> str:
    """The card as HTML.

    Raises:
        ConfigError: for a language other than "en" and "zh".
    """
    if lang not in ("en", "zh"):
        raise ConfigError(f"there is no card in {lang!r}", where="--lang", remedy="Choose en or zh.")
    say = Writer(lang)
    sections = [
        ("sources", say("data_sources"), _sources(record, say)),
        ("steps", say("data_steps"), _steps(record, say)),
        ("removed", say("data_removed"), _removed(record, say)),
        ("amounts", say("data_amounts"), _amounts(record, say)),
        ("samples", say("data_samples"), _samples(record, say)),
        ("files", say("data_output"), _files(record, say)),
        ("recipe", say("data_recipe"), _recipe(record, say)),
    ]
    return page(
        lang="zh-Hans" if lang == "zh" else "en",
        title=title,
        kind=say("kind_card"),
        contents=say("contents"),
        sections=sections,
        head=_head(record, say),
        foot=element("p", say("data_footer", version=version)),
    )


def _recipe(record: CorpusRecord, say: Writer) -> Html:
    if not record.settings:
        return nothing(say)
    took = element("p", say("data_time", time=say.time(record.seconds)), cls="soft")
    return join((code(to_toml(_plain(record.settings))), took))


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """Settings without what is not set, which TOML cannot say."""
    return {
        key: _plain(value) if isinstance(value, dict) else value for key, value in values.items() if value is not None
    }


def _characters_kept(record: CorpusRecord) -> int:
    return sum(side.characters or 0 for side in record.sides().values())


def _head(record: CorpusRecord, say: Writer) -> Html:
    kept, characters, read = record.documents_kept or 0, _characters_kept(record), record.documents_read or 0
    heldout = (record.heldout.characters or 0) if record.heldout else 0
    share = say.percent(characters / record.characters_read) if record.characters_read else "–"
    lead = say("data_lead", documents=say.integer(kept), characters=say.amount(characters), share=share)
    cards = [
        stat_card(say("data_documents_kept"), say.integer(kept), None, main=True),
        stat_card(say("data_characters"), say.amount(characters).strip(), None),
        stat_card(say("data_removed_share"), say.percent(1 - kept / read) if read else "–", None),
        stat_card(say("data_heldout"), say.percent(heldout / characters) if characters else "–", None),
    ]
    return join((element("p", lead, cls="lead"), element("dl", *cards, cls="cards")))


def _sources(record: CorpusRecord, say: Writer) -> Html:
    if not record.sources:
        return nothing(say)
    head = [
        say(name) for name in ("data_source", "files", "data_size", "data_read", "data_kept", "data_characters_kept")
    ]
    rows: list[list[object]] = []
    for source in record.sources:
        amounts = (source.files, source.documents_read, source.documents_kept, source.characters_kept)
        files, read, kept, characters = (say.integer(n) for n in amounts)
        rows.append([source.name or source.path, files, say.size(source.bytes), read, kept, characters])
    terms = [
        (
            source.name or source.path,
            join(
                (
                    source.licence or say("data_licence_none"),
                    element("div", source.note, cls="soft") if source.note else None,
                    element("div", element("code", source.path), cls="soft"),
                    element("div", f"SHA-256 {source.sha256}", cls="hash"),
                )
            ),
        )
        for source in record.sources
    ]
    found = facts([(say("encodings"), _counts(record.encodings, say))])
    summary = element("summary", say("data_terms"))
    details = element("details", summary, facts(terms), element("p", say("data_inputs"), cls="soft"))
    return join((number_table(head, rows), element("div", found, cls="below"), details))


def _counts(counts: dict[str, int], say: Writer) -> str:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return (", " if say.lang == "en" else "、").join(f"{name} {say.integer(n)}" for name, n in ordered)


def _steps(record: CorpusRecord, say: Writer) -> Html:
    read, characters = record.documents_read or 0, record.characters_read or 0
    removed = dict(record.dropped)
    removed |= {"exact duplicate": record.exact_duplicates or 0, "near-duplicate": record.near_duplicates or 0}
    gone = record.removed_characters
    kept = _characters_kept(record)
    edited = record.edited_characters
    edits = characters - kept - sum(gone.values()) - sum(edited.values())
    rows: list[tuple[str, int | None, int, str]] = [(say("data_step_read"), read, characters, "c-grey")]
    rows += [(say.reason(name), n, gone.get(name, 0), "c-lr") for name, n in removed.items() if n]
    rows += [(say(f"data_edit_{name.split()[0]}"), record.edits.get(name), n, "c-lr") for name, n in edited.items()]
    rows.append((say("data_step_edits"), None, edits, "c-plum"))
    rows.append((say("data_step_kept"), record.documents_kept, kept, "c-model"))
    head = [
        element("th", say("data_step"), scope="col"),
        *(element("th", say(name), scope="col", cls="n") for name in ("documents", "data_characters")),
        element("th", say("data_share"), scope="col"),
    ]
    body = [
        element(
            "tr",
            element("th", name, scope="row"),
            element("td", "" if n is None else say.integer(n), cls="n"),
            element("td", say.integer(chars), cls="n"),
            element("td", hbar(abs(chars) / characters) if characters else "", cls="wide"),
            cls="ours" if cls == "c-model" else "lean" if cls == "c-lr" else None,
        )
        for name, n, chars, cls in rows
    ]
    table = element("table", element("thead", element("tr", *head)), element("tbody", *body))
    redacted = {say.redacted_kind(kind): n for kind, n in record.redacted.items()}
    lines = {say.reason(reason): n for reason, n in record.removed_lines.items()}
    more = facts(
        [
            (
                say("repaired"),
                say("repaired_text", n=say.integer(record.mojibake_lines)) if record.mojibake_lines else None,
            ),
            (say("redacted"), _counts(redacted, say)),
            (say("data_lines"), _counts(lines, say)),
            (say("data_contaminated"), _counts(record.evaluation_texts, say)),
        ]
    )
    return join(
        (
            element("div", table, cls="scroll", tabindex="0"),
            element("div", more, cls="below") if more else None,
            skipped_section(record.model_copy(update={"dropped": {}}), say),
        )
    )


def _shown(examples: Iterable[Shown], say: Writer, *, reason: str = "") -> Html:
    blocks = []
    for example in examples:
        is_near = reason == "near-duplicate"
        note = f" · {say('data_near', id=example.note) if is_near else example.note}" if example.note else ""
        meta = f"{example.id} · {say('data_of_characters', n=say.integer(example.characters))}{note}"
        cut = "…" if example.characters > len(example.text) else ""
        blocks.append(
            element("div", element("p", meta, cls="meta"), element("p", example.text + cut, cls="text"), cls="sample")
        )
    return join(blocks)


def _removed(record: CorpusRecord, say: Writer) -> Html:
    if not record.examples:
        return element("p", say("nothing_skipped"), cls="soft")
    groups = [
        element(
            "details",
            element("summary", f"{say.reason(reason)} · {len(examples)}"),
            _shown(examples, say, reason=reason),
        )
        for reason, examples in sorted(record.examples.items(), key=lambda item: (item[0] in _DUPLICATES, item[0]))
    ]
    return join((element("p", say("data_examples_lead")), *groups))


def _amounts(record: CorpusRecord, say: Writer) -> Html:
    rows: list[list[object]] = [
        [
            say.language_name(code),
            *(say.integer(value) for value in (amount.documents, amount.characters, amount.bytes)),
        ]
        for code, amount in record.languages().items()
    ]
    head = [say(name) for name in ("language", "documents", "characters", "bytes")]
    bins = sorted({bound for found in record.lengths.values() for bound in found})
    spread: list[int] = []
    if bins:
        bound = bins[0]
        while bound <= bins[-1]:
            spread.append(bound)
            bound *= 2
    languages = sorted(record.lengths, key=lambda lang: -sum(record.lengths[lang].values()))
    series = [
        (
            say.language_name(lang),
            _COLOURS.get(lang, "c-grey"),
            [record.lengths[lang].get(bound, 0) for bound in spread],
        )
        for lang in languages
    ]
    plot = bar_plot(
        [_power(bound) for bound in spread], series, title=say("data_lengths"), x_label=say("data_lengths_x"),
        value_text=say.integer,
    )  # fmt: skip
    return join((number_table(head, rows), plot))


def _power(bound: int) -> str:
    """512, 4k, 1M."""
    for unit, name in ((2**20, "M"), (2**10, "k")):
        if bound >= unit:
            return f"{bound // unit}{name}"
    return str(bound)


def _samples(record: CorpusRecord, say: Writer) -> Html:
    if not record.samples:
        return nothing(say)
    groups = [
        element("details", element("summary", name), _shown(examples, say), open=place == 0)
        for place, (name, examples) in enumerate(record.samples.items())
    ]
    return join((element("p", say("data_samples_lead")), *groups))


def _files(record: CorpusRecord, say: Writer) -> Html:
    rows: list[list[object]] = [
        [say(name), *(say.integer(value) for value in (side.documents, side.characters, side.bytes))]
        for name, side in record.sides().items()
    ]
    head = [say(name) for name in ("split", "documents", "characters", "bytes")]
    hashes = [
        element("p", f"{name}.jsonl.gz SHA-256 {side.sha256}", cls="hash")
        for name, side in record.sides().items()
        if side.sha256
    ]
    note = element("p", split_note(record, say), cls="soft")
    return join((number_table(head, rows), element("div", note, *hashes, cls="below")))
