"""Word vectors become a map: words are chosen, brought to a plane, coloured and drawn."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from hanmo.core.errors import ConfigError, DataError
from hanmo.core.files import write_text
from hanmo.evaluation.word_map import MapGroup, MapWord, map_page, map_svg
from hanmo.vectors.neighbours import neighbours, unit_vectors
from hanmo.vectors.plane import PlaneMethod, plane
from hanmo.vectors.word_vectors import WordVectors

__all__ = ["MapResult", "draw_map"]

_LETTERS = re.compile(r"[^\W\d_]{2,}")
_HAS_LETTER = re.compile(r"[^\W\d_]")
_NOTED = 6
"""Nearest words that are named on hovering."""
_N_CLUSTERS = 8
_MAX_WORDS = 2000


@dataclass(frozen=True, kw_only=True)
class MapResult:
    """What was drawn."""

    path: str
    words: tuple[str, ...]
    groups: dict[str, list[str]]


def draw_map(
    vectors: WordVectors,
    out: str | Path,
    *,
    near: Sequence[str] = (),
    words: Sequence[str] = (),
    n: int = 200,
    method: PlaneMethod = "tsne",
    title: str = "",
    lang: Literal["en", "zh"] = "en",
    seed: int = 0,
) -> MapResult:
    """Draw words on a plane.

    Args:
        vectors: of the words.
        out: an .svg or .html file.
        near: draw these words and the nearest of each, a colour for each.
        words: draw these words, a colour for each cluster; without `near` and `words`, the `n` most frequent words of
            two letters or more.
        n: how many words in all.
        method: "tsne" or "pca" (`hanmo.vectors.plane`).
        title: heading.
        lang: language of the page.
        seed: of t-SNE and the clusters.

    Raises:
        ConfigError: for another kind of file, or both `near` and `words`.
        DataError: if a word has no vector, or there are fewer than three.
        StorageError: if the file cannot be written.
    """
    out = Path(out)
    if out.suffix.lower() not in (".svg", ".html"):
        raise ConfigError("a map is an .svg or an .html file", where=out)
    if near and words:
        raise ConfigError("'near' and 'words' were both given", remedy="Give one of them.")
    if not 3 <= n <= _MAX_WORDS:
        raise ConfigError(f"n = {n} is not between 3 and {_MAX_WORDS}", where="n")
    if near:
        chosen, group_of, names = _around(vectors, list(dict.fromkeys(near)), n)
    else:
        chosen = list(dict.fromkeys(words)) or _frequent(vectors, n)
        if len(chosen) < 3:
            raise DataError(f"a map needs three words, there are {len(chosen)}")
        group_of, names = _clusters(vectors, chosen, seed)
    places = plane(vectors, chosen, method=method, seed=seed)
    groups = [MapGroup(name=name) for name in names]
    drawn = [
        MapWord(
            text=word,
            x=float(x),
            y=float(y),
            group=group,
            note=" ".join(found.word for found in neighbours(vectors, word, _NOTED)),
        )
        for word, (x, y), group in zip(chosen, places, group_of, strict=True)
    ]
    title = title or ("词语地图" if lang == "zh" else "A map of words")
    if out.suffix.lower() == ".svg":
        content = map_svg(drawn, groups, title=title, legend=bool(near)) + "\n"
    else:
        content = map_page(
            drawn, groups, title=title, about=_about(vectors, chosen, method, lang), lang=lang, legend=bool(near)
        )
    write_text(out, content)
    members = {name: [word for word, g in zip(chosen, group_of, strict=True) if g == i] for i, name in enumerate(names)}
    return MapResult(path=str(out), words=tuple(chosen), groups=members)


def _around(vectors: WordVectors, centres: list[str], n: int) -> tuple[list[str], list[int], list[str]]:
    """The nearest words of each centre, without marks and numbers; one that is near to two belongs to the nearer."""
    unit_vectors(vectors, centres)  # names all that are missing at once
    each = max(n // len(centres) - 1, 1)
    best = {word: (2.0, group) for group, word in enumerate(centres)}
    for group, centre in enumerate(centres):
        near = neighbours(vectors, centre, 2 * each)
        for word, score in [found for found in near if _HAS_LETTER.search(found.word)][:each]:
            if score > best.get(word, (-2.0, 0))[0]:
                best[word] = (score, group)
    return list(best), [group for _, group in best.values()], centres


def _frequent(vectors: WordVectors, n: int) -> list[str]:
    """The first, most frequent, words of two letters or more."""
    found = []
    for word in vectors.words:
        if _LETTERS.fullmatch(word):
            found.append(word)
            if len(found) == n:
                break
    return found


def _clusters(vectors: WordVectors, words: list[str], seed: int) -> tuple[list[int], list[str]]:
    """k-means on vectors of length 1; a cluster is named by the three words nearest to its middle."""
    from sklearn.cluster import KMeans

    units = unit_vectors(vectors, words)
    k = min(_N_CLUSTERS, max(len(words) // 8, 1))
    fitted = KMeans(k, n_init="auto", random_state=seed).fit(units)
    labels = fitted.labels_
    assert labels is not None
    names = []
    for number, middle in enumerate(fitted.cluster_centers_):
        members = np.flatnonzero(labels == number)
        central = members[np.argsort(-(units[members] @ middle))[:3]]
        names.append(" · ".join(words[i] for i in central))
    return labels.tolist(), names


def _about(vectors: WordVectors, words: Sequence[str], method: PlaneMethod, lang: str) -> list[str]:
    name = {"tsne": "t-SNE", "pca": "PCA"}[method]
    if lang == "zh":
        return [
            f"{len(words)} 个词，由 {vectors.dim} 维向量经 {name} 降到平面；夹角小的词彼此靠近。",
            f"词表共 {len(vectors):,} 个词。",
        ]
    return [
        f"{len(words)} words, brought from {vectors.dim} dimensions to a plane by {name}: words at a small angle are near.",
        f"The vocabulary has {len(vectors):,} words.",
    ]
