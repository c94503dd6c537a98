from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from hanmo.core.errors import ConfigError, DataError, FormatError
from hanmo.corpora.shards import open_shards, read_shard_report, shard_dtype, write_shards

TEXTS = ["你好", "abc", "", "déjà"]
EOT = 300


def encode(texts: Sequence[str]) -> list[list[int]]:
    return [list(text.encode("utf-8")) for text in texts]


def test_round_trip(tmp_path: Path) -> None:
    report = write_shards(iter(TEXTS), encode, EOT, tmp_path / "s", "uint16", tokenizer_sha256="t")
    ids = open_shards(tmp_path / "s", verify=True, tokenizer_sha256="t")
    assert ids.dtype == np.uint16
    assert isinstance(ids, np.memmap)
    ends = np.flatnonzero(ids == EOT)
    assert len(ends) == 4
    assert [bytes(part[part != EOT].tolist()).decode() for part in np.split(ids, ends + 1)[:-1]] == TEXTS
    assert (report.n_documents, report.n_bytes, report.n_chars) == (4, 15, 9)
    assert report.n_tokens == len(ids) == 19
    assert read_shard_report(tmp_path / "s") == report
    assert not ids.flags.writeable


def test_same_bytes_and_replacement(tmp_path: Path) -> None:
    first = write_shards(TEXTS, encode, EOT, tmp_path / "s")
    assert write_shards(TEXTS, encode, EOT, tmp_path / "s") == first
    assert write_shards(TEXTS[:2], encode, EOT, tmp_path / "s") != first
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["s", "shards.json", "tokens.bin"]


@pytest.mark.parametrize("vocab_size", [65_536, 65_537])
def test_large_vocabularies(tmp_path: Path, vocab_size: int) -> None:
    top = vocab_size - 1
    write_shards(["x"], lambda texts: [[top] for _ in texts], 0, tmp_path / "s", shard_dtype(vocab_size))
    assert open_shards(tmp_path / "s").tolist() == [top, 0]
    assert shard_dtype(vocab_size) == ("uint16" if vocab_size == 65_536 else "uint32")


def test_an_id_that_does_not_fit_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="70000 does not fit in uint16"):
        write_shards(["x"], lambda texts: [[70_000] for _ in texts], 0, tmp_path / "s")
    assert list(tmp_path.iterdir()) == []


def test_wrong_use(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not int64"):
        write_shards(TEXTS, encode, EOT, tmp_path / "s", "int64")
    with pytest.raises(DataError, match="no text"):
        write_shards([], encode, EOT, tmp_path / "s")
    with pytest.raises(DataError, match="gave 1 rows for 4 texts"):
        write_shards(TEXTS, lambda texts: [[1]], EOT, tmp_path / "s")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    with pytest.raises(ConfigError, match="holds other files"):
        write_shards(TEXTS, encode, EOT, tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "x"


def test_damage_is_found(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    write_shards(TEXTS, encode, EOT, folder, tokenizer_sha256="t")
    path = folder / "tokens.bin"
    whole = path.read_bytes()
    for cut in range(0, len(whole), 5):
        path.write_bytes(whole[:cut])
        with pytest.raises(FormatError, match="truncated"):
            open_shards(folder)
    path.write_bytes(bytes([whole[0] ^ 1]) + whole[1:])
    open_shards(folder)
    with pytest.raises(FormatError, match="SHA-256"):
        open_shards(folder, verify=True)
    path.unlink()
    with pytest.raises(FormatError, match=r"tokens\.bin is missing"):
        open_shards(folder)
    path.write_bytes(whole)
    with pytest.raises(FormatError, match="another tokenizer"):
        open_shards(folder, tokenizer_sha256="u")
    (folder / "shards.json").write_text("{}")
    with pytest.raises(FormatError, match="no report"):
        open_shards(folder)
    with pytest.raises(FormatError, match=r"shards\.json is missing"):
        open_shards(tmp_path)
