"""word2vec: vectors by which a word tells the words around it (Mikolov et al., 2013a, 2013b)."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import numpy as np

from hanmo.core.errors import TrainingError
from hanmo.core.interrupts import Interrupts
from hanmo.core.mapped import release
from hanmo.core.progress import Bar, progress, say
from hanmo.tokenizers.word_ids import WordIds
from hanmo.vectors.checkpoints import open_checkpoint
from hanmo.vectors.learning import all_finite, check_text, choose_threads
from hanmo.vectors.sampling import alias_table, huffman_codes, keep_probabilities
from hanmo.vectors.subwords import Subwords
from hanmo.vectors.word2vec_kernels import train_stretch
from hanmo.vectors.word2vec_pieces import Pieces
from hanmo.vectors.word2vec_settings import Word2VecSettings
from hanmo.vectors.word2vec_state import State, load_state, new_state, save_state
from hanmo.vectors.word_vectors import WordVectors

__all__ = ["train_word2vec"]

_STRETCH = 50_000
"""Words that a thread trains on between two looks at the clock: some hundredths of a second."""
_SAVE_SECONDS = 600.0
"""Between two states that are written, where a folder for them is given."""
_EMPTY = np.zeros(0, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32)


def train_word2vec(
    text: WordIds,
    settings: Word2VecSettings | None = None,
    *,
    start: WordVectors | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
) -> WordVectors:
    """Train on a text. Ctrl-C ends the training, and what was learnt so far is returned: `meta["finished"]` says so.

    Args:
        text: word numbers, by falling count.
        settings: how.
        start: take the vectors of words that these have from them, and with sub-words of the same settings those of
            pieces; other words of theirs are not kept.
        checkpoint: a folder for what is needed to go on: written every ten minutes, at Ctrl-C and at the end.
        resume: go on with what is there; with `deterministic` to the same bits as without the interruption.

    Raises:
        ConfigError: for settings that cannot be, or a checkpoint that is not of this text and settings.
        DataError: for a text without two words.
        FormatError: for a damaged checkpoint.
        StorageError: if the checkpoint cannot be written.
        TrainingError: if the vectors are no longer finite; an older checkpoint stands.
    """
    settings = settings or Word2VecSettings.model_validate({})
    threads = 1 if settings.deterministic else choose_threads(settings.threads)
    check_text(text)
    folder = open_checkpoint(checkpoint, resume=resume)
    pieces = Pieces(text, settings.subwords)
    if resume and folder is not None:
        state = load_state(folder, text, pieces, settings)
    else:
        state = new_state(text, pieces, settings, start)
    training = _Training(text, settings, state, pieces, threads)
    finished = training.run(folder)
    return _vectors(text, settings, state, pieces, finished)


def _vectors(text: WordIds, settings: Word2VecSettings, state: State, pieces: Pieces, finished: bool) -> WordVectors:
    n_words, dim = len(text.words), settings.dim
    meta = {"method": "word2vec", "settings": settings.model_dump(mode="json"), "finished": finished}
    if settings.subwords is None:
        return WordVectors(text.words, state.x[:n_words, :dim].copy(), counts=text.counts, meta=meta)
    matrix = pieces.means(state.x[:, :dim])
    subwords = Subwords(settings.subwords, pieces.buckets, state.x[n_words:, :dim].copy())
    return WordVectors(text.words, matrix, counts=text.counts, meta=meta, subwords=subwords)


class _Training:
    """Stretches of the text, epoch after epoch, handed out to threads."""

    def __init__(self, text: WordIds, settings: Word2VecSettings, state: State, pieces: Pieces, threads: int):
        self.text, self.settings, self.state, self.threads = text, settings, state, threads
        n = len(text.ids)
        # a short text is cut into several stretches as well, so that every thread has some; not by their number, so
        # that the stretches are the same on every machine
        self.size = min(_STRETCH, max(n // 64, 1000))
        self.per_epoch = -(-n // self.size)
        self.total = self.per_epoch * settings.epochs
        keep = keep_probabilities(text.counts, settings.sample)
        by_code = settings.objective == "hierarchical"
        own, other = alias_table(text.counts.astype(np.float64) ** settings.negative_power)
        codes = huffman_codes(text.counts) if by_code else _EMPTY
        self.arguments = (
            state.x,
            state.y,
            _in_32_bits(keep),
            _in_32_bits(own),
            other,
            *codes,
            pieces.starts,
            pieces.rows,
        )
        is_cbow = settings.method == "cbow"
        self.options = (settings.window, 0 if by_code else settings.negative, is_cbow)
        self._lock = threading.Lock()
        self._stop = threading.Event()

    def run(self, folder: Path | None) -> bool:
        """Train to the end, or until Ctrl-C; whether it is the end."""
        n = len(self.text.ids)
        label = f"Train {self.settings.method}"
        with progress(label, n * self.settings.epochs, "words") as bar, Interrupts() as interrupts:
            bar.advance(self._words_before(self.state.done))
            while self.state.done < self.total and interrupts.signal_name is None:
                self._run_until(time.monotonic() + _SAVE_SECONDS, bar, interrupts)
                self._check_finite()
                if folder is not None:
                    save_state(folder, self.state, self.text, self.settings)
        if self.state.done < self.total:
            say(f"Interrupted after {self.state.done / self.total:.0%}: what was learnt so far is kept.")
        return self.state.done == self.total

    def _words_before(self, stretch: int) -> int:
        epochs, rest = divmod(stretch, self.per_epoch)
        return epochs * len(self.text.ids) + min(rest * self.size, len(self.text.ids))

    def _run_until(self, deadline: float, bar: Bar, interrupts: Interrupts) -> None:
        """Let the threads work until then, or until a signal. All stretches that were begun are finished."""
        self._stop.clear()
        shown = self.state.done
        epoch = shown // self.per_epoch
        with ThreadPoolExecutor(self.threads) as pool:
            try:
                running = {pool.submit(self._work) for _ in range(self.threads)}
                while running:
                    done, running = wait(running, timeout=0.1)
                    for worker in done:
                        worker.result()
                    bar.advance(self._words_before(self.state.done) - self._words_before(shown))
                    shown = self.state.done
                    if epoch != (epoch := shown // self.per_epoch):
                        self._check_finite()
                    if interrupts.signal_name is not None or time.monotonic() > deadline:
                        self._stop.set()
            finally:
                self._stop.set()

    def _check_finite(self) -> None:
        if not all_finite(self.state.x, self.state.y):
            raise TrainingError(
                f"the vectors are no longer finite after {self.state.done / self.per_epoch:.2g} epochs",
                remedy="Lower lr.",
            )

    def _work(self) -> None:
        text, settings = self.text, self.settings
        n = len(text.ids)
        first, last = settings.first_lr, min(settings.last_lr, settings.first_lr)
        while not self._stop.is_set():
            with self._lock:
                number = self.state.done
                if number >= self.total:
                    return
                self.state.done += 1
            low = number % self.per_epoch * self.size
            high = min(low + self.size, n)
            sentence = int(np.searchsorted(text.ends, low, side="right"))
            before, after = self._words_before(number), self._words_before(number + 1)
            rates = [first + (last - first) * place / (n * settings.epochs) for place in (before, after)]
            place = (text.ids, text.ends, sentence, low, high)
            train_stretch(*place, *self.arguments, *self.options, *rates, settings.seed, number)
            release(text.ids, low, high)


def _in_32_bits(chances: np.ndarray) -> np.ndarray:
    return np.minimum(chances * 2.0**32, 2**32 - 1).astype(np.uint32)
