"""Pairs of answers: how they are read, and the losses beside the formulas of the papers."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hanmo.batches.padded_rows import collate
from hanmo.core.errors import ConfigError, DataError
from hanmo.core.settings import check_settings
from hanmo.models.llama import LlamaConfig, llama
from hanmo.tasks.dialogue_examples import Message
from hanmo.tasks.language_model import LanguageModel
from hanmo.tasks.preference_examples import PreferenceData, PreferencePair, read_preferences
from hanmo.tasks.preference_figures import preference_figures
from hanmo.tasks.preference_learning import (
    PreferenceSettings,
    encode_pairs,
    preference_fills,
    preference_loss,
    preference_losses,
    preference_rows,
    score_pairs,
)  # fmt: skip
from hanmo.tokenizers.bpe import END_OF_TEXT, train_bpe
from hanmo.tokenizers.default_templates import CHAT_TOKENS, DEFAULT_TEMPLATES

NUMBERS = "一二三四五六七八九"
USER = {"role": "user", "content": "写一句诗"}


def say(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


def read(folder: Path, values: list[Any], **more: Any) -> list[PreferencePair]:
    path = folder / "pairs.jsonl"
    filler = [{"prompt": f"问{n}", "chosen": f"好{n}", "rejected": f"差{n}"} for n in range(4)]
    path.write_text("\n".join(json.dumps(value, ensure_ascii=False) for value in [*values, *filler]))
    splits = read_preferences(PreferenceData(train=str(path), dev_fraction=0.3, **more), seed=0)
    found = {int(pair.where.rsplit(":", 1)[1]): pair for pair in [*splits.train, *splits.dev]}
    return [found[number] for number in range(1, len(values) + 1) if number in found]


def test_pairs_of_conversations(tmp_path: Path) -> None:
    """Each with its own last answer, and one of another conversation; the same for every seed."""
    path = tmp_path / "talk.txt"
    path.write_text(
        "".join(f"问 {n} ？ __eou__ 答 {n} 。 __eou__ 再 问 {n} ？ __eou__ 再 答 {n} 。 __eou__\n" for n in NUMBERS)
    )
    data = PreferenceData(train=str(path), dev_fraction=0.3, conversations=True, spacing="tidy")
    pairs = [
        [*splits.train, *splits.dev] for splits in (read_preferences(data, seed=0), read_preferences(data, seed=5))
    ]
    known = [{pair.where: (pair.chosen, pair.rejected) for pair in some} for some in pairs]
    assert known[0] == known[1]
    answers = {f"再答{n}。" for n in NUMBERS}
    for pair in pairs[0]:
        number = NUMBERS[int(pair.where.rsplit(":", 1)[1]) - 1]
        assert [message.content for message in pair.prompt] == [f"问{number}？", f"答{number}。", f"再问{number}？"]  # pyright: ignore[reportAttributeAccessIssue]
        assert pair.chosen == f"再答{number}。"
        assert pair.rejected in answers - {pair.chosen}
    assert len({pair.rejected for pair in pairs[0]}) > 2
    path.write_text("你好 __eou__ 好 __eou__\n再见 __eou__ 好 __eou__\n")
    with pytest.raises(DataError, match="all answers are the same"):
        read_preferences(data, seed=0)


def test_all_forms(tmp_path: Path) -> None:
    values = [
        {"prompt": "床前", "chosen": "明月光", "rejected": "xxx"},
        {"prompt": [USER], "chosen": [say("明月光")], "rejected": [say("xxx")]},
        {"prompt": [USER], "chosen": "明月光", "rejected": "xxx"},
        {"chosen": [USER, say("明月光")], "rejected": [USER, say("xxx")]},
    ]
    pairs = read(tmp_path, values, leaks="keep")
    asked = (Message("user", "写一句诗"),)
    assert [pair.prompt for pair in pairs] == ["床前", asked, asked, asked]
    assert {(pair.chosen, pair.rejected) for pair in pairs} == {("明月光", "xxx")}
    [as_user] = read(tmp_path, values[:1], strings="user")
    assert as_user.prompt == (Message("user", "床前"),)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"prompt": "a", "chosen": "b"}, "there is no 'rejected'"),
        ({"prompt": "a", "chosen": "b", "rejected": "b"}, "both answers are the same"),
        ({"prompt": "a", "chosen": " ", "rejected": "b"}, "an empty answer"),
        ({"prompt": [USER, USER], "chosen": "b", "rejected": "c"}, "in the prompt, message 2 is of 'user'"),
        ({"prompt": [USER, say("x")], "chosen": "b", "rejected": "c"}, "in the prompt, message 3 is of 'assistant'"),
        ({"prompt": [{"role": "tool", "content": "x"}], "chosen": "b", "rejected": "c"}, "the role 'tool'"),
        ({"prompt": [{"role": "user"}], "chosen": "b", "rejected": "c"}, "has no 'role' and 'content'"),
        ({"prompt": [{"role": "user", "content": " "}], "chosen": "b", "rejected": "c"}, "of the prompt is empty"),
        ({"prompt": [USER], "chosen": [USER], "rejected": "c"}, "'chosen' is not one message of the assistant"),
        ({"chosen": [USER, say("a")], "rejected": [say("q"), say("b")]}, "differ in their last message alone"),
        ({"chosen": [USER, USER], "rejected": [USER, say("b")]}, "must be the assistant's"),
        ({"prompt": 3, "chosen": "b", "rejected": "c"}, "'prompt' is no text and no list of messages"),
    ],
)
def test_what_cannot_be_used_is_named_with_its_line(value: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"pairs\.jsonl:1: ") as error:
        read(tmp_path, [value])
    assert message in str(error.value)


def test_useless_pairs_are_left_out_when_asked(tmp_path: Path) -> None:
    assert read(tmp_path, [{"prompt": "a", "chosen": "b", "rejected": "b"}], useless="drop") == []


@pytest.fixture(scope="module")
def lm() -> LanguageModel:
    text = ["床前明月光，疑是地上霜。 The brush writes well." * 3]
    tokenizer = train_bpe(text, 330, special_tokens=(END_OF_TEXT, *CHAT_TOKENS))
    torch.manual_seed(0)
    shape: dict[str, Any] = {
        "vocab_size": tokenizer.vocab_size,
        "max_len": 64,
        "d_model": 32,
        "n_layers": 2,
        "n_heads": 2,
    }
    model = llama(LlamaConfig(**shape, bos_id=0, eos_id=0, init_std=0.2))
    return LanguageModel(model, tokenizer.with_chat_template(DEFAULT_TEMPLATES["chatml"]), eos_ids=(2, 0))


PAIRS = [
    PreferencePair("床前", "明月光", "霜", "f:1"),
    PreferencePair((Message("user", "写诗"),), "疑是地上霜。", "The brush", "f:2"),
    PreferencePair((Message("system", "s"), Message("user", "write")), "The brush writes", "光 光 光", "f:3"),
]


def plain_logprob(lm: LanguageModel, ids: list[int], learned: list[bool]) -> float:
    """Σ log p(y_t | x, y_<t), token by token."""
    with torch.no_grad():
        logits = lm.model(input_ids=torch.tensor([ids])).logits[0].double()
    return sum(float(logits[t - 1].log_softmax(-1)[ids[t]]) for t in range(1, len(ids)) if learned[t])


def test_what_is_scored_are_the_answers(lm: LanguageModel) -> None:
    encoded, _ = encode_pairs(PAIRS, lm, PreferenceSettings())
    scores = score_pairs(lm.model, encoded)
    for one, (chosen, rejected) in zip(encoded, scores, strict=True):
        for row, answer, score in ((one.chosen, one.pair.chosen, chosen), (one.rejected, one.pair.rejected, rejected)):
            learned = [token for token, asked in zip(row.ids, row.learned, strict=True) if asked]
            assert lm.tokenizer.decode(learned) == answer
            assert learned[-1] == (0 if isinstance(one.pair.prompt, str) else 2)
            assert score == pytest.approx(plain_logprob(lm, row.ids, row.learned), rel=1e-5)


def test_the_loss_is_that_of_the_paper(lm: LanguageModel) -> None:
    """Rafailov et al. (2023), eq. 7, from log-probabilities summed token by token."""
    encoded, _ = encode_pairs(PAIRS, lm, PreferenceSettings())
    torch.manual_seed(1)
    other = llama(lm.model.config)
    reference = LanguageModel(other, lm.tokenizer, eos_ids=(2, 0))
    batch = collate(preference_rows(encoded, score_pairs(other, encoded)), preference_fills(0))
    assert batch["reference"].shape == (3, 2)
    gaps = []
    for one in encoded:
        ratio = [
            plain_logprob(lm, row.ids, row.learned) - plain_logprob(reference, row.ids, row.learned)
            for row in (one.chosen, one.rejected)
        ]
        gaps.append(ratio[0] - ratio[1])

    def sigmoid(x: float) -> float:
        return 1 / (1 + math.exp(-x))

    beta = 0.3
    expected = {
        "dpo": sum(-math.log(sigmoid(beta * gap)) for gap in gaps),
        "smooth": sum(-0.9 * math.log(sigmoid(beta * gap)) - 0.1 * math.log(sigmoid(-beta * gap)) for gap in gaps),
        "ipo": sum((gap - 1 / (2 * beta)) ** 2 for gap in gaps),
    }
    for name, more in (("dpo", {}), ("smooth", {"label_smoothing": 0.1}), ("ipo", {"loss": "ipo"})):
        total, n = preference_loss(PreferenceSettings.model_validate({"beta": beta} | more))(lm.model, batch)
        assert n == 3
        assert float(total.detach()) == pytest.approx(expected[name], rel=1e-4)
    same = preference_rows(encoded, score_pairs(lm.model, encoded))
    total, _ = preference_loss(PreferenceSettings())(lm.model, collate(same, preference_fills(0)))
    assert float(total.detach()) == pytest.approx(3 * math.log(2), rel=1e-5)  # before the first step


def test_the_gradient_is_that_of_the_paper() -> None:
    """-β σ(-β gap) (§4): pairs that are ordered wrongly weigh more."""
    gap = torch.tensor([-20.0, -1.0, 0.0, 2.0, 50.0], dtype=torch.float64, requires_grad=True)
    preference_losses(gap, PreferenceSettings(beta=0.5)).sum().backward()
    assert gap.grad is not None
    torch.testing.assert_close(gap.grad, -0.5 * torch.sigmoid(-0.5 * gap.detach()))


def test_too_long(lm: LanguageModel) -> None:
    long = PreferencePair("床前", "明月光，" * 30, "明月光，" * 30 + "霜", "f:9")
    late = PreferencePair("床前", "霜" + "明月光" * 30, "光" + "明月光" * 30, "f:8")
    with pytest.raises(DataError, match=r"f:9: \d+ tokens, and room for 64"):
        encode_pairs([*PAIRS, long], lm, PreferenceSettings())
    found, notes = encode_pairs([*PAIRS, long], lm, PreferenceSettings(overlong="drop"))
    assert (len(found), dict(notes)) == (3, {"pairs that are too long, left out": 1})
    found, notes = encode_pairs([late], lm, PreferenceSettings(overlong="truncate"))
    assert (len(found[0].chosen.ids), dict(notes)) == (64, {"pairs that are too long, cut off at the end": 1})
    with pytest.raises(DataError, match="f:9: within 64 tokens the answers do not differ"):
        encode_pairs([long], lm, PreferenceSettings(overlong="truncate"))


def test_settings_that_say_nothing_are_refused() -> None:
    with pytest.raises(ConfigError, match="label_smoothing has no meaning"):
        check_settings(PreferenceSettings, {"loss": "ipo", "label_smoothing": 0.1})


def test_figures() -> None:
    scores, reference = [(-1.0, -5.0), (-3.0, -3.0), (-4.0, -2.0)], [(-2.0, -4.0), (-3.0, -3.0), (-3.0, -3.0)]
    figures = preference_figures(scores, reference, PreferenceSettings(beta=0.5)).to_dict(seed=0)
    told = figures["scores"]
    assert told["preference_accuracy"] == pytest.approx((1 + 0.5 + 0) / 3)
    assert told["margin"] == pytest.approx(np.mean([0.5 * 2, 0, 0.5 * -2]))
    assert told["reward_chosen"] == pytest.approx(np.mean([0.5, 0, -0.5]))
    assert figures["intervals"]["margin"]["low"] <= told["margin"] <= figures["intervals"]["margin"]["high"]
