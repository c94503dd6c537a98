"""Texts and conversations in and out, as `transformers.pipeline` has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import hanmo
from hanmo.cli.predict import predict
from hanmo.core.errors import ConfigError, DataError, ModelError
from hanmo.models.llama import LlamaConfig, llama
from hanmo.tasks.language_model import LanguageModel
from hanmo.tasks.win_rate import likelihood_judge, win_rate
from hanmo.tokenizers.bpe import END_OF_TEXT, train_bpe
from hanmo.tokenizers.default_templates import CHAT_TOKENS, DEFAULT_TEMPLATES
from tiny_reader import write_reader

CHATS = [
    [{"role": "user", "content": "天地玄黄"}],
    [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hi."},
        {"role": "user", "content": "How are you?"},
    ],
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "chat"
    text = ["天地玄黄，宇宙洪荒。 How are you today? Fine." * 3]
    tokenizer = train_bpe(text, 320, special_tokens=(END_OF_TEXT, *CHAT_TOKENS), model_max_length=96)
    torch.manual_seed(1)
    shape: dict[str, Any] = {
        "vocab_size": tokenizer.vocab_size,
        "max_len": 96,
        "d_model": 32,
        "n_layers": 2,
        "n_heads": 2,
    }
    model = llama(LlamaConfig(**shape, bos_id=0, eos_id=0, init_std=0.3))
    lm = LanguageModel(model.eval(), tokenizer)
    lm.with_chat(tokenizer.with_chat_template(DEFAULT_TEMPLATES["chatml"]), (2,)).save(folder)
    return folder


@pytest.fixture(scope="module")
def ours(folder: Path) -> Any:
    return hanmo.pipeline("text-generation", folder)


def test_the_same_as_transformers(ours: Any, folder: Path) -> None:
    from transformers import pipeline

    theirs = pipeline("text-generation", model=str(folder))
    options = {"max_new_tokens": 12, "do_sample": False}
    for inputs in (CHATS[0], CHATS, "How are", ["How are", "天地玄"]):
        for full in (True, False):
            expected = theirs(inputs, return_full_text=full, **options)
            assert ours(inputs, return_full_text=full, **options) == expected
    assert ours.lm.eos_ids == (2, 0)
    assert [message["role"] for message in ours(CHATS[1], **options)[0]["generated_text"]][-2:] == ["user", "assistant"]


def test_several_sequences(ours: Any) -> None:
    found = ours(CHATS[0], num_return_sequences=3, do_sample=True, seed=1, max_new_tokens=8, return_full_text=False)
    assert len(found) == 3
    assert len({one["generated_text"] for one in found}) > 1
    assert (
        found
        == ours(CHATS, num_return_sequences=3, do_sample=True, seed=1, max_new_tokens=8, return_full_text=False)[0]
    )
    assert (
        ours.lm.chat(CHATS[0], max_new_tokens=8)
        == ours(CHATS[0], max_new_tokens=8, return_full_text=False)[0]["generated_text"]
    )
    streamed = list(ours(iter(["How", "are"]), max_new_tokens=3))
    assert streamed == ours(["How", "are"], max_new_tokens=3)


def test_what_cannot_be_asked(ours: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the last message is the assistant's"):
        ours([*CHATS[0], {"role": "assistant", "content": "玄"}])
    with pytest.raises(DataError, match="'content' is missing"):
        ours([{"role": "user"}])
    with pytest.raises(DataError, match="is no text"):
        ours([1])
    with pytest.raises(ConfigError, match="say the same"):
        ours("a", stop="x", stop_sequence="y")
    with pytest.raises(ConfigError, match="top_q"):
        ours("a", top_q=1)
    with pytest.raises(ModelError, match="does not continue a text"):
        hanmo.pipeline("text-generation", write_reader(tmp_path / "bert", "BertForMaskedLM"))


def test_from_the_command_line(folder: Path, ours: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert predict("text-generation", str(folder), "How are") == 0
    assert capsys.readouterr().out.startswith("How are")
    (tmp_path / "asked.jsonl").write_text('{"messages": [{"role": "user", "content": "你好"}]}\n{"text": "天"}\n')
    assert predict("text-generation", str(folder), file=tmp_path / "asked.jsonl", out=tmp_path / "told.jsonl") == 0
    assert '"generated_text": [{"role": "user"' in (tmp_path / "told.jsonl").read_text().splitlines()[0]


def test_win_rates(ours: Any) -> None:
    def longer(messages: Any, first: str, second: str) -> float:
        return 0.5 if len(first) == len(second) else float(len(first) > len(second))

    assert win_rate(longer, CHATS, ["aaa", "b"], ["a", "b"]).value == 0.75
    assert (
        win_rate(lambda *_: 1.0, CHATS, ["a", "b"], ["c", "d"]).value == 0.5
    )  # who always takes the first says nothing
    with pytest.raises(DataError, match="2 questions, 1 and 2 answers"):
        win_rate(longer, CHATS, ["a"], ["b", "c"])
    with pytest.raises(DataError, match="outside 0"):
        win_rate(lambda *_: 2.0, CHATS, ["a", "b"], ["c", "d"])
    judge = likelihood_judge(ours.lm)
    likely = ours(CHATS[0], max_new_tokens=12, return_full_text=False)[0]["generated_text"]
    assert judge(CHATS[0], likely, "zqxj zqxj zqxj") == 1.0
    assert judge(CHATS[0], "zqxj zqxj zqxj", likely) == 0.0
