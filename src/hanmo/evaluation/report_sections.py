"""The report's sections on data, tokenizer, training and evaluation."""

from __future__ import annotations

import math
import re
from collections import Counter

from hanmo.evaluation.corpus_record import CorpusRecord
from hanmo.evaluation.markup import Html, element, join
from hanmo.evaluation.plots import Line, line_plot, share_bar, smooth
from hanmo.evaluation.report_blocks import facts, hbar, nothing, number_table, split_note
from hanmo.evaluation.report_writer import Writer
from hanmo.evaluation.run_files import Metrics, RunRecord, Segmentation

__all__ = [
    "corpus_section",
    "evaluation_section",
    "loss_curves",
    "skipped_section",
    "tokenizer_section",
    "training_section",
]


def _html_lang(code: str | None) -> str | None:
    """The tag that makes a browser choose the right glyphs for a language."""
    return {"zh": "zh-Hans", "en": "en"}.get(code or "")


def corpus_section(record: RunRecord, say: Writer) -> Html:
    """Documents read, dropped and kept, sizes of the splits, languages, what was skipped and why."""
    corpus = record.corpus
    if corpus is None:
        return nothing(say)
    return join(
        (
            _found(corpus, say),
            _fate(corpus, say),
            _sides(record, corpus, say),
            _languages(corpus, say),
            skipped_section(corpus, say),
        )
    )


def _found(corpus: CorpusRecord, say: Writer) -> Html | None:
    encodings = sorted(corpus.encodings.items(), key=lambda item: (-item[1], item[0]))
    files = None
    if corpus.files_found is not None and corpus.files_read is not None:
        files = say("files_text", found=say.integer(corpus.files_found), read=say.integer(corpus.files_read))
    repaired = say("repaired_text", n=say.integer(corpus.mojibake_lines)) if corpus.mojibake_lines else None
    redacted = ", ".join(f"{say.redacted_kind(kind)} {say.integer(n)}" for kind, n in corpus.redacted.items())
    return facts(
        [
            (say("corpus_from"), element("code", corpus.source) if corpus.source else None),
            (say("files"), files),
            (say("encodings"), ", ".join(f"{name} {say.integer(n)}" for name, n in encodings)),
            (say("repaired"), repaired),
            (say("redacted"), redacted),
        ]
    )


def _fate(corpus: CorpusRecord, say: Writer) -> Html | None:
    amounts = {
        "train": (corpus.train.documents if corpus.train else None, "c-train"),
        "heldout": (corpus.heldout.documents if corpus.heldout else None, "c-model"),
        "exact": (corpus.exact_duplicates, "c-lr"),
        "near": (corpus.near_duplicates, "c-speed"),
        "dropped": (sum(corpus.dropped.values()), "c-grey"),
    }
    known = [(say(f"fate_{name}"), n, say.integer(n), cls) for name, (n, cls) in amounts.items() if n is not None]
    whole = corpus.documents_read if corpus.documents_read is not None else sum(n for _, n, _, _ in known)
    title = say("corpus_fate", n=say.integer(whole))
    bar = share_bar(known, label=title)
    return join((element("h3", title), bar)) if bar else None


def _sides(record: RunRecord, corpus: CorpusRecord, say: Writer) -> Html | None:
    rows: list[list[object]] = []
    sums = [0.0, 0.0, 0.0, 0.0]
    for name, side in corpus.sides().items():
        shards = record.run.shards.get(name)
        values = [side.documents, side.characters, side.bytes, shards.n_tokens if shards else None]
        sums = [total + (math.nan if value is None else value) for total, value in zip(sums, values, strict=True)]
        rows.append([say(name), *(say.integer(value) for value in values)])
    if not rows:
        return None
    rows.append([say("total"), *(say.integer(value) for value in sums)])
    head = [say(name) for name in ("split", "documents", "characters", "bytes", "tokens")]
    hashes = [
        element("p", f"{say(name)} SHA-256 {side.sha256}", cls="hash")
        for name, side in corpus.sides().items()
        if side.sha256
    ]
    note = element("p", split_note(corpus, say), cls="soft")
    return join((number_table(head, rows, last_is_sum=True), element("div", note, *hashes, cls="below")))


def _languages(corpus: CorpusRecord, say: Writer) -> Html | None:
    rows = [
        [
            say.language_name(code),
            *(say.integer(value) for value in (amount.documents, amount.characters, amount.bytes)),
        ]
        for code, amount in corpus.languages().items()
    ]
    head = [say(name) for name in ("language", "documents", "characters", "bytes")]
    return join((element("h3", say("languages")), number_table(head, rows))) if rows else None


_MOST_REASONS = 12
_MOST_LISTED = 300


def skipped_section(corpus: CorpusRecord, say: Writer) -> Html:
    """What was skipped or dropped and why, with a list by name."""
    kinds = (("files", corpus.files_skipped), ("rows", corpus.rows_skipped), ("documents", corpus.dropped))
    counts: Counter[tuple[str, str]] = Counter()
    for kind, reasons in kinds:
        for reason, n in reasons.items():
            counts[say(kind), re.sub(r" \(.*\)$", "", reason)] += n  # details stand in the list
    if not counts:
        return element("p", say("nothing_skipped"), cls="soft")
    lost = sorted(((kind, reason, n) for (kind, reason), n in counts.items()), key=lambda item: (-item[2], item[1]))
    rows: list[list[object]] = [[say.reason(reason), kind, say.integer(n)] for kind, reason, n in lost[:_MOST_REASONS]]
    if rest := sum(n for _, _, n in lost[_MOST_REASONS:]):
        rows.append([say("other_reasons"), "", say.integer(rest)])
    parts = [element("h3", say("skipped_why")), number_table([say("reason"), say("what"), say("count")], rows)]
    if corpus.listed:
        shown = corpus.listed[:_MOST_LISTED]
        lines = "\n".join(f"{item.source}\t{say.reason(item.reason)}" for item in shown)
        summary = element("summary", say("skipped_list", n=say.integer(len(shown))))
        parts.append(element("details", summary, element("pre", lines, tabindex="0")))
    return join(parts)


def tokenizer_section(record: RunRecord, say: Writer) -> Html:
    """Size, characters per token by language, and texts cut into coloured tokens."""
    tokenizer = record.run.tokenizer
    if tokenizer is None:
        return nothing(say)
    parts: list[Html] = []
    if tokenizer.vocab_size is not None:
        lead = say(
            "tokenizer_lead", kind=say.tokenizer_kind(tokenizer.kind or "BPE"), n=say.integer(tokenizer.vocab_size)
        )
        parts.append(element("p", lead))
    rates = {code: rate for code, rate in tokenizer.characters_per_token.items() if math.isfinite(rate)}
    if rates:
        top = max(rates.values()) or 1.0
        rows = [
            element(
                "tr",
                element("th", say.language_name(code), scope="row"),
                element("td", hbar(rate / top), cls="wide"),
                element("td", say.number(rate), cls="n"),
                cls="lean",
            )
            for code, rate in sorted(rates.items(), key=lambda item: -item[1])
        ]
        parts += [element("h3", say("characters_per_token")), element("table", element("tbody", *rows), cls="bits")]
    if tokenizer.examples:
        parts.append(element("h3", say("segmentation")))
        parts += [_chips(example, say) for example in tokenizer.examples]
        parts.append(element("p", say("segmentation_note"), cls="chipnote"))
    if tokenizer.sha256:
        parts.append(element("p", f"tokenizer.json SHA-256 {tokenizer.sha256}", cls="hash"))
    return join(parts) or nothing(say)


_MARKS = {" ": "·", "\n": "↵", "\t": "⇥", "\u3000": "□"}


def _chip(token: str) -> Html:
    if re.fullmatch(r"<[0-9A-F]{2}( [0-9A-F]{2})*>", token):
        return element("span", token, cls="byte")
    pieces = re.split(r"([ \n\t\u3000])", token)
    chip = element("span", *(element("em", _MARKS[piece]) if piece in _MARKS else piece for piece in pieces if piece))
    return join((chip, element("br"))) if "\n" in token else chip


def _chips(example: Segmentation, say: Writer) -> Html:
    note = say("tokens_in_text", tokens=say.integer(len(example.tokens)), characters=say.integer(len(example.text)))
    return join(
        (
            element("p", join(_chip(token) for token in example.tokens), cls="chips", lang=_html_lang(example.lang)),
            element("p", f"{say.language_name(example.lang or '')} · {note}", cls="chipnote"),
        )
    )


def training_section(record: RunRecord, say: Writer) -> Html:
    """How long and why it stopped, and the curves."""
    training = record.run.training
    parts: list[Html] = []
    if training is not None and training.n_steps is not None:
        steps, tokens = say.integer(training.n_steps), say.amount(training.tokens)
        text = say("training_lead", steps=steps, tokens=tokens, time=say.time(training.seconds))
        if training.stopped_by:
            key = f"stopped_{training.stopped_by}"
            text += (" " if say.lang == "en" else "") + (
                say(key) if say.known(key) else say("stopped_other", by=training.stopped_by)
            )
        parts.append(element("p", text))
    curves = loss_curves(record.metrics, say)
    if curves:
        parts.append(curves)
    return join(parts) or nothing(say)


_FEW = 20
"""Up to so many points are drawn as they are; more are smoothed."""


def loss_curves(metrics: Metrics, say: Writer, *, speed_title: str = "speed") -> Html:
    """Loss, speed and learning rate over the steps; `speed_title` names what is counted."""

    def head(x: float) -> str:
        return say("tip_step", step=say.integer(x))

    def measured(name: str, points: list[tuple[int, float]], cls: str) -> list[Line]:
        if len(points) <= _FEW:
            return [Line(name=name, points=points, cls=cls)]
        raw = Line(name=say("each_step"), points=points, cls=cls, faint=True)
        return [raw, Line(name=name, points=smooth(points, len(points) // 40), cls=cls)]

    heldout = Line(name=say("loss_heldout"), points=metrics.heldout_loss, cls="c-model", dots=True)
    lines = [*measured(say("loss_training"), metrics.loss, "c-train"), heldout]
    loss = line_plot(
        lines,
        title=say("loss"),
        x_label=say("step"),
        x_text=say.integer,
        y_text=_tick,
        value_text=say.number,
        tip_head=head,
    )
    speed_name = say("speed_smooth") if len(metrics.tokens_per_s) > _FEW else say("each_step")
    speed = line_plot(
        measured(speed_name, metrics.tokens_per_s, "c-speed"),
        title=say(speed_title), x_label=say("step"), x_text=say.integer, y_text=_tick_short, value_text=say.integer,
        tip_head=head, from_zero=True, size="low",
    )  # fmt: skip
    lr = line_plot(
        [Line(name=say("lr_last"), points=metrics.lr, cls="c-lr")],
        title=say("lr"), x_label=say("step"), x_text=say.integer, y_text=_tick_tiny, value_text=say.number,
        tip_head=head, from_zero=True, size="low",
    )  # fmt: skip
    return join((loss, element("div", element("div", speed), element("div", lr), cls="two") if speed or lr else None))


def _tick(value: float) -> str:
    return f"{value:g}"


def _tick_short(value: float) -> str:
    return f"{value / 1e6:g} M" if value >= 1e6 else f"{value / 1e3:g} k" if value >= 1e3 else f"{value:,g}"


def _tick_tiny(value: float) -> str:
    if value == 0 or value >= 0.01:
        return f"{value:g}"
    mantissa, exponent = f"{value:.2e}".split("e")
    return f"{float(mantissa):g}e{int(exponent)}"


def evaluation_section(record: RunRecord, say: Writer) -> Html:
    """Bits per byte of the model beside compressors and models that count, as a table with bars."""
    evaluation = record.evaluation
    if evaluation is None:
        return nothing(say)
    heldout, baselines = evaluation.heldout, evaluation.baselines
    rows = [(say("this_model"), heldout.bits_per_byte, True)]
    names = {"xz": "xz -9", "gzip": "gzip -9", "order0": say("order0"), "checkpoint": say("checkpoint")}
    rows += [(names.get(key, key), value, False) for key, value in baselines.items()]
    if ngram := evaluation.ngram:
        rows.append((say("ngram", order=say.integer(ngram.order)), ngram.bits_per_byte, False))
    ranked = sorted(
        [(name, value, ours) for name, value, ours in rows if value is not None and math.isfinite(value)],
        key=lambda row: row[1],
    )
    parts: list[Html] = []
    if ranked:
        top, xz = ranked[-1][1] or 1.0, baselines.get("xz")
        body = [
            element(
                "tr",
                element("th", name, scope="row"),
                element("td", hbar(value / top), cls="wide"),
                element("td", say.number(value), cls="n"),
                element("td", _difference(value, xz, say), cls="n"),
                cls="ours" if ours else None,
            )
            for name, value, ours in ranked
        ]
        heads = [element("th", say("coder"), scope="col"), element("th", aria_hidden="true")]
        heads += [element("th", say(key), scope="col", cls="n") for key in ("bits_per_byte", "against_xz")]
        table = element("table", element("thead", element("tr", *heads)), element("tbody", *body), cls="bits")
        if heldout.bytes is not None:
            parts.append(element("p", say("evaluation_lead", bytes=say.size(heldout.bytes))))
        parts += [element("div", table, cls="scroll", tabindex="0"), element("p", say("eval_note"), cls="chipnote")]
        if (note := _ngram_note(record, say)) is not None:
            parts.append(note)
    figures = facts(
        [
            (say("eval_loss"), None if heldout.loss is None else say.number(heldout.loss, 4)),
            (say("eval_perplexity"), None if heldout.perplexity is None else say.number(heldout.perplexity, 4)),
            (say("eval_tokens"), None if heldout.tokens is None else say.integer(heldout.tokens)),
            (say("eval_window"), None if heldout.stride is None else f"{heldout.window} / {heldout.stride}"),
        ]
    )
    if figures is not None:
        parts.append(figures)
    return join(parts) or nothing(say)


def _ngram_note(record: RunRecord, say: Writer) -> Html | None:
    """What the n-gram model counted, and how long that took."""
    ngram = record.evaluation.ngram if record.evaluation else None
    if ngram is None or ngram.tokens is None:
        return None
    share = ngram.share if ngram.share is not None else 1.0
    text = say("ngram_note", order=say.integer(ngram.order), tokens=say.amount(ngram.tokens))
    text += say("ngram_share", share=say.percent(share)) if share < 1 else say("ngram_all")
    seconds = [stage.seconds for stage in record.run.stages if stage.name == "ngram"]
    text += say("ngram_time", time=say.time(seconds[-1])) if seconds else say("ngram_no_time")
    return element("p", text, cls="chipnote")


def _difference(value: float, xz: float | None, say: Writer) -> str:
    if not xz or not math.isfinite(xz):
        return "–"
    share = value / xz - 1
    return "" if abs(share) < 5e-4 else ("+" if share > 0 else "−") + say.percent(abs(share))
