"""`hanmo vectors similar | analogy | odd | evaluate | map | convert`."""

from __future__ import annotations

import json as json_library
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from hanmo.cli.inputs import Flag

if TYPE_CHECKING:
    from hanmo.vectors.neighbours import Neighbour
    from hanmo.vectors.word_vectors import WordVectors

__all__ = ["analogy", "convert", "evaluate", "map_", "odd", "similar"]


def similar(vectors: Path, /, *words: str, n: int = 10, within: int | None = None, json: Flag = False) -> int:
    """The words nearest to a word; of two words also their cosine.

    Parameters
    ----------
    vectors:
        Word vectors in any form.
    words:
        One or more words.
    n:
        How many neighbours.
    within:
        Look among so many of the most frequent words only.
    json:
        Print JSON.
    """
    from hanmo.core.errors import ConfigError
    from hanmo.vectors.neighbours import neighbours, similarity

    if not words:
        raise ConfigError("no word was given", remedy="hanmo vectors similar VECTORS WORD")
    loaded = _load(vectors)
    found = [(word, neighbours(loaded, word, n, within=within)) for word in words]
    cosine = similarity(loaded, *words) if len(words) == 2 else None
    if json:
        answer: dict[str, Any] = {"words": [{"word": word, "neighbours": _rows(near)} for word, near in found]}
        _print_json(answer if cosine is None else answer | {"similarity": cosine})
        return 0
    for word, near in found:
        if len(found) > 1:
            print(word)
        _print_rows(near)
    if cosine is not None:
        print(f"{cosine:.4f}  {words[0]} · {words[1]}")
    return 0


def analogy(
    vectors: Path,
    a: str,
    b: str,
    c: str,
    /,
    *,
    n: int = 10,
    method: Literal["add", "mul"] = "add",
    within: int | None = None,
    json: Flag = False,
) -> int:
    """What is to C as B is to A: 男 国王 女 → 王后.

    Parameters
    ----------
    vectors:
        Word vectors in any form.
    a:
        The first word.
    b:
        The second word.
    c:
        The third word.
    n:
        How many answers.
    method:
        add (3CosAdd) or mul (3CosMul).
    within:
        Look among so many of the most frequent words only.
    json:
        Print JSON.
    """
    from hanmo.vectors import neighbours

    found = neighbours.analogy(_load(vectors), a, b, c, n, method=method, within=within)
    if json:
        _print_json({"question": [a, b, c], "method": method, "answers": _rows(found)})
    else:
        _print_rows(found)
    return 0


def odd(vectors: Path, /, *words: str, json: Flag = False) -> int:
    """Which word does not belong: the one with the lowest cosine with the mean of all.

    Parameters
    ----------
    vectors:
        Word vectors in any form.
    words:
        Three or more words.
    json:
        Print JSON.
    """
    from hanmo.vectors.neighbours import odd_one_out

    found = odd_one_out(_load(vectors), words)
    if json:
        _print_json({"odd": found[0].word, "words": _rows(found)})
    else:
        _print_rows(found)
    return 0


def evaluate(
    vectors: Path,
    /,
    *tests: Path,
    method: Literal["add", "mul"] = "add",
    within: int | None = None,
    json: Flag = False,
) -> int:
    """Word similarity (Spearman's ρ) and analogy sets, with how much of each is known.

    Parameters
    ----------
    vectors:
        Word vectors in any form.
    tests:
        Files of lines "word word score" or "a b c d" (also .gz), or folders of them.
    method:
        How analogies are answered: add (3CosAdd) or mul (3CosMul).
    within:
        Look for answers among so many of the most frequent words only.
    json:
        Print JSON.
    """
    from hanmo.vectors.word_tests import SimilarityResult, run_word_test

    files = _test_files(tests)
    loaded = _load(vectors)
    results = [run_word_test(loaded, file, method=method, within=within) for file in files]
    if json:
        _print_json({"vectors": str(vectors), "results": [result.to_dict() for result in results]})
        return 0
    for result in results:
        if isinstance(result, SimilarityResult):
            print(f"{result.name}: ρ {_share(result.spearman)}, {_known(result.n_known, result.n_pairs)} pairs")
            continue
        known = _known(result.n_known, result.n_questions)
        print(f"{result.name}: accuracy {_share(result.accuracy)} ({result.method}), {known} questions")
        if len(result.sections) > 1:
            for section in result.sections:
                right = section.n_right / section.n_known if section.n_known else None
                print(f"  {_share(right)}  {section.name}, {_known(section.n_known, section.n_questions)}")
    return 0


def map_(
    vectors: Path,
    *,
    out: Path,
    near: Annotated[tuple[str, ...], Parameter(consume_multiple=True, negative=())] = (),
    words: Annotated[tuple[str, ...], Parameter(consume_multiple=True, negative=())] = (),
    n: int = 200,
    method: Literal["tsne", "pca"] = "tsne",
    title: str = "",
    lang: Literal["en", "zh"] = "en",
    seed: int = 0,
    json: Flag = False,
) -> int:
    """Draw words on a plane, as an .svg or .html file.

    Parameters
    ----------
    vectors:
        Word vectors in any form.
    out:
        The file.
    near:
        Draw these words and the nearest of each, a colour for each.
    words:
        Draw these words, a colour for each cluster; without --near and --words the most frequent ones.
    n:
        How many words in all.
    method:
        tsne (who is near whom) or pca (the two directions in which the words differ most).
    title:
        Heading.
    lang:
        Language of the page.
    seed:
        Of t-SNE and the clusters.
    json:
        Print JSON.
    """
    from hanmo.stories.word_map import draw_map

    drawn = draw_map(
        _load(vectors), out, near=near, words=words, n=n, method=method, title=title, lang=lang, seed=seed
    )  # fmt: skip
    if json:
        _print_json({"map": str(drawn.path), "groups": drawn.groups})
    else:
        print(f"{drawn.path}: {len(drawn.words)} words in {len(drawn.groups)} groups")
    return 0


def convert(
    source: Path,
    out: Path,
    /,
    *,
    from_: Annotated[str | None, Parameter(name="--from")] = None,
    to: str | None = None,
    limit: int | None = None,
    skip_bad: Flag = False,
    json: Flag = False,
) -> int:
    """Rewrite word vectors in another form.

    Forms are word2vec (text), word2vec-binary, glove (text without a first line of counts) and hanmo (a folder with
    safetensors and JSON, which is opened without being read).

    Parameters
    ----------
    source:
        Word vectors in any form; text and binary also as .gz.
    out:
        The file, or the folder for hanmo's own form; vectors that are there are replaced. .txt and .vec mean word2vec,
        .bin word2vec-binary, any other name hanmo.
    from_:
        Form of the source, if it is not what its first bytes say.
    to:
        Form to write, if it is not what the name says.
    limit:
        Only so many of the first words.
    skip_bad:
        Leave out bad lines and say how many, instead of stopping at the first.
    json:
        Print JSON.
    """
    from hanmo.vectors.files import check_form, check_out, read_vectors, write_vectors

    form_to = check_out(out, to)
    loaded = read_vectors(source, check_form(from_), limit=limit, skip_bad=skip_bad)
    write_vectors(loaded, out, form_to)
    if json:
        _print_json({"vectors": str(out), "form": form_to, "words": len(loaded), "dim": loaded.dim})
    else:
        print(f"{out}: {len(loaded):,} words, dim {loaded.dim} ({form_to})")
    return 0


def _load(path: Path) -> WordVectors:
    """Vectors in any form; those of hanmo's own form stay on disk."""
    from hanmo.vectors.files import read_vectors

    return read_vectors(path, mmap=path.is_dir())


def _test_files(tests: Iterable[Path]) -> list[Path]:
    from hanmo.core.errors import ConfigError, DataError

    files = []
    for test in tests:
        found = sorted([*test.glob("*.txt"), *test.glob("*.txt.gz")]) if test.is_dir() else [test]
        if not found:
            raise DataError("there is no .txt file in this folder", where=test)
        files += found
    if not files:
        raise ConfigError("no test was given", remedy="Name files or folders of word similarity or analogy sets.")
    return files


def _rows(found: Iterable[Neighbour]) -> list[dict[str, Any]]:
    return [{"word": word, "score": score} for word, score in found]


def _print_rows(found: Iterable[Neighbour]) -> None:
    for word, score in found:
        print(f"{score:.4f}  {word}")


def _share(value: float | None) -> str:
    return "  –  " if value is None else f"{value:.3f}"


def _known(n_known: int, n_all: int) -> str:
    return f"{n_known:,} of {n_all:,} ({n_known / n_all:.0%})" if n_all else "0"


def _print_json(value: dict[str, Any]) -> None:
    print(json_library.dumps(value, ensure_ascii=False))
