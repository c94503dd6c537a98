"""What every kind of trained tokenizer does: files that transformers reads, round trips, unknowns, the same twice."""

from __future__ import annotations

import gzip
import random
import re
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmo.core.errors import ConfigError, DataError
from hanmo.tokenizers.bpe import train_bpe
from hanmo.tokenizers.characters import train_characters
from hanmo.tokenizers.cutting import cut_text
from hanmo.tokenizers.tokenizer import Tokenizer
from hanmo.tokenizers.unigram import train_unigram
from hanmo.tokenizers.vocabulary_texts import tokenizer_kind, vocabulary_texts
from hanmo.tokenizers.wordpiece import train_wordpiece
from hanmo.tokenizers.words import train_words

TEXTS = [
    "The quick brown fox doesn't jump over 12345 lazy dogs, the dogs see the fox.\n" * 4,
    "天地玄黄，宇宙洪荒。日月盈昃，辰宿列张。寒来暑往，秋收冬藏！天地之间，日月往来。\n" * 4,
]
TRAINERS: dict[str, Callable[..., Tokenizer]] = {
    "byte-level BPE": train_bpe,
    "WordPiece": train_wordpiece,
    "Unigram with bytes": train_unigram,
    "words": train_words,
    "characters": train_characters,
}
ALPHABET = st.one_of(st.characters(exclude_categories=("Cs",)), st.sampled_from("天地日月𠮷👩‍👧é\u0301\0 \n▁<0x41>"))


@pytest.fixture(scope="module")
def trained() -> dict[str, Tokenizer]:
    return {name: trainer(TEXTS, 560) for name, trainer in TRAINERS.items()}


@pytest.mark.parametrize("name", TRAINERS)
def test_kind_size_and_determinism(name: str, trained: dict[str, Tokenizer]) -> None:
    tokenizer = trained[name]
    assert tokenizer_kind(tokenizer) == name
    assert tokenizer.vocab_size <= 560
    assert TRAINERS[name](iter(TEXTS), 560).definition == tokenizer.definition


@pytest.mark.parametrize("name", TRAINERS)
def test_transformers_reads_it_with_equal_ids(name: str, trained: dict[str, Tokenizer], tmp_path: Path) -> None:
    trained[name].save(tmp_path)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    for text in ("The fox sees 日月 and 龘𠮷 \n twice  now", "天地，玄黄。fox👩‍👧", "é\u0301▁", ""):
        assert theirs(text, add_special_tokens=False)["input_ids"] == trained[name].encode(text)


@pytest.mark.parametrize("name", TRAINERS)
def test_impossible_sizes_and_texts(name: str) -> None:
    with pytest.raises(ConfigError):
        TRAINERS[name](TEXTS, 4)
    with pytest.raises(DataError):
        TRAINERS[name](["", ""], 560)


@pytest.mark.parametrize("name", ["byte-level BPE", "Unigram with bytes"])
def test_rare_characters_are_no_unknowns(name: str, trained: dict[str, Tokenizer]) -> None:
    tokenizer = trained[name]
    text = "龘𠮷鿫😀\u3400"
    assert tokenizer.unk_id is None
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert b"".join(map(tokenizer.token_bytes, tokenizer.encode(text))) == text.encode()
    assert tokenizer.decode(tokenizer.encode("the byte <0x41>")) == "the byte <0x41>"


@pytest.mark.parametrize(("name", "unknown"), [("WordPiece", "[龘]"), ("words", "[龘]"), ("characters", "[龘]")])
def test_unknowns_are_marked(name: str, unknown: str, trained: dict[str, Tokenizer]) -> None:
    pieces = cut_text(trained[name], "天龘地")
    assert "".join(f"[{piece.text}]" if piece.unknown else piece.text for piece in pieces) == f"天{unknown}地"


def test_chinese_words_are_learnt(trained: dict[str, Tokenizer]) -> None:
    for name in ("byte-level BPE", "Unigram with bytes"):
        assert len(trained[name].encode("天地日月")) < 4, name
    assert "天".encode() in vocabulary_texts(trained["WordPiece"]) & vocabulary_texts(trained["characters"])


@pytest.mark.parametrize("name", TRAINERS)
@given(text=st.text(ALPHABET, max_size=30))
@settings(max_examples=60)
def test_pieces_of_any_text_join_to_it(name: str, text: str) -> None:
    tokenizer = _cached(name)
    pieces = cut_text(tokenizer, text)
    assert [piece.id for piece in pieces if piece.id is not None] == tokenizer.encode(text)
    if not any(re.fullmatch(r"<[0-9A-F]{2}( [0-9A-F]{2})*>", piece.text) for piece in pieces):
        assert "".join(piece.text for piece in pieces) == text


_CACHE: dict[str, Tokenizer] = {}


def _cached(name: str) -> Tokenizer:
    if name not in _CACHE:
        _CACHE[name] = TRAINERS[name](TEXTS, 560)
    return _CACHE[name]


def _random_strings(n: int) -> list[str]:
    """Strings of all planes and of what has broken tokenizers: joiners, marks, NUL, both normal forms, byte names."""
    draw = random.Random(20)
    odd = [
        "\0",
        "👩‍👩‍👧‍👦",
        "🇨🇳",
        "e\u0301",
        "é",
        "\u200d",
        "\u3000",
        "<|endoftext|>",
        "<0x0A>",
        "\ufeff",
        "\r\n",
        "##",
        "</s>",
    ]
    ranges = [(0x20, 0x7F), (0x4E00, 0xA000), (0x20000, 0x2A6E0), (0, 0xD800), (0xE000, 0x110000), (0x300, 0x370)]
    texts = []
    for _ in range(n):
        parts = []
        for _ in range(draw.randrange(1, 12)):
            low, high = draw.choice(ranges)
            parts.append(draw.choice(odd) if draw.random() < 0.2 else chr(draw.randrange(low, high)))
        texts.append("".join(parts))
    return texts


@pytest.mark.parametrize("n", [2_000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_round_trip_of_random_unicode(n: int, trained: dict[str, Tokenizer]) -> None:
    texts = _random_strings(n)
    known = {token.decode("utf-8") for token in vocabulary_texts(trained["characters"])}
    for name, tokenizer in trained.items():
        for text, ids in zip(texts, tokenizer.encode_batch(texts), strict=True):
            back = tokenizer.decode(ids, skip_special=False)
            match name:
                case "byte-level BPE":
                    assert back == text
                case "Unigram with bytes":
                    assert back == text.replace("▁", " ")
                case "characters":
                    assert back == "".join(c if c in known or c == " " else "<unk>" for c in text)
                case _:  # unknown words are lost; of the others case, accents and spaces
                    kept = set(unicodedata.normalize("NFD", text.lower())) | set(text.lower()) | set("[UNK]#")
                    assert set(back) <= kept | {" "}


def test_words_are_counted_in_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    from hanmo.tokenizers import words

    monkeypatch.setattr(words, "MOST_WORDS", 50)
    texts = [f"天 地 w{number}" for number in range(400)]
    kept = train_words(texts, 7)
    assert set(kept.vocabulary()) - {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"} == {"天", "地"}


def test_chinese_vocabulary_shortens_chinese(data_root: Path) -> None:
    novel = gzip.decompress((data_root / "chinese_novels" / "红楼梦.txt.gz").read_bytes()).decode("utf-8")
    english = gzip.decompress((data_root / "tinyshakespeare" / "input.txt.gz").read_bytes()).decode("utf-8")
    unseen = novel[300_000:320_000]
    of_chinese, of_english = (train_bpe([text[:200_000]], 3_000) for text in (novel, english))
    rate, foreign = (len(unseen) / len(tokenizer.encode(unseen)) for tokenizer in (of_chinese, of_english))
    assert rate > 0.95
    assert foreign < 0.5
