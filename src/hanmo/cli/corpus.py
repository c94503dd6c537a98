"""`hanmo corpus build | stats | show | bounds`."""

from __future__ import annotations

import json as json_library
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

__all__ = ["bounds", "build", "show", "stats"]


def build(
    source: str,
    *,
    out: Path | None = None,
    set_: Annotated[tuple[str, ...], Parameter(name="--set", negative=())] = (),
    workers: int | None = None,
    executor: Literal["local", "ray"] = "local",
    address: str = "auto",
    lang: Literal["en", "zh"] | None = None,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Build a corpus and its data card. A build that was stopped goes on with the same command.

    Parameters
    ----------
    source:
        A recipe (.toml), or a folder or file of text.
    out:
        Folder of the corpus; corpora/NAME of the recipe unless given.
    set_:
        Override a value: --set corpus.near_duplicates=false. May be given several times.
    workers:
        Processes to work with; as many as there are cores unless given.
    executor:
        Processes of this machine, or a Ray cluster whose machines share the folder.
    address:
        Head node of the Ray cluster: host:port, or auto.
    lang:
        Language of the data card, instead of the recipe's.
    json:
        Print the result as JSON on standard output.
    """
    from hanmo.stories.corpus import build

    built = build(
        source, overrides=set_, out=out, n_workers=workers, executor=executor, address=address, lang=lang
    )  # fmt: skip
    print(json_library.dumps(built.to_dict(), ensure_ascii=False, indent=2) if json else built.summary())
    return 0


def stats(corpus: Path, *, json: Annotated[bool, Parameter(negative=())] = False) -> int:
    """Documents, characters and languages of a corpus, and what was removed.

    Parameters
    ----------
    corpus:
        Folder of a corpus.
    json:
        Print JSON.
    """
    from hanmo.evaluation.corpus_card import read_corpus

    record = read_corpus(corpus)
    if json:
        plain = record.model_dump(mode="json", exclude={"listed", "examples", "samples", "settings"})
        print(json_library.dumps(plain, ensure_ascii=False))
        return 0
    for name, side in record.sides().items():
        print(f"{name:10} {side.documents or 0:12,} documents {side.characters or 0:14,} characters")
    for code, amount in record.languages().items():
        print(f"  {code:8} {amount.documents:12,} documents {amount.characters:14,} characters")
    removed = {**record.dropped, "exact duplicate": record.exact_duplicates, "near-duplicate": record.near_duplicates}
    print(f"removed    {sum(n or 0 for n in removed.values()):12,} of {record.documents_read or 0:,} documents")
    for reason, n in sorted(removed.items(), key=lambda item: -(item[1] or 0)):
        if n:
            print(f"  {n:20,} {reason}")
    return 0


def show(
    corpus: Path,
    *,
    n: int = 3,
    skip: int = 0,
    side: Literal["train", "heldout"] = "train",
    find: str | None = None,
    removed: str | None = None,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Print documents of a corpus, or examples of what was removed.

    Parameters
    ----------
    corpus:
        Folder of a corpus, or a .jsonl or .jsonl.gz file of documents.
    n:
        How many.
    skip:
        How many to pass over first.
    side:
        Training or held-out documents.
    find:
        Only documents with this in their text or id.
    removed:
        Examples of what was removed for this reason instead (the beginning of it is enough).
    json:
        Print JSON, one document per line.
    """
    import dataclasses
    from itertools import islice

    from hanmo.core.errors import ConfigError
    from hanmo.corpora.documents import Document, read_documents
    from hanmo.evaluation.corpus_card import read_corpus

    if n < 1 or skip < 0:
        raise ConfigError(f"cannot show {n} documents after {skip}", remedy="Give n ≥ 1 and skip ≥ 0.")
    if removed is not None:
        examples = read_corpus(corpus).examples
        found = [example for reason, shown in examples.items() if reason.startswith(removed) for example in shown]
        if not found:
            raise ConfigError(
                f"nothing was removed for a reason that begins with {removed!r}", where="--removed",
                remedy=f"Reasons here: {', '.join(examples) or 'none'}.",
            )  # fmt: skip
        documents = (Document(text=shown.text, id=shown.id, source=shown.note) for shown in found)
    else:
        documents = read_documents(corpus / f"{side}.jsonl.gz" if corpus.is_dir() else corpus)
    if find is not None:
        documents = (document for document in documents if find in document.text or find in document.id)
    for document in islice(documents, skip, skip + n):
        if json:
            print(json_library.dumps(dataclasses.asdict(document), ensure_ascii=False))
        else:
            print(f"── {document.id} · {document.lang} · {len(document.text):,} characters\n{document.text}\n")
    return 0


def bounds(
    corpus: Path,
    model: Path,
    *,
    lang: str = "zh",
    most: int = 10_000,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """How odd an n-gram model finds the documents of a corpus, to choose the bounds of `corpus.perplexity`.

    Parameters
    ----------
    corpus:
        Folder of a corpus, or a .jsonl or .jsonl.gz file of documents: text that is good.
    model:
        An n-gram model of other good text in the language (hanmo ngram train).
    lang:
        The language: zh, en.
    most:
        Documents that are looked at.
    json:
        Print JSON.
    """
    from hanmo.stories.perplexity import find_percentiles

    n_documents, bits = find_percentiles(corpus, model, lang, most=most)
    if json:
        print(json_library.dumps({"documents": n_documents, "bits_per_character": bits}))
        return 0
    print(f"bits per character of {n_documents:,} documents:")
    for percentile, value in bits.items():
        print(f"{percentile:4} % have up to {value:7.3f}")
    print(f'\n[corpus.perplexity.{lang}]\nmodel = "{model}"\nlow = {bits[1]:.2f}\nhigh = {bits[99]:.2f}')
    return 0
