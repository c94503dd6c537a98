"""Where co-occurrences are kept until they are learnt from: in memory, or in a temporary file where they are many."""

from __future__ import annotations

import tempfile
import threading
from typing import Self

import numpy as np

from hanmo.core.errors import storage_error
from hanmo.vectors.glove_kernels import RECORD

__all__ = ["Records"]


class Records:
    """A growing array of `RECORD`. The file has no name: the system deletes it however the process ends.

    Args:
        memory: bytes from which on all are in a file.
    """

    def __init__(self, memory: int):
        self.n = 0
        self._memory = memory
        self._kept = np.empty(0, RECORD)
        self._file = None
        self._lock = threading.Lock()

    def add(self, records: np.ndarray) -> int:
        """Keep records; the place of the first. May be called by several threads.

        Raises:
            StorageError: if there is no room for the file.
        """
        with self._lock:
            start = self.n
            self.n += len(records)
            if self._file is None and self.n * RECORD.itemsize > self._memory:
                try:
                    self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 (closed by __exit__)
                except OSError as error:
                    raise storage_error(error, tempfile.gettempdir()) from error
                self._write(self._kept[:start])
                self._kept = np.empty(0, RECORD)
            if self._file is not None:
                self._write(records)
            else:
                if self.n > len(self._kept):  # grown in place where the system can, so that there are never two of it
                    self._kept.resize(max(self.n, int(1.25 * start)), refcheck=False)
                self._kept[start : self.n] = records
            return start

    def _write(self, records: np.ndarray) -> None:
        assert self._file is not None
        left = records.view(np.uint8).data
        try:
            while len(left):  # a full disk takes a part first
                left = left[self._file.write(left) :]
        except OSError as error:
            raise storage_error(error, tempfile.gettempdir()) from error

    def open(self) -> np.ndarray:
        """All that were kept, (n,); mapped where they are in a file, which stays when this is closed."""
        if self._file is not None and self.n:
            return np.memmap(self._file, RECORD, "r", shape=(self.n,))
        return self._kept[: self.n]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()
