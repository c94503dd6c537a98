"""Train a WordPiece tokenizer, as BERT has one (Schuster & Nakajima, 2012; Devlin et al., 2019, §3)."""

from __future__ import annotations

from collections.abc import Iterable

import tokenizers as hf
from hanmo.core.errors import ConfigError
from hanmo.tokenizers.making import make_tokenizer
from hanmo.tokenizers.sampling import common_characters, sample_slices, without_others
from hanmo.tokenizers.tokenizer import Tokenizer
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors, trainers

__all__ = ["train_wordpiece"]

_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_PREFIX = "##"


def train_wordpiece(
    texts: Iterable[str],
    vocab_size: int,
    *,
    lowercase: bool = True,
    min_frequency: int = 2,
    max_bytes: int = 4_000_000,
    seed: int = 0,
    model_max_length: int | None = None,
) -> Tokenizer:
    """Learn a WordPiece vocabulary. The same input gives a byte-identical tokenizer.json.

    Text is cut as BERT cuts it: at white space, around signs, and around each Chinese character, so a Chinese token is one
    character. A word with a character that is not in the vocabulary is `[UNK]`. Decoding gives the words back with one
    space between them, lower-cased and without accents unless `lowercase` is false.

    Args:
        texts: read once.
        vocab_size: most tokens, the five special ones included. Characters take at most three quarters of it, the
            most frequent first.
        lowercase: make tokens of one that differ in case or accents alone.
        min_frequency: how often a pair must be seen to be joined.
        max_bytes: learn from a uniform sample of about so many bytes (UTF-8) of the texts.
        seed: chooses the sample.
        model_max_length: context of the model, in tokens, for the config of other libraries.

    Raises:
        ConfigError: if `vocab_size` has no room for a character.
        DataError: if the texts are all empty or one is not encodable.
    """
    room = (vocab_size - len(_SPECIAL)) * 3 // 4
    if room < 2:
        raise ConfigError(
            f"vocab_size {vocab_size} is too small", where="vocab_size", remedy=f"Choose at least {len(_SPECIAL) + 3}."
        )
    normalizer = normalizers.BertNormalizer(lowercase=lowercase, strip_accents=lowercase)
    cutter = pre_tokenizers.BertPreTokenizer()
    sample = [normalizer.normalize_str(piece) for piece in sample_slices(texts, max_bytes, seed)]
    alphabet, forms = _alphabet(sample, cutter, room)
    coder = hf.Tokenizer(models.WordPiece(unk_token="[UNK]"))
    coder.pre_tokenizer = cutter
    # The forms are handed over as special tokens: the library numbers those it finds itself in the order of a hash table.
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocab_size, min_frequency=min_frequency, special_tokens=[*_SPECIAL, *forms], show_progress=False
    )
    sample = without_others(sample, alphabet)
    coder.train_from_iterator((sample[i : i + 64] for i in range(0, len(sample), 64)), trainer)
    vocabulary = coder.get_vocab()
    learnt = hf.Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    learnt.normalizer = normalizer
    learnt.pre_tokenizer = cutter
    learnt.decoder = decoders.WordPiece(prefix=_PREFIX)
    learnt.add_special_tokens(list(_SPECIAL))
    learnt.post_processor = processors.TemplateProcessing(
        "[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1", [(name, vocabulary[name]) for name in ("[CLS]", "[SEP]")]
    )
    return make_tokenizer(
        learnt, model_max_length=model_max_length,
        pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]", mask_token="[MASK]",
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )  # fmt: skip


def _alphabet(sample: list[str], cutter: pre_tokenizers.PreTokenizer, room: int) -> tuple[str, list[str]]:
    """The characters of the vocabulary, and their forms: as they begin a word, and as they continue one."""
    first: set[str] = set()
    later: set[str] = set()
    for text in sample:
        for word, _ in cutter.pre_tokenize_str(text):
            first.add(word[0])
            later.update(word[1:])
    taken: list[str] = []
    n_forms = 0
    for character in common_characters(sample, room):
        n_forms += (character in first) + (character in later)
        if n_forms > room:
            break
        taken.append(character)
    taken.sort()
    forms = [c for c in taken if c in first] + [_PREFIX + c for c in taken if c in later]
    return "".join(taken), forms
