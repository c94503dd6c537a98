"""From what a trainer learnt to a `Tokenizer`: the two files of a Hugging Face folder, the same for every kind."""

from __future__ import annotations

import json
from typing import Any

import tokenizers as hf
from hanmo.tokenizers.tokenizer import Tokenizer

__all__ = ["make_tokenizer"]

_NO_LIMIT = int(1e30)
"""What other libraries write where a context has no length."""


def make_tokenizer(coder: hf.Tokenizer, *, model_max_length: int | None, **config: Any) -> Tokenizer:
    """A tokenizer around a trained one.

    Args:
        coder: what was trained.
        model_max_length: context of the model, in tokens; None if it is not known.
        config: what else stands in tokenizer_config.json: special tokens by their roles, names of inputs.
    """
    # Through Python's JSON: one form whatever the library's own pretty-printer does next year.
    definition = json.dumps(json.loads(coder.to_str()), ensure_ascii=False, indent=1) + "\n"
    return Tokenizer(
        definition,
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            **config,
            "clean_up_tokenization_spaces": False,
            "model_max_length": model_max_length if model_max_length is not None else _NO_LIMIT,
        },
    )
