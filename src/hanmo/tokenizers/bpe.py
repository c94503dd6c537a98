"""Train a byte-level BPE tokenizer for English, Chinese and code (Sennrich et al., 2016; Radford et al., 2019)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import tokenizers as hf
from hanmo.core.errors import ConfigError
from hanmo.tokenizers.making import make_tokenizer
from hanmo.tokenizers.sampling import sample_slices
from hanmo.tokenizers.tokenizer import Tokenizer

__all__ = ["END_OF_TEXT", "PRETOKEN_PATTERN", "train_bpe"]

END_OF_TEXT = "<|endoftext|>"

PRETOKEN_PATTERN = "|".join(
    (
        # English contractions, also in capitals, where the word ends there.
        r"'(?i:[sdmt]|ll|ve|re)(?!\p{L})",
        # Runs of Han characters, without the character before: "，的" must not become one token. The runs are
        # not cut: pieces of at most 4 characters train 15 % faster, of 2 three times as fast, but the same word
        # then falls on different cuts (8192 tokens, novels and web text: 1.32 characters per token uncut,
        # 1.27 in fours, 1.22 in twos), and merges over word borders stay rare (8 in 10 Han tokens that are
        # longer than one character have two).
        r"\p{Han}+",
        # A word of other letters with the one space or sign before it: " word", "_name", "(x".
        r"[^\r\n\p{L}\p{N}]?[\p{L}\p{M}&&[^\p{Han}]]+",
        r"\p{N}{1,3}",
        # Signs do not take the line end after them as GPT-4's pattern does: it would save 6 % of the tokens of
        # Python, but a prompt that ends in ":" would end in a token that hardly ever ends a line in training.
        r" ?[^\s\p{L}\p{N}]+",
        # Line ends with the indentation after them in one token, all but the last blank, which belongs to the
        # word: 1.6 % fewer tokens for Python than with line end and indentation apart, the same for English.
        r"\s*[\r\n]+(?:[ \t]+(?=[ \t]))?",
        r"\s+(?!\S)|\s+",
    )
)
"""How text is cut before merging (GPT-4's way, adapted); Oniguruma syntax, as tokenizer.json has it."""

_TOKEN_BYTES = 256


def train_bpe(
    texts: Iterable[str],
    vocab_size: int,
    *,
    min_frequency: int = 2,
    special_tokens: Sequence[str] = (END_OF_TEXT,),
    max_bytes: int = 4_000_000,
    seed: int = 0,
    model_max_length: int | None = None,
) -> Tokenizer:
    """Learn a byte-level BPE vocabulary. The same input gives a byte-identical tokenizer.json.

    All 256 bytes are in the vocabulary, so every text round-trips and there is no unknown token.

    Args:
        texts: documents; read once.
        vocab_size: tokens to learn, the special ones and the 256 bytes included. With too little text the
            vocabulary comes out smaller: see `Tokenizer.vocab_size`.
        min_frequency: how often a pair must be seen to be merged.
        special_tokens: control tokens, numbered from 0; the first is end of text, padding and unknown token.
        max_bytes: learn from a uniform sample of about so many bytes (UTF-8) of the texts, cut into slices of
            8 Ki characters; memory stays within it. Twice the bytes gain 1 % for
            Python (8192 tokens) and nothing for Chinese novels, in three times the time.
        seed: chooses the sample.
        model_max_length: context of the model, in tokens, for the config of other libraries.

    Raises:
        ConfigError: if `vocab_size` has no room for the bytes and the special tokens, or these are no set.
        DataError: if the texts are all empty or one is not encodable.
    """
    special_tokens = list(special_tokens)
    if not special_tokens or not all(special_tokens) or len(set(special_tokens)) < len(special_tokens):
        raise ConfigError(
            f"special tokens must be different and not empty, got {special_tokens}", where="special_tokens"
        )
    smallest = 256 + len(special_tokens)
    if vocab_size < smallest:
        raise ConfigError(
            f"vocab_size {vocab_size} is too small", where="vocab_size", remedy=f"Choose at least {smallest}."
        )
    sample = sample_slices(texts, max_bytes, seed)
    coder = hf.Tokenizer(hf.models.BPE())
    coder.pre_tokenizer = hf.pre_tokenizers.Sequence(
        [
            hf.pre_tokenizers.Split(hf.Regex(PRETOKEN_PATTERN), "isolated"),
            hf.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    coder.decoder = hf.decoders.ByteLevel()
    trainer = hf.trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=min_frequency,
        special_tokens=special_tokens,
        initial_alphabet=sorted(hf.pre_tokenizers.ByteLevel.alphabet()),
        max_token_length=_TOKEN_BYTES,
        show_progress=False,
    )
    coder.train_from_iterator((sample[i : i + 64] for i in range(0, len(sample), 64)), trainer)
    end = special_tokens[0]
    return make_tokenizer(
        coder, model_max_length=model_max_length,
        bos_token=end, eos_token=end, pad_token=end, unk_token=end, add_prefix_space=False,
    )  # fmt: skip
