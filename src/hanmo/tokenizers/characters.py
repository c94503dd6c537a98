"""Train a tokenizer of single characters: the smallest vocabulary there is, and for Chinese a strong baseline."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import tokenizers as hf
from hanmo.core.errors import ConfigError, DataError
from hanmo.tokenizers.making import make_tokenizer
from hanmo.tokenizers.tokenizer import Tokenizer
from tokenizers import decoders, models, pre_tokenizers

__all__ = ["train_characters"]

_SPECIAL = ("<pad>", "<unk>", "<s>", "</s>")


def train_characters(
    texts: Iterable[str], vocab_size: int, *, min_count: int = 1, model_max_length: int | None = None
) -> Tokenizer:
    """Count characters (code points) and keep the most frequent. The same input gives a byte-identical tokenizer.json.

    Every text whose characters are all known comes back as it was; others are `<unk>`.

    Args:
        texts: read once; memory holds a count for each different character.
        vocab_size: most tokens, the four special ones included.
        min_count: characters seen less often are left out.
        model_max_length: context of the model, in tokens, for the config of other libraries.

    Raises:
        ConfigError: if `vocab_size` has no room for a character.
        DataError: if there is no character, or half a surrogate pair.
    """
    if vocab_size <= len(_SPECIAL):
        raise ConfigError(f"vocab_size {vocab_size} leaves no room for a character", where="vocab_size")
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(text)
    if broken := next((c for c in counts if "\ud800" <= c <= "\udfff"), None):
        raise DataError(
            f"half a surrogate pair (U+{ord(broken):04X}) cannot be encoded", where="the training text",
            remedy="Repair the text first: hanmo.text.repair.repair does.",
        )  # fmt: skip
    ranked = sorted((c for c in counts if counts[c] >= min_count), key=lambda c: (-counts[c], c))
    if not ranked:
        raise DataError(
            f"no character is seen {min_count} times" if counts else "there is no text to take characters from",
            remedy="Check the corpus, or lower min_count.",
        )
    tokens = (*_SPECIAL, *ranked[: vocab_size - len(_SPECIAL)])
    coder = hf.Tokenizer(
        models.WordLevel({token: number for number, token in enumerate(tokens)}, unk_token="<unk>")
    )  # fmt: skip
    coder.pre_tokenizer = pre_tokenizers.Split(hf.Regex(r"[\s\S]"), "isolated")
    coder.decoder = decoders.Fuse()
    coder.add_special_tokens(list(_SPECIAL))
    return make_tokenizer(
        coder, model_max_length=model_max_length,
        bos_token="<s>", eos_token="</s>", unk_token="<unk>", pad_token="<pad>",
    )  # fmt: skip
