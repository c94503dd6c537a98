"""`hanmo quickstart`: the main job with defaults that fit the machine and the time."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Literal

from hanmo.core.errors import ConfigError
from hanmo.core.settings import check_settings
from hanmo.stories.pretrain import pretrain
from hanmo.stories.recipe import PretrainRecipe
from hanmo.stories.result import PretrainResult
from hanmo.stories.train import open_run

__all__ = ["quickstart", "quickstart_recipe"]

_SIZES: tuple[tuple[float, dict[str, Any]], ...] = (
    (
        1.0,
        {"n_layers": 2, "d_model": 64, "n_heads": 2, "vocab_size": 1024, "max_len": 128, "batch_size": 8, "lr": 8e-3},
    ),
    (
        6.0,
        {"n_layers": 3, "d_model": 128, "n_heads": 4, "vocab_size": 2048, "max_len": 128, "batch_size": 12, "lr": 8e-3},
    ),
    (
        40.0,
        {"n_layers": 4, "d_model": 192, "n_heads": 3, "vocab_size": 4096, "max_len": 256, "batch_size": 8, "lr": 6e-3},
    ),
    (
        float("inf"),
        {"n_layers": 6, "d_model": 384, "n_heads": 6, "vocab_size": 8192, "max_len": 256, "batch_size": 8, "lr": 1e-3},
    ),
)
"""Longest budget in minutes → size; measured on 2 cores (docs/design-notes.md)."""

_MUON_SHARE = 0.5
"""Muon's learning rate as a share of AdamW's."""


def quickstart_recipe(
    corpus: str | Path | None = None,
    *,
    minutes: float = 3.0,
    family: Literal["gpt2", "llama"] = "gpt2",
    lang: Literal["en", "zh"] = "en",
    seed: int = 0,
    name: str = "quickstart",
) -> PretrainRecipe:
    """The recipe of a quickstart; `hanmo train` takes the same as TOML.

    Raises:
        ConfigError: if the corpus does not exist or a value is impossible.
    """
    if not 0 < minutes < math.inf:  # also refuses NaN
        raise ConfigError(f"minutes must be a positive number, got {minutes}", where="--minutes")
    size = next(size for longest, size in _SIZES if minutes <= longest)
    values = {
        "name": name, "seed": seed, "lang": lang,
        "corpus": {"source": str(corpus) if corpus is not None else "stdlib"},
        "tokenizer": {"vocab_size": size["vocab_size"]},
        "model": {"family": family} | {key: size[key] for key in ("n_layers", "d_model", "n_heads", "max_len")},
        "batches": {"batch_size": size["batch_size"]},
        "training": {
            "minutes": minutes, "optimizer": "muon", "lr": size["lr"], "muon_lr": _MUON_SHARE * size["lr"],
            "weight_decay": 0.01, "seed": seed, "eval_every": 200,
            "schedule": {"kind": "wsd", "decay_fraction": 0.5, "final_fraction": 0.02},
        },
    }  # fmt: skip
    return check_settings(PretrainRecipe, values)


def quickstart(
    corpus: str | Path | None = None,
    *,
    minutes: float = 3.0,
    family: Literal["gpt2", "llama"] = "gpt2",
    out: str | Path | None = None,
    lang: Literal["en", "zh"] = "en",
    seed: int = 0,
    resume: bool = False,
    overwrite: bool = False,
    command: str | None = None,
) -> PretrainResult:
    """Turn real text into a trained, evaluated language model.

    Args:
        corpus: the user's folder or file; None takes the running Python's standard library.
        minutes: time budget of training.
        family: "gpt2" or "llama".
        out: run folder; the first free one of runs/quickstart, runs/quickstart-2, ... unless given.
        lang: language of the report.
        seed: seed of everything random.
        resume: go on with the interrupted run in `out`.
        overwrite: delete the run in `out` first.
        command: what the user typed, for the record.

    Raises:
        HanmoError: whatever goes wrong, with place and remedy.
    """
    if out is None and (resume or overwrite):
        raise ConfigError("--resume and --overwrite need to know which run", remedy="Give its folder with --out.")
    path = Path(out) if out is not None else _free_folder(Path("runs"))
    recipe = quickstart_recipe(corpus, minutes=minutes, family=family, lang=lang, seed=seed)
    run = open_run(path, recipe, resume=resume, overwrite=overwrite)
    return pretrain(recipe, run, resume=resume, command=command)


def _free_folder(parent: Path) -> Path:
    candidate, number = parent / "quickstart", 1
    while candidate.exists():
        number += 1
        candidate = parent / f"quickstart-{number}"
    return candidate
