"""`hanmo score MODEL TEXT`."""

from __future__ import annotations

import json as json_library
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

__all__ = ["score"]


def score(
    model: Path,
    text: str | None = None,
    *,
    file: Path | None = None,
    tokens: Annotated[bool, Parameter(negative=())] = False,
    adapter: str | None = None,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Log-probabilities and bits per byte of a text.

    Parameters
    ----------
    model:
        A model directory.
    text:
        The text; without it, --file or standard input.
    file:
        A text file (UTF-8, GB18030, Big5 or Latin-1). One that the tokenizer was trained on is refused.
    tokens:
        Also print the log-probability of each token.
    adapter:
        Folder of an adapter of the model.
    json:
        Print JSON.
    """
    from hanmo.cli.inputs import read_text_argument
    from hanmo.tasks.loading import load_language_model
    from hanmo.tokenizers.training_data import refuse_training_text

    content = read_text_argument(text, file)
    lm = load_language_model(model, adapter=adapter)
    if file is not None and lm.tokenizer.training_files:
        refuse_training_text(lm.tokenizer.training_files, [file], tokenizer=f"of {model}")
    result = lm.score(content)
    if json:
        print(json_library.dumps(result.to_dict(), ensure_ascii=False))
        return 0
    if tokens:
        for piece, logprob in zip(result.tokens, result.logprobs, strict=True):
            print(f"{logprob:10.4f}  {piece!r}")
    print(
        f"{result.n_tokens:,} tokens, {result.n_bytes:,} bytes: {result.bits_per_byte:.4f} bits per byte, "
        f"perplexity {result.perplexity:.2f} per token",
        file=sys.stdout,
    )
    return 0
