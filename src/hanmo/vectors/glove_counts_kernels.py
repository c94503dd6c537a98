"""Co-occurrences of the words of a text, counted a word at a time, compiled.

The places of a word are looked up in an index, and the words around each are added up in one row of sums, which stays
in the cache. So each row is done before the next begins: nothing is sorted or merged, and memory is the index (which
may be made for a part of the words), the row, and what comes out.
"""

from __future__ import annotations

import numpy as np

from hanmo.core.compiled import compiled

__all__ = ["count_rows", "index_places"]


@compiled()
def index_places(
    ids: np.ndarray, ends: np.ndarray, first: int, last: int, left: int, right: int, behind: np.ndarray, places: np.ndarray
) -> None:  # fmt: skip
    """Where words stand, for words `first` to `last` - 1, word after word.

    Args:
        ids: the text, (N,) int32.
        ends: behind the last word of each sentence, (S,) int64.
        first: the first of the words.
        last: behind the last of them.
        left: how many words before a word are its context, at most; below 256.
        right: how many words behind it.
        behind: where each word's places begin, (last - first,) int64; becomes where they end.
        places: receives them: position times 2**16, words to the left times 2**8, words to the right; int64.
    """
    start = 0
    for s in range(len(ends)):
        end = ends[s]
        for i in range(start, end):
            word = ids[i]
            if word >= first and word < last:
                before, after = min(left, i - start), min(right, end - 1 - i)
                places[behind[word - first]] = (i << 16) | (before << 8) | after
                behind[word - first] += 1
        start = end


@compiled()
def count_rows(
    ids: np.ndarray, places: np.ndarray, low: int, behind: np.ndarray, units: np.ndarray,
    sums: np.ndarray, met: np.ndarray, rows: np.ndarray, columns: np.ndarray, values: np.ndarray,
) -> int:  # fmt: skip
    """Rows of the co-occurrence matrix; a row's columns are in the order in which they were met.

    Args:
        ids: the text, (N,) int32; -1 takes up a place and is not counted.
        places: as `index_places` gives them.
        low: where those of the first row begin.
        behind: where those of each row end, (R,) int64, R below 2**16.
        units: what a word at distance d counts, (window + 1,) int64.
        sums: zeros, (V,) int64; zeros again when this returns.
        met: scratch, (V + 1,) int32.
        rows: receives the row of each sum, counted from the first, uint16.
        columns: receives its column, int32.
        values: receives the sum, int64.

    Returns:
        How many there are.
    """
    n = 0
    for r in range(len(behind)):
        n_met = 0
        for k in range(low, behind[r]):
            place = places[k]
            i = place >> 16
            for d in range(1, ((place >> 8) & 255) + 1):
                word = ids[i - d]
                if word >= 0:
                    met[n_met] = word
                    n_met += sums[word] == 0
                    sums[word] += units[d]
            for d in range(1, (place & 255) + 1):
                word = ids[i + d]
                if word >= 0:
                    met[n_met] = word
                    n_met += sums[word] == 0
                    sums[word] += units[d]
        low = behind[r]
        for k in range(n_met):
            word = met[k]
            rows[n], columns[n], values[n] = r, word, sums[word]
            sums[word] = 0
            n += 1
    return n
