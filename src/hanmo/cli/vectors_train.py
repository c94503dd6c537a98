"""`hanmo vectors train`."""

from __future__ import annotations

import json as json_library
import time
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from hanmo.cli.inputs import Flag

__all__ = ["train"]

_INTERRUPTED = 130


def train(
    source: Path,
    *,
    out: Path,
    method: Literal["skipgram", "cbow", "glove"] = "skipgram",
    dim: int | None = None,
    window: int | None = None,
    epochs: int | None = None,
    min_count: int | None = None,
    max_words: int | None = None,
    negative: int | None = None,
    hierarchical: Flag = False,
    subwords: Flag = False,
    phrases: int = 0,
    phrase_threshold: float = 100.0,
    segment: Literal["auto", "yes", "no"] = "auto",
    lowercase: Flag = False,
    threads: int | None = None,
    seed: int | None = None,
    deterministic: Flag = False,
    set_: Annotated[tuple[str, ...], Parameter(name="--set", negative=())] = (),
    start: Path | None = None,
    resume: Flag = False,
    overwrite: Flag = False,
    json: Flag = False,
) -> int:
    """Train word vectors on text: word2vec or GloVe.

    Ctrl-C keeps what is learnt so far; --resume goes on.

    Parameters
    ----------
    source:
        A text file (also .gz), a .jsonl, or a folder of documents. Words that white space separates are taken as they
        are; Chinese and other running text is cut into words first.
    out:
        Folder of the vectors, or a .txt, .vec or .bin file.
    method:
        skipgram, cbow or glove.
    dim:
        Length of a vector.
    window:
        Words on each side that belong together.
    epochs:
        Times that the text, or GloVe's table of pairs, is gone through.
    min_count:
        Rarer words get no vector.
    max_words:
        Only so many of the most frequent words get one.
    negative:
        Negative words at each position (word2vec).
    hierarchical:
        Hierarchical softmax instead of negative sampling (word2vec).
    subwords:
        Learn pieces of words too, so that unseen words get a vector (word2vec).
    phrases:
        Join words that stand together more often than by chance, in so many passes.
    phrase_threshold:
        How much more often.
    segment:
        Whether text is cut into words.
    lowercase:
        Read all words in lower case.
    threads:
        All cores if not given.
    seed:
        Of all random numbers.
    deterministic:
        The same vectors to the last bit for the same seed; one thread.
    set_:
        Any other setting of the method: --set sample=1e-4. May be given several times.
    start:
        Vectors to start from.
    resume:
        Go on with an interrupted training, with the command that began it.
    overwrite:
        Replace vectors that are there, or an interrupted training.
    json:
        Print JSON.
    """
    from hanmo.core.errors import ConfigError
    from hanmo.core.settings import apply_overrides
    from hanmo.stories.train_vectors import train_vectors

    if method == "glove" and (hierarchical or subwords or negative is not None):
        raise ConfigError("--negative, --hierarchical and --subwords are for word2vec", where="--method glove")
    if hierarchical and negative is not None:
        raise ConfigError("--negative and --hierarchical exclude each other", remedy="Give one of them.")
    given: dict[str, Any] = {
        "dim": dim, "window": window, "epochs": epochs, "min_count": min_count, "max_words": max_words,
        "negative": negative, "threads": threads, "seed": seed, "deterministic": deterministic or None,
        "objective": "hierarchical" if hierarchical else None, "subwords": {} if subwords else None,
    }  # fmt: skip
    settings = apply_overrides({name: value for name, value in given.items() if value is not None}, set_)
    started = time.monotonic()
    vectors = train_vectors(
        source, out, method, segmentation=segment, lowercase=lowercase, phrases=phrases,
        phrase_threshold=phrase_threshold, start=start, resume=resume, overwrite=overwrite, **settings,
    )  # fmt: skip
    seconds = time.monotonic() - started
    finished = vectors.meta.get("finished", True)
    if json:
        answer = {"vectors": str(out), "words": len(vectors), "dim": vectors.dim, "seconds": round(seconds, 3)}
        print(json_library.dumps(answer | {"finished": finished, "meta": vectors.meta}, ensure_ascii=False))
    else:
        print(f"{out}: {len(vectors):,} words, dim {vectors.dim}, in {seconds:.1f} s")
        if not finished:
            print("This is what was learnt so far. Go on with the same command and --resume.")
    return 0 if finished else _INTERRUPTED
