"""Sentences of words from whatever text there is: separated words as they are, other text cut into words first."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hanmo.core.errors import DataError
from hanmo.core.files import open_unpacked
from hanmo.core.progress import say
from hanmo.corpora.lines import document_lines
from hanmo.text.language import Language, guess_language
from hanmo.text.segment import is_segmented, words_of_lines

__all__ = ["Segmentation", "WordSentences", "word_sentences"]

Segmentation = Literal["auto", "yes", "no"]

_SAMPLE_BYTES = 2**18
_SAMPLE_LINES = 200


@dataclass(frozen=True, eq=False)
class WordSentences:
    """What `hanmo.tokenizers.word_ids.read_word_ids` reads, once."""

    source: Path | Iterator[list[str]] | Iterator[str]
    """A file of separated words; or sentences, cut into words or with white space between them."""
    lang: Language
    """Guessed from the beginning."""
    is_cut: bool
    """Whether words are cut by `hanmo.text.segment`."""


def word_sentences(source: str | Path, segmentation: Segmentation = "auto") -> WordSentences:
    """Look at the beginning of a text and choose how to read it.

    A text file in UTF-8 (.txt, or any name that is no kind of document; also .gz) whose words are separated by white
    space is read as it is, fast; another one is cut into words line by line. Everything else, a folder, .jsonl, .html
    or a .txt in another encoding, is read as documents (`hanmo.corpora`).

    Args:
        source: a file or folder.
        segmentation: "yes" and "no" say whether text is cut into words; "auto" cuts text whose words are not separated,
            which Chinese seldom is and English never quite ("end." is a word and a mark).

    Raises:
        DataError: if there is nothing, or it cannot be read.
        FormatError: for a damaged .gz.
    """
    source = Path(source)
    sample = _text_sample(source)
    if sample is None:
        lines = document_lines(source)
        head = list(itertools.islice((line for line in lines if line.strip()), _SAMPLE_LINES))
        if not head:
            raise DataError("there is no text here", where=source)
        sample, lines = "\n".join(head), itertools.chain(head, lines)
    else:
        lines = None
    lang = guess_language(sample)
    is_cut = segmentation == "yes" or (segmentation == "auto" and not is_segmented(sample))
    if is_cut:
        say(f"{source}: words are not separated by white space; hanmo.text.segment cuts them.")
        return WordSentences(words_of_lines(_lines_of(source) if lines is None else lines), lang, True)
    return WordSentences(source if lines is None else lines, lang, False)


def _text_sample(source: Path) -> str | None:
    """The beginning of a UTF-8 text file; None for a folder, another kind of file, or another encoding."""
    from hanmo.corpora.sources.files import KINDS, SourceFile

    if source.is_dir() or SourceFile(source, source.name).kind in set(KINDS) - {".txt"}:
        return None
    with open_unpacked(source) as stream:
        data = stream.read(_SAMPLE_BYTES)
    if b"\0" in data:
        return None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if len(data) == _SAMPLE_BYTES and error.start > len(data) - 4:  # the sample ends inside a character
            return data[: error.start].decode("utf-8-sig")
        return None


def _lines_of(source: Path) -> Iterator[str]:
    number = 0
    try:
        with open_unpacked(source) as stream:
            for number, line in enumerate(stream, 1):
                yield line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        raise DataError(
            f"not UTF-8 ({error.reason})", where=f"{source}:{number}", remedy="Save it as UTF-8."
        ) from error
