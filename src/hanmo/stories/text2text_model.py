"""The untrained model of a text for a text, and its tokenizer: from a checkpoint, or from nothing."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from hanmo.core.errors import ConfigError, ModelError
from hanmo.stories.text2text_recipe import Text2TextRecipe, Text2TextSection, Text2TextTokenizer

if TYPE_CHECKING:
    from hanmo.tasks.text2text_model import Purpose, Text2TextModel
    from hanmo.tokenizers.tokenizer import Tokenizer

__all__ = ["build_text2text", "train_joint_tokenizer"]

_DROPOUT = 0.1
_PAD = "<pad>"


def build_text2text(
    recipe: Text2TextRecipe, texts: Iterable[str], *, purpose: Purpose, marks: Sequence[str] = ()
) -> Text2TextModel:
    """Build it; what is drawn is drawn with the seed of the recipe.

    Args:
        recipe: which checkpoint, or which shape; how texts are written unless told otherwise.
        texts: both sides of the training examples, for the tokenizer of a model from nothing.
        purpose: what the model is for.
        marks: tokens of their own that stand in front of sources.

    Raises:
        ConfigError: if a tokenizer that is there already cannot do.
        ModelError: if a checkpoint cannot be read, or is no encoder-decoder.
    """
    from hanmo.core.seeds import seed_everything
    from hanmo.models.directory import read_eos_ids
    from hanmo.models.hub import find_model
    from hanmo.tasks.text2text_model import Text2TextModel
    from hanmo.tokenizers.opening import open_tokenizer

    seed_everything(recipe.seed)
    section = recipe.model
    if section.checkpoint is not None:
        path = find_model(section.checkpoint)
        model, tokenizer, eos_ids = *_read_checkpoint(section), read_eos_ids(path)
    else:
        known = recipe.tokenizer
        tokenizer = train_joint_tokenizer(texts, known) if known.path is None else open_tokenizer(known.path)
        tokenizer, eos_ids = _complete(tokenizer, marks, section.max_len), ()
        model = _from_nothing(section, tokenizer)
    lacking = [mark for mark in marks if tokenizer.token_id(mark) is None]
    if lacking:
        raise ConfigError(
            f"this checkpoint has no token {lacking[0]}, by which it could be told", where="model.checkpoint",
            remedy="Train from nothing, or take a checkpoint of one pair of languages for one pair.",
        )  # fmt: skip
    ends = tuple(eos_ids) or (tokenizer.eos_id,)
    return Text2TextModel(
        model, tokenizer, purpose=purpose, eos_ids=eos_ids, generation_config=_generation_config(recipe, model, ends)
    )


def train_joint_tokenizer(texts: Iterable[str], section: Text2TextTokenizer) -> Tokenizer:
    """One tokenizer for both sides."""
    from hanmo.tokenizers.bpe import train_bpe
    from hanmo.tokenizers.unigram import train_unigram

    train = train_bpe if section.kind == "bpe" else train_unigram
    return train(texts, section.vocab_size)


def _complete(tokenizer: Tokenizer, marks: Sequence[str], max_len: int) -> Tokenizer:
    """The same tokenizer with padding that is not the end of a text, the marks, and the end after each text for other
    libraries."""
    import tokenizers as hf
    from hanmo.tokenizers.tokenizer import Tokenizer

    end = tokenizer.eos_token
    if end is None:
        raise ConfigError(
            "this tokenizer has no token for the end of a text", where="tokenizer.path",
            remedy="Train one of the kind bpe or unigram, or leave tokenizer.path out.",
        )  # fmt: skip
    coder = hf.Tokenizer.from_str(tokenizer.definition)
    pad = tokenizer.pad_token if tokenizer.pad_token not in (None, end) else _PAD
    wanted = [name for name in (pad, *marks) if coder.token_to_id(name) is None]
    coder.add_special_tokens([hf.AddedToken(name, normalized=False, special=True) for name in wanted])
    coder.post_processor = hf.processors.TemplateProcessing(
        single=f"$A {end}", pair=None, special_tokens=[(end, coder.token_to_id(end))]
    )
    definition = json.dumps(json.loads(coder.to_str()), ensure_ascii=False, indent=1) + "\n"
    config = tokenizer.config | {"pad_token": pad, "model_max_length": max_len}
    return Tokenizer(definition, config, training_files=tokenizer.training_files)


def _from_nothing(section: Text2TextSection, tokenizer: Tokenizer) -> Any:
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
    from hanmo.models.directory import read_model
    from hanmo.models.hub import find_model
    from hanmo.models.lstm_seq2seq import LSTMSeq2Seq
    from hanmo.models.seq2seq import Seq2SeqLM
    from hanmo.tokenizers.tokenizer import Tokenizer

    assert section.checkpoint is not None
    path = find_model(section.checkpoint)
    changes = {} if section.dropout is None else {"dropout": section.dropout}
    model = read_model(path, changes=changes)
    if not isinstance(model, (Seq2SeqLM, LSTMSeq2Seq)):
        raise ModelError(
            f"a {model.architecture} does not write a text for a text", where=section.checkpoint,
            remedy="Give an encoder-decoder, such as a T5 or a Marian model.",
        )  # fmt: skip
    return model, Tokenizer.load(path)


def _generation_config(recipe: Text2TextRecipe, model: Any, ends: Sequence[int | None]) -> dict[str, Any]:
    """What the saved model does unless told otherwise, here and in transformers."""
    decoding, pad = recipe.decoding, model.config.pad_id
    return {
        "num_beams": decoding.num_beams, "length_penalty": decoding.length_penalty,
        "max_new_tokens": decoding.max_new_tokens, "no_repeat_ngram_size": decoding.no_repeat_ngram_size,
        "eos_token_id": ends[0] if len(ends) == 1 else list(ends), "pad_token_id": pad,
        "decoder_start_token_id": model.config.start_id, "bad_words_ids": None if pad in ends else [[pad]],
    }  # fmt: skip
