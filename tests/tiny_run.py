"""A whole run in seconds: a small corpus of English and Chinese sentences, and the story told on it.

Nothing here is mocked: `make_tiny_run` calls `hanmo.train`, so the folder it leaves has every file of a real run.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any, Literal

from hanmo.core.settings import check_settings
from hanmo.stories.pretrain import PretrainResult
from hanmo.stories.recipe import PretrainRecipe
from hanmo.stories.train import train

__all__ = ["TINY", "make_tiny_corpus", "make_tiny_run", "tiny_recipe"]

TINY: dict[str, Any] = {
    "corpus": {"min_chars": 1000, "heldout_share": 0.1},
    "tokenizer": {"vocab_size": 400},
    "model": {"n_layers": 1, "d_model": 16, "n_heads": 2, "max_len": 64},
    "batches": {"batch_size": 4},
    "training": {"n_steps": 12, "lr": 1e-2, "eval_every": 6, "compile": "off", "autocast": "off"},
    "samples": {"n_prompts": 1, "temperatures": [0.0, 0.8], "max_new_tokens": 8},
    "eval_tokens": 512,
}
"""What makes a recipe small; sections as in `PretrainRecipe`."""

_ENGLISH = (
    ["the scribe", "a young printer", "my neighbour", "the old teacher", "one of the sailors", "her brother"],
    ["wrote", "copied", "lost", "read aloud", "sold", "folded", "mended", "carried home"],
    ["a long letter", "the third chapter", "seven maps", "an inkstone", "the empty notebook", "two brushes"],
    ["before sunrise", "in the winter", "after the rain", "on market day", "without a word", "by candlelight"],
)
_CHINESE = (
    ["老先生", "小徒弟", "邻居", "书店掌柜", "她的哥哥", "船上的水手"],
    ["清早", "下雪的时候", "集市那天", "雨停以后", "夜里点着灯", "没说一句话就"],
    ["写完了", "抄好了", "弄丢了", "念了一遍", "卖掉了", "收拾起"],
    ["一封长信", "第三章", "七张地图", "那方砚台", "空白的本子", "两支毛笔"],
)
_SENTENCES = 9


def make_tiny_corpus(folder: str | Path, *, n_files: int = 60, seed: int = 0) -> Path:
    """Write `n_files` English and as many Chinese .txt files of a few hundred characters; the same each time."""
    folder, draw = Path(folder), random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(n_files):
        english = [" ".join(draw.choice(part) for part in _ENGLISH).capitalize() + ".\n" for _ in range(_SENTENCES)]
        chinese = ["".join(draw.choice(part) for part in _CHINESE) + "。\n" for _ in range(_SENTENCES)]
        (folder / f"note-{number:02}.txt").write_text("".join(english), encoding="utf-8")
        (folder / f"札记-{number:02}.txt").write_text("".join(chinese), encoding="utf-8")
    return folder


def tiny_recipe(corpus: str | Path, *, lang: Literal["en", "zh"] = "en", **changes: Any) -> PretrainRecipe:
    """The recipe of a run of a few seconds; `changes` are top-level keys, sections merged over `TINY`."""
    values: dict[str, Any] = {key: dict(value) if isinstance(value, dict) else value for key, value in TINY.items()}
    values |= {"name": "tiny", "lang": lang}
    values["corpus"]["source"] = str(corpus)
    for key, value in changes.items():
        values[key] = values[key] | value if isinstance(value, dict) else value
    return check_settings(PretrainRecipe, values)


def make_tiny_run(
    path: str | Path, lang: Literal["en", "zh"] = "en", *, corpus: str | Path | None = None, **changes: Any
) -> PretrainResult:
    """Train a tiny model into the run folder `path`; report, model directory and all.

    Args:
        path: run folder, which must not hold a run.
        lang: language of the report.
        corpus: folder of documents; one is made beside the run folder if None.
        changes: as for `tiny_recipe`.
    """
    corpus = make_tiny_corpus(Path(path).parent / "tiny-corpus") if corpus is None else corpus
    return train(tiny_recipe(corpus, lang=lang, **changes), out=path)
