"""Texts in which the mask token, and no other special one, is read as what it is."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from hanmo.core.errors import DataError, ModelError
from hanmo.tokenizers.framed import Framed
from hanmo.tokenizers.tokenizer import Tokenizer, hide_special_pieces, parse_definition

__all__ = ["mask_id_of", "masked_encoder"]


def mask_id_of(tokenizer: Tokenizer, where: object = None) -> int:
    """Id of the mask token.

    Raises:
        ModelError: if there is none.
    """
    token = tokenizer.special_tokens.get("mask_token")
    token_id = None if token is None else tokenizer.token_id(token)
    if token_id is None:
        raise ModelError("this tokenizer has no mask token", where=where, remedy="Take a masked language model.")
    return token_id


def masked_encoder(tokenizer: Tokenizer) -> Callable[[Sequence[str]], list[Framed]]:
    """A function from texts, whose masks may be written out, to ids with special tokens around them.

    The mask is made a token that a text may hold; all the others stay ordinary text wherever they are written.

    Raises:
        ModelError: if there is no mask token.
    """
    mask_id = mask_id_of(tokenizer)
    parsed = json.loads(tokenizer.definition)
    parsed["added_tokens"] = [
        token | {"special": False} if token["id"] == mask_id else token for token in parsed.get("added_tokens") or []
    ]
    hidden = hide_special_pieces(parsed, set(tokenizer.special_ids) - {mask_id})
    coder = parse_definition(hidden or json.dumps(parsed, ensure_ascii=False), "tokenizer.json")
    coder.encode_special_tokens = True

    def encode(texts: Sequence[str]) -> list[Framed]:
        try:
            encodings: list[Any] = coder.encode_batch_fast(list(texts), add_special_tokens=True)
        except (TypeError, UnicodeEncodeError) as error:
            raise DataError("cannot encode what is no text, or holds half a surrogate pair", where="texts") from error
        return [Framed(encoding.ids, encoding.type_ids) for encoding in encodings]

    return encode
