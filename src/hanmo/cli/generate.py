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
    max_new_tokens: int | None = None,
    temperature: float | None = None,
    num_beams: int | None = None,
    top_k: int | None = None,
    top_p: float | None = None,
    min_p: float | None = None,
    repetition_penalty: float | None = None,
    seed: int | None = None,
    stop: Annotated[tuple[str, ...], Parameter(negative=())] = (),
    n: int | None = None,
    suffix: str | None = None,
    form: str | None = None,
    prompts: Path | None = None,
    out: Path | None = None,
    check: str | None = None,
    adapter: str | None = None,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Continue a prompt, or write a text for it with a model that reads one text and writes another.

    What is not said is as the model's generation_config.json has it.

    Parameters
    ----------
    model:
        A model directory (runs/NAME/model).
    prompt:
        The beginning of the text; "-" reads standard input.
    max_new_tokens:
        Longest continuation, in tokens; 200 where the model says nothing.
    temperature:
        0 is greedy; below 1 safer, above 1 wilder; 0.8 where the model says nothing.
    num_beams:
        Search for the most probable text with so many beams, in place of drawing one.
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
        Number of texts.
    suffix:
        What stands behind the text: the middle is written, by a model that was trained to (code models).
    form:
        What the text has to look like: 5x4 for a poem of four lines of five characters that begins with the prompt, or a
        regular expression of what follows the prompt (\\h is a Chinese character).
    prompts:
        Prompts to write for one after the other: .jsonl with "prompt" in each object, which may have form, stop,
        max_new_tokens and temperature of its own; or a prompt on each line. With --out.
    out:
        Where the texts go (.jsonl). Stopped at any moment, the same command goes on.
    check:
        A form that texts of --prompts are measured at without being held to it.
    adapter:
        Folder of an adapter of the model.
    json:
        Print JSON: prompt, texts and settings; of --prompts, figures of the texts.
    """
    from hanmo.cli.inputs import read_text_argument
    from hanmo.core.errors import ConfigError, ModelError
    from hanmo.generation.beam import BeamSettings
    from hanmo.tasks.asked_settings import unless_said
    from hanmo.tasks.language_model import LanguageModel
    from hanmo.tasks.loading import load

    if prompt == "-":
        prompt = read_text_argument(None, None)
    settings: dict[str, Any] = {
        "max_new_tokens": max_new_tokens, "temperature": temperature, "top_k": top_k, "top_p": top_p, "min_p": min_p,
        "repetition_penalty": repetition_penalty, "seed": seed, "stop": stop or None, "form": form, "num_beams": num_beams,
    }  # fmt: skip
    if (
        (prompts is None) != (out is None)
        or (prompts is not None and prompt)
        or (check is not None and prompts is None)
    ):
        raise ConfigError(
            "--prompts and --out belong together, without a prompt; --check goes with them",
            remedy="Give both, or neither and a prompt.",
        )  # fmt: skip
    lm = load(model, adapter=adapter)
    if not hasattr(lm, "generate"):
        raise ModelError(
            f"{lm.model.architecture} writes no text", where=model,
            remedy="Give a model with a language modelling head, such as GPT-2, Llama, Qwen or T5.",
        )  # fmt: skip
    settings = unless_said(lm.generation_config, settings, temperature=0.8, max_new_tokens=200)
    if n is not None:
        settings["n"] = n
    checked = lm.settings(settings)
    if prompts is not None and out is not None:
        from hanmo.models.hub import model_digest

        return _write_file(lm, prompts, out, settings | {"n": checked.n}, model_digest(model, adapter), check, json)
    beginning = prompt if lm.continues else ""
    if suffix is not None and not isinstance(lm, LanguageModel):
        raise ConfigError("this kind of model fills in no middle", where="--suffix", remedy="Leave it out.")
    if json or checked.n != 1 or isinstance(checked, BeamSettings) or suffix is not None:
        texts = lm.generate(prompt, **settings) if suffix is None else lm.infill(prompt, suffix, **settings)
        texts = [texts] if isinstance(texts, str) else texts
        if checked.n == 1 and not json:
            print(f"{beginning}{texts[0]}{suffix or ''}")
        elif json:
            print(json_library.dumps({"prompt": prompt, "texts": texts, "settings": settings}, ensure_ascii=False))
        else:
            for number, text in enumerate(texts, 1):
                print(f"--- {number} ---\n{beginning}{text}{suffix or ''}")
        return 0
    pieces = lm.stream(prompt, **settings)  # what cannot work is said before anything is printed
    print(beginning, end="", flush=True)
    for piece in pieces:
        print(piece, end="", flush=True)
    print()
    return 0


def _write_file(
    lm: Any, prompts: Path, out: Path, settings: dict[str, Any], made_by: str, check: str | None, json: bool
) -> int:
    """Texts for a file of prompts, and figures of all that are in the file then."""
    from hanmo.evaluation.written_texts import text_figures
    from hanmo.generation.forms import parse_form
    from hanmo.tasks.predict_file import predict_file
    from hanmo.tasks.prompt_writer import PromptWriter

    if check is not None:
        parse_form(check)
    options = settings | {"stop": list(settings.get("stop", ()))}
    if not options["stop"]:
        del options["stop"]
    predict_file(PromptWriter(lm), prompts, out, made_by=made_by, **options)
    rows = [json_library.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    pairs = [(row.get("prompt", row.get("text", "")), text) for row in rows for text in row["texts"]]
    before = [first if lm.continues else "" for first, _ in pairs]
    figures = text_figures([text for _, text in pairs], prompts=before, form=check or settings.get("form"))
    if json:
        print(json_library.dumps(figures, ensure_ascii=False))
        return 0
    print(f"{len(pairs):,} texts for {len(rows):,} prompts in {out}")
    for name, value in figures.items():
        if name != "texts" and value is not None:
            print(f"  {name:<13} {value:.3f}")
    return 0
