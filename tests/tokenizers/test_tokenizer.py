from __future__ import annotations

import json
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from hanmo.core.errors import ConfigError, DataError, FormatError, ModelError, StorageError
from hanmo.tokenizers.tokenizer import Tokenizer

TEXTS = [
    "Hello world, it's 2026.\n",
    "天地玄黄，宇宙洪荒。",
    "def f(x):\n        return x ** 2\n",
    "👩‍👩‍👧‍👦🇨🇳 𠮷 e\u0301 \x00",
    "",
    "  混排 mixed\t文本  ",
]


@given(st.text())
@settings(deadline=None, max_examples=300)
def test_round_trip(tokenizer, text):
    assert tokenizer.decode(tokenizer.encode(text)) == text


@given(st.lists(st.integers(0, 10**6), max_size=30))
@settings(deadline=None, max_examples=200)
def test_decode_is_the_bytes_of_the_tokens(tokenizer, numbers):
    ids = [1 + number % (tokenizer.vocab_size - 1) for number in numbers]
    whole = b"".join(tokenizer.token_bytes(token_id) for token_id in ids)
    assert tokenizer.decode(ids) == whole.decode("utf-8", "replace")


@pytest.mark.parametrize("text", ["a<|endoftext|>b", "中<|endoftext|>文", "<|endoftext|>"])
def test_special_tokens_in_text_are_text(tokenizer, text):
    plain = tokenizer.encode(text)
    assert tokenizer.eos_id not in plain
    assert tokenizer.decode(plain) == text
    control = tokenizer.encode(text, allow_special=True)
    assert control.count(tokenizer.eos_id) == 1
    assert tokenizer.decode(control) == text.replace("<|endoftext|>", "")
    assert tokenizer.decode(control, skip_special=False) == text
    assert tokenizer.encode(text) == plain, "one form must not change the other"


def test_batch_equals_single(tokenizer):
    assert tokenizer.encode_batch(TEXTS) == [tokenizer.encode(text) for text in TEXTS]
    assert tokenizer.encode_batch([]) == []


def test_unknown_ids_and_unencodable_text_are_refused(tokenizer):
    for wrong in (tokenizer.vocab_size, -1):
        with pytest.raises(DataError, match=str(wrong)):
            tokenizer.decode([5, wrong])
        with pytest.raises(DataError, match=str(wrong)):
            tokenizer.token_bytes(wrong)
    with pytest.raises(DataError, match="text 1"):
        tokenizer.encode_batch(["好", "\ud83d"])


@pytest.mark.parametrize("reader", [AutoTokenizer, PreTrainedTokenizerFast])
def test_transformers_reads_it(tokenizer, tmp_path, reader):
    tokenizer.save(tmp_path)
    theirs = reader.from_pretrained(tmp_path)
    assert len(theirs) == tokenizer.vocab_size
    assert (theirs.eos_token_id, theirs.bos_token_id, theirs.pad_token_id) == (0, 0, 0)
    for text in TEXTS:
        ids = tokenizer.encode(text)
        assert theirs(text)["input_ids"] == ids
        assert theirs.decode(ids) == text
    text = "a<|endoftext|>b"
    assert theirs(text)["input_ids"] == tokenizer.encode(text, allow_special=True) != tokenizer.encode(text)


def test_reads_what_transformers_writes(tokenizer, tmp_path):
    tokenizer.save(tmp_path / "ours")
    AutoTokenizer.from_pretrained(tmp_path / "ours").save_pretrained(tmp_path / "theirs")
    back = Tokenizer.load(tmp_path / "theirs")
    assert [back.encode(text) for text in TEXTS] == [tokenizer.encode(text) for text in TEXTS]
    assert (back.eos_id, back.vocab_size) == (tokenizer.eos_id, tokenizer.vocab_size)


def test_save_and_load_keep_every_byte(tokenizer, tmp_path):
    chat = tokenizer.with_chat_template("{{ messages[0].content }}\n中文")
    chat.save(tmp_path)
    back = Tokenizer.load(tmp_path)
    assert back.sha256 == tokenizer.sha256
    assert back.config == chat.config
    assert back.chat_template == chat.chat_template
    assert tokenizer.chat_template is None
    assert not list(tmp_path.glob(".hanmo-tmp*"))
    tokenizer.save(tmp_path)
    assert Tokenizer.load(tmp_path).chat_template is None, "the other tokenizer's template was left behind"


def test_added_tokens_count(tokenizer):
    definition = json.loads(tokenizer.definition)
    token = {**definition["added_tokens"][0], "id": tokenizer.vocab_size, "content": "<|extra|>"}
    definition["added_tokens"].append(token)
    larger = Tokenizer(json.dumps(definition))
    assert larger.vocab_size == tokenizer.vocab_size + 1
    assert larger.encode("<|extra|>", allow_special=True) == [tokenizer.vocab_size]
    assert larger.token_bytes(tokenizer.vocab_size) == b"<|extra|>"


def test_truncation_in_the_file_is_not_obeyed(tokenizer):
    definition = json.loads(tokenizer.definition)
    definition["truncation"] = {"direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0}
    text = "天地玄黄，宇宙洪荒。" * 3
    assert Tokenizer(json.dumps(definition)).encode(text) == tokenizer.encode(text)


@pytest.mark.parametrize("eos", ["<|endoftext|>", {"content": "<|endoftext|>", "lstrip": False}])
def test_forms_of_the_config(tokenizer, tmp_path, eos):
    tokenizer.save(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"eos_token": eos, "bos_token": None}))
    back = Tokenizer.load(tmp_path)
    assert (back.eos_id, back.bos_id, back.pad_id) == (0, None, None)
    (tmp_path / "tokenizer_config.json").unlink()
    assert Tokenizer.load(tmp_path).eos_id is None
    (tmp_path / "special_tokens_map.json").write_text(json.dumps({"eos_token": eos}))
    assert Tokenizer.load(tmp_path).eos_id == 0


@pytest.mark.parametrize(
    "value", ["in config", [{"name": "rag", "template": "no"}, {"name": "default", "template": "in config"}]]
)
def test_the_template_file_overrides_the_config(tokenizer, tmp_path, value):
    tokenizer.save(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": value}))
    assert Tokenizer.load(tmp_path).chat_template == "in config"
    (tmp_path / "chat_template.jinja").write_text("in file")
    assert Tokenizer.load(tmp_path).chat_template == "in file"


def test_damaged_folders(tokenizer, tmp_path):
    with pytest.raises(ModelError, match="no such folder"):
        Tokenizer.load(tmp_path / "none")
    with pytest.raises(ModelError, match=r"tokenizer\.json"):
        Tokenizer.load(tmp_path)
    for content in (b"", tokenizer.definition.encode()[:-200], b"[]", b"{}", b"\xff\xfe", b'{"model": 3}'):
        (tmp_path / "tokenizer.json").write_bytes(content)
        with pytest.raises(FormatError, match=r"tokenizer\.json"):
            Tokenizer.load(tmp_path)
    tokenizer.save(tmp_path)
    for content in ("{", "[]"):
        (tmp_path / "tokenizer_config.json").write_text(content)
        with pytest.raises(FormatError, match=r"tokenizer_config\.json"):
            Tokenizer.load(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text('{"eos_token": "<|other|>"}')
    with pytest.raises(FormatError, match="other"):
        Tokenizer.load(tmp_path)


def test_a_folder_that_cannot_be_written(tokenizer, tmp_path):
    (tmp_path / "file").write_text("here")
    with pytest.raises(StorageError):
        tokenizer.save(tmp_path / "file" / "model")


def test_sentencepiece_like_pieces_have_bytes():
    pieces = {"<unk>": 0, "<0xE4>": 1, "<0xBD>": 2, "<0xA0>": 3, "\u2581hi": 4, "\u2581": 5, "h": 6, "i": 7}
    definition = {
        "version": "1.0",
        "added_tokens": [],
        "normalizer": None,
        "pre_tokenizer": None,
        "decoder": {"type": "Sequence", "decoders": [{"type": "ByteFallback"}, {"type": "Fuse"}]},
        "model": {"type": "BPE", "vocab": pieces, "merges": [], "unk_token": "<unk>", "byte_fallback": True},
    }
    llama = Tokenizer(json.dumps(definition))
    assert [llama.token_bytes(i) for i in (1, 2, 3, 4)] == [b"\xe4", b"\xbd", b"\xa0", b" hi"]
    wordpiece = {"type": "WordPiece", "unk_token": "<unk>", "continuing_subword_prefix": "##"}
    definition |= {"decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True}}
    definition["model"] = {**wordpiece, "max_input_chars_per_word": 100, "vocab": {"<unk>": 0, "hi": 1}}
    with pytest.raises(ConfigError, match="byte strings"):
        Tokenizer(json.dumps(definition)).token_bytes(1)


def test_no_torch_is_imported():
    code = (
        "import sys, hanmo.tokenizers.bpe, hanmo.tokenizers.chat, hanmo.tokenizers.streaming\n"
        "assert 'torch' not in sys.modules and 'transformers' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": ":".join(sys.path)})
