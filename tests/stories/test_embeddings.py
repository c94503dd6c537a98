"""Word vectors as the token table of a model: filled, frozen or trained, in a recipe and its plan."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from hanmo.core.errors import ConfigError, DataError
from hanmo.core.runs import RunFolder
from hanmo.models.families import FAMILIES
from hanmo.models.token_tables import token_tables
from hanmo.stories.embeddings import fill_token_table
from hanmo.stories.train import plan, train
from hanmo.tasks.loading import load_language_model
from hanmo.tokenizers.bpe import train_bpe
from hanmo.tokenizers.token_words import token_words
from hanmo.tokenizers.tokenizer import Tokenizer
from hanmo.vectors import WordVectors

WORDS = ["the", "letter", "rain", "老先生", "信", "地图"]


@pytest.fixture
def tokenizer() -> Tokenizer:
    return train_bpe(["The rain and the letter. " * 9, "老先生写信，老先生写信。" * 9], 400)


@pytest.fixture
def vectors() -> WordVectors:
    return WordVectors(WORDS, np.random.default_rng(0).standard_normal((6, 16)) * 3)


@pytest.fixture
def saved(vectors: WordVectors, tmp_path: Path) -> Path:
    vectors.save(tmp_path / "vectors")
    return tmp_path / "vectors"


def build(family: str, vocab_size: int, **more: Any) -> torch.nn.Module:
    torch.manual_seed(0)
    fields: dict[str, Any] = {
        "vocab_size": vocab_size,
        "d_model": 16,
        "n_layers": 1,
        "n_heads": 2,
        "max_len": 32,
        **more,
    }
    config = FAMILIES[family].config
    known = {key: value for key, value in fields.items() if key in config.model_fields}
    return FAMILIES[family].architecture().build(config.model_validate(known))


@pytest.mark.parametrize("family", ["gpt2", "bert", "llama", "t5", "hanmo-lstm", "hanmo-bilstm", "hanmo-lstm-seq2seq"])
def test_rows_of_words_are_filled(family: str, tokenizer: Tokenizer, vectors: WordVectors) -> None:
    model = build(family, tokenizer.vocab_size, d_embedding=16, tie_embeddings=False)
    filled = fill_token_table(model, tokenizer, vectors, freeze=True)
    words = token_words(tokenizer)
    assert {word for word in words if word in WORDS} >= {"the", "rain", "信"}
    n_known = 0
    for table in token_tables(model):
        assert not table.weight.requires_grad
        for row, word in zip(table.weight.tolist(), words, strict=True):
            if word is not None and (word in vectors or word.lower() in vectors):
                np.testing.assert_allclose(row, vectors[word if word in vectors else word.lower()], rtol=1e-6)
                n_known += 1
    assert n_known == filled.n_filled * len(token_tables(model))
    others = torch.tensor([word is None for word in words])
    spread = token_tables(model)[0].weight[others].std()
    assert spread == pytest.approx(vectors.matrix.std(), rel=0.1)


def test_the_same_seed_draws_the_same(tokenizer: Tokenizer, vectors: WordVectors) -> None:
    def table(seed: int) -> torch.Tensor:
        model = build("gpt2", tokenizer.vocab_size)
        fill_token_table(model, tokenizer, vectors, seed=seed)
        return token_tables(model)[0].weight

    assert torch.equal(table(1), table(1))
    assert not torch.equal(table(1), table(2))


def test_refused(tokenizer: Tokenizer, vectors: WordVectors) -> None:
    with pytest.raises(ConfigError, match=r"dim 16, the token vectors of the model 24"):
        fill_token_table(build("gpt2", tokenizer.vocab_size, d_model=24), tokenizer, vectors)
    with pytest.raises(DataError, match="no token is a word"):
        fill_token_table(build("gpt2", tokenizer.vocab_size), tokenizer, WordVectors(["大观园"], np.ones((1, 16))))
    bad = WordVectors(["信"], np.full((1, 16), np.nan), check=False)
    with pytest.raises(DataError, match="not finite"):
        fill_token_table(build("gpt2", tokenizer.vocab_size), tokenizer, bad)


@pytest.mark.parametrize("freeze", [False, True])
def test_a_story(tiny: ModuleType, corpus: Path, saved: Path, tmp_path: Path, freeze: bool) -> None:
    section = {"embeddings": str(saved), "freeze_embeddings": freeze}
    recipe = tiny.tiny_recipe(corpus, model=section)
    shown = plan(recipe)
    assert "token vectors from word vectors" in shown
    assert ("frozen, and so is the output layer" in shown) is freeze
    run = tmp_path / "run"
    train(recipe, out=run)
    recorded = RunFolder(run).read()["model"]["embeddings"]
    assert recorded["n_filled"] >= 2
    loaded = load_language_model(run / "model")
    words = token_words(loaded.tokenizer)
    word = next(word for word in words if word in WORDS)
    row = token_tables(loaded.model)[0].weight[words.index(word)]
    assert torch.equal(row, torch.from_numpy(WordVectors.load(saved)[word])) is freeze


def test_a_recipe_that_does_not_fit(write_recipe: Callable[..., Path], saved: Path) -> None:
    path = write_recipe()
    line = "d_model = 16\n"
    text = path.read_text(encoding="utf-8")
    assert line in text
    path.write_text(text.replace(line, f'd_model = 32\nembeddings = "{saved}"\n'), encoding="utf-8")
    with pytest.raises(
        ConfigError, match=rf"{path}:\d+: .*{saved} have dim 16, the model has d_model = 32.*d_model = 16"
    ):
        plan(path)
    with pytest.raises(ConfigError, match=r"nowhere.*no such file"):
        plan(path, overrides=["model.embeddings=nowhere"])
    with pytest.raises(ConfigError, match="freeze_embeddings without embeddings"):
        plan(write_recipe(), overrides=["model.freeze_embeddings=true"])


@pytest.mark.parametrize("name", ["v.txt", "v.bin", "v"])
def test_the_dim_is_read_without_the_file(vectors: WordVectors, tmp_path: Path, name: str) -> None:
    from hanmo.vectors.files import read_dim, write_vectors

    vectors.save(tmp_path / name)
    assert read_dim(tmp_path / name) == 16
    write_vectors(vectors, tmp_path / "g.txt", "glove")
    assert read_dim(tmp_path / "g.txt") == 16
