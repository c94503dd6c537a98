"""The token table of every family, found by one rule."""

from __future__ import annotations

import pytest
import torch

from hanmo.core.errors import ModelError
from hanmo.models.families import FAMILIES
from hanmo.models.lstm_seq2seq import LSTMSeq2SeqConfig, lstm_seq2seq
from hanmo.models.token_tables import token_tables

ARCHITECTURES = [(family, name) for family in FAMILIES for name in FAMILIES[family].architectures]


@pytest.mark.parametrize(("family", "name"), ARCHITECTURES, ids=[f"{family} {name}" for family, name in ARCHITECTURES])
def test_every_family_has_one(family: str, name: str) -> None:
    config = FAMILIES[family].config()
    with torch.device("meta"):
        model = FAMILIES[family].architecture(name).build(config)
    if "Vision" in name:
        with pytest.raises(ModelError, match="no token vectors"):
            token_tables(model)
        return
    (table,) = token_tables(model)
    vocab_size = config.text.vocab_size if family == "clip" else config.vocab_size  # type: ignore[attr-defined]
    assert table.num_embeddings == vocab_size


def test_two_where_the_sides_share_none() -> None:
    with torch.device("meta"):
        model = lstm_seq2seq(LSTMSeq2SeqConfig(vocab_size=11, d_model=4, tie_embeddings=False))
    assert [table.num_embeddings for table in token_tables(model)] == [11, 11]
