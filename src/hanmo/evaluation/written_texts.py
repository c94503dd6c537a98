"""Figures of texts that a model wrote: do they keep to a form, do they repeat themselves, are they copied."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any

from hanmo.core.errors import DataError
from hanmo.generation.forms import parse_form
from hanmo.metrics.diversity import distinct_n, repetition_examples
from hanmo.text.pinyin import pinyin

__all__ = ["rhymes", "text_figures", "verse_lines"]

_HAN_RUN = re.compile("[\u3007\u3400-\u4dbf\u4e00-\u9fff]+")
_SYLLABLE = re.compile("([zcs]h|[bpmfdtnlgkhjqxzcsryw])?(.*)")
_MEDIAL = re.compile("[iuv](?=[ao]|e[in])")
_SHORT = {"iu": "ou", "ui": "ei", "un": "en", "ue": "ie", "ve": "ie"}
"""Finals that are written without their vowel, or sound alike."""


def verse_lines(text: str) -> list[str]:
    """Runs of Chinese characters: the lines of a poem without its marks."""
    return _HAN_RUN.findall(text)


def rhymes(text: str) -> bool | None:
    """Whether lines 2 and 4 of a poem end alike in today's pronunciation: the final of the pinyin without medial and tone,
    as guang and xiang. None for fewer lines. Rhymes of the Tang that have drifted apart since count as none."""
    lines = verse_lines(text)
    if len(lines) < 4:
        return None
    first, second = (_rime(lines[number][-1]) for number in (1, 3))
    return first is not None and first == second


def text_figures(
    texts: Sequence[str],
    *,
    prompts: Sequence[str] = (),
    form: str | None = None,
    known_lines: Collection[str] | None = None,
) -> dict[str, Any]:
    """What can be counted.

    Args:
        texts: continuations.
        prompts: what stands before each; none if empty.
        form: as `hanmo.generation.forms.parse_form` takes it; a text that has no form of its own is measured at it.
        known_lines: lines of verse of the training texts.

    Returns:
        `texts`; `distinct_1`, `distinct_2` and `repetition_4` (see `hanmo.metrics.diversity`); with a form `form`, the share
        that keep to it; for poems of four lines and more `rhyme`, the share that do; with known lines `copied_lines`, the
        share of the lines after the first that stand in them. All 0..1.

    Raises:
        DataError: for no texts.
    """
    if not any(texts):
        raise DataError("there are no texts to look at", where="texts")
    before = list(prompts) or [""] * len(texts)
    figures: dict[str, Any] = {"texts": len(texts), "repetition_4": repetition_examples(texts).value}
    for n in (1, 2):
        try:
            figures[f"distinct_{n}"] = distinct_n(texts, n)
        except DataError:
            figures[f"distinct_{n}"] = None
    whole = [first + rest for first, rest in zip(before, texts, strict=True)]
    if form is not None:
        rule = parse_form(form)
        figures["form"] = sum(map(rule.holds, whole if rule.counts_prompt else texts)) / len(texts)
        if rule.counts_prompt and (told := [found for text in whole if (found := rhymes(text)) is not None]):
            figures["rhyme"] = sum(told) / len(told)
    if known_lines is not None:
        lines = [line for text in texts for line in verse_lines(text)]
        figures["copied_lines"] = sum(line in known_lines for line in lines) / max(1, len(lines))
    return figures


def _rime(char: str) -> str | None:
    """What rhymes of the reading of a character."""
    syllables = pinyin(char, "plain")[0].syllables
    found = _SYLLABLE.fullmatch(syllables[0]) if syllables else None
    if found is None:
        return None
    initial, final = found[1] or "", found[2]
    if initial in ("j", "q", "x", "y") and final.startswith("u"):
        final = "v" + final[1:]
    if final == "vn":
        final = "in"
    if initial == "y" and final == "e":
        final = "ie"
    if final == "i" and initial in ("zh", "ch", "sh", "r", "z", "c", "s"):
        return "-i"
    return _SHORT.get(final, _MEDIAL.sub("", final))
