"""What can be asked of an adapter: few trained numbers on a model that stays as it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from hanmo.core.settings import Settings
from hanmo.models.checks import check_activation

__all__ = [
    "ALL_LINEAR", "NEEDS_A_BASE", "AdapterSettings", "AnyAdapter", "BottleneckSettings", "IA3Settings", "LoraSettings",
    "PrefixSettings", "PromptSettings",
]  # fmt: skip

ALL_LINEAR = "all-linear"
"""Every linear layer but those of the head."""

NEEDS_A_BASE = "[adapter] needs a trained model to go with; give model.checkpoint, or leave it out"
"""What a recipe says that has no such model."""


class _Common(Settings):
    save: tuple[str, ...] = ()
    """Modules that are trained whole and saved with the adapter, by the end of their names in `transformers`: "score"."""
    base_dtype: Literal["float32", "bfloat16", "int8"] = "float32"
    """What the frozen matrices are held in while training; int8 has a scale for each row."""


class LoraSettings(_Common):
    """LoRA (Hu et al., 2022): `W' = W + s B A`, with A and B of low rank."""

    method: Literal["lora"] = "lora"
    rank: int = Field(default=8, ge=1)
    """Rank r of the changes."""
    alpha: float = Field(default=16, gt=0)
    """The changes are scaled by alpha / rank."""
    rslora: bool = False
    """Scale by alpha / √rank instead (Kalajdzievski, 2023)."""
    dora: bool = False
    """Train the norm of each row besides (DoRA; Liu et al., 2024)."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Share of the inputs of the changes that is dropped in training."""
    targets: str | tuple[str, ...] = ALL_LINEAR
    """Which layers: ends of their names in `transformers`, such as ["query", "value"]; or a regular expression for the
    whole name; or "all-linear"."""
    ranks: Mapping[str, int] = {}
    """Regular expression for the end of a name → another rank."""
    alphas: Mapping[str, float] = {}
    """Likewise for alpha."""

    @model_validator(mode="after")
    def _own_ranks_are_ranks(self) -> LoraSettings:
        for name, rank in self.ranks.items():
            if rank < 1:
                raise ValueError(f"ranks: {name!r} = {rank}; a rank is at least 1")
        return self


class IA3Settings(_Common):
    """IA³ (Liu et al., 2022): inputs or outputs of layers are scaled one by one."""

    method: Literal["ia3"]
    targets: str | tuple[str, ...]
    """Which layers, as for LoRA; in the paper keys, values, and the last matrix of the feed-forward layer."""
    inputs: str | tuple[str, ...] = ()
    """Those of them whose inputs are scaled, not their outputs: there, the last matrix of the feed-forward layer."""


class BottleneckSettings(_Common):
    """A small network behind output matrices (Houlsby et al., 2019)."""

    method: Literal["bottleneck"]
    size: int = Field(default=48, ge=1)
    """Its width."""
    activation: str = "gelu"
    """What it applies in the middle."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Share of the elements in the middle that is dropped in training."""
    places: Literal["houlsby", "pfeiffer"] = "houlsby"
    """Behind attention and feed-forward layer, or behind the latter only (Pfeiffer et al., 2021)."""

    @model_validator(mode="after")
    def _activation_is_known(self) -> BottleneckSettings:
        check_activation(self.activation)
        return self


class PromptSettings(_Common):
    """Prompt tuning (Lester et al., 2021): vectors in front of those of the text's tokens."""

    method: Literal["prompt"]
    n_tokens: int = Field(default=20, ge=1)
    """How many; a text has as many positions less."""
    text: str | None = Field(default=None, min_length=1)
    """They begin as the vectors of this text's tokens, over and over; of tokens drawn from the vocabulary if None."""


class PrefixSettings(_Common):
    """Prefix tuning (Li & Liang, 2021): keys and values in front of those of every layer."""

    method: Literal["prefix"]
    n_tokens: int = Field(default=20, ge=1)
    """How many; a text has as many positions less."""


def _method(values: Any) -> str:
    return values.get("method", "lora") if isinstance(values, Mapping) else values.method


AdapterSettings = LoraSettings | IA3Settings | BottleneckSettings | PromptSettings | PrefixSettings
"""Any kind of adapter."""
AnyAdapter = Annotated[
    Annotated[LoraSettings, Tag("lora")]
    | Annotated[IA3Settings, Tag("ia3")]
    | Annotated[BottleneckSettings, Tag("bottleneck")]
    | Annotated[PromptSettings, Tag("prompt")]
    | Annotated[PrefixSettings, Tag("prefix")],
    Discriminator(_method),
]
"""The same as a section of a recipe, where LoRA need not be named."""
