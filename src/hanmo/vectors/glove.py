"""GloVe: vectors whose products are the logarithms of how often words stand together (Pennington et al., 2014)."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from hanmo.core.errors import TrainingError
from hanmo.core.interrupts import Interrupts
from hanmo.core.mapped import release
from hanmo.core.progress import progress, say
from hanmo.tokenizers.word_ids import WordIds
from hanmo.vectors.checkpoints import open_checkpoint
from hanmo.vectors.glove_counts import Tiles, count_tiles
from hanmo.vectors.glove_kernels import train_tiles
from hanmo.vectors.glove_settings import GloveSettings
from hanmo.vectors.glove_state import GloveState, load_glove, new_glove, save_glove
from hanmo.vectors.learning import all_finite, check_text, choose_threads, padded
from hanmo.vectors.word_vectors import WordVectors

__all__ = ["train_glove"]

_SAVE_SECONDS = 600.0
"""Between two states that are written, where a folder for them is given."""


def train_glove(
    text: WordIds,
    settings: GloveSettings | None = None,
    *,
    start: WordVectors | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
) -> WordVectors:
    """Train on a text: the same vectors to the last bit on any number of threads.

    Ctrl-C ends the training, and what was learnt so far is returned: `meta["finished"]` says so. `meta["losses"]` has
    the mean loss of each epoch.

    Args:
        text: word numbers, by falling count.
        settings: how.
        start: take the vectors of words that these have from them; other words of theirs are not kept.
        checkpoint: a folder for what is needed to go on: written every ten minutes, at Ctrl-C and at the end.
        resume: go on with what is there, to the same bits as without the interruption; words are counted again.

    Raises:
        ConfigError: for settings that cannot be, or a checkpoint that is not of this text and settings.
        DataError: for a text without two words that stand near each other.
        FormatError: for a damaged checkpoint.
        StorageError: if there is no room for co-occurrences or the checkpoint.
        TrainingError: if the loss is no longer finite.
    """
    settings = settings or GloveSettings()
    threads = choose_threads(settings.threads)
    check_text(text)
    folder = open_checkpoint(checkpoint, resume=resume)
    if resume and folder is not None:
        state = load_glove(folder, text, settings)
    else:
        state = new_glove(text, settings, start)
    tiles = count_tiles(text, settings, padded(settings.dim), threads)
    finished = _Training(settings, state, tiles, threads).run(folder, text)
    matrix = state.x + state.y if settings.sum_sets else state.x
    meta = {
        "method": "glove",
        "settings": settings.model_dump(mode="json"),
        "finished": finished,
        "losses": state.losses,
    }
    return WordVectors(text.words, matrix[:, : settings.dim].copy(), counts=text.counts, meta=meta)


class _Training:
    """Rounds of tiles, epoch after epoch. A round is a diagonal of the tiles, in an order of rows and columns that is
    drawn for each epoch: no two have a row or a column in common, and after as many rounds as blocks all are done."""

    def __init__(self, settings: GloveSettings, state: GloveState, tiles: Tiles, threads: int):
        self.settings, self.state, self.tiles, self.threads = settings, state, tiles, threads
        self.n_blocks = len(tiles.bounds) - 1
        self.sizes = np.diff(tiles.starts, axis=1)
        """Co-occurrences in each tile, (B, B)."""
        self.n_trained = state.done // self.n_blocks * len(tiles.records)

    def run(self, folder: Path | None, text: WordIds) -> bool:
        """Train to the end, or until Ctrl-C; whether it is the end."""
        total, shown = self.n_blocks * self.settings.epochs, 0
        with (
            progress("Train GloVe", len(self.tiles.records) * self.settings.epochs, "records") as bar,
            ThreadPoolExecutor(self.threads) as pool,
            Interrupts() as interrupts,
        ):
            due = time.monotonic() + _SAVE_SECONDS
            for number in range(self.state.done, total):
                self._train(self._round(number), pool)
                loss = {"loss": f"{self.state.losses[-1]:.4f}"} if self.state.losses else {}
                bar.advance(self.n_trained - shown, **loss)
                shown = self.n_trained
                stop = interrupts.signal_name is not None or self.state.done == total
                if folder is not None and (stop or time.monotonic() > due):
                    self._check_finite()
                    save_glove(folder, self.state, text, self.settings)
                    due = time.monotonic() + _SAVE_SECONDS
                if stop:
                    break
        if self.state.done < total:
            say(f"Interrupted after {self.state.done / total:.0%}: what was learnt so far is kept.")
        return self.state.done == total

    def _round(self, number: int) -> np.ndarray:
        """The tiles of a round: rows and columns of blocks, (B, 2)."""
        epoch, shift = divmod(number, self.n_blocks)
        rng = np.random.default_rng([self.settings.seed, epoch])
        rows, columns = rng.permutation(self.n_blocks), rng.permutation(self.n_blocks)
        return np.stack([rows, np.roll(columns, shift)], 1)

    def _train(self, tiles: np.ndarray, pool: ThreadPoolExecutor) -> None:
        """Train on the tiles of a round."""
        own, state = self.tiles, self.state
        losses = np.zeros(self.n_blocks)

        def train(share: np.ndarray) -> None:
            train_tiles(own.records, own.starts, own.bounds, share, *state.parts(), self.settings.lr, losses)

        list(pool.map(train, self._shares(tiles)))
        release(own.records)
        self.n_trained += int(self.sizes[tiles[:, 0], tiles[:, 1]].sum())
        state.loss += float(losses.sum())
        state.done += 1
        if state.done % self.n_blocks == 0:
            state.losses.append(state.loss / len(own.records))
            state.loss = 0.0
            self._check_finite()

    def _check_finite(self) -> None:
        """Neither a state that is written nor one that is trained on for another epoch may be past mending."""
        state = self.state
        if not np.isfinite([state.loss, *state.losses]).all() or not all_finite(*state.parts()):
            raise TrainingError(
                f"the loss is no longer finite in epoch {-(-state.done // self.n_blocks)}",
                remedy="Lower lr, or raise x_max.",
            )

    def _shares(self, tiles: np.ndarray) -> list[np.ndarray]:
        """Tiles for each thread: the largest first, each to the one that has the least."""
        sizes = self.sizes[tiles[:, 0], tiles[:, 1]]
        shares: list[list[int]] = [[] for _ in range(self.threads)]
        loads = [0] * self.threads
        for number in np.argsort(-sizes, kind="stable"):
            least = loads.index(min(loads))
            shares[least].append(int(number))
            loads[least] += int(sizes[number])
        return [tiles[share] for share in shares]
