"""Prompts: of the corpus's languages, whole words, the same each time."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from hanmo.evaluation.samples import GENERIC_PROMPTS, choose_prompts


@dataclass
class Text:
    text: str
    lang: str


ENGLISH = [
    Text(f"\n  Chapter {i} tells how the old printer came to the town and stayed there.", "en") for i in range(20)
]
CHINESE = [Text(f"第{i}回　甄士隐梦幻识通灵，贾雨村风尘怀闺秀。此开卷第一回也。", "zh") for i in range(20)]
CODE = [Text(f"#!/usr/bin/env python\nimport os\nx = {i}\n", "code") for i in range(20)]


def test_half_generic_half_from_documents():
    prompts = choose_prompts(ENGLISH, 4, seed=1)
    assert prompts[:2] == list(GENERIC_PROMPTS["en"][:2])
    assert all(prompt.startswith("Chapter ") for prompt in prompts[2:])
    assert len(set(prompts)) == 4


def test_english_is_cut_between_words():
    for prompt in choose_prompts(ENGLISH, 8, seed=1)[3:]:
        whole = next(item.text.strip() for item in ENGLISH if item.text.strip().startswith(prompt))
        assert whole[len(prompt)] == " "
        assert len(prompt) <= 48


def test_chinese_is_short_and_chinese():
    prompts = choose_prompts(CHINESE, 4, seed=1)
    assert prompts[0] in GENERIC_PROMPTS["zh"]
    assert all(prompt.startswith("第") and len(prompt) <= 16 for prompt in prompts[2:])


def test_languages_take_turns_the_most_frequent_first():
    prompts = choose_prompts([*ENGLISH[:5], *CHINESE, *CODE[:2]], 6, seed=0)
    assert prompts[:3] == [GENERIC_PROMPTS[lang][0] for lang in ("zh", "en", "code")]


def test_the_seed_decides():
    assert choose_prompts(ENGLISH, 6, seed=3) == choose_prompts(ENGLISH, 6, seed=3)
    assert choose_prompts(ENGLISH, 6, seed=3) != choose_prompts(ENGLISH, 6, seed=4)


def test_other_languages_and_nothing():
    french = [Text("Longtemps, je me suis couché de bonne heure.", "other")]
    assert choose_prompts(french, 3, seed=0) == ["Longtemps, je me suis couché de bonne heure."]
    assert choose_prompts([], 3, seed=0) == []
    assert choose_prompts([Text("", "en"), Text("...\n---", "en")], 2, seed=0) == list(GENERIC_PROMPTS["en"][:2])
    assert choose_prompts(ENGLISH, 0, seed=0) == []
    with pytest.raises(ValueError, match="n must be"):
        choose_prompts(ENGLISH, -1, seed=0)
