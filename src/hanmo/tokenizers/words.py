"""Train a tokenizer of whole words: English by words and signs, Chinese by characters. For models from scratch on small
data, and for word vectors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import tokenizers as hf
from hanmo.core.errors import ConfigError, DataError
from hanmo.tokenizers.making import make_tokenizer
from hanmo.tokenizers.tokenizer import Tokenizer
from tokenizers import models, normalizers, pre_tokenizers, processors

__all__ = ["MOST_WORDS", "train_words"]

MOST_WORDS = 10_000_000
"""Different words that are counted at a time; when there are more, the rarest are forgotten, as word2vec does it."""

_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def train_words(
    texts: Iterable[str],
    vocab_size: int,
    *,
    min_count: int = 1,
    lowercase: bool = True,
    cut: bool = True,
    segments: bool = True,
    model_max_length: int | None = None,
) -> Tokenizer:
    """Count words and keep the most frequent. The same input gives a byte-identical tokenizer.json.

    Text is cut as BERT cuts it before its sub-words: at white space, around signs, and around each Chinese character.
    A row is framed as `[CLS] A [SEP]` or `[CLS] A [SEP] B [SEP]`; other words are `[UNK]`.

    Args:
        texts: read once; memory holds the counts of `MOST_WORDS` words at most.
        vocab_size: most tokens, the five special ones included.
        min_count: words seen less often are left out.
        lowercase: make words of one that differ in case alone.
        cut: cut text as BERT does; without it words are what stands between white space (for
            `hanmo.tokenizers.word_rows.encode_words`).
        segments: tell the model which text of a pair a token is from; some encoders have no use for it.
        model_max_length: context of the model, in tokens, for the config of other libraries.

    Raises:
        ConfigError: if `vocab_size` has no room for a word.
        DataError: if there is no word.
    """
    if vocab_size <= len(_SPECIAL):
        raise ConfigError(f"vocab_size {vocab_size} leaves no room for a word", where="vocab_size")
    normalizer = normalizers.BertNormalizer(
        clean_text=True, handle_chinese_chars=cut, strip_accents=False, lowercase=lowercase
    )
    cutter = pre_tokenizers.BertPreTokenizer() if cut else pre_tokenizers.WhitespaceSplit()
    counts: Counter[str] = Counter()
    rarest = 1
    for text in texts:
        counts.update(word for word, _ in cutter.pre_tokenize_str(normalizer.normalize_str(text)))
        if len(counts) > MOST_WORDS:
            counts, rarest = _without_rarest(counts, rarest), rarest + 1
    kept = [word for word, count in counts.most_common() if count >= min_count and word not in _SPECIAL]
    if not kept:
        raise DataError(
            f"no word is seen {min_count} times" if counts else "there is no text to take words from",
            remedy="Check the corpus, or lower min_count.",
        )
    vocabulary = {word: number for number, word in enumerate((*_SPECIAL, *kept[: vocab_size - len(_SPECIAL)]))}
    coder = hf.Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    coder.normalizer = normalizer
    coder.pre_tokenizer = cutter
    coder.add_special_tokens(list(_SPECIAL))
    second = int(segments)
    coder.post_processor = processors.TemplateProcessing(
        "[CLS] $A [SEP]",
        f"[CLS] $A [SEP] $B:{second} [SEP]:{second}",
        [(name, vocabulary[name]) for name in ("[CLS]", "[SEP]")],
    )
    return make_tokenizer(
        coder, model_max_length=model_max_length,
        pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]", mask_token="[MASK]",
        model_input_names=["input_ids", *(["token_type_ids"] if segments else []), "attention_mask"],
    )  # fmt: skip


def _without_rarest(counts: Counter[str], rarest: int) -> Counter[str]:
    return Counter({word: count for word, count in counts.items() if count > rarest})
