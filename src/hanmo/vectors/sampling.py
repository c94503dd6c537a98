"""What word2vec draws by: words that are kept, negative words, and the binary codes of hierarchical softmax."""

from __future__ import annotations

import heapq

import numpy as np

__all__ = ["alias_table", "huffman_codes", "keep_probabilities"]


def keep_probabilities(counts: np.ndarray, threshold: float) -> np.ndarray:
    """Chance that an occurrence of each word is kept, (V,) (word2vec.c; Mikolov et al., 2013b, §2.3, without its root).

    With f the share of a word in the text: min(1, sqrt(t / f) + t / f); the paper has 1 - sqrt(t / f) for the chance
    that it is left out, which every program since has replaced by this.

    Args:
        counts: (V,).
        threshold: t; 0 keeps all.
    """
    if threshold == 0:
        return np.ones(len(counts))
    share = counts / max(counts.sum(), 1)
    with np.errstate(divide="ignore"):
        ratio = threshold / share
    return np.minimum(1.0, np.sqrt(ratio) + ratio)


def alias_table(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Tables to draw from a distribution in two steps, exact however many words there are (Walker, 1977; Vose, 1991).

    A slot is drawn uniformly, then `own[slot]` is the chance that it stands for itself, else it is `other[slot]`.

    Args:
        weights: (V,), not negative, not all zero.

    Returns:
        `own` (V,) float64 in [0, 1]; `other` (V,) int32.
    """
    n = len(weights)
    own = np.asarray(weights, np.float64) * (n / np.sum(weights))
    other = np.arange(n, dtype=np.int32)
    small, large = [list(np.flatnonzero(own < 1)), list(np.flatnonzero(own >= 1))]
    shares = own.tolist()
    while small and large:
        low, high = small.pop(), large[-1]
        other[low] = high
        shares[high] -= 1 - shares[low]
        if shares[high] < 1:
            small.append(large.pop())
    for slot in (*small, *large):  # what is left is 1 but for rounding
        shares[slot] = 1.0
    return np.array(shares), other


def huffman_codes(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Binary code of each word by a Huffman tree (Mikolov et al., 2013b, §2.1): short for frequent words.

    Args:
        counts: (V,), V >= 2.

    Returns:
        `starts` (V + 1,) int64; for each word from starts[w] to starts[w + 1], from the root down: `nodes`, the inner
        node that is asked, int32 in [0, V - 1), and `turns`, 1.0 where the path turns right, float32.
    """
    n = len(counts)
    parent, right = np.zeros(2 * n - 1, np.int64), np.zeros(2 * n - 1, np.float32)
    heap = [(int(count), word) for word, count in enumerate(counts)]
    heapq.heapify(heap)
    for node in range(n, 2 * n - 1):
        (first, one), (second, other) = heapq.heappop(heap), heapq.heappop(heap)
        parent[one] = parent[other] = node
        right[other] = 1.0
        heapq.heappush(heap, (first + second, node))
    root = 2 * n - 2
    depth = np.zeros(2 * n - 1, np.int64)
    for node in range(root - 1, -1, -1):  # children have smaller numbers than their parent
        depth[node] = depth[parent[node]] + 1
    starts = np.concatenate([[0], np.cumsum(depth[:n])])
    nodes, turns = np.zeros(starts[-1], np.int32), np.zeros(starts[-1], np.float32)
    here, place = np.arange(n), starts[1:] - 1
    while len(here):
        nodes[place], turns[place] = parent[here] - n, right[here]
        here, place = parent[here], place - 1
        above = here != root
        here, place = here[above], place[above]
    return starts, nodes, turns
