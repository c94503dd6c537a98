"""`hanmo tokenizer train | show | compare`."""

from __future__ import annotations

import json as json_library
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

if TYPE_CHECKING:
    from rich.text import Text

    from hanmo.evaluation.tokenizer_figures import Comparison
    from hanmo.tokenizers.cutting import Piece

__all__ = ["compare", "show", "train"]

_COLOURS = ("on #24405c", "on #5a3d1a", "on #24502e", "on #55304a", "on #3d3670")
"""Grounds that white letters are read on."""
_UNKNOWN = "bold white on red"
_MARKS = str.maketrans({"\n": "↵\n", "\t": "⇥", "\u3000": "□"})


def train(
    source: Path,
    *,
    out: Path,
    kind: Literal["bpe", "wordpiece", "unigram", "word", "char"] = "bpe",
    vocab_size: int = 8192,
    lowercase: bool | None = None,
    sample_mb: float | None = None,
    seed: int = 0,
    text_key: str = "text",
    overwrite: Annotated[bool, Parameter(negative=())] = False,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Train a tokenizer on a file or folder of documents.

    The folder that it writes loads in hanmo and in transformers, and says by hash which files were learnt from.

    Parameters
    ----------
    source:
        A file or folder that hanmo reads as a corpus (.txt, .jsonl, .csv, .html, ...; also .gz, .bz2, .xz).
    out:
        Folder of the tokenizer.
    kind:
        bpe (byte-level), wordpiece, unigram, word or char.
    vocab_size:
        Tokens, special ones included.
    lowercase:
        wordpiece and word: make tokens of one that differ in case alone (the default there).
    sample_mb:
        bpe, wordpiece and unigram: learn from a uniform sample of so many MB; 4 if not given.
    seed:
        Chooses the sample.
    text_key:
        Where rows of .jsonl and tables have their text.
    overwrite:
        Replace the tokenizer that is there.
    json:
        Print JSON.
    """
    from hanmo.stories.train_tokenizer import train_tokenizer

    tokenizer = train_tokenizer(
        source, out, kind, vocab_size=vocab_size, lowercase=lowercase, seed=seed, text_key=text_key, overwrite=overwrite,
        max_bytes=None if sample_mb is None else round(sample_mb * 1e6),
    )  # fmt: skip
    files = tokenizer.training_files
    if json:
        answer = {
            "tokenizer": str(out), "kind": kind, "vocab_size": tokenizer.vocab_size, "sha256": tokenizer.sha256,
            "files": [asdict(file) for file in files],
        }  # fmt: skip
        print(json_library.dumps(answer, ensure_ascii=False))
    else:
        number = "1 file" if len(files) == 1 else f"{len(files):,} files"
        print(f"{out}: {kind}, {tokenizer.vocab_size:,} tokens, from {number}")
    return 0


def show(
    tokenizer: Path,
    *,
    text: str | None = None,
    file: Path | None = None,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Cut a text into tokens: the pieces in colours, their ids, what is unknown.

    Parameters
    ----------
    tokenizer:
        A folder of a tokenizer or model, a run folder, a tokenizer.json, a vocab.txt or a SentencePiece .model.
    text:
        The text; without it, --file or standard input.
    file:
        A text file (UTF-8, GB18030, Big5 or Latin-1).
    json:
        Print JSON.
    """
    from hanmo.cli.inputs import read_text_argument
    from hanmo.tokenizers.cutting import cut_text
    from hanmo.tokenizers.opening import open_tokenizer
    from hanmo.tokenizers.vocabulary_texts import tokenizer_kind

    coder = open_tokenizer(tokenizer)
    content = read_text_argument(text, file)
    pieces = cut_text(coder, content)
    tokens = [piece for piece in pieces if piece.id is not None]
    unknown = sum(piece.unknown for piece in tokens)
    if json:
        answer = {
            "kind": tokenizer_kind(coder), "vocab_size": coder.vocab_size, "characters": len(content),
            "tokens": len(tokens), "unknown": unknown, "pieces": [asdict(piece) for piece in tokens],
        }  # fmt: skip
        print(json_library.dumps(answer, ensure_ascii=False))
        return 0
    from rich.console import Console

    console = Console(highlight=False)
    console.print(_coloured(pieces), soft_wrap=True)
    console.print(" ".join(str(piece.id) for piece in tokens), soft_wrap=True, style="dim")
    rate = f", {len(content) / len(tokens):.2f} characters per token" if tokens else ""
    console.print(
        f"{tokenizer_kind(coder)}, {coder.vocab_size:,} tokens. This text: {len(content):,} characters, "
        f"{len(tokens):,} tokens{rate}, {unknown:,} unknown.", soft_wrap=True,
    )  # fmt: skip
    return 0


def compare(
    *tokenizers: Path,
    text: str | None = None,
    file: Path | None = None,
    out: Path | None = None,
    lang: Literal["en", "zh"] = "en",
    json: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Tokenizers side by side: characters per token by language, what is unknown, speed, shared vocabulary.

    A file that one of them was trained on (as its training_data.json says) is refused.

    Parameters
    ----------
    tokenizers:
        Folders of tokenizers or models, run folders, tokenizer.json, vocab.txt or SentencePiece .model files.
    text:
        A text.
    file:
        Or a file or folder that hanmo reads as a corpus.
    out:
        Also write a page (.html) that opens offline.
    lang:
        Language of the page.
    json:
        Print JSON.
    """
    from hanmo.core.errors import ConfigError
    from hanmo.core.files import write_text
    from hanmo.evaluation.tokenizer_page import tokenizer_page
    from hanmo.stories.compare_tokenizers import compare_tokenizers

    if out is not None and out.suffix.lower() not in (".html", ".htm"):
        raise ConfigError("the page is an .html file", where=out, remedy="Name it so: --out tokenizers.html.")
    found = compare_tokenizers(tokenizers, text=text, source=file)
    if out is not None:
        write_text(out, tokenizer_page(found, lang=lang))
    if json:
        print(json_library.dumps(found.to_dict(), ensure_ascii=False))
    else:
        _print_comparison(found)
        if out is not None:
            print(out)
    return 0


def _print_comparison(found: Comparison) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from hanmo.evaluation.tokenizer_page import display_names

    console = Console(highlight=False, width=None if sys.stdout.isatty() else 200)
    names = display_names([figures.name for figures in found.tokenizers])
    languages = list(found.tokenizers[0].languages)
    table = Table("", "tokenizer", "kind", box=None, pad_edge=False)
    for column in ("vocabulary", *(f"{lang} chars/token" for lang in languages), "unknown", "tokens/s"):
        table.add_column(column, justify="right")
    for number, (name, figures) in enumerate(zip(names, found.tokenizers, strict=True), 1):
        held = figures.languages
        lost = sum(row.unknown_characters for row in held.values()) / max(
            1, sum(row.characters for row in held.values())
        )
        table.add_row(
            str(number), Text(name), figures.kind, f"{figures.vocab_size:,}",
            *(f"{held[lang].characters_per_token:.2f}" for lang in languages), f"{lost:.2%}", f"{figures.tokens_per_s:,.0f}",
        )  # fmt: skip
    console.print(table)
    if len(names) > 1:
        shared = Table("shared vocabulary", box=None, pad_edge=False)
        for number in range(1, len(names) + 1):
            shared.add_column(f"with {number}", justify="right")
        for number, (name, shares) in enumerate(zip(names, found.overlap, strict=True), 1):
            shared.add_row(Text(f"{number} {name}"), *(f"{share:.1%}" for share in shares))
        console.print("\n", shared, sep="")
    for name, figures in zip(names, found.tokenizers, strict=True):
        console.print(f"\n{name}", style="bold", markup=False)
        console.print(_coloured(figures.shown), soft_wrap=True)


def _coloured(pieces: Sequence[Piece]) -> Text:
    """The pieces on grounds of different colours; without colours, with a bar between them."""
    from rich.text import Text

    plain = not sys.stdout.isatty()
    line, number = Text(), 0
    for piece in pieces:
        shown = piece.text.translate(_MARKS)
        if piece.id is None:
            line.append(shown)
        elif shown:
            if plain and number:
                line.append("|")
            number += 1
            style = _UNKNOWN if piece.unknown else f"white {_COLOURS[number % len(_COLOURS)]}"
            line.append(f"[?{shown}]" if plain and piece.unknown else shown, style)
    return line
