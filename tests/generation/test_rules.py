"""What may not come at a place, and what must, in draws, greedy texts and searches."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tests.generation.models import small_gpt2, small_llama

from hanmo.core.errors import ConfigError
from hanmo.core.settings import check_settings
from hanmo.generation.beam import BeamSettings, beam_search
from hanmo.generation.decoding import decode
from hanmo.generation.rules import NOTHING, forbid_words, keep_rules
from hanmo.generation.settings import GenerationSettings, TextRules

PROMPT = [5, 6, 7]
DRAWN = {"temperature": 3.0, "max_new_tokens": 12}
GREEDY = {"max_new_tokens": 12}
BEAMS = {"num_beams": 4, "n": 4, "max_new_tokens": 12}


def texts(settings: dict[str, Any], eos_ids: tuple[int, ...] = (), build: Any = small_gpt2) -> list[list[int]]:
    """New tokens of 20 texts, or of a search."""
    model = build()
    if "num_beams" in settings:
        found = beam_search(model, [PROMPT], check_settings(BeamSettings, settings), eos_ids=eos_ids)
        return [text.tokens for text in found[0]]
    checked = check_settings(GenerationSettings, settings | {"seed": 1})
    decoding = decode(model, [PROMPT] * 20, checked, eos_ids=eos_ids)
    list(decoding)
    return [row[len(PROMPT) :] for row in decoding.rows]


@pytest.mark.parametrize("ways", [DRAWN, GREEDY, BEAMS], ids=["drawn", "greedy", "beams"])
@pytest.mark.parametrize("build", [small_gpt2, small_llama])
def test_rules_hold_in_every_text(ways: dict[str, Any], build: Any) -> None:
    free = texts(ways, build=build)
    common = free[0][1]
    assert any(common in text for text in free)
    for text in texts(ways | {"bad_words_ids": [[common]]}, build=build):
        assert common not in text
    pair = free[0][:2]
    for text in texts(ways | {"bad_words_ids": [pair]}, build=build):
        assert pair not in [text[place : place + 2] for place in range(len(text) - 1)]
    for text in texts(ways | {"no_repeat_ngram_size": 1}, build=build):
        assert len({*PROMPT, *text}) == len(PROMPT) + len(text)
    for text in texts(ways | {"forced_bos_token_id": 3, "forced_eos_token_id": 4}, build=build):
        assert (text[0], text[-1], len(text)) == (3, 4, 12)
    ends = tuple(sorted({token for text in free for token in text[:2]}))
    short = ways | ({"length_penalty": -10.0} if "num_beams" in ways else {})
    assert any(len(text) < 4 for text in texts(short, eos_ids=ends, build=build))
    assert all(len(text) >= 4 for text in texts(short | {"min_new_tokens": 4}, eos_ids=ends, build=build))
    assert {len(text) for text in texts(ways | {"max_length": len(PROMPT) + 5}, build=build)} == {5}


@pytest.mark.parametrize("ways", [DRAWN, GREEDY, BEAMS], ids=["drawn", "greedy", "beams"])
def test_a_forced_end_is_not_shown(ways: dict[str, Any]) -> None:
    never = 60
    found = texts(ways | {"bad_words_ids": [[never]]}, eos_ids=(never,))
    assert {len(text) for text in found} == {12}
    assert [
        len(text) for text in texts(ways | {"forced_eos_token_id": never}, eos_ids=(never,)) if len(text) > 11
    ] == []


def test_a_prompt_may_leave_no_room() -> None:
    with pytest.raises(ConfigError, match=r"prompt of 3 tokens leaves no room within 3.*max_new_tokens"):
        texts(GREEDY | {"max_length": 3})
    assert check_settings(GenerationSettings, {"max_length": 9}).limit(3, 7) == 4


def test_words_are_forbidden_where_they_would_be_whole() -> None:
    history = torch.tensor([[1, 2, 3], [NOTHING, NOTHING, 3], [2, 3, 2]])
    logits = torch.zeros(3, 6)
    assert forbid_words(logits, history, (4,)).isneginf().nonzero().tolist() == [[0, 4], [1, 4], [2, 4]]
    assert forbid_words(logits, history, (3, 5)).isneginf().nonzero().tolist() == [[0, 5], [1, 5]]
    assert forbid_words(logits, history, (2, 3, 5)).isneginf().nonzero().tolist() == [[0, 5]]
    assert forbid_words(logits, history, (1, 1, 2, 3, 5)).eq(0).all()
    assert logits.eq(0).all()  # the caller's are as they were


def test_what_is_forced_goes_before_what_is_forbidden() -> None:
    rules = check_settings(TextRules, {"bad_words_ids": [[2]], "forced_eos_token_id": 2, "forced_bos_token_id": 1})
    nothing = torch.tensor([], dtype=torch.int64)
    at = {"held_back": nothing, "last": torch.tensor([False, True])}
    found = keep_rules(torch.ones(2, 4), torch.zeros(2, 1, dtype=torch.int64), rules, first=False, **at)
    assert found[0].tolist() == [1.0, 1.0, -torch.inf, 1.0]
    assert found[1].tolist() == [-torch.inf, -torch.inf, 0.0, -torch.inf]
    first = keep_rules(torch.ones(2, 4), torch.zeros(2, 1, dtype=torch.int64), rules, first=True, **at)
    assert first.argmax(dim=-1).tolist() == [1, 2]


@pytest.mark.parametrize(
    ("field", "bad"),
    [
        ("max_length", 0), ("max_length", True), ("bad_words_ids", [[]]), ("bad_words_ids", [[-1]]), ("bad_words_ids", [3]),
        ("forced_eos_token_id", -1), ("forced_bos_token_id", "x"), ("min_new_tokens", 300), ("no_repeat_ngram_size", -1),
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", [GenerationSettings, BeamSettings])
def test_fields_are_checked(kind: Any, field: str, bad: Any) -> None:
    with pytest.raises(ConfigError, match=field):
        check_settings(kind, {field: bad})
