"""The record of what a tokenizer was trained on, and the refusal to evaluate on it."""

from __future__ import annotations

import bz2
import gzip
import lzma
from pathlib import Path

import pytest

from hanmo.core.errors import DataError, FormatError
from hanmo.tokenizers.bpe import train_bpe
from hanmo.tokenizers.opening import open_tokenizer
from hanmo.tokenizers.tokenizer import Tokenizer
from hanmo.tokenizers.training_data import FILE_NAME, hash_file, refuse_training_text

TEXT = "天地玄黄，宇宙洪荒。The fox.\n" * 20


@pytest.fixture
def novel(tmp_path: Path) -> Path:
    path = tmp_path / "红楼梦.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


def test_the_record_is_kept(novel: Path, tmp_path: Path) -> None:
    tokenizer = train_bpe([TEXT], 300).with_training_files([hash_file(novel)])
    tokenizer.save(tmp_path / "one")
    again = Tokenizer.load(tmp_path / "one").with_chat_template("{{ messages }}")
    assert again.training_files == tokenizer.training_files
    again.save(tmp_path / "two")
    assert open_tokenizer(tmp_path / "two").training_files == tokenizer.training_files
    train_bpe([TEXT], 300).save(tmp_path / "two")
    assert not (tmp_path / "two" / FILE_NAME).exists(), "the record of another tokenizer is left"


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_a_copy_is_recognised(pack, novel: Path, tmp_path: Path) -> None:
    copy = tmp_path / "heldout.bin"
    copy.write_bytes(pack(novel.read_bytes()))
    record = hash_file(novel)
    assert hash_file(copy).content_sha256 == record.content_sha256 == record.sha256
    with pytest.raises(DataError, match=r"heldout\.bin.*tokenizer T was trained on.*红楼梦\.txt"):
        refuse_training_text([record], [copy], tokenizer="T")
    copy.write_bytes(pack(novel.read_bytes() + b"x"))
    refuse_training_text([record], [copy], tokenizer="T")


def test_a_text_that_begins_like_a_packed_file(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("BZh is how packed files begin.", encoding="utf-8")
    assert hash_file(path).content_sha256 == hash_file(path).sha256
    path.write_bytes(gzip.compress(TEXT.encode())[:-20])
    with pytest.raises(DataError, match=r"notes\.txt"):
        hash_file(path)


@pytest.mark.parametrize(
    "content", ["[]", '{"files": [{}]}', '{"files": [{"name": 1, "sha256": "", "content_sha256": ""}]}']
)
def test_a_damaged_record(content: str, tmp_path: Path) -> None:
    train_bpe([TEXT], 300).save(tmp_path)
    (tmp_path / FILE_NAME).write_text(content, encoding="utf-8")
    with pytest.raises(FormatError, match=FILE_NAME):
        Tokenizer.load(tmp_path)
