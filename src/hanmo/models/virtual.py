"""From what was asked for to virtual tokens: where a model takes them, and how they begin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from hanmo.core.errors import ConfigError
from hanmo.models.adapter_settings import PrefixSettings, PromptSettings
from hanmo.models.seq2seq import Seq2SeqLM
from hanmo.nn.attention import SelfAttention
from hanmo.nn.sinusoids import SinusoidalEmbedding
from hanmo.nn.stack import Stack
from hanmo.nn.virtual_tokens import Prefix, SoftPrompt, VirtualTokens

__all__ = ["build_virtual", "room_beside", "virtual_place"]


def virtual_place(model: Any, settings: PromptSettings | PrefixSettings, *, where: str) -> str:
    """Our path of the module that virtual tokens of this kind go to.

    Raises:
        ConfigError: if the model takes none.
    """
    for path, module in model.named_modules():
        if settings.method in getattr(module, "takes_virtual", ()):
            embedding = getattr(module, "embedding", None)
            if isinstance(embedding, SinusoidalEmbedding) and embedding.scale != 1:
                raise ConfigError(
                    "this model scales the vectors of its tokens, which `transformers` does for no others",
                    where=f"{where}.method", remedy='Take method = "prefix" or "lora".',
                )  # fmt: skip
            return f"{path}.virtual".lstrip(".")
    raise ConfigError(
        f"a model of this kind ({model.architecture}) takes no virtual tokens of the kind {settings.method!r}",
        where=f"{where}.method", remedy='Take method = "lora".',
    )  # fmt: skip


def build_virtual(
    model: Any, place: str, settings: PromptSettings | PrefixSettings, start_ids: Sequence[int] | None = None
) -> VirtualTokens:
    """Fresh virtual tokens.

    Args:
        model: what they are for.
        place: from `virtual_place`.
        settings: how many, of which kind.
        start_ids: tokens whose vectors a prompt begins with, over and over; drawn from the vocabulary if None (Lester
            et al., 2021, §3.2).
    """
    owner = model.get_submodule(place.rpartition(".")[0])
    if isinstance(settings, PromptSettings):
        weight = owner.embedding.token.weight
        if start_ids is None:
            ids = torch.randint(len(weight), (settings.n_tokens,))
        else:
            ids = torch.tensor([start_ids[i % len(start_ids)] for i in range(settings.n_tokens)])
        return SoftPrompt(weight.detach()[ids.to(weight.device)].float())
    stack: Stack = owner.decoder if isinstance(owner, Seq2SeqLM) else owner.stack
    first = next(part for part in stack.modules() if isinstance(part, SelfAttention))
    return Prefix(
        settings.n_tokens, n_layers=len(stack.order), n_heads=first.n_kv_heads, d_head=first.d_head,
        of_decoder=isinstance(owner, Seq2SeqLM),
    )  # fmt: skip


def room_beside(config: Any, n_tokens: int, *, where: str) -> Any:
    """Settings of a model that say how many positions a text has beside its virtual tokens.

    Raises:
        ConfigError: if there are none left.
    """
    if getattr(config, "max_len", None) is None:
        return config
    if config.max_len <= n_tokens:
        raise ConfigError(
            f"{n_tokens} virtual tokens leave no room in the {config.max_len} positions of this model",
            where=f"{where}.n_tokens", remedy="Take fewer.",
        )  # fmt: skip
    return config.model_copy(update={"max_len": config.max_len - n_tokens})
