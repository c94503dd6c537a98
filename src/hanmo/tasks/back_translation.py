"""Text of the target language alone, with sources that one's own model of the other direction writes (Sennrich et al.,
2016)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from hanmo.core.errors import DataError
from hanmo.core.progress import say
from hanmo.generation.beam import BeamSettings
from hanmo.generation.settings import GenerationSettings
from hanmo.tasks.loading import load
from hanmo.tasks.pair_examples import PairExample, joined
from hanmo.tasks.splits import folded
from hanmo.tasks.tables import read_table
from hanmo.tasks.text2text_loading import as_text2text
from hanmo.tasks.text_files import open_text_lines

__all__ = ["back_translate"]


def back_translate(
    texts: str,
    model: str,
    *,
    languages: tuple[str, str],
    held: Sequence[PairExample],
    num_beams: int,
    limit: int | None,
    marked: bool,
    notes: Counter[str],
    device: str,
) -> list[PairExample]:
    """Examples whose targets are given and whose sources a model wrote.

    Args:
        texts: a file with a text of the target language on each line, or .jsonl with "text" in each object.
        model: directory of a translator from the target language into the source language.
        languages: of source and target.
        held: examples of dev and test; a text that is one of their targets is left out.
        num_beams: how sources are searched for; 1 takes the most probable token each time.
        limit: at most so many texts.
        marked: whether the model is to be told that a model wrote the source.
        notes: is told how many there are and how many were left out.
        device: where the model runs.

    Raises:
        ConfigError: for a model of another pair of languages.
        ModelError: for one that does not translate.
        DataError: for a file without texts.
    """
    reverse = as_text2text(load(model, device=device), where=model)
    pair = reverse.languages(languages[1], languages[0])
    known = {folded(text) for example in held for text in example.references}
    kept, seen = [], set[str]()
    for where, text in islice(_texts(texts), limit):
        if folded(text) in known:
            notes["texts for back-translation left out because dev or test has them"] += 1
        elif folded(text) not in seen:
            seen.add(folded(text))
            kept.append((where, text))
    rows = reverse.encode([text for _, text in kept], [pair] * len(kept))
    longest = reverse.max_source
    fits = [longest is None or len(row) <= longest for row in rows]
    notes["texts for back-translation left out because they are too long"] += fits.count(False)
    kept = [one for one, fit in zip(kept, fits, strict=True) if fit]
    if not kept:
        raise DataError("no text is left for back-translation", where=texts)
    say(f"Back-translating {len(kept):,} texts")
    settings = BeamSettings(num_beams=num_beams) if num_beams > 1 else GenerationSettings()
    written = reverse.write([row for row, fit in zip(rows, fits, strict=True) if fit], settings)
    found = [
        PairExample(source[0], text, where, (text,), languages, written=marked)
        for (where, text), source in zip(kept, written, strict=True)
        if source[0]
    ]
    notes["back-translated examples"] += len(found)
    return found


def _texts(path: str) -> Iterator[tuple[str, str]]:
    if ".jsonl" in [suffix.lower() for suffix in Path(path).suffixes]:
        for row in read_table(path, {"text": "text"}):
            if text := (joined(row.values["text"]) or "").strip():
                yield row.where, text
        return
    for number, line in open_text_lines(Path(path)):
        if line.strip():
            yield f"{path}:{number}", line.strip()
