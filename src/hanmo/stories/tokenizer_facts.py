"""What the report says about a tokenizer, measured on held-out documents."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hanmo.corpora.documents import read_documents
from hanmo.evaluation.segmentations import show_tokens
from hanmo.tokenizers.vocabulary_texts import tokenizer_kind

if TYPE_CHECKING:
    from hanmo.tokenizers.tokenizer import Tokenizer

__all__ = ["EXAMPLES", "tokenizer_facts"]

EXAMPLES = (
    ("en", "Writing is thinking with brush and ink."),
    ("zh", "翰墨是毛笔与墨，写下来才算想清楚。"),
    ("code", "def read(path):\n    return open(path, encoding='utf-8').read()\n"),
)
"""Texts shown cut into tokens, by language."""

_SAMPLE_CHARACTERS = 200_000
"""Held-out characters per language that are measured."""


def tokenizer_facts(tokenizer: Tokenizer, heldout: Path) -> dict[str, Any]:
    """Size, hash, characters per token by language, and example segmentations.

    Args:
        tokenizer: the run's.
        heldout: held-out documents, JSONL.
    """
    texts: dict[str, list[str]] = {}
    for document in read_documents(heldout):
        held = texts.setdefault(document.lang, [])
        if sum(map(len, held)) < _SAMPLE_CHARACTERS:
            held.append(document.text)
    rate: dict[str, float] = {}
    for lang, held in sorted(texts.items()):
        n_tokens = sum(len(ids) for ids in tokenizer.encode_batch(held))
        if n_tokens:
            rate[lang] = sum(map(len, held)) / n_tokens
    return {
        "kind": tokenizer_kind(tokenizer),
        "vocab_size": tokenizer.vocab_size,
        "sha256": tokenizer.sha256,
        "characters_per_token": rate,
        "examples": [{"lang": lang, "text": text, "tokens": show_tokens(tokenizer, text)} for lang, text in EXAMPLES],
    }
