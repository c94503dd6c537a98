"""What the recipes of all models have in common that write a text for a text."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from hanmo.core.paths import existing_path
from hanmo.core.settings import Settings, differs
from hanmo.stories.recipe import ModelSection
from hanmo.stories.task_recipe import TaskRecipe, TaskTraining
from hanmo.tasks.pair_examples import PairData
from hanmo.tasks.text2text_settings import DecodingSettings, Text2TextLoss
from hanmo.training.settings import ScheduleSettings

__all__ = ["Text2TextRecipe", "Text2TextSection", "Text2TextTokenizer", "Text2TextTraining"]

_DROPOUT = 0.1


class Text2TextSection(Settings):
    """A trained encoder-decoder or decoder to start from, or the shape of one that starts from nothing."""

    checkpoint: str | None = None
    """Model directory or name on the Hugging Face hub, such as a T5 or a Marian model, or of any family that continues texts
    (GPT-2, Llama, Qwen, …); it brings its tokenizer."""
    prefix: str = ""
    """Text in front of each source, as T5 was trained with: "translate English to German: "."""
    prompt: str | None = None
    """Of a decoder, the text between source and target by which it is told to write. None: "\\nTL;DR: " (Radford et al., 2019)
    before a summary, "\\n摘要：" before a Chinese one, " = " before a translation or any other text."""
    kind: Literal["transformer", "t5", "lstm", "gpt2", "llama"] = "transformer"
    """Without a checkpoint: the first Transformer (Vaswani et al., 2017), T5 (Raffel et al., 2020), LSTMs with attention
    (Bahdanau et al., 2015); or a decoder alone, which reads source, prompt and target as one text: GPT-2 or Llama."""
    d_model: int = Field(default=256, ge=2)
    """Width."""
    n_layers: int = Field(default=3, ge=1)
    """Layers of the encoder; of a decoder alone, all."""
    n_decoder_layers: int | None = Field(default=None, ge=1)
    """Layers of the decoder; as many if None. LSTMs have as many."""
    n_heads: int = Field(default=4, ge=1)
    """Attention heads."""
    d_ff: int | None = Field(default=None, ge=1)
    """Width inside the feed-forward layers; 4 d_model if None, 8/3 of it for llama."""
    attention: Literal["additive", "dot", "general", "concat"] = "additive"
    """LSTMs: how states are compared with the source (Bahdanau; Luong et al., 2015)."""
    dropout: float | None = Field(default=None, ge=0, lt=1)
    """Share of elements dropped in training; 0.1 if None, of a checkpoint its own, and llama has none."""
    max_len: int = Field(default=256, ge=8)
    """Longest source and longest target, in tokens; of a decoder, source, prompt and target together."""

    @model_validator(mode="after")
    def _shape_is_possible(self) -> Text2TextSection:
        given = {name for name in type(self).model_fields if name not in ("checkpoint", "prefix", "prompt", "dropout")}
        given = {name for name in given if differs(self, name)}
        if self.checkpoint is not None and given:
            raise ValueError(
                f"{', '.join(sorted(given))} cannot be chosen with a checkpoint, whose shape is its own; leave them out"
            )
        if self.kind != "lstm" and self.d_model % self.n_heads:
            raise ValueError(f"d_model = {self.d_model} is not a multiple of n_heads = {self.n_heads}")
        if self.is_decoder:
            if self.n_decoder_layers is not None:
                raise ValueError(f'kind = "{self.kind}" has one stack: give n_layers, and leave n_decoder_layers out')
            self.decoder()
        return self

    @model_validator(mode="after")
    def _prompt_is_of_a_decoder(self) -> Text2TextSection:
        if self.prompt is not None:
            if self.checkpoint is None and not self.is_decoder:
                raise ValueError(
                    f'kind = "{self.kind}" reads source and target apart and has no prompt between them; leave it out, or '
                    "put a prefix in front of sources"
                )
            if not self.prompt.strip():
                raise ValueError("an empty prompt does not tell where a source ends; give a word or a sign")
        return self

    @property
    def is_decoder(self) -> bool:
        """Whether this is the shape of a decoder alone."""
        return self.kind in ("gpt2", "llama")

    def decoder(self) -> ModelSection:
        """The same shape as the recipes of decoders have it.

        Raises:
            ValueError: if the family cannot have it.
        """
        shape = {name: getattr(self, name) for name in ("d_model", "n_layers", "n_heads", "d_ff", "max_len")}
        dropout = self.dropout if self.dropout is not None else _DROPOUT if self.kind == "gpt2" else 0.0
        return ModelSection.model_validate({"family": self.kind, "dropout": dropout} | shape)


class Text2TextTokenizer(Settings):
    """One tokenizer for both sides; a checkpoint brings its own."""

    path: str | None = None
    """A tokenizer that is there already (`hanmo tokenizer train`); trained on the training examples if None."""
    kind: Literal["bpe", "unigram"] = "bpe"
    """How it is trained (Sennrich et al., 2016; Kudo, 2018)."""
    vocab_size: int = Field(default=8000, ge=300)
    """Tokens, the 256 bytes included, so that no word is unknown."""

    @field_validator("path")
    @classmethod
    def _path_is_known(cls, path: str | None) -> str | None:
        return None if path is None else existing_path(path)


class Text2TextTraining(TaskTraining):
    """How it is trained."""

    beta2: float = Field(default=0.98, ge=0, lt=1)
    """AdamW: decay of the mean of squared gradients (Vaswani et al., 2017, §5.3)."""
    schedule: ScheduleSettings = ScheduleSettings(kind="cosine", warmup_fraction=0.1, final_fraction=0.0)
    """Learning rate over the run."""
    patience: int | None = Field(default=5, ge=1)
    """Stop after this many evaluations without improvement, and return to the best weights."""


class Text2TextRecipe(TaskRecipe):
    """Pairs of texts → tokenizer → model → texts for dev and test → figures → report."""

    data: PairData
    model: Text2TextSection = Text2TextSection()
    tokenizer: Text2TextTokenizer = Text2TextTokenizer()
    loss: Text2TextLoss = Text2TextLoss()
    decoding: DecodingSettings = DecodingSettings()
    training: Text2TextTraining = Text2TextTraining(epochs=20)  # pyright: ignore[reportIncompatibleVariableOverride]
    batch_tokens: int = Field(default=4096, ge=1)
    """Most positions of a micro-batch on its longer side, padding included."""
    watched: int = Field(default=500, ge=1)
    """Dev examples for which texts are written at each evaluation; the loss is of all."""

    @model_validator(mode="after")
    def _parts_fit(self) -> Text2TextRecipe:
        if self.model.checkpoint is not None and any(
            differs(self.tokenizer, name) for name in type(self.tokenizer).model_fields
        ):
            raise ValueError("a checkpoint brings its tokenizer: leave [tokenizer] out")
        if differs(self, "batch_size"):
            raise ValueError("batches are of tokens here: give batch_tokens in place of batch_size")
        section, room = self.model, self.decoding.max_new_tokens
        if section.checkpoint is None and section.is_decoder and room >= section.max_len - 1:
            raise ValueError(
                f"decoding.max_new_tokens = {room} leaves no room for a source in model.max_len = {section.max_len}; lower "
                "the one or raise the other"
            )
        return self

    @property
    def sources(self) -> tuple[str, ...]:
        data = self.data
        paths = (
            data.train, data.dev, data.test, data.train_target, data.dev_target, data.test_target,
            self.model.checkpoint, self.tokenizer.path,
        )  # fmt: skip
        return tuple(path for path in paths if path is not None)
