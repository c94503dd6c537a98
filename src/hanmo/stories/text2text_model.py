"""The untrained model of a text for a text, and its tokenizer: from a checkpoint, or from nothing."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hanmo.core.errors import ConfigError, ModelError
from hanmo.stories.text2text_recipe import Text2TextRecipe, Text2TextSection, Text2TextTokenizer

if TYPE_CHECKING:
    from hanmo.tasks.text2text import Purpose, Text2Text
    from hanmo.tokenizers.tokenizer import Tokenizer

__all__ = ["build_text2text", "train_joint_tokenizer"]

_DROPOUT = 0.1
_PAD = "<pad>"


def build_text2text(
    recipe: Text2TextRecipe,
    texts: Iterable[str],
    *,
    purpose: Purpose,
    prompt: str,
    marks: Sequence[str] = (),
) -> Text2Text:
    """Build it; what is drawn is drawn with the seed of the recipe.

    Args:
        recipe: which checkpoint, or which shape; how texts are written unless told otherwise.
        texts: both sides of the training examples, for the tokenizer of a model from nothing.
        purpose: what the model is for.
        prompt: what stands between source and target of a decoder, if the recipe does not say.
        marks: tokens of their own that stand in front of sources.

    Raises:
        ConfigError: if a tokenizer that is there already cannot do; if a checkpoint has no use for what is asked, or no room.
        ModelError: if a checkpoint cannot be read, or does not write.
    """
    from hanmo.core.seeds import seed_everything
    from hanmo.models.causal_lm import CausalLM
    from hanmo.models.directory import read_eos_ids
    from hanmo.models.hub import find_model
    from hanmo.tasks.prompted_model import PromptedModel
    from hanmo.tasks.text2text_model import Text2TextModel
    from hanmo.tokenizers.opening import open_tokenizer

    seed_everything(recipe.seed)
    section = recipe.model
    if section.checkpoint is not None:
        path = find_model(section.checkpoint)
        model, tokenizer, eos_ids = *_read_checkpoint(section), read_eos_ids(path)
    else:
        known, prompt = recipe.tokenizer, prompt if section.prompt is None else section.prompt
        if section.is_decoder:  # a tokenizer that has not seen the prompt would spell a Chinese one byte by byte
            texts = (part for text in texts for part in (text, prompt))
        tokenizer = train_joint_tokenizer(texts, known) if known.path is None else open_tokenizer(known.path)
        tokenizer, eos_ids = _complete(tokenizer, marks, section.max_len, alone=section.is_decoder), ()
        model = _from_nothing(section, tokenizer, recipe.seed)
    lacking = [mark for mark in marks if tokenizer.token_id(mark) is None]
    if lacking:
        raise ConfigError(
            f"this checkpoint has no token {lacking[0]}, by which it could be told", where="model.checkpoint",
            remedy="Train from nothing, or take a checkpoint of one pair of languages for one pair.",
        )  # fmt: skip
    ends = tuple(eos_ids) or (tokenizer.eos_id,)
    if None in ends:
        raise ConfigError(
            "this tokenizer has no token for the end of a text", where="model.checkpoint",
            remedy="Take a checkpoint that says where texts end.",
        )  # fmt: skip
    config = _generation_config(recipe, model, ends)
    if isinstance(model, CausalLM):
        room = recipe.decoding.max_new_tokens
        if room >= model.config.max_len - 1:
            raise ConfigError(
                f"{room} new tokens leave no room for a source in a context of {model.config.max_len}",
                where="decoding.max_new_tokens", remedy="Lower it, or take another checkpoint.",
            )  # fmt: skip
        purpose = replace(purpose, prompt=prompt if section.prompt is None else section.prompt, room=room)
        return PromptedModel(model, tokenizer, purpose=purpose, eos_ids=eos_ids, generation_config=config)
    if section.prompt is not None:
        raise ConfigError(
            f"a {model.architecture} reads source and target apart and has no prompt between them", where="model.prompt",
            remedy="Leave it out, or put a prefix in front of sources (model.prefix).",
        )  # fmt: skip
    return Text2TextModel(model, tokenizer, purpose=purpose, eos_ids=eos_ids, generation_config=config)


def train_joint_tokenizer(texts: Iterable[str], section: Text2TextTokenizer) -> Tokenizer:
    """One tokenizer for both sides."""
    from hanmo.tokenizers.bpe import train_bpe
    from hanmo.tokenizers.unigram import train_unigram

    train = train_bpe if section.kind == "bpe" else train_unigram
    return train(texts, section.vocab_size)


def _complete(tokenizer: Tokenizer, marks: Sequence[str], max_len: int, *, alone: bool) -> Tokenizer:
    """The same tokenizer with the marks; for an encoder-decoder also with padding that is not the end of a text, and the end
    after each text for other libraries. A decoder alone goes on behind what it is given."""
    import tokenizers as hf
    from hanmo.tokenizers.tokenizer import Tokenizer

    end = tokenizer.eos_token
    if end is None:
        raise ConfigError(
            "this tokenizer has no token for the end of a text", where="tokenizer.path",
            remedy="Train one of the kind bpe or unigram, or leave tokenizer.path out.",
        )  # fmt: skip
    coder = hf.Tokenizer.from_str(tokenizer.definition)
    pad = end if alone else tokenizer.pad_token if tokenizer.pad_token not in (None, end) else _PAD
    wanted = [name for name in (pad, *marks) if coder.token_to_id(name) is None]
    coder.add_special_tokens([hf.AddedToken(name, normalized=False, special=True) for name in wanted])
    if not alone:
        coder.post_processor = hf.processors.TemplateProcessing(
            single=f"$A {end}", pair=None, special_tokens=[(end, coder.token_to_id(end))]
        )
    definition = json.dumps(json.loads(coder.to_str()), ensure_ascii=False, indent=1) + "\n"
    config = tokenizer.config | {"pad_token": pad, "model_max_length": max_len}
    return Tokenizer(definition, config, training_files=tokenizer.training_files)


def _from_nothing(section: Text2TextSection, tokenizer: Tokenizer, seed: int) -> Any:
    if section.is_decoder:
        from hanmo.stories.decoder_model import new_decoder

        return new_decoder(section.decoder(), vocab_size=tokenizer.vocab_size, eos_id=tokenizer.eos_id, seed=seed)
    own: dict[str, Any] = {
        "vocab_size": tokenizer.vocab_size, "d_model": section.d_model, "n_layers": section.n_layers,
        "dropout": _DROPOUT if section.dropout is None else section.dropout,
        "eos_id": tokenizer.eos_id, "pad_id": tokenizer.pad_id, "decoder_start_id": tokenizer.pad_id,
    }  # fmt: skip
    if section.kind == "lstm":
        from hanmo.models.lstm_seq2seq import LSTMSeq2SeqConfig, lstm_seq2seq

        return lstm_seq2seq(LSTMSeq2SeqConfig(**own, max_len=section.max_len, attention=section.attention))
    own |= {
        "n_heads": section.n_heads, "d_ff": section.d_ff or 4 * section.d_model,
        "n_decoder_layers": section.n_decoder_layers or section.n_layers,
    }  # fmt: skip
    if section.kind == "t5":
        from hanmo.models.t5 import T5Config, t5

        return t5(T5Config(**own, d_head=section.d_model // section.n_heads))
    from hanmo.models.transformer import TransformerConfig, transformer

    # as wide as Glorot & Bengio (2010) ask for a square matrix; with it token vectors times √d_model have unit variance
    return transformer(TransformerConfig(**own, max_len=section.max_len, init_std=section.d_model**-0.5))


def _read_checkpoint(section: Text2TextSection) -> tuple[Any, Tokenizer]:
    from hanmo.models.causal_lm import CausalLM
    from hanmo.models.directory import read_model
    from hanmo.models.hub import find_model
    from hanmo.models.lstm_seq2seq import LSTMSeq2Seq
    from hanmo.models.seq2seq import Seq2SeqLM
    from hanmo.tokenizers.tokenizer import Tokenizer

    assert section.checkpoint is not None
    path = find_model(section.checkpoint)
    changes = {} if section.dropout is None else {"dropout": section.dropout}
    model = read_model(path, changes=changes)
    if not isinstance(model, (Seq2SeqLM, LSTMSeq2Seq, CausalLM)):
        raise ModelError(
            f"a {model.architecture} does not write a text for a text", where=section.checkpoint,
            remedy="Give an encoder-decoder, such as a T5 or a Marian model, or a decoder, such as a GPT-2 or a Qwen.",
        )  # fmt: skip
    return model, Tokenizer.load(path)


def _generation_config(recipe: Text2TextRecipe, model: Any, ends: Sequence[int | None]) -> dict[str, Any]:
    """What the saved model does unless told otherwise, here and in transformers."""
    from hanmo.models.causal_lm import CausalLM

    decoding = recipe.decoding
    known = {
        "num_beams": decoding.num_beams, "length_penalty": decoding.length_penalty,
        "max_new_tokens": decoding.max_new_tokens, "no_repeat_ngram_size": decoding.no_repeat_ngram_size,
        "eos_token_id": ends[0] if len(ends) == 1 else list(ends),
    }  # fmt: skip
    if isinstance(model, CausalLM):
        return known | {"pad_token_id": ends[0]}
    pad = model.config.pad_id
    return known | {
        "pad_token_id": pad, "decoder_start_token_id": model.config.start_id,
        "bad_words_ids": None if pad in ends else [[pad]],
    }  # fmt: skip
