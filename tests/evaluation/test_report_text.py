"""Both languages say everything; numbers are written as their readers write them."""

from __future__ import annotations

import math
import re
import string
from pathlib import Path

import pytest

import hanmo.evaluation
from hanmo.evaluation.report_text import TEXT
from hanmo.evaluation.report_writer import Writer

EN, ZH = Writer("en"), Writer("zh")


def places(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("key", sorted(TEXT))
def test_both_languages_have_the_same_places(key):
    english, chinese = TEXT[key]
    assert english.strip()
    assert chinese.strip()
    assert places(english) - {"article"} == places(chinese)


def test_chinese_sentences_use_chinese_punctuation():
    for key, (_, chinese) in TEXT.items():
        assert not re.search(r"[\u4e00-\u9fff][,;:?!]|[\u4e00-\u9fff]\.(\s|$)", chinese), key


def test_every_sentence_asked_for_exists():
    folder = Path(hanmo.evaluation.__file__).parent
    asked = {
        key
        for file in folder.glob("*.py")
        for key in re.findall(r"\b(?:say|en|zh)\(\s*\"(\w+)\"", file.read_text("utf-8"))
    }
    assert len(asked) > 40
    assert asked <= set(TEXT)


@pytest.mark.parametrize(
    ("value", "english", "chinese"),
    [
        (0, "0", "0 "),
        (3072, "3,072", "3,072 "),
        (10_736, "10,736", "1.07 万"),
        (2_614_272, "2.61 million", "261 万"),
        (124_439_808, "124 million", "1.24 亿"),
        (1.5e9, "1.50 billion", "15.0 亿"),
        (math.nan, "–", "–"),
        (None, "–", "–"),
    ],
)
def test_amounts(value, english, chinese):
    assert EN.amount(value) == english
    assert ZH.amount(value) == chinese


@pytest.mark.parametrize(
    ("seconds", "english", "chinese"),
    [
        (0.84, "0.8 s", "0.8 秒"),
        (42, "42 s", "42 秒"),
        (59.7, "1 min", "1 分"),
        (182, "3 min 2 s", "3 分 2 秒"),
        (3600, "1 h", "1 小时"),
        (7384, "2 h 3 min", "2 小时 3 分"),
        (None, "–", "–"),
        (-1, "–", "–"),
    ],
)
def test_times(seconds, english, chinese):
    assert EN.time(seconds).replace("\u00a0", " ") == english
    assert ZH.time(seconds).replace("\u00a0", " ") == chinese


def test_numbers():
    assert [EN.number(value) for value in (1.8712, 23.456, 512.3, 0.05, 0, None, math.inf)] == [
        "1.87", "23.5", "512", "0.0500", "0", "–", "–",
    ]  # fmt: skip
    assert EN.number(5.04e-5) == "5.04 × 10⁻⁵"
    assert EN.number(5e-5) == "5 × 10⁻⁵"
    assert EN.integer(1234567) == "1,234,567"
    assert [EN.percent(share) for share in (0.1234, 0.0512)] == ["12%", "5.1%"]
    assert [EN.size(n).replace("\u00a0", " ") for n in (12, 505_411, 4.2e9)] == ["12 B", "505 kB", "4.20 GB"]
    assert EN.energy(0.00164).replace("\u00a0", " ") == "1.64 Wh"
    assert ZH.energy(2.5).replace("\u00a0", " ") == "2.50 千瓦时"
    assert EN.mass(0.00078).replace("\u00a0", " ") == "0.780 g"


def test_how_energy_was_found_is_said_in_both_languages():
    estimate = "estimated (10 W per busy core, 590 core-seconds)"
    assert EN.method(estimate) == "10 W per busy core, 590 core-seconds"
    assert ZH.method(estimate) == "每个满载核心按 10 W 计，共 590 核·秒"
    assert ZH.method("measured (RAPL, whole processor package)") == "RAPL，整个处理器封装"
    assert ZH.method("NVML") == "NVML"


@pytest.mark.parametrize(
    ("reason", "zh"),
    [
        ("redirect", "重定向页"),
        ("damaged XML (syntax error) in line 1", "XML 已损坏（syntax error） in line 1"),
        ("rest of the file: record too large (max_record_bytes)", "文件其余部分：记录过大（max_record_bytes）"),
        ("a 7-bit East Asian encoding (ISO-2022), which is not supported", "不支持的 7 位东亚编码（ISO-2022）"),
        ("too few words (gopher_quality)", "字词太少（gopher_quality）"),
        ("a reason of tomorrow (1)", "a reason of tomorrow (1)"),
    ],
)
def test_reasons_of_the_builder(reason: str, zh: str) -> None:
    assert Writer("zh").reason(reason) == zh
    assert Writer("en").reason(reason) == reason


@pytest.mark.parametrize(
    ("name", "en", "zh"),
    [
        ("rouge1", "ROUGE-1 (F1)", "ROUGE-1（F1）"),
        ("rouge1 lead-2", "ROUGE-1 (F1) · first sentences, 2", "ROUGE-1（F1） · 原文前 2 句"),
        ("rouge1-zh-char textrank-1", "ROUGE-1 by character (F1) · TextRank, 1", "ROUGE-1（按字，F1） · TextRank 选 1 句"),
        ("bleu en-zh", "BLEU · en-zh", "BLEU · en-zh"),
        ("novel", "novel", "novel"),
    ],
)  # fmt: skip
def test_names_of_figures(name: str, en: str, zh: str) -> None:
    assert (EN.score(name), ZH.score(name)) == (en, zh)


def test_notes_about_examples_have_both_languages() -> None:
    told = re.compile(r'notes\["([^"{]+)"\]')
    source = Path(hanmo.evaluation.__file__).parents[1]
    notes = {note for file in source.rglob("*.py") for note in told.findall(file.read_text(encoding="utf-8"))}
    assert len(notes) > 20
    assert [note for note in sorted(notes) if not EN.known(f"note_{note}")] == []
