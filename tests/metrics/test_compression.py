"""Bits per byte against hand-computed vectors and the command-line compressors."""

from __future__ import annotations

import gzip
import lzma
import math
import random
import re
import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmo.metrics import bits_per_byte, bits_per_character, compressor_bits_per_byte, perplexity

ENGLISH = "The brush writes what the ink remembers, and the paper keeps it. " * 40
CHINESE = "笔落纸上，墨香满室；今天天气很好，我们去公园。" * 40


def varied(text: str, seed: int) -> bytes:
    words = list(text)
    random.Random(seed).shuffle(words)
    return "".join(words).encode()


def test_hand_vector_tokens_words_bytes():
    nats = -sum(map(math.log, [1 / 2, 1 / 4, 1 / 8]))
    assert perplexity(nats, 3) == pytest.approx(4.0, rel=1e-12)
    assert perplexity(nats, 2) == pytest.approx(8.0, rel=1e-12)
    assert perplexity(nats, 9) == pytest.approx(1.5874010519681994, rel=1e-12)
    assert bits_per_byte(nats, 9) == pytest.approx(2 / 3, rel=1e-12)


def test_published_byte_perplexity_agrees_with_its_bits_per_byte():
    byte_perplexity = 1.5015845643537054  # Llama-2-7B on wikitext, lm-evaluation-harness issue 806
    nats = math.log(byte_perplexity) * 1000
    assert bits_per_byte(nats, 1000) == pytest.approx(0.5864857250704371, rel=1e-12)
    assert perplexity(nats, 1000) == pytest.approx(byte_perplexity, rel=1e-12)


def test_chinese_counts_bytes_and_characters_not_words():
    text = "今天天气很好，我们去公园。"
    assert len(text.encode()) == 39
    assert len(re.split(r"\s+", text)) == 1
    nats = 39 * math.log(2)
    assert bits_per_byte(nats, 39) == pytest.approx(1.0)
    assert bits_per_character(nats, len(text)) == pytest.approx(3.0)


def test_perplexity_overflow_is_infinite():
    assert perplexity(1e6, 1) == math.inf
    assert math.isfinite(perplexity(700.0, 1))


@pytest.mark.parametrize("measure", [bits_per_byte, bits_per_character, perplexity])
def test_empty_text_is_refused(measure):
    with pytest.raises(ValueError, match="empty"):
        measure(1.0, 0)
    with pytest.raises(ValueError, match="empty"):
        compressor_bits_per_byte(b"")


@pytest.mark.parametrize("text", [ENGLISH, CHINESE], ids=["en", "zh"])
def test_compressors_count_the_whole_file(text):
    data = varied(text, seed=1)
    xz = compressor_bits_per_byte(data, method="xz")
    assert xz == 8 * len(lzma.compress(data, preset=9)) / len(data)
    assert len(lzma.decompress(lzma.compress(data, preset=9))) == len(data)
    plain = compressor_bits_per_byte(data, method="gzip")
    assert plain == 8 * len(gzip.compress(data, 9, mtime=0)) / len(data)
    assert plain != xz
    assert compressor_bits_per_byte(text.encode()) < xz, "the unshuffled text repeats and must cost less"


@pytest.mark.parametrize("method", ["xz", "gzip"])
@pytest.mark.parametrize("text", [ENGLISH, CHINESE], ids=["en", "zh"])
def test_agrees_with_the_command_line_tool(method, text):
    tool = shutil.which(method)
    if tool is None:
        pytest.skip(f"{method} is not installed on this machine")
    data = varied(text, seed=2)
    made = subprocess.run([tool, "-9", "-c"], input=data, stdout=subprocess.PIPE, check=True).stdout
    # xz adds a few bytes of block sizes when it threads; GNU gzip is not zlib, but close.
    assert compressor_bits_per_byte(data, method=method) == pytest.approx(8 * len(made) / len(data), rel=0.01)


@pytest.mark.parametrize("method", ["xz", "gzip"])
def test_given_text_makes_the_same_text_cheap(method):
    data = varied(ENGLISH, seed=3)
    alone = compressor_bits_per_byte(data, method=method)
    assert compressor_bits_per_byte(data, method=method, given=data) < alone / 5
    assert compressor_bits_per_byte(data, method=method, given=varied(CHINESE, seed=3)) > alone / 2


def test_unknown_compressor_is_refused():
    with pytest.raises(ValueError, match="zip2"):
        compressor_bits_per_byte(b"text", method="zip2")  # pyright: ignore[reportArgumentType]


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(min_value=1e-6, max_value=1.0), min_size=1, max_size=30), st.integers(1, 200))
def test_bits_and_perplexity_say_the_same(probabilities, n_bytes):
    nats = -sum(map(math.log, probabilities))
    assert perplexity(nats, n_bytes) == pytest.approx(2 ** bits_per_byte(nats, n_bytes), rel=1e-9)
