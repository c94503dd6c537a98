"""A decoder with its tokenizer: from a checkpoint, or from nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field

from hanmo.stories.recipe import ModelSection

if TYPE_CHECKING:
    from hanmo.models.causal_lm import CausalLM
    from hanmo.tasks.language_model import LanguageModel

__all__ = ["DecoderSection", "build_decoder", "new_decoder", "open_decoder"]


class DecoderSection(ModelSection):
    """The same, with the tokenizer that starts from nothing."""

    vocab_size: int = Field(default=8192, ge=300, le=1_000_000)
    """Tokens of a tokenizer that is trained on the training texts; few texts may yield fewer."""


def build_decoder(
    section: DecoderSection, texts: Iterable[str], *, special_tokens: Sequence[str], seed: int
) -> LanguageModel:
    """Open the checkpoint, or train a tokenizer and draw the weights of a new model.

    Args:
        section: which.
        texts: to train the tokenizer on.
        special_tokens: further control tokens of a new tokenizer, after the end of a text.
        seed: of the weights.

    Raises:
        ModelError: if the checkpoint cannot be read, or is no decoder of attention layers.
    """
    from hanmo.core.progress import say
    from hanmo.core.seeds import seed_everything
    from hanmo.tasks.language_model import LanguageModel
    from hanmo.tokenizers.bpe import END_OF_TEXT, train_bpe

    if section.checkpoint is not None:
        seed_everything(seed)
        return open_decoder(section.checkpoint)
    tokenizer = train_bpe(
        texts, section.vocab_size, special_tokens=(END_OF_TEXT, *special_tokens), model_max_length=section.max_len
    )
    assert tokenizer.eos_id is not None
    model = new_decoder(section, vocab_size=tokenizer.vocab_size, eos_id=tokenizer.eos_id, seed=seed)
    if section.embeddings is not None:
        from hanmo.stories.embeddings import fill_token_table, load_embeddings

        vectors = load_embeddings(section.embeddings)
        say(fill_token_table(model, tokenizer, vectors, freeze=section.freeze_embeddings, seed=seed).describe())
    return LanguageModel(model, tokenizer)


def open_decoder(path: str) -> LanguageModel:
    """A checkpoint to train.

    Raises:
        ModelError: if it cannot be read, or is no decoder of attention layers.
    """
    from hanmo.core.errors import ModelError
    from hanmo.models.causal_lm import CausalLM
    from hanmo.tasks.loading import load_language_model

    lm = load_language_model(path, device="cpu")
    if not isinstance(lm.model, CausalLM):
        raise ModelError(
            f"a {lm.model.architecture} cannot keep conversations in one row apart", where=path,
            remedy="Take a decoder of attention layers, such as GPT-2, Llama or Qwen.",
        )  # fmt: skip
    return lm


def new_decoder(section: ModelSection, *, vocab_size: int, eos_id: int | None, seed: int) -> CausalLM:
    """The untrained model of a section, its weights drawn with the seed."""
    from hanmo.core.seeds import seed_everything
    from hanmo.models.gpt2 import GPT2Config, gpt2
    from hanmo.models.llama import LlamaConfig, llama

    seed_everything(seed)
    shape: dict[str, Any] = {
        "vocab_size": vocab_size, "max_len": section.max_len, "d_model": section.d_model,
        "n_layers": section.n_layers, "n_heads": section.n_heads,
        "bos_id": eos_id, "eos_id": eos_id,
    }  # fmt: skip
    if section.d_ff is not None:
        shape["d_ff"] = section.d_ff
    if section.family == "gpt2":
        dropout = section.dropout
        return gpt2(GPT2Config(**shape, dropout_attention=dropout, dropout_residual=dropout, dropout_embedding=dropout))
    return llama(LlamaConfig(**shape, n_kv_heads=section.n_kv_heads or section.n_heads, tie_embeddings=True))
