"""`hanmo ngram train | score | sample`."""

from __future__ import annotations

import json as json_library
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

if TYPE_CHECKING:
    from hanmo.ngrams.model import NgramModel

__all__ = ["sample", "score", "train"]

_INTERRUPTED = 130


def train(
    source: Path,
    *,
    out: Path,
    order: int = 5,
    unit: Literal["word", "character", "token"] | None = None,
    tokenizer: Path | None = None,
    prune: Annotated[tuple[int, ...], Parameter(consume_multiple=True, negative=())] = (0,),
    min_count: int = 1,
    max_words: int | None = None,
    heldout: Path | None = None,
    overwrite: Annotated[bool, Parameter(negative=())] = False,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Train an interpolated modified Kneser–Ney model on text.

    Ctrl-C while n-grams are counted saves the model of the text so far.

    Parameters
    ----------
    source:
        A text file (UTF-8, of any name, a line is a sentence; also .gz), or a file or folder that hanmo reads as a
        corpus (.jsonl, .csv, .html, .txt in another encoding, ...; each line of a document is a sentence).
    out:
        Folder of the model, or an .arpa or .arpa.gz file.
    order:
        Longest n-gram.
    unit:
        word (between white space; Chinese without any is cut into words), character or token. If not given: tokens with
        a tokenizer, characters for Chinese, else words.
    tokenizer:
        A model or tokenizer directory; makes tokens.
    prune:
        Leave out n-grams that occur so often or less, by order, as lmplz: --prune 0 0 1.
    min_count:
        Count rarer words as the unknown word.
    max_words:
        Know only so many of the most frequent words.
    heldout:
        Also measure the perplexity on this file or folder.
    overwrite:
        Replace the model that is there.
    json:
        Print JSON.
    """
    from hanmo.core.errors import ConfigError
    from hanmo.ngrams import train as train_model
    from hanmo.ngrams.marks import N_MARKS
    from hanmo.stories.word_sentences import word_sentences
    from hanmo.tokenizers.tokenizer import Tokenizer
    from hanmo.tokenizers.training_data import refuse_training_text

    is_arpa = out.name.lower().endswith((".arpa", ".arpa.gz"))
    if is_arpa and tokenizer is not None:
        raise ConfigError("an ARPA file cannot hold the tokenizer", where="--out", remedy="Name a folder.")
    if heldout is not None and not heldout.exists():
        raise ConfigError("this file does not exist", where=heldout)
    _check_out(out, is_arpa=is_arpa, overwrite=overwrite, read=(source, heldout))
    coder = None if tokenizer is None else Tokenizer.load(tokenizer)
    if coder is not None and heldout is not None:
        refuse_training_text(coder.training_files, _files_of(heldout), tokenizer=tokenizer)
    model = train_model(
        word_sentences(source, "no").source, order=order, unit=unit, prune=prune, min_count=min_count, max_words=max_words,
        keep_interrupted=True, tokenizer=coder,
    )  # fmt: skip
    if is_arpa:
        model.write_arpa(out)
    else:
        model.save(out)
    info = model.info
    measured = model.perplexity(word_sentences(heldout, "no").source) if heldout is not None else None
    if json:
        answer: dict[str, Any] = {"model": str(out), **info.model_dump(mode="json")}
        if measured is not None:
            answer["heldout"] = measured.to_dict()
        print(json_library.dumps(answer, ensure_ascii=False))
    else:
        n_grams = ", ".join(f"{count:,} {n}-grams" for n, count in enumerate(info.n_grams[1:], 2))
        n_different = info.n_grams[0] - N_MARKS
        print(f"{out}: {info.n_read:,} {info.unit}s, {n_different:,} different{', ' if n_grams else ''}{n_grams}")
        if measured is not None:
            print(f"{heldout}: {_figures(model, measured)}")
    return _INTERRUPTED if info.share < 1 else 0


def score(
    model: Path,
    text: str | None = None,
    *,
    file: Path | None = None,
    unit: Literal["word", "character"] = "word",
    tokens: Annotated[bool, Parameter(negative=())] = False,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Perplexity and bits per character of a text or file.

    Parameters
    ----------
    model:
        A model that hanmo ngram train wrote, or an ARPA file.
    text:
        The text, or the path of a UTF-8 text file; without it, --file or standard input. A line is a sentence.
    file:
        A UTF-8 text file, also .gz.
    unit:
        What an ARPA file is a model of; a model of hanmo knows it.
    tokens:
        Also print log10 p of each word.
    json:
        Print JSON.
    """
    from hanmo.cli.inputs import read_text_argument
    from hanmo.core.progress import progress
    from hanmo.ngrams import load

    if text is not None and file is None and _is_file(text):
        text, file = None, Path(text)
    lm = load(model, unit=unit)
    logs: list[tuple[str, float]] = []
    tell = None if not tokens else logs.extend if json else _print_logs
    if file is not None and text is None:
        with progress("Score", unit=f"{lm.unit}s") if tell is None else nullcontext() as bar:
            found = lm.perplexity(file, bar=bar, tell=tell)
    else:
        found = lm.score(read_text_argument(text, file), tell=tell)
    if json:
        answer = found.to_dict() | {"unit": lm.unit}
        if tokens:
            answer["tokens"] = [{"text": word, "log10": log} for word, log in logs]
        print(json_library.dumps(answer, ensure_ascii=False))
    else:
        print(_figures(lm, found))
    return 0


def sample(
    model: Path,
    prompt: str = "",
    *,
    n: int = 1,
    max_words: int = 200,
    temperature: float = 1.0,
    seed: int = 0,
    unit: Literal["word", "character"] = "word",
    json: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Write sentences.

    Parameters
    ----------
    model:
        A model that hanmo ngram train wrote, or an ARPA file.
    prompt:
        How a sentence begins.
    n:
        How many sentences.
    max_words:
        Most words, characters or tokens to write.
    temperature:
        1 draws as the model says, lower is more probable, 0 always the most probable word.
    seed:
        The same one gives the same sentences; the second sentence has the next seed.
    unit:
        What an ARPA file is a model of; a model of hanmo knows it.
    json:
        Print JSON.
    """
    from hanmo.core.errors import ConfigError
    from hanmo.ngrams import load

    if n < 1:
        raise ConfigError(f"n = {n} is no number of sentences", where="--n")
    lm = load(model, unit=unit)
    texts = [lm.sample(prompt, max_words=max_words, temperature=temperature, seed=seed + i) for i in range(n)]
    if json:
        print(json_library.dumps({"prompt": prompt, "texts": texts, "seed": seed}, ensure_ascii=False))
    else:
        print("\n".join(texts))
    return 0


def _figures(model: NgramModel, found: Any) -> str:
    unknown = f", {found.n_unknown:,} of them unknown" if found.n_unknown else ""
    return (
        f"{found.n_words:,} {model.unit}{'s' * (found.n_words > 1)} in {found.n_sentences:,} "
        f"sentence{'s' * (found.n_sentences > 1)}{unknown}: perplexity {found.perplexity:.2f} "
        f"with sentence ends, {found.perplexity_without_ends:.2f} without; {found.bits_per_character:.4f} bits per "
        f"character, {found.bits_per_byte:.4f} per byte"
    )


def _is_file(text: str) -> bool:
    try:
        return len(text) < 4096 and "\n" not in text and Path(text).is_file()
    except (OSError, ValueError):
        return False


def _print_logs(logs: list[tuple[str, float]]) -> None:
    for word, log in logs:
        print(f"{log:10.4f}  {word}")


def _files_of(source: Path) -> list[Path]:
    return [source] if source.is_file() else sorted(path for path in source.rglob("*") if path.is_file())


def _check_out(out: Path, *, is_arpa: bool, overwrite: bool, read: tuple[Path | None, ...]) -> None:
    """Say before the work that the model cannot be written there, or would take the place of what it is made of."""
    from hanmo.core.errors import ConfigError
    from hanmo.ngrams.storage import check_out

    if not out.exists():
        return
    if not overwrite:
        raise ConfigError(
            "there is something here already", where=out, remedy="Pass --overwrite to replace it, or another --out."
        )
    if out.is_dir() == is_arpa:
        found, wanted = ("folder", "file") if is_arpa else ("file", "folder")
        raise ConfigError(f"this is a {found}, and the model would be a {wanted}", where=out)
    if not is_arpa:
        check_out(out)
    for path in (path.resolve() for path in read if path is not None):
        if out.resolve() in (path, *path.parents):
            raise ConfigError(f"writing the model here would destroy {path}, which is read", where=out)
