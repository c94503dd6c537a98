"""Conversations as rows: what is learned, what is too long, and that packed conversations do not see each other."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from hanmo.batches.packed_rows import PACKED_FILLS, next_token_row, pack_rows
from hanmo.batches.padded_rows import collate
from hanmo.core.errors import ConfigError, DataError
from hanmo.models.gpt2 import GPT2Config, gpt2
from hanmo.models.llama import LlamaConfig, llama
from hanmo.tasks.answer_scores import score_answers
from hanmo.tasks.causal_lm import causal_lm_loss
from hanmo.tasks.chat_settings import ChatSettings
from hanmo.tasks.dialogue_examples import Dialogue, Message
from hanmo.tasks.dialogue_learning import check_template, encode_dialogues, ends_of_answers, shown_row
from hanmo.tokenizers.bpe import END_OF_TEXT, train_bpe
from hanmo.tokenizers.default_templates import CHAT_TOKENS, DEFAULT_TEMPLATES
from hanmo.tokenizers.tokenizer import Tokenizer

TEXTS = ["天地玄黄，宇宙洪荒。", "How are you today?", "Fine, thanks. 很好！", "Writing is thinking."]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    bare = train_bpe([text * 3 for text in TEXTS], 320, special_tokens=(END_OF_TEXT, *CHAT_TOKENS))
    return bare.with_chat_template(DEFAULT_TEMPLATES["chatml"])


def dialogue(rounds: int, *, system: bool = False, number: int = 0) -> Dialogue:
    turns = [Message(("user", "assistant")[n % 2], f"{TEXTS[(number + n) % 4]} {n}") for n in range(2 * rounds)]
    return Dialogue((*([Message("system", "简短回答")] if system else []), *turns), f"file:{number + 1}")


def test_answers_alone_are_learned(tokenizer: Tokenizer) -> None:
    [one], notes = encode_dialogues([dialogue(2, system=True)], tokenizer, ChatSettings(), max_len=None)
    assert not notes
    shown = "\n".join(shown_row(one, tokenizer)[1:])
    answers = [message.content for message in one.dialogue.messages if message.role == "assistant"]
    assert shown.count("【") == 2
    assert [part.split("】")[0] for part in shown.split("【")[1:]] == [f"{text}<|im_end|>" for text in answers]
    assert ends_of_answers([one], tokenizer) == (tokenizer.token_id("<|im_end|>"),)
    check_template([one.dialogue], tokenizer)


@pytest.mark.parametrize("name", DEFAULT_TEMPLATES)
def test_templates_ask_as_they_teach(tokenizer: Tokenizer, name: str) -> None:
    other = tokenizer.with_chat_template(DEFAULT_TEMPLATES[name])
    check_template([dialogue(2, system=True), dialogue(1)], other)
    [one], _ = encode_dialogues([dialogue(2)], other, ChatSettings(), max_len=None)
    assert ends_of_answers([one], other) == (other.token_id({"chatml": "<|im_end|>", "plain": END_OF_TEXT}[name]),)


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{% for m in messages %}<|im_start|>{{ m.content }}{% endfor %}", "does not mark"),
        (
            "{% for m in messages %}{{ m.role + ':' }}{% if m.role == 'assistant' %}{% generation %}{{ m.content + eos_token }}"
            "{% endgeneration %}{% else %}{{ m.content }}{% endif %}{% endfor %}{% if add_generation_prompt %}>{% endif %}",
            "asks otherwise than it teaches",
        ),
    ],
)
def test_a_template_that_teaches_nothing_or_something_else(tokenizer: Tokenizer, template: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_template([dialogue(1)], tokenizer.with_chat_template(template))


def test_answers_without_an_end_are_refused(tokenizer: Tokenizer) -> None:
    template = DEFAULT_TEMPLATES["chatml"].replace(
        "{{- message['content'] + '<|im_end|>' -}}{%- endgeneration -%}",
        "{{- message['content'] -}}{%- endgeneration -%}<|im_end|>",
    )
    other = tokenizer.with_chat_template(template)
    [one], _ = encode_dialogues([dialogue(1)], other, ChatSettings(), max_len=None)
    with pytest.raises(ConfigError, match="would not learn to stop"):
        ends_of_answers([one], other)


def test_too_long(tokenizer: Tokenizer) -> None:
    long, short = dialogue(4, system=True), dialogue(1, number=1)
    [whole], _ = encode_dialogues([long], tokenizer, ChatSettings(), max_len=None)
    [small], _ = encode_dialogues([short], tokenizer, ChatSettings(), max_len=None)
    room = len(whole.row.ids) // 2 + 4

    def encoded(overlong: str, room: int = room) -> Any:
        settings = ChatSettings.model_validate({"overlong": overlong})
        return encode_dialogues([long, short], tokenizer, settings, max_len=room)

    with pytest.raises(DataError, match=rf"file:1: {len(whole.row.ids)} tokens, and room for {room}"):
        encoded("error")
    rows, notes = encoded("drop")
    assert [one.dialogue for one in rows] == [short]
    assert notes == {"conversations that are too long, left out": 1}
    rows, notes = encoded("truncate")
    assert (rows[0].row.ids, rows[0].whole) == (whole.row.ids[:room], False)
    assert notes == {"conversations that are too long, cut off at the end": 1}
    rows, notes = encoded("split")
    parts = [one.dialogue for one in rows if one.dialogue is not short]
    assert len(parts) > 1
    assert all(len(one.row.ids) <= room for one in rows)
    assert all(part.messages[0] == long.messages[0] for part in parts)
    assert [m for part in parts for m in part.messages[1:]] == list(long.messages[1:])
    with pytest.raises(DataError, match=r"file:1: no token of an answer is left within 12 tokens"):
        encoded("truncate", 12)
    rows, notes = encoded("split", len(small.row.ids))
    assert notes["questions that are too long with their answer alone, left out"] > 0


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_packed_conversations_do_not_see_each_other(tokenizer: Tokenizer, family: str) -> None:
    """The loss of packed rows, and its gradient, are the sums of those of the conversations one by one."""
    torch.manual_seed(0)
    shape: dict[str, Any] = {
        "vocab_size": tokenizer.vocab_size,
        "max_len": 160,
        "d_model": 32,
        "n_layers": 2,
        "n_heads": 2,
    }
    model = gpt2(GPT2Config(**shape)) if family == "gpt2" else llama(LlamaConfig(**shape))
    model.double()
    dialogues = [dialogue(1 + n % 3, system=n % 2 == 0, number=n) for n in range(7)]
    encoded, _ = encode_dialogues(dialogues, tokenizer, ChatSettings(), max_len=160)
    rows = [next_token_row(one.row.ids, one.row.learned) for one in encoded]
    fills = PACKED_FILLS | {"input_ids": 0}

    def loss(batches: list[dict[str, Any]]) -> tuple[float, int, torch.Tensor]:
        model.zero_grad()
        found = [causal_lm_loss(model, batch) for batch in batches]
        total = torch.stack([one[0] for one in found]).sum()
        total.backward()
        gradient = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
        return float(total.detach()), sum(int(one[1]) for one in found), gradient

    packed = pack_rows(rows, max_len=160)
    assert len(packed) < len(rows)
    one_by_one = loss([{key: torch.tensor([value]) for key, value in row.items()} for row in rows])
    for batch in (collate(packed, fills), collate(rows, fills)):
        together = loss([batch])
        assert together[0] == pytest.approx(one_by_one[0], rel=1e-11)
        assert together[1] == one_by_one[1] == sum(sum(one.row.learned[1:]) for one in encoded)
        torch.testing.assert_close(together[2], one_by_one[2], rtol=1e-8, atol=1e-10)
    assert -sum(score_answers(model, [one.row for one in encoded])) == pytest.approx(one_by_one[0], rel=1e-5)
