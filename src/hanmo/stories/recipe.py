"""The recipe of a pretraining story: every section, checked whole before any work starts."""

from __future__ import annotations

import os
from typing import Literal

from pydantic import Field, field_validator, model_validator

from hanmo.core.paths import existing_path
from hanmo.core.settings import Settings, differs
from hanmo.corpora.build import CorpusSettings
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
    """Family and size of the model."""

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
    """Context, in tokens; also the block length of training."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Dropout everywhere the family has it."""
    embeddings: str | None = None
    """Word vectors of dim d_model, a file or a folder of `hanmo vectors train`: the tokens that are words begin with
    theirs."""
    freeze_embeddings: bool = False
    """Keep the token vectors as they are; the output layer too where it is tied to them."""

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
    """Blocks of `model.max_len` tokens in a micro-batch."""


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
    eval_tokens: int = Field(default=32_768, ge=256)
    """Held-out tokens of each evaluation during training; the final one reads all."""

    @property
    def sources(self) -> tuple[str, ...]:
        """Files and folders that it reads."""
        return () if self.corpus.source == "stdlib" else (self.corpus.source,)
