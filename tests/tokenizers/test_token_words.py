"""Which tokens are words, for every kind of tokenizer."""

from __future__ import annotations

from pathlib import Path

import tokenizers as hf
from hanmo.tokenizers.bpe import train_bpe
from hanmo.tokenizers.token_words import token_words
from hanmo.tokenizers.tokenizer import Tokenizer
from tokenizers import models, pre_tokenizers


def by_token(tokenizer: Tokenizer) -> dict[str, str | None]:
    words = token_words(tokenizer)
    assert len(words) == tokenizer.vocab_size
    return {tokenizer.decode([i], skip_special=False): word for i, word in enumerate(words)}


def test_byte_level_bpe() -> None:
    tokenizer = train_bpe(["the cats sing and the cat is singing, the king too. " * 9, "宝玉笑道：宝玉来了。" * 9], 400)
    words = by_token(tokenizer)
    assert words[" the"] == "the"
    assert words[" sing"] == "sing"
    assert words["ing"] is None  # goes on with a word
    assert words["宝玉"] == "宝玉"
    assert words["."] == "."
    assert words["<|endoftext|>"] is None
    assert words["\ufffd"] is None  # part of a character


def test_wordpiece(tmp_path: Path) -> None:
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "##ing", "宝", "##玉", "#"]
    (tmp_path / "vocab.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    (tmp_path / "tokenizer_config.json").write_text('{"model_type": "bert"}', encoding="utf-8")
    (tmp_path / "config.json").write_text('{"model_type": "bert"}', encoding="utf-8")
    words = token_words(Tokenizer.load(tmp_path))
    assert words == [None, None, None, None, None, "the", None, "宝", None, "#"]


def test_whole_words() -> None:
    coder = hf.Tokenizer(models.WordLevel({"the": 0, "宝玉": 1, "[UNK]": 2}, unk_token="[UNK]"))
    coder.pre_tokenizer = pre_tokenizers.WhitespaceSplit()  # type: ignore[assignment]
    coder.add_special_tokens(["[UNK]"])
    assert token_words(Tokenizer(coder.to_str())) == ["the", "宝玉", None]
