"""Small trained tokenizers; training takes a tenth of a second."""

from __future__ import annotations

import pytest

from hanmo.tokenizers.bpe import END_OF_TEXT, train_bpe
from hanmo.tokenizers.tokenizer import Tokenizer

ENGLISH = "The quick brown fox doesn't jump over 12345 lazy dogs, WE'LL see. "
CHINESE = "天地玄黄，宇宙洪荒。日月盈昃，辰宿列张。寒来暑往，秋收冬藏！"
CODE = "def area(self, r):\n        if r < 0:\n            raise ValueError('r')\n        return 3.14 * r ** 2\n\n"
EMOJI = "👩‍👩‍👧‍👦 is a family, 🇨🇳 a flag, 𠮷 a rare character, e\u0301 a combination"
TEXTS = {"english": ENGLISH, "chinese": CHINESE, "code": CODE, "emoji": EMOJI}


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    return train_bpe([text * 3 for text in TEXTS.values()], 500)


@pytest.fixture(scope="session")
def chat_tokenizer() -> Tokenizer:
    special = (END_OF_TEXT, "<|im_start|>", "<|im_end|>", "<|begin_of_text|>", "<|start_header_id|>")
    special += ("<|end_header_id|>", "<|eot_id|>", "[INST]", "[/INST]")
    return train_bpe([text * 3 for text in TEXTS.values()], 500, special_tokens=special)
