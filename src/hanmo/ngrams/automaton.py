"""A back-off model as an automaton: a state is what matters of the words before, an arrow is a word that follows.

A word is looked up with the state as its context. Where the n-gram is known, its probability is there and the arrow
leads to the next state. Where it is not, the state's back-off weight is paid and the search goes on from its failure,
the state of its longest suffix (Aho and Corasick, 1975; Allauzen et al., 2003), down to the single words. Only contexts
of which something is known are states, so that two histories that cannot be told apart are one (Li and Khudanpur,
2008). A word costs a look-up or two, whatever the order.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from hanmo.core.errors import DataError
from hanmo.ngrams.automaton_kernels import FREE, MOST_STATES, MOST_WORDS, enter_grams, name_states
from hanmo.ngrams.marks import BEGIN
from hanmo.ngrams.smoothing import Estimate

__all__ = ["Automaton", "build_automaton"]

_LOAD = 0.75
"""Entries for each home of the table: more and searches are long, less and memory is wasted."""

_SPARE = 2048
"""Places behind the last home: at this load no chain of moved entries is ever so long."""


@dataclass(frozen=True, eq=False)
class Automaton:
    """The numbers of a model, as they are mapped from its file.

    State 0 is the empty context; the others are numbered by rising order.
    """

    word_logs: np.ndarray
    """log10 p of each word alone, (V,) fp64."""
    word_states: np.ndarray
    """The state that each word leads to from the empty context, (V,) uint32."""
    backoffs: np.ndarray
    """Of each state log10 of its weight, and the state of its longest suffix, (S, 2) fp64: they are asked for together."""
    order_ends: np.ndarray
    """How many states have no more than 0, 1, ... words, (order,) int64."""
    table: np.ndarray
    """N-grams from order 2 on, (M + spare, 2) uint64, in the order of their scrambled keys: state (32 bits), word (24)
    and the upper 8 bits of -log10 p; its lower 32 bits and the next state (32). All ones: free."""

    @property
    def size(self) -> int:
        """Homes of the table."""
        return len(self.table) - _SPARE

    @property
    def order(self) -> int:
        """Longest n-gram."""
        return len(self.order_ends)

    @property
    def n_words(self) -> int:
        """Words, marks included."""
        return len(self.word_logs)

    @property
    def begin(self) -> int:
        """The state at the beginning of a sentence."""
        return int(self.word_states[BEGIN])


def build_automaton(estimates: Iterable[Estimate], order: int, n_grams: int) -> Automaton:
    """Build it from the n-grams of each order, beginning with the words.

    Args:
        estimates: of each order, from 1 on.
        order: how many there are.
        n_grams: how many n-grams of two words or more are kept.

    Raises:
        DataError: if there are more words or contexts than it holds.
    """
    size = max(int(n_grams / _LOAD) + 1, 64)
    if size >= 2**32:
        raise DataError(f"a model of {n_grams:,} n-grams is too large", remedy="Prune it, or lower the order.")
    table = np.full((size + _SPARE, 2), FREE)
    backoffs = np.zeros((1, 2))
    states = np.zeros(1, np.uint32)  # the one state of 0-grams
    order_ends = [1]
    word_logs = word_states = np.zeros(0)
    with ThreadPoolExecutor(1) as pool:  # enters n-grams while those of the next order are estimated
        entering: Future[int] | None = None
        for n, estimate in enumerate(estimates, 1):
            if n == 1 and len(estimate.kept) > MOST_WORDS:
                raise DataError(
                    f"{len(estimate.kept):,} different words are more than an n-gram model holds ({MOST_WORDS:,})",
                    remedy="Leave out rare ones: min_count = 2.",
                )
            is_state = (estimate.extended | (estimate.backoff != 1)) & estimate.kept & (n < order)
            first = order_ends[-1]
            end = first + int(np.count_nonzero(is_state))
            if end > MOST_STATES:
                raise DataError("a model of so many n-grams is too large", remedy="Prune it, or lower the order.")
            backoffs.resize((end, 2), refcheck=False)
            shorter, states = states, np.zeros(len(estimate.kept), np.uint32)
            name_states(
                estimate.kept, is_state, estimate.suffixes, estimate.backoff, shorter, first, states, backoffs
            )  # fmt: skip
            if n < order:
                order_ends.append(end)
            if n == 1:
                word_logs, word_states = np.log10(estimate.p), states
                continue
            _check_entered(entering)
            entering = pool.submit(
                enter_grams, estimate.keys, estimate.kept, estimate.p, shorter, states, table, size
            )  # fmt: skip
            del estimate, is_state, shorter  # as soon as they are entered
        _check_entered(entering)
    arrays = (word_logs, word_states, backoffs, np.array(order_ends), table)
    for array in arrays:
        array.flags.writeable = False  # as where they are mapped: kernels are compiled once
    return Automaton(*arrays)


def _check_entered(entering: Future[int] | None) -> None:
    if entering is not None:
        assert entering.result() == 0, ("an n-gram is there twice", "the table of n-grams is too short")[
            entering.result() - 1
        ]
