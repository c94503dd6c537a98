"""Word vectors become the token vectors of a model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from hanmo.core.errors import ConfigError, DataError
from hanmo.core.files import sha256_file
from hanmo.models.token_tables import token_tables
from hanmo.tokenizers.token_words import token_words
from hanmo.tokenizers.tokenizer import Tokenizer
from hanmo.vectors.files import read_vectors
from hanmo.vectors.word_vectors import WordVectors

__all__ = ["FilledTable", "fill_token_table", "load_embeddings", "vectors_sha256"]


@dataclass(frozen=True, kw_only=True)
class FilledTable:
    """What became of a token table."""

    n_filled: int
    """Tokens that are a word of the vectors."""
    n_tokens: int
    frozen: bool
    """Whether training leaves the table as it is."""
    tied: bool
    """Whether the output layer is the same matrix."""

    def describe(self) -> str:
        """One line for a plan."""
        drawn = self.n_tokens - self.n_filled
        text = f"{self.n_filled:,} of {self.n_tokens:,} token vectors from word vectors, {drawn:,} drawn"
        if not self.frozen:
            return text + "; all are trained"
        return text + ("; frozen, and so is the output layer, which is tied to them" if self.tied else "; frozen")


def load_embeddings(path: str | Path) -> WordVectors:
    """Read the vectors of a recipe; those of hanmo's own form stay on disk, and only rows that are used are read.

    Raises:
        HanmoError: if they cannot be read.
    """
    path = Path(path)
    return read_vectors(path, mmap=path.is_dir())


def vectors_sha256(path: str | Path) -> str:
    """What tells these vectors from others: the hash of the file, or of both files of hanmo's own form."""
    path = Path(path)
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    return " ".join(sha256_file(file) for file in files)


def fill_token_table(
    model: nn.Module, tokenizer: Tokenizer, vectors: WordVectors, *, freeze: bool = False, seed: int = 0
) -> FilledTable:
    """Give each token that is a word of `vectors` (as it is, or in lower case) its vector.

    The other rows are drawn with the variance of the vectors, so that they are neither louder nor quieter (Kim, 2014,
    §3.2). `freeze` keeps the whole table as it is, drawn rows too (Kim's CNN-static).

    Args:
        model: of any family that reads tokens.
        tokenizer: of the model.
        vectors: of the model's width.
        freeze: take the table out of training.
        seed: of the rows that are drawn.

    Raises:
        ConfigError: if the vectors have another width.
        DataError: if no token is a word of theirs.
    """
    tables = token_tables(model)
    for table in tables:
        if table.embedding_dim != vectors.dim:
            raise ConfigError(
                f"the word vectors have dim {vectors.dim}, the token vectors of the model {table.embedding_dim}",
                where="model.embeddings",
                remedy="Train vectors of that dim, or change the model.",
            )
    places, rows = [], []
    for token, word in enumerate(token_words(tokenizer)):
        row = None if word is None else vectors.index.get(word, vectors.index.get(word.lower()))
        if row is not None:
            places.append(token)
            rows.append(row)
    if not rows:
        raise DataError(
            "no token is a word of these vectors",
            where="model.embeddings",
            remedy="Train them on text of the same language; a larger tokenizer vocabulary has more whole words.",
        )
    found = np.asarray(vectors.matrix[rows])
    if not np.isfinite(found).all():
        raise DataError("these vectors have numbers that are not finite", where="model.embeddings")
    values = torch.from_numpy(found)
    draw = torch.Generator().manual_seed(seed)
    for table in tables:
        with torch.no_grad():
            shape = table.weight.shape
            drawn = torch.randn(shape, generator=draw) * values.std()
            drawn[torch.tensor(places)] = values
            table.weight.copy_(drawn)
        table.weight.requires_grad_(not freeze)
    tied = getattr(model, "head", True) is None
    return FilledTable(n_filled=len(rows), n_tokens=tables[0].num_embeddings, frozen=freeze, tied=tied)
