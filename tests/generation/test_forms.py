"""Forms of texts: against Python's own regular expressions, and over the tokens of real tokenizers."""

from __future__ import annotations

import random
import re
from typing import Any

import pytest
import torch

from hanmo.core.errors import ConfigError, ModelError
from hanmo.core.settings import check_settings
from hanmo.generation.decoding import decode
from hanmo.generation.forms import Form, parse_form
from hanmo.generation.settings import GenerationSettings
from hanmo.generation.token_forms import TokenForm
from hanmo.models.gpt2 import GPT2Config, gpt2
from hanmo.tokenizers.bpe import train_bpe
from hanmo.tokenizers.tokenizer import Tokenizer

QUATRAIN = "白日依山尽，黄河入海流。\n欲穷千里目，更上一层楼。"


@pytest.mark.parametrize(
    "pattern",
    ["ab*c", "(ab|a)(bc|c)?", "a{2,3}b{2}", "[a-c]+x?", "[^ab]c", ".{1,2}\n", "(a|b){2,}c*", "a?b?c?", r"\[a\]", "a{0}b", "", "(a*)*b"],
)  # fmt: skip
def test_against_regular_expressions(pattern: str) -> None:
    form, expected = Form(pattern), re.compile(pattern)
    draw = random.Random(0)
    texts = [
        "".join(draw.choice("abcx[]\n"[: draw.choice((2, 3, 7))]) for _ in range(draw.randrange(7)))
        for _ in range(3000)
    ]
    texts += ["[a]"]
    assert any(map(expected.fullmatch, texts))
    for text in texts:
        assert form.holds(text) == bool(expected.fullmatch(text)), text


def test_a_poem() -> None:
    form = parse_form("5x4")
    assert form.holds(QUATRAIN)
    assert not form.holds(QUATRAIN[:-1])
    assert not form.holds(QUATRAIN + "\n")
    assert not form.holds(QUATRAIN.replace("白", "White"))
    assert not form.holds("白日依山尽，黄河入海流。\n白日依山尽，更上一层楼。")
    assert form.must_end(form.after(QUATRAIN))
    assert parse_form("7x2").holds("两个黄鹂鸣翠柳，一行白鹭上青天。")


@pytest.mark.parametrize(
    ("pattern", "why"),
    [("(a", r"\( that is not closed"), ("a)", "without its beginning"), ("*", "nothing before"), ("[a", "not closed"),
     ("a{x}", "a count"), ("a{3,2}", "at least 3"), ("\\q", "unknown"), ("a\\", "backslash at the end"), ("[b-a]", "ends before"),
     ("0x4", "no text"), ("(.{999}){999}", "states")],
)  # fmt: skip
def test_what_is_no_form(pattern: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        parse_form(pattern)
    with pytest.raises(ConfigError, match="form"):
        check_settings(GenerationSettings, {"form": pattern})


def test_brackets_within_brackets() -> None:
    """Each is read once, and once more for each time that it is there."""
    deep = parse_form("(" * 40 + "a" + ")" * 40 + "b?")
    assert deep.holds("a")
    assert deep.holds("ab")
    assert not deep.holds("b")
    assert parse_form("(" * 30 + "a" + "){0}" * 30 + "b").holds("b")
    with pytest.raises(ConfigError, match="states"):
        parse_form("(" * 40 + "a" + ")+" * 40)
    with pytest.raises(ConfigError, match="too many brackets"):
        parse_form("(" * 5000 + "a" + ")" * 5000)


def test_a_prompt_that_does_not_fit() -> None:
    with pytest.raises(ConfigError, match="'尽' at character 5"):
        parse_form("4x2").after("白日依山尽，")


@pytest.fixture(scope="module", params=[260, 300, 700])
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    """From bytes alone, characters in pieces, to words."""
    return train_bpe([(QUATRAIN + "\nA poem, ten words. 白日依山 尽黄河。") * 20 + "﹏𠀀é"], request.param)


@pytest.mark.parametrize("text", ["5x2", r"[a-z ]{3,9}\.", r"(\h|𠀀|é){2}！", ".{6}"])
def test_tokens_against_characters(tokenizer: Tokenizer, text: str) -> None:
    """A token may come if and only if some text of the form begins with what it leads to."""
    form = parse_form(text)
    rule = TokenForm(form, tokenizer, eos_ids=(tokenizer.eos_id or 0,), vocab_size=tokenizer.vocab_size + 3)
    draw = torch.Generator().manual_seed(0)
    for _ in range(6):
        row, ids = rule.row(""), []
        while not row.is_whole and len(ids) < 60:
            mask = row.allowed()
            assert not mask[tokenizer.vocab_size :].any()
            token = int(torch.multinomial(mask.float(), 1, generator=draw))
            if token == tokenizer.eos_id:
                break
            ids.append(token)
            row.push(token)
        assert form.holds(tokenizer.decode(ids)), tokenizer.decode(ids)


def test_a_line_is_not_repeated(tokenizer: Tokenizer) -> None:
    form = parse_form("5x4")
    rule = TokenForm(form, tokenizer, eos_ids=(0,), vocab_size=tokenizer.vocab_size)
    row = rule.row("白日依山尽，黄河入海流。\n")
    for token in tokenizer.encode("白日依山"):
        assert row.allowed()[token]
        row.push(token)
    *held, last = tokenizer.encode("尽")
    for token in held:
        assert row.allowed()[token]
        row.push(token)
    assert not row.allowed()[last]
    assert row.allowed().any()


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("n_rows", [2, 6])  # compiled kernels, and not
def test_decoding_keeps_to_it(tokenizer: Tokenizer, temperature: float, n_rows: int) -> None:
    torch.manual_seed(0)
    config: Any = {"vocab_size": tokenizer.vocab_size, "max_len": 128, "d_model": 16, "n_layers": 1, "n_heads": 2}
    model = gpt2(GPT2Config(**config))
    settings = GenerationSettings(max_new_tokens=100, temperature=temperature, seed=1, form="5x4")
    form, begun = parse_form("5x4"), "白日依山尽，"
    rule = TokenForm(form, tokenizer, eos_ids=(0,), vocab_size=tokenizer.vocab_size)
    decoding = decode(
        model, [tokenizer.encode(begun)] * n_rows, settings, eos_ids=(0,), rules=[rule.row(begun) for _ in range(n_rows)]
    )  # fmt: skip
    for _ in decoding:
        pass
    texts = [tokenizer.decode(row) for row in decoding.rows]
    assert all(map(form.holds, texts)), texts
    assert decoding.finish_reasons == ["stop"] * n_rows
    free = decode(model, [tokenizer.encode(begun)], settings, eos_ids=(0,))
    for _ in free:
        pass
    assert not form.holds(tokenizer.decode(free.rows[0]))


def test_a_form_that_no_token_writes() -> None:
    bare = train_bpe(["aaa bbb"], 260)
    rule = TokenForm(Form("a"), bare, eos_ids=(), vocab_size=bare.vocab_size)
    row = rule.row("")
    row.push(bare.encode("a")[0])
    assert row.is_whole
    with pytest.raises(ModelError, match="no token"):
        row.allowed()
