"""`hanmo predict TASK MODEL TEXT`."""

from __future__ import annotations

import json as json_library
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

__all__ = ["predict"]


def predict(
    task: str,
    model: str,
    text: str | None = None,
    *,
    pair: str | None = None,
    file: Path | None = None,
    out: Path | None = None,
    top_k: int | None = None,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Ask a trained model: the class of a text, and what other tasks tell.

    Parameters
    ----------
    task:
        text-classification or sentiment-analysis.
    model:
        A model directory (runs/NAME/model), or the name of one on the Hugging Face hub.
    text:
        The text; without it, --file or standard input.
    pair:
        The second text, for tasks over pairs.
    file:
        Texts to answer one after the other: .jsonl with "text" in each object, or a text on each line. With --out.
    out:
        Where the answers go (.jsonl). Stopped at any moment, the same command goes on.
    top_k:
        How many classes of each text; the best one unless given.
    json:
        Print JSON.
    """
    from hanmo.cli.inputs import read_text_argument
    from hanmo.core.errors import ConfigError
    from hanmo.tasks.pipelines import pipeline

    if (file is None) != (out is None):
        raise ConfigError("--file and --out belong together", remedy="Give both, or neither and a text.")
    options: dict[str, Any] = {} if top_k is None else {"top_k": top_k}
    if file is not None and out is not None:
        if text is not None or pair is not None:
            raise ConfigError("a text and --file were both given", remedy="Give one of them.")
        from hanmo.tasks.predict_file import predict_file

        n = predict_file(pipeline(task, model), file, out, **options)
        print(f"{n:,} texts answered in {out}")
        return 0
    content = read_text_argument(text, None).strip()
    found = pipeline(task, model)({"text": content} | ({} if pair is None else {"text_pair": pair}), **options)
    if json:
        print(json_library.dumps(found, ensure_ascii=False))
        return 0
    for answer in found if isinstance(found, list) else [found]:
        print(f"{answer['score']:.4f}  {answer['label']}")
    return 0
