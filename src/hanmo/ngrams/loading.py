"""Read a model from wherever it is."""

from __future__ import annotations

from pathlib import Path

from hanmo.core.errors import ModelError
from hanmo.ngrams.model import NgramModel
from hanmo.ngrams.settings import Unit
from hanmo.ngrams.storage import load_folder

__all__ = ["load"]


def load(path: str | Path, *, unit: Unit = "word", verify: bool = False, in_memory: bool = False) -> NgramModel:
    """Load a model: a folder that `NgramModel.save` wrote (mapped, in milliseconds) or an ARPA file (also .gz).

    Args:
        path: the folder or the file.
        unit: what an ARPA file is a model of, which it does not say; a folder does.
        verify: compare the hash of a folder's numbers.
        in_memory: read a folder's numbers instead of mapping them. It takes longer and no two processes share it, but
            much text is then scored up to a fifth faster: its pages are large ones where the system has such.

    Raises:
        DataError: if an ARPA file cannot be read.
        FormatError: if it is damaged, with file and line.
        ModelError: if there is none.
    """
    path = Path(path)
    if path.is_dir():
        return load_folder(path, verify=verify, in_memory=in_memory)
    if not path.exists():
        raise ModelError("no such n-gram model", where=path, remedy="Check the path.")
    from hanmo.ngrams.arpa_reading import read_arpa

    return read_arpa(path, unit=unit)
