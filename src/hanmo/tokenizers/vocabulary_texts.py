"""What the tokens of a vocabulary say, in a form in which tokenizers of different kinds can be compared."""

from __future__ import annotations

import json

from hanmo.core.errors import ConfigError
from hanmo.tokenizers.tokenizer import Tokenizer

__all__ = ["tokenizer_kind", "vocabulary_texts"]

_BYTE_LEVEL = {"BPE": "byte-level BPE", "Unigram": "byte-level Unigram"}
_WITH_BYTES = {"BPE": "BPE with bytes", "Unigram": "Unigram with bytes"}
_MARK = "##"


def tokenizer_kind(tokenizer: Tokenizer) -> str:
    """Name of its kind: "byte-level BPE", "WordPiece", "Unigram with bytes", "words", "characters", ..."""
    definition = json.loads(tokenizer.definition)
    model = definition.get("model") or {}
    kind = str(model.get("type") or "Unigram")
    if '"ByteLevel"' in json.dumps(definition.get("decoder")):
        return _BYTE_LEVEL.get(kind, kind)
    if model.get("byte_fallback"):
        return _WITH_BYTES.get(kind, kind)
    if kind == "WordLevel":
        return "characters" if (definition.get("decoder") or {}).get("type") == "Fuse" else "words"
    return kind


def vocabulary_texts(tokenizer: Tokenizer) -> frozenset[bytes]:
    """The tokens as UTF-8 bytes, without special tokens and without marks and spaces that tell of word borders."""
    texts = set()
    for token, number in tokenizer.vocabulary().items():
        if number in tokenizer.special_ids:
            continue
        try:
            texts.add(tokenizer.token_bytes(number).strip(b" ") or b" ")
        except ConfigError:
            texts.add(token.removeprefix(_MARK).encode("utf-8"))
    return frozenset(texts)
