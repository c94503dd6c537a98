"""How many bits a text costs: from log-probabilities, and with the compressors everyone has.

A language model is a compressor (Shannon, 1948): with arithmetic coding a text takes −Σ log₂ p bits. Bits per
byte compares models with different tokenizers, in any language; per-word figures do not (Chinese has no spaces).
"""

from __future__ import annotations

import gzip
import lzma
import math
from typing import Literal

__all__ = ["bits_per_byte", "bits_per_character", "compressor_bits_per_byte", "perplexity"]


def _mean(total: float, count: int, unit: str) -> float:
    if count <= 0:
        raise ValueError(f"cannot average over {count} {unit}: the text is empty")
    return total / count


def bits_per_byte(nats: float, n_bytes: int) -> float:
    """Bits for each UTF-8 byte of the original text.

    Args:
        nats: −Σ ln p over the tokens of the text.
        n_bytes: UTF-8 bytes of the same text before tokenization.

    Raises:
        ValueError: for an empty text.
    """
    return _mean(nats, n_bytes, "bytes") / math.log(2)


def bits_per_character(nats: float, n_characters: int) -> float:
    """Bits for each Unicode character; see `bits_per_byte`."""
    return _mean(nats, n_characters, "characters") / math.log(2)


def perplexity(nats: float, n_units: int) -> float:
    """exp(nats / units), where the units are tokens, words or bytes; infinite where that overflows.

    Raises:
        ValueError: for an empty text.
    """
    mean = _mean(nats, n_units, "units")
    return math.exp(mean) if mean < 709 else math.inf


def _compressed_size(data: bytes, method: Literal["xz", "gzip"]) -> int:
    match method:
        case "xz":
            return len(lzma.compress(data, format=lzma.FORMAT_XZ, preset=9))
        case "gzip":
            return len(gzip.compress(data, compresslevel=9, mtime=0))
        case _:
            raise ValueError(f"unknown compressor {method!r}: choose 'xz' or 'gzip'")


def compressor_bits_per_byte(
    heldout: bytes, *, method: Literal["xz", "gzip"] = "xz", given: bytes | None = None
) -> float:
    """Bits per byte that `xz -9` or `gzip -9` need for a text, headers and checksums included.

    Args:
        heldout: the text as UTF-8 bytes.
        method: the compressor, at its strongest plain setting (level 9).
        given: text the compressor has already seen: the cost is then what `heldout` adds behind it. None
            compresses `heldout` alone, as a user does who types `xz -9 heldout.txt`.

    Raises:
        ValueError: for an empty text or an unknown method.
    """
    size = (
        _compressed_size(heldout, method)
        if given is None
        else (_compressed_size(given + heldout, method) - _compressed_size(given, method))
    )
    return _mean(8.0 * size, len(heldout), "bytes")
