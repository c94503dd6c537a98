from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hanmo.corpora import work
from hanmo.corpora.documents import Document
from hanmo.corpora.extract import DocumentWriter
from hanmo.corpora.work import Texts, task_folder


def test_few_parts_are_held_and_all_documents_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for part in range(8):
        folder = task_folder(tmp_path, "extract", part)
        folder.mkdir(parents=True)
        with open(folder / "documents.jsonl", "wb") as file:
            writer = DocumentWriter(file, sign=True)
            for n in range(2):
                text = "".join(chr(0x4E00 + 97 * part + 31 * n + k * k) for k in range(40))
                writer.add(Document(text=text, id=f"{part}#{n}", source="甲", lang="zh"))
            writer.save(folder)
    loaded: list[tuple[str, ...]] = []
    plainly = work.load_arrays

    def count(path: Path, *names: str) -> tuple[np.ndarray, ...]:
        loaded.append((path.parent.name, names[0]))
        return plainly(path, *names)

    monkeypatch.setattr(work, "load_arrays", count)
    monkeypatch.setattr(work, "_HELD_STARTS", 3)
    monkeypatch.setattr(work, "_HELD_SIGNATURES", 2)
    texts = Texts(tmp_path, list(range(0, 17, 2)))
    first = texts.signature(0)
    for number in range(16):
        assert texts[number].id == f"{number // 2}#{number % 2}"
        assert texts.signature(number).shape == first.shape
        assert np.array_equal(texts.signature(0), first)  # used last, so it is the other one that goes
    assert len(loaded) == 8 + 8  # each part once, though not all were held
    assert texts[0].id == "0#0"
    assert loaded[-1] == ("00000", "starts")  # had to go
