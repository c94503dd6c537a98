from __future__ import annotations

import gzip
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tokenizers as hf
from hanmo.core.errors import ConfigError, DataError
from hanmo.tokenizers.bpe import END_OF_TEXT, PRETOKEN_PATTERN, train_bpe

CHINESE = "天地玄黄，宇宙洪荒。日月盈昃，辰宿列张。" * 3


def _cut(text: str) -> list[str]:
    splitter = hf.pre_tokenizers.Split(hf.Regex(PRETOKEN_PATTERN), "isolated")
    return [piece for piece, _ in splitter.pre_tokenize_str(text)]


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("It's we'LL 'tis", ["It", "'s", " we", "'LL", " '", "tis"]),
        ("if x:\n        return\n", ["if", " x", ":", "\n       ", " return", "\n"]),
        ("\n\n\n    y", ["\n\n\n   ", " y"]),
        ("a\t\tb  \n", ["a", "\t", "\tb", "  \n"]),
        ("x12345", ["x", "123", "45"]),
        ("foo(self._bar)", ["foo", "(self", "._", "bar", ")"]),
        ("他说，天地玄黄。abc好！", ["他说", "，", "天地玄黄", "。abc", "好", "！"]),
        ("中 文", ["中", " ", "文"]),
        ("トヨタ自動車 한국어", ["トヨタ", "自動車", " 한국어"]),
        ("e\u0301te\u0301", ["e\u0301te\u0301"]),
    ],
)
def test_cuts(text, pieces):
    assert _cut(text) == pieces


@given(st.text())
@settings(deadline=None, max_examples=200)
def test_cutting_loses_nothing(text):
    assert "".join(_cut(text)) == text


def test_vocabulary_is_complete_and_special_token_first(tokenizer):
    assert tokenizer.eos_id == 0
    assert tokenizer.eos_token == END_OF_TEXT
    assert {tokenizer.token_bytes(i) for i in range(1, 257)} == {bytes([n]) for n in range(256)}
    merged = train_bpe([CHINESE], 280)
    assert any(len(merged.token_bytes(i)) == 3 for i in range(257, merged.vocab_size)), "no Chinese character learned"


def test_too_little_text_gives_a_smaller_vocabulary():
    assert train_bpe(["ab ab"], 1000).vocab_size < 270
    assert train_bpe([CHINESE], 300).vocab_size == 300


@pytest.mark.parametrize("arguments", [{"vocab_size": 256}, {"vocab_size": 300, "special_tokens": ()}])
def test_impossible_settings(arguments):
    with pytest.raises(ConfigError):
        train_bpe(["text"], **arguments)


@pytest.mark.parametrize("texts", [[], ["", ""], ["\ud800"]])
def test_unusable_text(texts):
    with pytest.raises(DataError):
        train_bpe(texts, 300)


def test_deterministic_across_processes(tmp_path):
    code = (
        "import sys; from hanmo.tokenizers.bpe import train_bpe\n"
        "texts = [f'word{n % 97} 中文{chr(0x4e00 + n % 300)}字, x_{n % 31}\\n' * 3 for n in range(900)]\n"
        "print(train_bpe(texts, 700, max_bytes=40_000).sha256)"
    )
    hashes = set()
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)}
        run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        hashes.add(run.stdout)
    assert len(hashes) == 1


def test_sample_depends_on_the_seed_only_when_there_is_more_text():
    texts = [f"alpha{n} beta{n * 7 % 100} 天地{chr(0x4E00 + n)}\n" * 2 for n in range(400)]
    assert train_bpe(texts, 400, seed=0).sha256 == train_bpe(texts, 400, seed=1).sha256
    small = [train_bpe(texts, 400, seed=seed, max_bytes=4000).sha256 for seed in (0, 0, 1)]
    assert small[0] == small[1] != small[2]


def test_texts_may_be_a_generator():
    assert train_bpe((text for text in [CHINESE]), 300).sha256 == train_bpe([CHINESE], 300).sha256


@pytest.mark.skipif("HANMO_DATA" not in os.environ, reason="HANMO_DATA is not set")
def test_real_chinese_novel_is_compressed():
    path = Path(os.environ["HANMO_DATA"]) / "chinese_novels" / "红楼梦.txt.gz"
    text = gzip.decompress(path.read_bytes()).decode("utf-8")[:200_000]
    learned = train_bpe([text[:150_000]], 3000)
    rest = text[150_000:]
    assert learned.decode(learned.encode(rest)) == rest
    assert len(rest) / len(learned.encode(rest)) > 0.9
