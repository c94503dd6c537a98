"""Which tokens of a tokenizer are words."""

from __future__ import annotations

import re

from hanmo.core.errors import ConfigError, DataError
from hanmo.tokenizers.tokenizer import Tokenizer

__all__ = ["token_words"]

_SPACE = " "
_CONTINUATION = "##"
_RUN = re.compile(r"[^\W\d_\u2e80-\u9fff\uf900-\ufaff\U00020000-\U000323af]")
"""A letter of a script that puts spaces between words."""


def token_words(tokenizer: Tokenizer) -> list[str | None]:
    """The word that each token is by itself; None for control tokens, parts of words, and torn characters.

    In a vocabulary that has tokens with a space in front, one of letters without it goes on with a word ("ing"), but
    not so in Chinese, which has no spaces; in WordPiece a part of a word begins with "##".
    """
    texts = [None if i in tokenizer.special_ids else _text(tokenizer, i) for i in range(tokenizer.vocab_size)]
    spaced = any(text is not None and text.startswith(_SPACE) and len(text) > 1 for text in texts)
    return [None if text is None else _word(text, spaced) for text in texts]


def _text(tokenizer: Tokenizer, token_id: int) -> str | None:
    try:
        return tokenizer.token_bytes(token_id).decode("utf-8")
    except ConfigError:  # the pieces of WordPiece are text as they stand
        return tokenizer.decode([token_id], skip_special=False)
    except (UnicodeDecodeError, DataError):  # part of a character; a number that no token has
        return None


def _word(text: str, spaced: bool) -> str | None:
    if text.startswith(_SPACE):
        word = text[1:]
    elif (spaced and _RUN.match(text)) or (text.startswith(_CONTINUATION) and len(text) > 2):
        return None
    else:
        word = text
    return word if word and not any(char.isspace() for char in word) else None
