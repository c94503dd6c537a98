"""The recipe of a pretraining story: every section, checked whole before any work starts."""

from __future__ import annotations

import os
from typing import Literal

from pydantic import Field, field_validator, model_validator

from hanmo.core.errors import ConfigError
from hanmo.core.paths import existing_path
from hanmo.core.settings import Settings, differs
from hanmo.corpora.build import CorpusSettings
from hanmo.models.adapter_settings import NEEDS_A_BASE, AnyAdapter
from hanmo.training.settings import TrainingSettings

__all__ = [
    "BatchSection",
    "CorpusSection",
    "InfillingSection",
    "ModelSection",
    "PretrainRecipe",
    "SampleSection",
    "TokenizerSection",
]


class CorpusSection(CorpusSettings):
    """Where the text comes from and how it is cleaned and split."""

    source: str = "stdlib"
    """A folder or file of the user's, which may begin with a variable of the environment ($HANMO_DATA/…), or "stdlib": the running Python's own standard library."""

    @field_validator("source")
    @classmethod
    def _source_exists(cls, source: str) -> str:
        if source == "stdlib":
            return source
        try:
            return existing_path(source)
        except ValueError as error:
            raise ValueError(f'{error}; give a folder, a file, or "stdlib"') from error


class TokenizerSection(Settings):
    """The byte-level BPE tokenizer, trained on the training split only; or one that is there already."""

    path: str | None = None
    """A folder of `hanmo tokenizer train`, of a model or a run; None trains one. One that was trained on a file of the
    corpus is refused: its held-out documents would be no unseen text."""
    vocab_size: int = Field(default=4096, ge=257, le=1_000_000)
    """Tokens, special ones included. A small corpus may yield fewer."""

    @field_validator("path")
    @classmethod
    def _path_exists(cls, path: str | None) -> str | None:
        if path is not None and not os.path.exists(path):
            raise ValueError("does not exist; give a folder with a tokenizer")
        return path

    @model_validator(mode="after")
    def _one_of_both(self) -> TokenizerSection:
        if self.path is not None and differs(self, "vocab_size"):
            raise ValueError("vocab_size cannot be chosen for a tokenizer that is there already; leave it out")
        return self


class ModelSection(Settings):
    """A trained decoder to start from, or family and size of one that starts from nothing."""

    checkpoint: str | None = None
    """Model directory or name on the Hugging Face hub, of any family that continues texts: GPT-2, Llama, Qwen, …"""
    family: Literal["gpt2", "llama"] = "gpt2"
    """Composition: GPT-2 (learned positions, LayerNorm, GELU) or Llama (rotary, RMSNorm, SwiGLU)."""
    n_layers: int = Field(default=4, ge=1)
    """Blocks."""
    d_model: int = Field(default=192, ge=8)
    """Width of the residual stream."""
    n_heads: int = Field(default=3, ge=1)
    """Attention heads."""
    n_kv_heads: int | None = Field(default=None, ge=1)
    """Key/value heads (llama only); None: as many as heads."""
    d_ff: int | None = Field(default=None, ge=8)
    """Width of the feed-forward layer; None: the family's custom (4 × d_model, or 8/3 × d_model for llama)."""
    max_len: int = Field(default=256, ge=8)
    """Context, in tokens."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Dropout everywhere the family has it."""
    embeddings: str | None = None
    """Word vectors of dim d_model, a file or a folder of `hanmo vectors train`: the tokens that are words begin with
    theirs."""
    freeze_embeddings: bool = False
    """Keep the token vectors as they are; the output layer too where it is tied to them."""

    @model_validator(mode="after")
    def _checkpoint_has_a_shape(self) -> ModelSection:
        given = {name for name in set(type(self).model_fields) - {"checkpoint"} if differs(self, name)}
        if self.checkpoint is not None and given:
            raise ValueError(
                f"{', '.join(sorted(given))} cannot be chosen with a checkpoint, whose shape is its own; leave them out"
            )
        return self

    @model_validator(mode="after")
    def _embeddings_fit(self) -> ModelSection:
        if self.embeddings is None:
            if self.freeze_embeddings:
                raise ValueError("freeze_embeddings without embeddings would freeze random numbers; give both")
            return self
        from hanmo.vectors.files import read_dim

        dim = read_dim(self.embeddings)
        if dim != self.d_model:
            raise ValueError(
                f"the word vectors in {self.embeddings} have dim {dim}, the model has d_model = {self.d_model}; "
                f"set d_model = {dim} or train vectors with --dim {self.d_model}"
            )
        return self

    @model_validator(mode="after")
    def _heads_divide(self) -> ModelSection:
        if self.d_model % self.n_heads:
            raise ValueError(
                f"d_model = {self.d_model} is not a multiple of n_heads = {self.n_heads}; change one of them"
            )
        if self.n_kv_heads is not None:
            if self.family == "gpt2" and self.n_kv_heads != self.n_heads:
                raise ValueError('n_kv_heads has no meaning for family = "gpt2"; leave it out or use "llama"')
            if self.n_heads % self.n_kv_heads:
                raise ValueError(f"n_heads = {self.n_heads} is not a multiple of n_kv_heads = {self.n_kv_heads}")
        if self.family == "llama" and self.dropout:
            raise ValueError('the llama family has no dropout; set dropout to 0 or use family = "gpt2"')
        if self.family == "llama" and (self.d_model // self.n_heads) % 2:
            raise ValueError(f"rotary positions need an even head width, got {self.d_model // self.n_heads}")
        return self


class BatchSection(Settings):
    """Batches of packed blocks."""

    batch_size: int = Field(default=16, ge=1)
    """Blocks in a micro-batch."""
    block_len: int | None = Field(default=None, ge=8)
    """Tokens in a block, and in a window of the evaluation; the model's whole context if None."""


class InfillingSection(Settings):
    """Fill-in-the-middle (Bavarian et al., 2022): the model learns to write between a beginning and an end as well."""

    share: float = Field(default=0.5, gt=0, le=1)
    """Of the blocks, that are rearranged; the paper finds up to 0.9 free of charge for writing from left to right."""
    spm_share: float = Field(default=0.5, ge=0, le=1)
    """Of these, that show the end before the beginning."""


class SampleSection(Settings):
    """Texts the trained model writes for the report."""

    temperatures: tuple[float, ...] = (0.0, 0.7, 1.0)
    """One sample per prompt and temperature; 0 is greedy."""
    n_prompts: int = Field(default=2, ge=0)
    """Prompts, taken from beginnings of held-out documents."""
    max_new_tokens: int = Field(default=120, ge=1)
    """Length of a sample."""


class PretrainRecipe(Settings):
    """Raw text → corpus → tokenizer → model → evaluation → report."""

    task: Literal["pretrain"] = "pretrain"
    """What kind of story this is."""
    name: str = Field(default="pretrain", pattern=r"^[\w.\-]{1,64}$")
    """Name of the run; the folder is runs/NAME unless told otherwise."""
    seed: int = Field(default=0, ge=0)
    """Seed of the split, the initial weights, the data order, dropout and samples."""
    lang: Literal["en", "zh"] = "en"
    """Language of the report."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1, mps."""
    corpus: CorpusSection = CorpusSection()
    tokenizer: TokenizerSection = TokenizerSection()
    model: ModelSection = ModelSection()
    batches: BatchSection = BatchSection()
    infilling: InfillingSection | None = None
    """Whether and how often the middle is to be filled in; None: never."""
    training: TrainingSettings = TrainingSettings(minutes=3)
    samples: SampleSection = SampleSection()
    adapter: AnyAdapter | None = None
    """Train a few numbers beside the checkpoint, which stays as it is; train all of it if None."""
    eval_tokens: int = Field(default=32_768, ge=256)
    """Held-out tokens of each evaluation during training; the final one reads all."""

    @model_validator(mode="after")
    def _checkpoint_has_a_tokenizer(self) -> PretrainRecipe:
        given = [name for name in TokenizerSection.model_fields if differs(self.tokenizer, name)]
        if self.model.checkpoint is not None and given:
            raise ValueError(
                f"tokenizer.{given[0]} cannot be chosen with model.checkpoint, whose tokenizer is its own; leave it out"
            )
        return self

    @model_validator(mode="after")
    def _adapters_have_a_base(self) -> PretrainRecipe:
        if self.adapter is not None and self.model.checkpoint is None:
            raise ValueError(NEEDS_A_BASE)
        if self.adapter is not None and self.training.compile == "on":
            raise ValueError(
                "training.compile = 'on' is not to be had with [adapter], whose gradients are its own; leave it out"
            )
        return self

    @model_validator(mode="after")
    def _blocks_fit(self) -> PretrainRecipe:
        if self.model.checkpoint is None:
            try:
                self.block_len(self.model.max_len)
            except ConfigError as error:
                raise ValueError(str(error)) from error
        return self

    def block_len(self, max_len: int) -> int:
        """Tokens in a block.

        Args:
            max_len: the model's context.

        Raises:
            ConfigError: if they do not fit into it.
        """
        if self.batches.block_len is not None and self.batches.block_len > max_len:
            raise ConfigError(
                f"{self.batches.block_len} tokens do not fit into the {max_len} positions that the model has for a text",
                where="batches.block_len", remedy="Take fewer, or leave it out.",
            )  # fmt: skip
        return self.batches.block_len or max_len

    @property
    def sources(self) -> tuple[str, ...]:
        """Files and folders that it reads."""
        corpus = None if self.corpus.source == "stdlib" else self.corpus.source
        return tuple(path for path in (corpus, self.model.checkpoint) if path is not None)
