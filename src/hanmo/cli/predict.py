"""`hanmo predict TASK MODEL TEXT`."""

from __future__ import annotations

import json as json_library
from contextlib import suppress
from functools import partial
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
    question: str | None = None,
    context: str | None = None,
    file: Path | None = None,
    out: Path | None = None,
    top_k: int | None = None,
    pooled: Annotated[bool, Parameter(negative=())] = False,
    applying: Annotated[bool, Parameter(negative=())] = False,
    labels: str | None = None,
    template: str | None = None,
    src_lang: str | None = None,
    tgt_lang: str | None = None,
    untrained: Annotated[bool, Parameter(negative=())] = False,
    num_beams: int | None = None,
    int8: Annotated[bool, Parameter(negative=())] = False,
    adapter: str | None = None,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Ask a trained model: the class of a text, and what other tasks tell.

    Parameters
    ----------
    task:
        text-classification (or sentiment-analysis), token-classification (or ner, pos), sentence-similarity,
        feature-extraction, fill-mask, grading, question-answering, translation (or translation_en_to_de),
        summarization, text2text-generation, text-generation, zero-shot-classification, zero-shot-image-classification.
    model:
        A model directory (runs/NAME/model), or the name of one on the Hugging Face hub.
    text:
        The text, or the file of an image; without it, --file or standard input.
    pair:
        The second text, for tasks over pairs; the reference of an answer (grading).
    question:
        What was asked (grading, where the model was trained with questions).
    context:
        The text that a question is about, or a file with it (question-answering).
    file:
        Texts to answer one after the other: .jsonl with "text" in each object ("question" and "context" for
        question-answering), or a text on each line. With --out.
    out:
        Where the answers go (.jsonl). Stopped at any moment, the same command goes on.
    top_k:
        How many classes of each text, or tokens of each mask; the best one, or five, unless given.
    pooled:
        One vector for the text, not one for each token (feature-extraction).
    applying:
        All classes that apply, of a model for several classes a text.
    labels:
        Labels to choose from, between commas (zero-shot tasks).
    template:
        A sentence with {} for the label, such as "This example is {}." (zero-shot tasks).
    src_lang:
        Language of the text (translation, of a model of several pairs).
    tgt_lang:
        Into which language (translation).
    untrained:
        Also a pair that the model has not learned, of languages that it has (translation, zero-shot).
    num_beams:
        How many beginnings a search keeps; 1 is greedy (tasks that write a text).
    int8:
        Compute large products of an encoder in 8 bits: faster on many CPUs, scores off by about a percent.
    adapter:
        Folder of an adapter of the model.
    json:
        Print JSON.
    """
    from hanmo.cli.inputs import read_text_argument
    from hanmo.core.errors import ConfigError
    from hanmo.tasks.pipelines import pipeline

    if (file is None) != (out is None):
        raise ConfigError("--file and --out belong together", remedy="Give both, or neither and a text.")
    options: dict[str, Any] = {} if top_k is None else {"top_k": top_k}
    pipe = partial(pipeline, adapter=adapter, dtype="int8" if int8 else "float32")
    if pooled:
        options["pooled"] = True
    options |= {"applying": True} if applying else {}
    options |= {"untrained": True} if untrained else {}
    options |= {} if labels is None else {"candidate_labels": labels}
    options |= {} if template is None else {"hypothesis_template": template}
    told = {"src_lang": src_lang, "tgt_lang": tgt_lang, "num_beams": num_beams}
    options |= {name: value for name, value in told.items() if value is not None}
    if file is not None and out is not None:
        if any(given is not None for given in (text, pair, question, context)):
            raise ConfigError("a text and --file were both given", remedy="Give one of them.")
        from hanmo.models.hub import model_digest
        from hanmo.tasks.predict_file import predict_file

        digest = model_digest(model, adapter)
        made_by = f"{digest} int8" if int8 else digest
        n = predict_file(pipe(task, model), file, out, made_by=made_by, **options)
        print(f"{n:,} texts answered in {out}")
        return 0
    content = read_text_argument(text, None).strip()
    asked = {"text": content} | ({} if pair is None else {"text_pair": pair})
    if task == "question-answering":
        asked = {"question": content, "context": _context(context)}
    elif context is not None:
        raise ConfigError(f"{task} reads no --context", remedy="Leave it out; a second text is --pair.")
    if question is not None:
        if task != "grading":
            raise ConfigError(f"{task} reads no --question", remedy="Leave it out; a question is its text.")
        asked["question"] = question
    answering = pipe(task, model)
    if pair is not None and not answering.reads_pairs:
        raise ConfigError(f"{task} reads no --pair", where="--pair", remedy="Leave it out.")
    found = answering(asked, **options)
    if json:
        print(json_library.dumps(found, ensure_ascii=False))
        return 0
    for line in _lines(found):
        print(line)
    return 0


def _context(given: str | None) -> str:
    """A text, or that of a file if there is one of this name."""
    from hanmo.core.errors import ConfigError
    from hanmo.tasks.text_files import read_text_file

    if given is None:
        raise ConfigError("a question needs a text", where="--context", remedy="Give the text, or a file with it.")
    is_file = False
    with suppress(OSError, ValueError):  # longer than a name can be, or with signs that no name has
        is_file = Path(given).is_file()
    return read_text_file(Path(given)) if is_file else given


def _lines(answer: Any) -> list[str]:
    """An answer as people read it: objects and vectors on a line each."""
    if isinstance(answer, dict) and "scores" in answer and "sequence" in answer:
        return [f"{score:.4f}  {label}" for label, score in zip(answer["labels"], answer["scores"], strict=True)]
    if isinstance(answer, dict) and "generated_text" in answer:
        told = answer["generated_text"]
        return [told if isinstance(told, str) else told[-1]["content"]]
    if isinstance(answer, dict):
        return [_line(answer)]
    if isinstance(answer, float):
        return [f"{answer:.4f}"]
    if answer and all(isinstance(item, float) for item in answer):
        return [" ".join(f"{item:.4f}" for item in answer)]
    return [line for item in answer for line in _lines(item)]


def _line(answer: dict[str, Any]) -> str:
    if answer.keys() & {"translation_text", "summary_text", "generated_text"}:
        return str(next(iter(answer.values())))
    if "token_str" in answer:
        return f"{answer['score']:.4f}  {answer['token_str']}  {answer['sequence']}"
    if "answer" in answer:
        return f"{answer['score']:.4f}  {answer['answer'] or '–'}"
    if answer.keys() == {"score"}:
        return f"{answer['score']:.4f}"
    label = answer.get("label") or answer.get("entity") or answer.get("entity_group")
    word = f"  {answer['word']}" if "word" in answer else ""
    return f"{answer['score']:.4f}  {label}{word}"
