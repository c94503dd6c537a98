"""The report's section of samples."""

from __future__ import annotations

import re
from itertools import groupby

from hanmo.evaluation.markup import Html, element, join
from hanmo.evaluation.report_blocks import nothing
from hanmo.evaluation.report_writer import Writer
from hanmo.evaluation.run_files import RunRecord, Sample

__all__ = ["looks_like_code", "samples_section"]


def samples_section(record: RunRecord, say: Writer) -> Html:
    """What the model wrote, grouped by prompt, by rising temperature."""
    if not record.samples:
        return nothing(say)
    order = {prompt: i for i, prompt in reversed(list(enumerate(sample.prompt for sample in record.samples)))}
    ordered = sorted(record.samples, key=lambda sample: (order[sample.prompt], sample.temperature or 0.0))
    parts: list[Html] = [element("p", say("samples_lead"), cls="soft")]
    for _, group in groupby(ordered, key=lambda sample: sample.prompt):
        parts += [_sample(sample, say) for sample in group]
    return join(parts)


def _sample(sample: Sample, say: Writer) -> Html:
    meta = []
    if sample.temperature is not None:
        meta.append(say("greedy") if sample.temperature == 0 else say("temperature", t=f"{sample.temperature:g}"))
    meta += [f"top-p {sample.top_p:g}"] if sample.top_p is not None else []
    meta += [f"top-k {sample.top_k}"] if sample.top_k else []
    meta += [say("seed", seed=sample.seed)] if sample.seed is not None and sample.temperature != 0 else []
    whole = sample.prompt + sample.text
    return element(
        "div",
        element("p", " · ".join(meta), cls="meta"),
        element(
            "p",
            element("b", sample.prompt) if sample.prompt else None,
            sample.text,
            cls="text code" if looks_like_code(whole) else "text",
            lang="zh-Hans" if re.search(r"[\u4e00-\u9fff]", whole) else None,
            dir="auto",
            tabindex="0",
        ),
        cls="sample",
    )


def looks_like_code(text: str) -> bool:
    """Whether a text wants fixed-width letters: a quarter of its lines are indented or read like statements."""
    lines = [line for line in text.splitlines() if line.strip()]
    pattern = re.compile(
        r"( {4}|\t)|\s*(def|class|import|from|return|if|for|while|elif|else|try|except|with)\b.*[:(.]|\s*\w+ = "
    )
    return len(lines) > 1 and sum(1 for line in lines if pattern.match(line)) >= len(lines) / 4
