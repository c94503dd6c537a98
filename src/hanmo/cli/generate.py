"""`hanmo generate MODEL PROMPT`."""

from __future__ import annotations

import json as json_library
import re
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

__all__ = ["generate"]


def _no_option(kind: object, value: str | None) -> None:
    """A prompt may be "-" or "- milk"; a mistyped option must not become one."""
    if value is not None and re.match(r"--?\w", value):
        raise ValueError("unknown option; a text that begins like this can come from standard input, with -")


def generate(
    model: Path,
    prompt: Annotated[str, Parameter(allow_leading_hyphen=True, validator=_no_option)] = "",
    *,
    max_new_tokens: int = 200,
    temperature: float = 0.8,
    top_k: int | None = None,
    top_p: float | None = None,
    min_p: float | None = None,
    repetition_penalty: float = 1.0,
    seed: int | None = None,
    stop: Annotated[tuple[str, ...], Parameter(negative=())] = (),
    n: int = 1,
    adapter: str | None = None,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Continue a prompt, or write a text for it with a model that reads one text and writes another.

    Parameters
    ----------
    model:
        A model directory (runs/NAME/model).
    prompt:
        The beginning of the text; "-" reads standard input.
    max_new_tokens:
        Longest continuation, in tokens.
    temperature:
        0 is greedy; below 1 safer, above 1 wilder.
    top_k:
        Keep the k most likely tokens.
    top_p:
        Keep the most likely tokens that hold this probability (nucleus).
    min_p:
        Keep tokens at least this likely relative to the most likely one.
    repetition_penalty:
        Above 1 discourages tokens already in the text.
    seed:
        The same seed gives the same text.
    stop:
        End before this string; may be given several times.
    n:
        Number of samples.
    adapter:
        Folder of an adapter of the model.
    json:
        Print JSON: prompt, texts and settings.
    """
    from hanmo.cli.inputs import read_text_argument
    from hanmo.core.errors import ModelError
    from hanmo.tasks.loading import load

    if prompt == "-":
        prompt = read_text_argument(None, None)
    settings: dict[str, Any] = {
        "max_new_tokens": max_new_tokens, "temperature": temperature, "top_k": top_k, "top_p": top_p, "min_p": min_p,
        "repetition_penalty": repetition_penalty, "seed": seed, "stop": stop,
    }  # fmt: skip
    lm = load(model, adapter=adapter)
    if not hasattr(lm, "generate"):
        raise ModelError(
            f"{lm.model.architecture} writes no text", where=model,
            remedy="Give a model with a language modelling head, such as GPT-2, Llama, Qwen or T5.",
        )  # fmt: skip
    beginning = prompt if lm.continues else ""
    if json or n != 1:
        texts = lm.generate(prompt, n=n, **settings)
        texts = [texts] if isinstance(texts, str) else texts
        if json:
            print(json_library.dumps({"prompt": prompt, "texts": texts, "settings": settings}, ensure_ascii=False))
        else:
            for number, text in enumerate(texts, 1):
                print(f"--- {number} ---\n{beginning}{text}")
        return 0
    pieces = lm.stream(prompt, **settings)  # what cannot work is said before anything is printed
    print(beginning, end="", flush=True)
    for piece in pieces:
        print(piece, end="", flush=True)
    print()
    return 0
