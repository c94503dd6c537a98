"""`hanmo evaluate MODEL --benchmark humaneval`."""

from __future__ import annotations

import json as json_library
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

__all__ = ["evaluate"]


def evaluate(
    model: Path | None = None,
    *,
    benchmark: Literal["humaneval", "mbpp", "completion"],
    file: Path | None = None,
    n: int = 1,
    k: Annotated[tuple[int, ...], Parameter(negative=())] = (1,),
    temperature: float = 0.2,
    top_p: float = 0.95,
    max_new_tokens: int = 256,
    seed: int = 0,
    limit: int | None = None,
    samples: Path | None = None,
    canonical: Annotated[bool, Parameter(negative=())] = False,
    seconds: float = 10.0,
    workers: int | None = None,
    out: Path | None = None,
    no_isolation: Annotated[bool, Parameter(negative=())] = False,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Let a model write programs, run them in the sandbox, and tell how many pass: pass@k. Or lines of code, and compare.

    Parameters
    ----------
    model:
        A model directory (runs/NAME/model); not with --samples or --canonical.
    benchmark:
        humaneval or mbpp; or completion, the next line of functions: exact match, edit similarity, with a model of
        n-grams beside it where the training side (train.jsonl.gz) lies beside the file.
    file:
        Its file, if not that below $HANMO_DATA; of completion documents of Python (runs/NAME/corpus/heldout.jsonl.gz).
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
        Where programs and verdicts go (.jsonl). Stopped at any moment, the same command goes on.
    no_isolation:
        Run programs with limits alone, where the sandbox is not there. Only for programs that you trust.
    json:
        Print JSON.
    """
    from hanmo.core.errors import ConfigError
    from hanmo.evaluation.code_benchmark import evaluate_code, read_samples, write_solutions, write_with
    from hanmo.evaluation.code_problems import read_problems
    from hanmo.evaluation.sandbox.run import Limits, require_isolation

    counts = {"n": n, "k": min(k, default=1), "max-new-tokens": max_new_tokens, "limit": limit, "workers": workers}
    for name, value in counts.items():
        if value is not None and value < 1:
            raise ConfigError(f"{value} is less than 1", where=f"--{name}")
    if not seconds > 0:
        raise ConfigError(f"{seconds:g} is no time", where="--seconds", remedy="Give the longest time of a program.")
    if benchmark == "completion":
        return _complete(model, file, limit or 500, seed, json)
    if (model is not None) + (samples is not None) + canonical != 1:
        raise ConfigError("a model, --samples and --canonical exclude each other", remedy="Give one of them.")
    if model is not None and k and max(k) > n:
        raise ConfigError(f"pass@{max(k)} needs as many programs, n is {n}", where="n", remedy="Raise -n or lower -k.")
    if not no_isolation:
        require_isolation()
    problems = read_problems(benchmark, file)[:limit]
    made_by = "canonical solutions" if canonical else f"samples of {samples}"
    if canonical:
        write = write_solutions
    elif samples is not None:
        write = read_samples(samples, problems)
    else:
        from hanmo.models.hub import model_digest
        from hanmo.tasks.loading import load_language_model

        assert model is not None
        lm = load_language_model(model)
        asked = {"n": n, "temperature": temperature, "top_p": top_p, "max_new_tokens": max_new_tokens, "seed": seed}
        made_by = f"{model_digest(model)} {asked}"
        write = write_with(lm, **asked)
    result = evaluate_code(
        problems, write, ks=k, limits=Limits(seconds=seconds), isolated=not no_isolation, n_workers=workers, out=out,
        made_by=f"{made_by}, {benchmark}",
    )  # fmt: skip
    if json:
        print(json_library.dumps(result.to_dict(), ensure_ascii=False))
        return 0
    print(f"{result.n_problems:,} problems of {benchmark}, {len(result.samples):,} programs")
    for count, found in result.pass_at.items():
        print(f"  pass@{count:<4} {found.value:7.2%}   ({found.low:.2%} to {found.high:.2%})")
    for reason, count in list(result.to_dict()["reasons"].items())[:8]:
        print(f"  {count:6,}  {reason}")
    return 0


def _complete(model: Path | None, file: Path | None, limit: int, seed: int, json: bool) -> int:
    from hanmo.core.errors import ConfigError, ModelError
    from hanmo.corpora.documents import read_documents
    from hanmo.evaluation.code_completion import (
        completion_figures,
        find_lines,
        ngram_lines,
        writes_between,
        writes_on,
    )
    from hanmo.tasks.loading import load_language_model
    from hanmo.tokenizers.infilling import infill_tokens

    if model is None or file is None:
        raise ConfigError("completion needs a model and --file", remedy="Give runs/NAME/corpus/heldout.jsonl.gz.")
    lm = load_language_model(model)
    lines = find_lines((document.text for document in read_documents(file)), limit, seed)
    figures = {"writes on": completion_figures(lines, writes_on(lm))}
    try:
        infill_tokens(lm.tokenizer)
    except ModelError:
        pass
    else:
        figures["fills in"] = completion_figures(lines, writes_between(lm))
    if (known := file.with_name("train.jsonl.gz")).is_file() and known != file:
        texts = (document.text for document in read_documents(known))
        figures["n-grams"] = completion_figures(lines, ngram_lines(lm.tokenizer, texts))
    if json:
        print(json_library.dumps(figures, ensure_ascii=False))
        return 0
    print(f"{len(lines):,} lines of as many functions     exact match   edit similarity")
    for name, found in figures.items():
        print(f"  {name:<38} {found['exact_match']:7.2%} {found['edit_similarity']:15.3f}")
    return 0
