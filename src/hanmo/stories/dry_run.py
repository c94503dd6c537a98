"""The plan of a recipe: what it would do, what it would need, and one training example."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hanmo.core.toml import to_toml
from hanmo.stories.pretrain import build_model
from hanmo.stories.recipe import PretrainRecipe
from hanmo.stories.result import count_parameters

__all__ = ["describe_plan", "training_memory_bytes"]

_EXAMPLE_TOKENS = 48


def training_memory_bytes(n_parameters: int, n_trained: int, config: Any, tokens: int) -> int:
    """Estimate of the memory that training needs, in bytes: weights, gradients, AdamW, activations and logits.

    Args:
        n_parameters: of the model.
        n_trained: of these, that have gradients and moments.
        config: of the model.
        tokens: in a micro-batch.

    A block of width D keeps about 34 D values per token for its backward pass (Korthikanti et al., 2023, eq. 1,
    in elements, without the attention map, which SDPA does not keep); logits and their gradient take 2 V.
    """
    activations = 34 * config.d_model * config.n_layers * tokens + 2 * config.vocab_size * tokens
    return 4 * (n_parameters + 3 * n_trained + activations)


def describe_plan(recipe: PretrainRecipe) -> str:
    """Read the corpus, train the tokenizer, build the model, train nothing, and say what would happen."""
    from hanmo.batches.blocks import TokenBlocks
    from hanmo.corpora.built import collect_corpus
    from hanmo.corpora.documents import read_documents
    from hanmo.corpora.shards import open_shards, shard_dtype, write_shards
    from hanmo.models.families import family_of
    from hanmo.stories.perplexity import load_scorer
    from hanmo.stories.run_tokenizer import run_tokenizer

    with tempfile.TemporaryDirectory(prefix="hanmo-plan-") as folder:
        work = Path(folder)
        collect_corpus(recipe.corpus.source, work / "corpus", recipe.corpus, load_scorer=load_scorer)
        train_file = work / "corpus" / "train.jsonl.gz"
        tokenizer = run_tokenizer(recipe, train_file)
        assert tokenizer.eos_id is not None
        write_shards(
            (document.text for document in read_documents(train_file)), tokenizer.encode_batch, tokenizer.eos_id,
            work / "shards", shard_dtype(tokenizer.vocab_size), tokenizer_sha256=tokenizer.sha256,
        )  # fmt: skip
        ids = open_shards(work / "shards")
        n_tokens = len(ids)
        model = build_model(recipe, tokenizer).model
        length = recipe.block_len(model.config.max_len)
        blocks = TokenBlocks(ids, block_len=length, batch_size=recipe.batches.batch_size, seed=recipe.seed)
        batch = blocks.next()
        del ids, blocks
    table = ""
    if recipe.model.embeddings is not None:
        from hanmo.stories.embeddings import fill_token_table, load_embeddings

        vectors = load_embeddings(recipe.model.embeddings)
        freeze = recipe.model.freeze_embeddings
        table = fill_token_table(model, tokenizer, vectors, freeze=freeze, seed=recipe.seed).describe()
    n_parameters, n_trained = count_parameters(model)
    few = f", {n_trained:,} trained ({n_trained / n_parameters:.2%})" if recipe.adapter is not None else ""
    inputs, labels = batch["input_ids"][0, :_EXAMPLE_TOKENS].tolist(), batch["labels"][0, :_EXAMPLE_TOKENS].tolist()
    rows = [
        f"  {_piece(tokenizer, token):<24} -> {_piece(tokenizer, label)}"
        for token, label in zip(inputs, labels, strict=True)
    ]
    time = f"{recipe.training.minutes:g} minutes" if recipe.training.minutes else f"{recipe.training.n_steps:,} steps"
    tokens = recipe.batches.batch_size * length
    memory = training_memory_bytes(n_parameters, n_trained, model.config, tokens)
    return "\n".join(
        [
            "Recipe", *(f"  {line}" for line in to_toml(recipe.model_dump(mode="json")).splitlines()), "",
            f"Corpus      {n_tokens:,} training tokens, vocabulary {tokenizer.vocab_size:,}",
            f"Model       {family_of(model.config).model_type}, {n_parameters:,} parameters{few}",
            *([f"Embeddings  {table}"] if table else []),
            f"Training    {time}, {tokens * recipe.training.accumulate:,} tokens per step",
            f"Memory      about {memory / 2**20:,.0f} MiB", "",
            "One training example (what the model sees -> what the loss asks for; <ignored> is masked):", *rows,
        ]
    )  # fmt: skip


def _piece(tokenizer: Any, token: int) -> str:
    from hanmo.nn.losses import IGNORED

    if token == IGNORED:
        return "<ignored>"
    return repr(tokenizer.decode([token], skip_special=False))
