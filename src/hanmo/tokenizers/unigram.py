"""Train a Unigram tokenizer (Kudo, 2018, §3.2) with bytes for characters that are not in the vocabulary."""

from __future__ import annotations

import json
from collections.abc import Iterable

import tokenizers as hf
from hanmo.core.errors import ConfigError
from hanmo.tokenizers.bpe import PRETOKEN_PATTERN
from hanmo.tokenizers.making import make_tokenizer
from hanmo.tokenizers.sampling import common_characters, sample_slices, without_others
from hanmo.tokenizers.tokenizer import Tokenizer
from tokenizers import decoders, models, pre_tokenizers, trainers

__all__ = ["train_unigram"]

_SPECIAL = ("<pad>", "<unk>", "<s>", "</s>")
_SPACE = "\u2581"
_PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))
_BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
_NEVER = -1000.0
"""Score of a byte: so low that the text `<0x41>` is read as six signs and not as the byte."""
_STEP = 1e-4
"""Between the scores that the library gives to characters that must be in the vocabulary though pruning left them out."""


def train_unigram(
    texts: Iterable[str],
    vocab_size: int,
    *,
    max_bytes: int = 4_000_000,
    seed: int = 0,
    model_max_length: int | None = None,
) -> Tokenizer:
    """Learn a Unigram vocabulary: pieces with probabilities, a text cut into the most probable row of them.

    Text is cut first as for byte-level BPE (`PRETOKEN_PATTERN`). All 256 bytes are in the vocabulary, so there is no
    unknown token. Every text comes back as it was, except that U+2581 (▁), which stands for a space, comes back as one.

    Args:
        texts: read once.
        vocab_size: tokens, the four special ones and the 256 bytes included. Single characters take at most half of the
            rest, the most frequent first.
        max_bytes: learn from a uniform sample of about so many bytes (UTF-8) of the texts.
        seed: chooses the sample.
        model_max_length: context of the model, in tokens, for the config of other libraries.

    Raises:
        ConfigError: if `vocab_size` has no room for the bytes and the printable ASCII characters twice.
        DataError: if the texts are all empty or one is not encodable.
    """
    room = vocab_size - len(_BYTES)
    smallest = len(_SPECIAL) + 2 * len(_PRINTABLE)
    if room < smallest:
        raise ConfigError(
            f"vocab_size {vocab_size} is too small", where="vocab_size",
            remedy=f"Choose at least {smallest + len(_BYTES)}.",
        )  # fmt: skip
    sample = [piece.replace(_SPACE, " ") for piece in sample_slices(texts, max_bytes, seed)]
    alphabet = common_characters(sample, (room - len(_SPECIAL)) // 2)
    alphabet = alphabet[: (room - len(_SPECIAL)) // 2 - len(set(_PRINTABLE) - set(alphabet))]
    coder = hf.Tokenizer(models.Unigram())
    cutter = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(hf.Regex(PRETOKEN_PATTERN), "isolated"),
            pre_tokenizers.Metaspace(_SPACE, prepend_scheme="never", split=False),
        ]
    )
    coder.pre_tokenizer = cutter
    trainer = trainers.UnigramTrainer(
        vocab_size=room, special_tokens=list(_SPECIAL), unk_token="<unk>", show_progress=False,
        initial_alphabet=sorted(_PRINTABLE),
    )  # fmt: skip
    sample = without_others(sample, alphabet)
    coder.train_from_iterator((sample[i : i + 64] for i in range(0, len(sample), 64)), trainer)
    learnt = json.loads(coder.to_str())["model"]["vocab"][len(_SPECIAL) :]
    pieces = sorted(_steady(learnt), key=lambda piece: (-piece[1], piece[0]))
    vocabulary = [*((name, 0.0) for name in _SPECIAL), *((name, _NEVER) for name in _BYTES), *pieces]
    model = hf.Tokenizer(models.Unigram(vocabulary, _SPECIAL.index("<unk>"), byte_fallback=True))
    model.pre_tokenizer = cutter
    model.decoder = decoders.Sequence([decoders.Replace(_SPACE, " "), decoders.ByteFallback(), decoders.Fuse()])
    model.add_special_tokens(list(_SPECIAL))
    return make_tokenizer(
        model, model_max_length=model_max_length,
        bos_token="<s>", eos_token="</s>", unk_token="<unk>", pad_token="<pad>",
    )  # fmt: skip


def _steady(learnt: list[tuple[str, float]]) -> list[tuple[str, float]]:
    """The same scores in every run: without the last digits, which come from sums in the order of a hash table, and without
    the steps by which the library tells characters apart that the pruning left out, in that order too."""
    lowest = min(score for _, score in learnt)
    left_out = lowest + _STEP * (1 + sum(len(text) == 1 for text, _ in learnt))
    return [
        (text, round(lowest if len(text) == 1 and score <= left_out else score, 5)) for text, score in learnt
    ]  # fmt: skip
