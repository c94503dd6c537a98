"""Vocabulary files from before tokenizer.json, against SentencePiece itself and the conversion of `transformers`."""

from __future__ import annotations

import contextlib
import gzip
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import transformers
import transformers.convert_slow_tokenizer
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmo.core.errors import ConfigError, DataError, FormatError, ModelError
from hanmo.tokenizers.bpe import train_bpe
from hanmo.tokenizers.framed import encode_framed
from hanmo.tokenizers.sentencepiece_file import Kind, read_sentencepiece
from hanmo.tokenizers.tokenizer import Tokenizer, has_tokenizer

GOLDEN = Path(__file__).parents[1] / "golden" / "sentencepiece"
EXPECTED = json.loads((GOLDEN / "expected.json").read_text(encoding="utf-8"))
TEXTS: list[str] = EXPECTED["texts"]
SENTENCEPIECE = {
    "t5": ("spiece.model", "T5Tokenizer"),
    "albert": ("spiece.model", "AlbertTokenizer"),
    "xlnet": ("spiece.model", "XLNetTokenizer"),
    "xlmr": ("sentencepiece.bpe.model", "XLMRobertaTokenizer"),
    "llama": ("tokenizer.model", "LlamaTokenizer"),
}
AS_IS = {"albert": {"do_lower_case": False, "keep_accents": True}, "xlnet": {"keep_accents": True}}
"""Switches off what ALBERT and XLNet do to a text before SentencePiece sees it."""


def write_config(folder: Path, **values: Any) -> None:
    (folder / "tokenizer_config.json").write_text(json.dumps(values), encoding="utf-8")


def copy_model(name: str, folder: Path, **config: Any) -> Path:
    file, tokenizer_class = SENTENCEPIECE[name]
    shutil.copy(GOLDEN / f"{name}.model", folder / file)
    write_config(folder, tokenizer_class=tokenizer_class, **config)
    return folder


@pytest.mark.parametrize("name", SENTENCEPIECE)
def test_ids_are_those_of_sentencepiece(name: str, tmp_path: Path) -> None:
    tokenizer = Tokenizer.load(copy_model(name, tmp_path, **AS_IS.get(name, {})))
    for text, ids, decoded in zip(TEXTS, EXPECTED[name]["ids"], EXPECTED[name]["decoded"], strict=True):
        if name in AS_IS and "``" in text:  # they turn these into straight quotes
            continue
        if name == "xlmr":  # fairseq numbers its own tokens first
            ids = [3 if token == 0 else token + 1 for token in ids]
        assert tokenizer.encode(text) == ids, text
        if " ⁇ " not in decoded:  # what SentencePiece prints for the unknown token
            assert tokenizer.decode(ids) == decoded


@pytest.fixture
def rival_class(monkeypatch: pytest.MonkeyPatch) -> Any:
    """`transformers` reads these files with protobuf alone, but asks for sentencepiece all the same."""
    monkeypatch.setattr(transformers.convert_slow_tokenizer, "requires_backends", lambda *_: None)
    return lambda name: getattr(transformers, name)


SAME = [text for text in TEXTS if "\u2581" not in text and "<s>" not in text]
"""Not: texts with the mark of a space in them, where `transformers` departs from SentencePiece; and with special
tokens, which a text can write there."""


def assert_same_as_rival(folder: Path, rival: Any, texts: list[str], *, pairs: bool = True) -> None:
    ours = Tokenizer.load(folder)
    assert ours.vocab_size == len(rival)
    for text in texts:
        assert ours.encode(text) == rival(text, add_special_tokens=False)["input_ids"], text
        assert encode_framed(ours, [text])[0].ids == rival(text)["input_ids"]
        if pairs:
            both = rival(text, "第二 sentence", return_token_type_ids=True)
            framed = encode_framed(ours, [(text, "第二 sentence")])[0]
            assert framed.ids == both["input_ids"]
            assert framed.token_type_ids == both["token_type_ids"]
    for role, token in rival.special_tokens_map.items():
        if isinstance(token, str):
            assert ours.special_tokens[role] == token
            assert ours.token_id(token) == rival.convert_tokens_to_ids(token)
            assert ours.token_id(token) in ours.special_ids


@pytest.mark.parametrize("name", SENTENCEPIECE)
def test_sentencepiece_files_as_in_transformers(name: str, tmp_path: Path, rival_class: Any) -> None:
    more: dict[str, Any] = {"legacy": False} if name == "llama" else {}
    copy_model(name, tmp_path, **more)
    rival = rival_class(SENTENCEPIECE[name][1]).from_pretrained(tmp_path)
    # `transformers` 5 forgets that ALBERT and XLNet keep a comma apart from the number before it
    texts = [text for text in SAME if "1,000" not in text or name not in ("albert", "xlnet")]
    assert_same_as_rival(tmp_path, rival, texts, pairs=name != "llama")


@pytest.mark.parametrize("name", SENTENCEPIECE)
def test_no_text_can_write_a_special_token(name: str, tmp_path: Path) -> None:
    tokenizer = Tokenizer.load(copy_model(name, tmp_path))
    for token in tokenizer.special_names - {tokenizer.special_tokens["unk_token"]}:
        ids = tokenizer.encode(f"a {token} b{token}")
        unknown = tokenizer.token_id(tokenizer.special_tokens["unk_token"])
        assert not (tokenizer.special_ids - {unknown}) & set(ids), token
        assert tokenizer.token_id(token) in tokenizer.encode(f"a {token} b", allow_special=True)


def test_sentinels_of_t5(tmp_path: Path) -> None:
    tokenizer = Tokenizer.load(copy_model("t5", tmp_path))
    assert tokenizer.vocab_size == 520
    assert [tokenizer.token_id(f"<extra_id_{number}>") for number in (0, 1, 99)] == [519, 518, 420]
    write_config(tmp_path, tokenizer_class="T5Tokenizer", extra_ids=7)
    assert Tokenizer.load(tmp_path).token_id("<extra_id_0>") == 426


def test_a_comma_stays_apart_from_its_number(tmp_path: Path) -> None:
    tokenizer = Tokenizer.load(copy_model("albert", tmp_path))
    model = json.loads(tokenizer.definition)["model"]
    before = read_sentencepiece(GOLDEN / "albert.model").pieces
    lowered = [piece.text for piece, (_, score) in zip(before, model["vocab"], strict=True) if score < piece.score - 1]
    assert all(text[-1] == "," and text[-2].isdigit() for text in lowered)


@pytest.mark.parametrize("text", ["  two spaces", "老先生 ", " ", "a\nb  c", "👩‍👩‍👧‍👦𠮷"])
def test_llama_gives_back_every_text(text: str, tmp_path: Path) -> None:
    tokenizer = Tokenizer.load(copy_model("llama", tmp_path))
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert b"".join(map(tokenizer.token_bytes, tokenizer.encode(text))) == f" {text}".encode()


def test_a_converted_tokenizer_is_saved_as_a_new_one(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    first = Tokenizer.load(copy_model("xlnet", tmp_path / "old"))
    first.save(tmp_path / "new")
    second = Tokenizer.load(tmp_path / "new")
    assert (second.definition, second.config) == (first.definition, first.config)
    assert [second.encode(text) for text in TEXTS] == [first.encode(text) for text in TEXTS]


BERT_VOCABULARY = [
    "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghijklmnopqrstuvwxyz", *"ABCHW", *(f"##{c}" for c in "abcdehlnorstuwxyz"),
    *"翰墨从原始文本到自己的语言模型一个在上", "##墨", "hello", "Hello", "world", "##ing", "the", "è", "ü", ",", ".", "!", "(", ")",
    "1", "##2", "😀",
]  # fmt: skip


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"do_lower_case": False},
        {"do_lower_case": True, "strip_accents": False},
        {"do_lower_case": False, "strip_accents": True},
        {"tokenize_chinese_chars": False},
    ],
)
def test_vocab_txt(options: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_bytes("\n".join([*BERT_VOCABULARY, ""]).encode())
    write_config(tmp_path, tokenizer_class="BertTokenizer", **options)
    rival = transformers.BertTokenizer.from_pretrained(tmp_path)
    assert_same_as_rival(tmp_path, rival, SAME)


def test_the_lines_of_vocab_txt(tmp_path: Path) -> None:
    vocabulary = [*BERT_VOCABULARY[:9], "\u0085", "\u2028", "最后"]
    (tmp_path / "vocab.txt").write_bytes("\n".join([*vocabulary, ""]).encode())
    tokenizer = Tokenizer.load(tmp_path)
    assert [tokenizer.token_id(token) for token in vocabulary] == list(range(len(vocabulary)))
    (tmp_path / "vocab.txt").write_bytes("\r\n".join(vocabulary).encode())  # Windows
    assert Tokenizer.load(tmp_path).definition == tokenizer.definition


def byte_level_files(folder: Path) -> None:
    special = ("<|endoftext|>", "<s>", "<pad>", "</s>", "<unk>", "<mask>", "<|startoftext|>")
    model = json.loads(train_bpe([*TEXTS, "hello world 模型 " * 20], 420, special_tokens=special).definition)["model"]
    (folder / "vocab.json").write_text(json.dumps(model["vocab"]), encoding="utf-8")
    merges = "".join(f"{left} {right}\n" for left, right in model["merges"])
    (folder / "merges.txt").write_text(f"#version: 0.2\n{merges}", encoding="utf-8")


@pytest.mark.parametrize(
    ("tokenizer_class", "options"),
    [
        ("GPT2Tokenizer", {}),
        ("GPT2Tokenizer", {"add_prefix_space": True}),
        ("RobertaTokenizer", {}),
        ("RobertaTokenizer", {"add_prefix_space": True}),
        ("Qwen2Tokenizer", {}),
        ("CLIPTokenizer", {}),
    ],
)
def test_vocab_json_and_merges_txt(tokenizer_class: str, options: dict[str, Any], tmp_path: Path) -> None:
    byte_level_files(tmp_path)
    write_config(tmp_path, tokenizer_class=tokenizer_class, **options)
    rival = getattr(transformers, tokenizer_class).from_pretrained(tmp_path)
    pairs = tokenizer_class == "RobertaTokenizer"
    assert_same_as_rival(tmp_path, rival, [text for text in TEXTS if "<s>" not in text], pairs=pairs)


def test_the_class_is_found(tmp_path: Path) -> None:
    def definition(**config: Any) -> str:
        (tmp_path / "config.json").write_text(json.dumps(config))
        return Tokenizer.load(tmp_path).definition

    byte_level_files(tmp_path)
    with pytest.raises(ModelError, match=r"several kinds.*GPT2Tokenizer, RobertaTokenizer.*tokenizer_class"):
        definition()
    assert definition(model_type="gpt2") != definition(model_type="roberta")
    roberta = definition(model_type="roberta")
    write_config(tmp_path, tokenizer_class="RobertaTokenizerFast")
    assert definition(model_type="gpt2") == roberta
    write_config(tmp_path, tokenizer_class="PreTrainedTokenizerFast")
    assert definition(model_type="roberta") == roberta
    write_config(tmp_path, tokenizer_class="XLMTokenizer")
    with pytest.raises(ModelError, match=r"XLMTokenizer cannot be converted here.*save_pretrained"):
        definition(model_type="xlm")
    # a Chinese ALBERT: its own class would have spiece.model
    for name in ("vocab.json", "merges.txt", "tokenizer_config.json"):
        (tmp_path / name).unlink()
    (tmp_path / "vocab.txt").write_text("\n".join(BERT_VOCABULARY), encoding="utf-8")
    assert json.loads(definition(model_type="albert"))["model"]["type"] == "WordPiece"


def test_added_tokens_have_the_ids_they_say(tmp_path: Path) -> None:
    byte_level_files(tmp_path)
    size = len(json.loads((tmp_path / "vocab.json").read_text()))
    added = {
        str(size): {"content": "<|im_start|>", "special": True},
        str(size + 1): {"content": "<tool>", "special": False},
    }
    write_config(tmp_path, tokenizer_class="Qwen2Tokenizer", added_tokens_decoder=added)
    tokenizer = Tokenizer.load(tmp_path)
    assert tokenizer.encode("a<|im_start|><tool>", allow_special=True)[1:] == [size, size + 1]
    assert size not in tokenizer.encode("a<|im_start|><tool>")
    write_config(tmp_path, tokenizer_class="Qwen2Tokenizer")
    (tmp_path / "added_tokens.json").write_text(json.dumps({"<new>": size + 5}))
    with pytest.raises(FormatError, match=f"'<new>' should have the id {size + 5}, but gets {size}"):
        Tokenizer.load(tmp_path)
    (tmp_path / "added_tokens.json").write_text("[1]")
    with pytest.raises(FormatError, match="not a table"):
        Tokenizer.load(tmp_path)


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("vocab.json", "[1]", "vocab.json.*not a table"),
        ("vocab.json", "{", "vocab.json"),
        ("vocab.json", '{"a": "b"}', "not a table"),
        ("merges.txt", "a b c\n", r"merges.txt:1.*not a pair"),
        ("merges.txt", "#version: 0.2\nab\n", r"merges.txt:2.*not a pair"),
        ("merges.txt", "no such\n", "not a vocabulary that can be used"),
        ("merges.txt", b"\xff\xfe\n", "not UTF-8"),
        ("vocab.txt", "hello\n", r"\[UNK\].*not in the vocabulary"),
        ("vocab.txt", "[UNK]\n[CLS]\n", r"sep_token \('\[SEP\]'.*not in the vocabulary"),
        ("spiece.model", b"", "not a SentencePiece model"),
        ("spiece.model", b"\x80\x04pickle", "not a SentencePiece model"),
    ],
)
def test_damaged_files_are_named(file: str, content: str | bytes, words: str, tmp_path: Path) -> None:
    names = {"vocab.txt": "BertTokenizer", "spiece.model": "T5Tokenizer"}
    if file not in names:
        byte_level_files(tmp_path)
    write_config(tmp_path, tokenizer_class=names.get(file, "GPT2Tokenizer"))
    (tmp_path / file).write_bytes(content.encode() if isinstance(content, str) else content)
    assert has_tokenizer(tmp_path)
    with pytest.raises(FormatError, match=words) as caught:
        Tokenizer.load(tmp_path)
    assert str(tmp_path) in str(caught.value)


def test_settings_that_change_the_ids_are_named(tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_text("\n".join(BERT_VOCABULARY), encoding="utf-8")
    write_config(tmp_path, tokenizer_class="BertTokenizer", do_basic_tokenize=False)
    with pytest.raises(FormatError, match="do_basic_tokenize = False is not supported"):
        Tokenizer.load(tmp_path)
    copy_model("albert", tmp_path, remove_space=False)
    with pytest.raises(FormatError, match="remove_space = False"):
        Tokenizer.load(tmp_path)


def test_a_model_file_is_read_whole() -> None:
    model = read_sentencepiece(GOLDEN / "llama.model")
    assert (model.algorithm, model.byte_fallback, model.unk_id, len(model.pieces)) == ("bpe", True, 0, 680)
    assert model.add_dummy_prefix
    assert not model.remove_extra_whitespaces
    assert [piece.kind for piece in model.pieces[:4]] == [Kind.UNKNOWN, Kind.CONTROL, Kind.CONTROL, Kind.BYTE]
    assert read_sentencepiece(GOLDEN / "t5.model").charsmap


@settings(max_examples=150, deadline=None)
@given(cut=st.integers(0, 6000), at=st.integers(0, 6000), byte=st.integers(0, 255), keep=st.booleans())
def test_a_damaged_model_is_read_or_refused(
    cut: int, at: int, byte: int, keep: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    data = bytearray((GOLDEN / "t5.model").read_bytes())
    data[at] = byte
    file = tmp_path_factory.mktemp("damaged") / "spiece.model"
    file.write_bytes(data if keep else data[:cut])
    with contextlib.suppress(FormatError):  # and nothing else
        assert read_sentencepiece(file).pieces


def test_a_model_of_hostile_lengths(tmp_path: Path) -> None:
    file = tmp_path / "spiece.model"
    for data in (b"\x0a" + b"\xff" * 9 + b"\x01", b"\x0a\xff\xff\xff\xff\x0f", b"\xff" * 20, b"\x0b", b"\x08\x01"):
        file.write_bytes(data)
        with pytest.raises(FormatError, match="not a SentencePiece model"):
            read_sentencepiece(file)


@pytest.mark.parametrize(("file", "cased"), [("google_zh_vocab.txt", False), ("google_cased_en_vocab.txt.gz", True)])
def test_a_real_vocab_txt(file: str, cased: bool, data_root: Path, tmp_path: Path) -> None:
    data = (data_root / "tokenizer_files" / "bert" / file).read_bytes()
    (tmp_path / "vocab.txt").write_bytes(gzip.decompress(data) if file.endswith("gz") else data)
    write_config(tmp_path, tokenizer_class="BertTokenizer", do_lower_case=not cased)
    assert_same_as_rival(tmp_path, transformers.BertTokenizer.from_pretrained(tmp_path), TEXTS[:10])


def test_the_files_of_gpt2(data_root: Path, tmp_path: Path) -> None:
    source = data_root / "tokenizer_files" / "gpt2"
    (tmp_path / "vocab.json").write_bytes(gzip.decompress((source / "encoder.json.gz").read_bytes()))
    (tmp_path / "merges.txt").write_bytes(gzip.decompress((source / "vocab.bpe.gz").read_bytes()))
    write_config(tmp_path, tokenizer_class="GPT2Tokenizer")
    assert_same_as_rival(tmp_path, transformers.GPT2Tokenizer.from_pretrained(tmp_path), TEXTS, pairs=False)
    assert Tokenizer.load(tmp_path).encode("Hello world") == [15496, 995]  # as published


def test_a_real_sentencepiece_model(data_root: Path, tmp_path: Path, rival_class: Any) -> None:
    shutil.copy(
        data_root / "tokenizer_files" / "sentencepiece" / "test_model.model", tmp_path / "sentencepiece.bpe.model"
    )
    write_config(tmp_path, tokenizer_class="XLMRobertaTokenizer")
    assert len(read_sentencepiece(tmp_path / "sentencepiece.bpe.model").charsmap) > 200_000
    rival = rival_class("XLMRobertaTokenizer").from_pretrained(tmp_path)
    assert_same_as_rival(tmp_path, rival, [text for text in SAME if "\t" not in text])
    # this one knows "\r" as a piece, and blanks other than spaces as unknown; `transformers` drops them all
    of_sentencepiece = [4, 281, 66, 8, 0, 253, 0, 612, 8, 3, 0, 549]
    ids = Tokenizer.load(tmp_path).encode("tabs\tand\nlines\r\n\n end")
    assert ids == [3 if token == 0 else token + 1 for token in of_sentencepiece]


def test_long_rows_are_refused_or_cut(wordpiece: Tokenizer) -> None:
    tokenizer = wordpiece
    cls, sep = (tokenizer.token_id(token) for token in ("[CLS]", "[SEP]"))
    one, two = "翰墨从原始文本", "语言模型"
    (row,) = encode_framed(tokenizer, [one])
    assert (row.ids, row.token_type_ids, row.truncated) == ([cls, *tokenizer.encode(one), sep], [0] * 9, False)
    with pytest.raises(DataError, match=r"text 1: 9 tokens, but at most 8 are allowed.*truncate"):
        encode_framed(tokenizer, [two, one], max_len=8)
    (row,) = encode_framed(tokenizer, [one], max_len=8, overlong="truncate")
    assert (row.ids, row.truncated) == ([cls, *tokenizer.encode(one)[:6], sep], True)
    with pytest.raises(ConfigError, match="max_len 2 leaves no room"):
        encode_framed(tokenizer, [one], max_len=2, overlong="truncate")
    with pytest.raises(DataError, match=r"text 1.*surrogate"):
        encode_framed(tokenizer, ["a", ("b", "\ud800")])


@pytest.fixture(scope="module")
def wordpiece(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    folder = tmp_path_factory.mktemp("wordpiece")
    (folder / "vocab.txt").write_text("\n".join(BERT_VOCABULARY), encoding="utf-8")
    return Tokenizer.load(folder)


@given(n_one=st.integers(0, 12), n_two=st.integers(0, 12), max_len=st.integers(4, 20))
def test_of_a_pair_the_longer_text_is_cut(wordpiece: Tokenizer, n_one: int, n_two: int, max_len: int) -> None:
    tokenizer = wordpiece
    one, two = "从" * n_one, "在" * n_two
    (row,) = encode_framed(tokenizer, [(one, two)], max_len=max_len, overlong="truncate")
    kept_one, kept_two = row.ids.count(tokenizer.encode("从")[0]), row.ids.count(tokenizer.encode("在")[0])
    assert len(row.ids) == len(row.token_type_ids) == min(max_len, n_one + n_two + 3)
    assert kept_one + kept_two == len(row.ids) - 3
    assert row.token_type_ids == [0] * (kept_one + 2) + [1] * (kept_two + 1)
    assert row.truncated == (n_one + n_two + 3 > max_len)
    for kept, whole, other in ((kept_one, n_one, kept_two), (kept_two, n_two, kept_one)):
        assert kept == whole or kept >= other - 1
