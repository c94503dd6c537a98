"""Programs and lines of code that a model writes: `hanmo evaluate --benchmark`."""

from __future__ import annotations

import json as json_library
from pathlib import Path
from typing import Literal

__all__ = ["evaluate_code_model"]


def evaluate_code_model(
    model: Path | None,
    *,
    benchmark: Literal["humaneval", "mbpp", "completion"],
    file: Path | None,
    n: int,
    k: tuple[int, ...],
    temperature: float,
    top_p: float,
    max_new_tokens: int,
    seed: int,
    limit: int | None,
    samples: Path | None,
    canonical: bool,
    seconds: float,
    workers: int | None,
    out: Path | None,
    no_isolation: bool,
    json: bool,
) -> int:
    """Arguments as those of `hanmo evaluate`."""
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
