"""The report's head and foot: headline, cards, status, recipe, machine, commands, provenance."""

from __future__ import annotations

import math
import shlex
from typing import Any

from hanmo.evaluation.markup import Html, element, join
from hanmo.evaluation.plots import share_bar
from hanmo.evaluation.report_blocks import NAMES, code, facts, nothing, stopped_early
from hanmo.evaluation.report_writer import Writer
from hanmo.evaluation.run_files import RunRecord

__all__ = ["footer", "headline", "machine_section", "next_section", "recipe_section", "stat_card"]


def headline(record: RunRecord, say: Writer) -> Html:
    """One sentence on what was trained and what it is worth, the status if not all is well, and the key figures."""
    return join((_banner(record, say), element("p", _lead(record, say), cls="lead"), _cards(record, say)))


def _banner(record: RunRecord, say: Writer) -> Html | None:
    run = record.run
    key = stopped_early(run.status)
    if key is None:
        return None
    parts: list[Html] = [element("p", say(key, status=run.status))]
    if run.error:
        parts.append(element("p", element("code", run.error)))
    if run.command and run.status != "running":
        command = run.command if "--out" in run.command else f"{run.command} --out {shlex.quote(str(record.path))}"
        command = command if "--resume" in command else f"{command} --resume"
        parts.append(element("p", say("resume_with"), element("code", command)))
    return element("div", *parts, cls=f"banner{' failed' if run.status == 'failed' else ''}", role="status")


def _lead(record: RunRecord, say: Writer) -> str:
    run = record.run
    if run.model is not None and run.model.family and run.model.parameters:
        family = NAMES.get(run.model.family, run.model.family)
        parameters = say.amount(run.model.parameters)
        article = "An" if family[:1].upper() in "AEIOU" else "A"
        text = say("lead_model", article=article, family=family, parameters=parameters)
    else:
        text = say("lead_model_plain")
    if run.training is not None and run.training.seconds is not None:
        place, time = _device_name(record, say), say.time(run.training.seconds)
        train = record.corpus.train if record.corpus else None
        if train is not None and train.documents is not None:
            trained = say("lead_trained", time=time, device=place, documents=say.integer(train.documents))
        else:
            trained = say("lead_trained_plain", time=time, device=place)
        text += (", " if say.lang == "en" else "，") + trained
    text += "." if say.lang == "en" else "。"
    bpb, xz = _bits(record)
    if bpb is not None:
        if xz is not None:
            key = "lead_better" if bpb < xz else "lead_worse"
            sentence = say(key, bpb=say.number(bpb), percent=say.percent(abs(1 - bpb / xz)))
        else:
            sentence = say("lead_alone", bpb=say.number(bpb))
        text += (" " if say.lang == "en" else "") + sentence
    return text


def _bits(record: RunRecord) -> tuple[float | None, float | None]:
    if record.evaluation is None:
        return None, None
    values = record.evaluation.heldout.bits_per_byte, record.evaluation.baselines.get("xz")
    bpb, xz = (value if value is not None and math.isfinite(value) and value > 0 else None for value in values)
    return bpb, xz


def _device_name(record: RunRecord, say: Writer) -> str:
    device = record.run.device or ""
    cores = record.run.machine.get("cores")
    if (not device or device.startswith("cpu")) and isinstance(cores, int):
        return (f"{cores} CPU core{'s' if cores != 1 else ''}") if say.lang == "en" else f"{cores} 核 CPU"
    return device.upper() if device == "cpu" else device or "CPU"


def _cards(record: RunRecord, say: Writer) -> Html | None:
    run, cards = record.run, []
    bpb, xz = _bits(record)
    if bpb is not None:
        note = say("card_bpb_note", xz=say.number(xz)) if xz is not None else None
        cards.append(stat_card(say("card_bpb"), say.number(bpb), note, main=True))
    training = run.training
    if training is not None and training.tokens is not None:
        speed, note = say.integer(training.tokens_per_s), None
        if training.tokens_per_s is not None and training.epochs is not None:
            note = say("card_epochs_note", speed=speed, epochs=say.number(training.epochs, 2))
        elif training.tokens_per_s is not None:
            note = say("card_tokens_note", speed=speed)
        cards.append(stat_card(say("card_tokens"), say.amount(training.tokens), note))
    if training is not None and training.seconds is not None:
        note = say("card_time_note", total=say.time(run.seconds)) if run.seconds is not None else None
        cards.append(stat_card(say("card_time"), say.time(training.seconds), note))
    if run.energy is not None and run.energy.kwh is not None:
        note = say("card_energy_measured" if run.energy.is_measured() else "card_energy_estimated")
        cards.append(stat_card(say("card_energy"), say.energy(run.energy.kwh), note))
    return element("dl", *cards, cls="cards") if cards else None


def stat_card(name: str, value: str, note: str | None, *, main: bool = False) -> Html:
    """A figure with its name above and a note below; `main` is the one that matters most."""
    below = element("dd", note, cls="note") if note else None
    return element("div", element("dt", name), element("dd", value.strip()), below, cls="card main" if main else "card")


def recipe_section(record: RunRecord, say: Writer) -> Html:
    """The command and every setting, as TOML."""
    run = record.run
    parts: list[Html] = []
    if run.command:
        parts += [element("h3", say("command")), code(run.command)]
    if run.recipe_toml:
        parts += [element("p", say("recipe_lead"), cls="soft"), code(run.recipe_toml.strip())]
    if run.seed is not None:
        parts.append(element("p", say("seed", seed=run.seed), cls="soft"))
    return join(parts) or nothing(say)


_STAGE_COLOURS = {
    "corpus": "c-grey",
    "tokenizer": "c-lr",
    "encode": "c-speed",
    "train": "c-train",
    "evaluate": "c-model",
    "samples": "c-plum",
}


def machine_section(record: RunRecord, say: Writer) -> Html:
    """Where the time went, energy and how it was found, hardware, model, versions."""
    run = record.run
    parts: list[Html | None] = []
    stages = [stage for stage in run.stages if math.isfinite(stage.seconds) and stage.seconds > 0]
    if stages:
        names = [say(f"stage_{stage.name}") if say.known(f"stage_{stage.name}") else stage.name for stage in stages]
        shares = [
            (name, stage.seconds, say.time(stage.seconds), _STAGE_COLOURS.get(stage.name, "c-hair"))
            for name, stage in zip(names, stages, strict=True)
        ]
        title = say("where_time", time=say.time(sum(stage.seconds for stage in stages)))
        parts += [element("h3", title), share_bar(shares, label=title)]
    parts.append(_energy(record, say))
    hardware = [(_label(key, say), _value(key, value, say)) for key, value in run.machine.items()]
    hardware += [(say("device"), run.device), (say("precision"), run.precision)]
    hardware += [(say("compiled"), say("yes" if run.compiled else "no"))] if run.compiled is not None else []
    model: list[tuple[str, object | None]] = []
    if run.model is not None:
        model = [(say("family"), run.model.family)] if run.model.family else []
        model += [(say("parameters"), say.integer(run.model.parameters))] if run.model.parameters is not None else []
        model += [(element("code", key), _value(key, value, say)) for key, value in run.model.config.items()]
    columns = [
        element("div", element("h3", say(name)), listed)
        for name, listed in (
            ("hardware", facts(hardware)),
            ("versions", facts(run.versions.items())),
            ("model", facts(model)),
        )
        if listed is not None
    ]
    parts.append(element("div", *columns, cls="two") if columns else None)
    return join(parts) or nothing(say)


def _label(key: str, say: Writer) -> str:
    return say(key) if say.known(key) else key


def _value(key: str, value: Any, say: Writer) -> str | None:
    match value:
        case None:
            return None
        case bool():
            return say("yes" if value else "no")
        case int() if key.endswith("_bytes"):
            return say.size(value) if value > 0 else None
        case int() if value >= 10_000:
            return say.integer(value)
        case list() | tuple():
            return ", ".join(str(item) for item in value) or None
        case _:
            return str(value)


def _energy(record: RunRecord, say: Writer) -> Html | None:
    energy = record.run.energy
    if energy is None or energy.kwh is None:
        return None
    method = say.method(energy.method) if energy.method else say("method_unknown")
    measured = "energy_measured" if energy.is_measured() else "energy_estimated"
    text = say(measured, energy=say.energy(energy.kwh), method=method)
    if energy.co2_kg is not None and energy.factor is not None:
        text += (" " if say.lang == "en" else "") + say(
            "energy_co2", factor=say.number(energy.factor), co2=say.mass(energy.co2_kg)
        )
    return join((element("h3", say("energy")), element("p", text)))


def next_section(record: RunRecord, say: Writer) -> Html:
    """Commands and code that start from this run."""
    folder = str(record.path)
    place = f"{folder}/{record.model_folder}"
    model = shlex.quote(place)
    prompt = record.samples[0].prompt.strip() if record.samples else ""
    prompt = prompt if prompt and "\n" not in prompt else say("next_prompt")
    quoted = shlex.quote(prompt)
    own = "hanmo quickstart --corpus my_folder"
    python = f"import hanmo\n\nmodel = hanmo.load({place!r})\nprint(model.generate({prompt!r}, max_new_tokens=60))"
    transformers = (
        "from transformers import AutoModelForCausalLM, AutoTokenizer\n\n"
        f"model = AutoModelForCausalLM.from_pretrained({place!r})\n"
        f"tokenizer = AutoTokenizer.from_pretrained({place!r})"
    )
    entries = [
        ("next_generate", f"hanmo generate {model} {quoted}"),
        ("next_chat", f"hanmo chat {model}"),
        ("next_own", own),
        ("next_longer", f"{own} --minutes 20"),
        ("next_python", python),
        ("next_transformers", transformers),
    ]
    return element("div", *(element("div", element("p", say(key)), code(text)) for key, text in entries), cls="next")


def footer(record: RunRecord, say: Writer) -> Html:
    """Hashes of what was read and written, when, and by what."""
    run = record.run
    parts: list[Html | None] = []
    if run.hashes:
        rows = [(name, element("span", digest, cls="hash")) for name, digest in run.hashes.items()]
        parts += [element("p", say("provenance_lead")), facts(rows)]
    dates = " – ".join(part for part in (run.created, run.finished) if part)
    parts.append(element("p", f"{record.name} · {dates}", style="margin-top:1.4rem") if dates else None)
    parts.append(element("p", say("footer", version=run.versions.get("hanmo", "")).replace("  ", " ")))
    return join(parts)
