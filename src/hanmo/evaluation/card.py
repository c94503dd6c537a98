"""The model card: README.md of a model directory, as Hugging Face reads it, English with a Chinese section."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from pathlib import Path

from hanmo.core.files import write_text
from hanmo.evaluation.markup import printable
from hanmo.evaluation.report_blocks import NAMES, split_note
from hanmo.evaluation.report_writer import Writer
from hanmo.evaluation.run_files import RunRecord

__all__ = ["model_card", "write_model_card"]

_CODES = re.compile(r"[a-z]{2,3}")


def _quoted(value: str) -> str:
    """A YAML double-quoted scalar on one line."""
    return json.dumps(re.sub(r"[\x85\u2028\u2029\n\t]", " ", printable(value)), ensure_ascii=False)


def _inline(value: str) -> str:
    """Untrusted text in a Markdown line: no line breaks, markup characters escaped."""
    return re.sub(r"([\\`*_\[\]<>#|])", r"\\\1", re.sub(r"\s+", " ", printable(value)))


def _languages(record: RunRecord) -> list[str]:
    found = record.corpus.languages() if record.corpus else {}
    return [code for code in found if _CODES.fullmatch(code) and code not in {"und", "py"}]


def _front_matter(record: RunRecord, license: str) -> str:
    family = record.run.model.family if record.run.model else None
    lines = ["---"]
    if languages := _languages(record):
        lines += ["language:", *(f"- {code}" for code in languages)]
    lines += [f"license: {_quoted(license)}", "library_name: hanmo", "pipeline_tag: text-generation"]
    lines += [f"base_model: {_quoted(record.checkpoint)}"] if record.checkpoint else []
    lines += ["tags:"]
    lines += [f"- {_quoted(tag)}" for tag in ("hanmo", "causal-lm", *([family] if family else []))]
    values = {"bits_per_byte": "Bits per byte", "perplexity": "Perplexity per token", "loss": "Loss (nats per token)"}
    heldout = record.evaluation.heldout if record.evaluation else None
    metrics = [(kind, name, getattr(heldout, kind, None)) for kind, name in values.items()]
    metrics = [(kind, name, value) for kind, name, value in metrics if value is not None and math.isfinite(value)]
    if metrics:
        lines += ["model-index:", f"- name: {_quoted(record.name)}", "  results:"]
        lines += ["  - task:", "      type: text-generation", "      name: Language modelling", "    dataset:"]
        lines += [
            f"      name: {_quoted(f'held-out documents of {record.name}')}",
            "      type: private",
            "      split: heldout",
        ]
        lines += ["    metrics:"]
        for kind, name, value in metrics:
            lines += [f"    - type: {kind}", f"      name: {name}", f"      value: {value:.6g}"]
    return "\n".join([*lines, "---"])


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---", *(["---:"] * (len(head) - 1))], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _data(record: RunRecord, say: Writer) -> str:
    sides = record.corpus.sides() if record.corpus else {}
    rows = []
    for split, side in sides.items():
        shards = record.run.shards.get(split)
        counts = (side.documents, side.characters, side.bytes, shards.n_tokens if shards else None)
        rows.append([say(split), *(say.integer(count) for count in counts)])
    if not rows:
        return say("not_recorded")
    return _table([say(name) for name in ("split", "documents", "characters", "bytes", "tokens")], rows)


def _results(record: RunRecord, say: Writer) -> str:
    if record.evaluation is None:
        return say("not_recorded")
    names = {"xz": "xz -9", "gzip": "gzip -9", "order0": say("order0"), "checkpoint": say("checkpoint")}
    rows = [(f"**{say('this_model')}**", record.evaluation.heldout.bits_per_byte)]
    rows += [(names.get(key, _inline(key)), value) for key, value in record.evaluation.baselines.items()]
    if ngram := record.evaluation.ngram:
        rows.append((say("ngram", order=say.integer(ngram.order)), ngram.bits_per_byte))
    known = [(name, value) for name, value in rows if value is not None and math.isfinite(value)]
    if not known:
        return say("not_recorded")
    ranked = sorted(known, key=lambda row: row[1])
    return _table([say("coder"), say("bits_per_byte")], [[name, say.number(value)] for name, value in ranked])


_LOAD = """```python
import hanmo

model = hanmo.load("path/to/this/folder")
print(model.generate({prompt}, max_new_tokens=60))
```

```python
from transformers import AutoModelForCausalLM, AutoTokenizer

model = AutoModelForCausalLM.from_pretrained("path/to/this/folder")
tokenizer = AutoTokenizer.from_pretrained("path/to/this/folder")
```"""

_LIMITS = """This is a small model, trained from scratch on the documents above and on nothing else. It continues text in \
their style. It does not know facts reliably, has not been taught to follow instructions or to refuse them, and may \
repeat what stands in its training documents, personal data and bias included. Do not use what it writes as advice."""

_LIMITS_ZH = """这是一个小模型，只用上述文档从零训练，没有用过其他数据。它擅长按这些文档的风格续写，给出的事实不可靠，没有做过指令微调\
和安全对齐，也可能复述训练文档中的原文，包括其中的个人信息和偏见。请不要把它写的内容当作建议。"""

_LIMITS_OF_CHECKPOINT = """This model was trained further on the documents above; what its base knows and what is wrong with \
it, it has too. It may repeat what stands in the documents, personal data and bias included. Do not use what it writes as \
advice."""

_LIMITS_OF_CHECKPOINT_ZH = """本模型在上述文档上继续训练，基座模型的能力和缺陷它都有。它可能复述文档中的原文，包括其中的个人信息和偏见。\
请不要把它写的内容当作建议。"""

_LOAD_ADAPTER = """This folder holds an adapter, a few parameters beside the base model, in PEFT's layout.

```python
import hanmo

model = hanmo.load({base}, adapter="path/to/this/folder")
print(model.generate({prompt}, max_new_tokens=60))
```"""


def _what(record: RunRecord, say: Writer) -> str:
    """Kind, size and training in one paragraph."""
    run, model = record.run, record.run.model
    name = NAMES.get(model.family, model.family) if model is not None and model.family else None
    training = run.training
    if say.lang == "zh":
        text = f"用 hanmo 从零训练的{f' {_inline(name)} ' if name else ''}语言模型"
        if record.checkpoint:
            what = "适配器" if record.model_folder == "adapter" else "语言模型"
            text = f"用 hanmo 在 {_inline(record.checkpoint)} 基础上继续训练的{what}"
        text += f"，{say.amount(model.parameters)}参数" if model is not None and model.parameters else ""
        if training is not None and training.tokens is not None and training.n_steps is not None:
            text += f"，共训练 {say.integer(training.n_steps)} 步、{say.amount(training.tokens)}词元"
            text += f"，用时 {say.time(training.seconds)}" if training.seconds is not None else ""
        return text + "。"
    text = f"A {_inline(name) + ' ' if name else ''}language model trained from scratch with hanmo"
    if record.checkpoint:
        what = "An adapter" if record.model_folder == "adapter" else "A language model"
        text = f"{what} trained with hanmo on the base of {_inline(record.checkpoint)}"
    text += f", {say.amount(model.parameters)} parameters" if model is not None and model.parameters else ""
    if training is not None and training.tokens is not None and training.n_steps is not None:
        text += f", {say.integer(training.n_steps)} steps over {say.amount(training.tokens)} tokens"
        text += f" in {say.time(training.seconds)}" if training.seconds is not None else ""
    return text + "."


def model_card(record: RunRecord, *, license: str = "unknown") -> str:
    """The card as Markdown with YAML front matter.

    Args:
        record: the run that made the model.
        license: Hugging Face's identifier of the licence its owner gives the model; only the owner knows it.
    """
    en, zh = Writer("en"), Writer("zh")
    prompts = [sample.prompt for sample in record.samples if sample.prompt.strip()]
    prompt = json.dumps(printable(prompts[0] if prompts else en("next_prompt")), ensure_ascii=False)
    source = record.corpus.source if record.corpus else None
    load = _LOAD.format(prompt=prompt)
    if record.model_folder == "adapter":
        load = _LOAD_ADAPTER.format(prompt=prompt, base=json.dumps(record.checkpoint, ensure_ascii=False))
    sections = [
        f"# {_inline(record.name)}",
        _what(record, en),
        "## Training data",
        *([f"Source: {_inline(source)}"] if source else []),
        _data(record, en),
        *([split_note(record.corpus, en)] if record.corpus else []),
        "## Evaluation",
        _results(record, en),
        en("eval_note"),
        "## Limits",
        _LIMITS_OF_CHECKPOINT if record.checkpoint else _LIMITS,
        "## How to load",
        load,
        "## 中文说明",
        _what(record, zh),
        _data(record, zh),
        _results(record, zh),
        _LIMITS_OF_CHECKPOINT_ZH if record.checkpoint else _LIMITS_ZH,
    ]
    hashes = [f"- `{re.sub('[`]', '', _inline(name))}` {_inline(digest)}" for name, digest in record.run.hashes.items()]
    if hashes:
        sections += ["## Provenance (SHA-256)", "\n".join(hashes)]
    return _front_matter(record, license) + "\n\n" + "\n\n".join(sections) + "\n"


def write_model_card(model_dir: str | Path, record: RunRecord, *, license: str = "unknown") -> Path:
    """Write `README.md` into a model directory.

    Args:
        model_dir: the Hugging Face directory.
        record: the run that made it, from `read_run`.
        license: see `model_card`.

    Raises:
        StorageError: if it cannot be written.
    """
    target = Path(model_dir) / "README.md"
    write_text(target, model_card(record, license=license))
    return target
