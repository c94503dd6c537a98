"""`hanmo evaluate MODEL`: on labelled examples, or on a benchmark of code."""

from __future__ import annotations

import json as json_library
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

__all__ = ["evaluate"]

_TEMPERATURE, _TOP_P, _MAX_NEW_TOKENS, _SECONDS = 0.2, 0.95, 256, 10.0


def evaluate(
    model: str | None = None,
    *,
    file: Path | None = None,
    against: str | None = None,
    recipe: Path | None = None,
    task: str | None = None,
    template: str | None = None,
    set_: Annotated[tuple[str, ...], Parameter(name="--set", negative=())] = (),
    benchmark: Literal["humaneval", "mbpp", "completion"] | None = None,
    n: int = 1,
    k: Annotated[tuple[int, ...], Parameter(negative=())] = (1,),
    temperature: float = _TEMPERATURE,
    top_p: float = _TOP_P,
    max_new_tokens: int = _MAX_NEW_TOKENS,
    seed: int = 0,
    limit: int | None = None,
    samples: Path | None = None,
    canonical: Annotated[bool, Parameter(negative=())] = False,
    seconds: float = _SECONDS,
    workers: int | None = None,
    out: Path | None = None,
    no_isolation: Annotated[bool, Parameter(negative=())] = False,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Try a trained model on labelled examples, and compare it with another by a paired test. Or let it write programs, run
    them in the sandbox, and tell how many pass (--benchmark).

    Parameters
    ----------
    model:
        A run (runs/NAME), its model directory, or any model with a head for the task; not with --samples or --canonical.
    file:
        Labelled examples in the form that the model learned from; its test set if not given. Of humaneval and mbpp their
        file, if not that below $HANMO_DATA; of completion documents of Python (runs/NAME/corpus/heldout.jsonl.gz).
    against:
        Another run or model: both are judged on the same examples, and compared.
    recipe:
        A TOML file that says where examples are and how they are read; that of the run if not given.
    task:
        Read --file as a recipe of this task does by default (text-classification, token-classification, …); also
        zero-shot-classification, for labels that the model has not learned, and zero-shot-image-classification, where
        --file is a folder with a folder of images for each class.
    template:
        A sentence with {} for the label, such as "It was {}." (zero-shot).
    set_:
        Override a value of the recipe: --set data.label=2. May be given several times.
    benchmark:
        humaneval or mbpp; or completion, the next line of functions: exact match, edit similarity, with a model of
        n-grams beside it where the training side (train.jsonl.gz) lies beside the file.
    n:
        Programs for each problem.
    k:
        Of how many one has to pass; may be given several times, each at most n.
    temperature:
        0 is greedy; 0.2 suits pass@1, 0.8 pass@100.
    top_p:
        Keep the most likely tokens that hold this probability (nucleus).
    max_new_tokens:
        Longest program, in tokens.
    seed:
        The same seed gives the same programs.
    limit:
        Only the first problems; of completion so many functions (500).
    samples:
        Run these programs instead: .jsonl with task_id and completion in each object.
    canonical:
        Run the solutions of the benchmark's authors instead: all must pass.
    seconds:
        Longest time of a program.
    workers:
        Programs that run at a time.
    out:
        Where predictions, or programs and verdicts, go (.jsonl). A benchmark that was stopped goes on with the same command.
    no_isolation:
        Run programs with limits alone, where the sandbox is not there. Only for programs that you trust.
    json:
        Print JSON.
    """
    from hanmo.core.errors import ConfigError

    of_tasks = {"--against": against, "--recipe": recipe, "--task": task, "--template": template, "--set": set_ or None}
    of_code = {
        "--n": n != 1, "--k": k != (1,), "--temperature": temperature != _TEMPERATURE, "--top-p": top_p != _TOP_P,
        "--max-new-tokens": max_new_tokens != _MAX_NEW_TOKENS, "--seed": seed != 0, "--limit": limit is not None,
        "--samples": samples is not None, "--canonical": canonical, "--seconds": seconds != _SECONDS,
        "--workers": workers is not None, "--no-isolation": no_isolation,
    }  # fmt: skip
    if benchmark is not None:
        if wrong := [name for name, value in of_tasks.items() if value is not None]:
            raise ConfigError(
                f"{wrong[0]} is for labelled examples, not for {benchmark}", where=wrong[0], remedy="Leave it out."
            )
        from hanmo.cli.evaluate_code import evaluate_code_model

        return evaluate_code_model(
            None if model is None else Path(model), benchmark=benchmark, file=file, n=n, k=k, temperature=temperature,
            top_p=top_p, max_new_tokens=max_new_tokens, seed=seed, limit=limit, samples=samples, canonical=canonical,
            seconds=seconds, workers=workers, out=out, no_isolation=no_isolation, json=json,
        )  # fmt: skip
    if wrong := [name for name, given in of_code.items() if given]:
        raise ConfigError(f"{wrong[0]} is for a benchmark", where=wrong[0], remedy="Give --benchmark, or leave it out.")
    if model is None:
        raise ConfigError(
            "no model is given", where="MODEL", remedy="Give a run, such as runs/NAME, or a model directory."
        )
    from hanmo.stories.judge import evaluate as judge

    found = judge(
        model, file=file, against=against, recipe=recipe, task=task, template=template, overrides=set_, out=out
    )
    print(json_library.dumps(found.to_dict(), ensure_ascii=False) if json else found.summary())
    return 0
