"""source.spm, target.spm and vocab.json, against what `transformers` (over SentencePiece) says of the same files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from hanmo.core.errors import ConfigError, DataError, FormatError
from hanmo.tokenizers.marian import FILES, MarianTokenizer
from hanmo.tokenizers.sentencepiece_file import read_sentencepiece
from hanmo.tokenizers.streaming import StreamDecoder
from hanmo.tokenizers.tokenizer import Tokenizer, has_tokenizer

GOLDEN = Path(__file__).parents[1] / "golden" / "marian"
EXPECTED: list[dict[str, Any]] = json.loads((GOLDEN / "expected.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.load(GOLDEN)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in (*FILES, "tokenizer_config.json"):
        shutil.copy(GOLDEN / name, tmp_path / name)
    return tmp_path


@pytest.mark.parametrize("case", EXPECTED, ids=[case["text"][:20] for case in EXPECTED])
def test_ids_are_those_of_transformers(case: dict[str, Any], tokenizer: Tokenizer) -> None:
    end = [tokenizer.eos_id]
    assert tokenizer.encode(case["text"]) + end == case["ids"]
    if not case["text"].startswith(">>"):  # there a code is one in what is written, too; no model writes one
        assert tokenizer.encode_targets([case["text"]])[0] + end == case["targets"]
    assert tokenizer.decode(case["targets"]).strip() == case["decoded"].strip()
    stream = StreamDecoder(tokenizer)
    assert ("".join(map(stream.push, case["targets"])) + stream.finish()).strip() == case["decoded"].strip()


def test_what_no_tokenizer_json_could_say_is_among_them(tokenizer: Tokenizer) -> None:
    vocabulary = tokenizer.vocabulary()
    source, target = (
        {piece.text for piece in read_sentencepiece(GOLDEN / name).pieces} for name in ("source.spm", "target.spm")
    )
    assert source - vocabulary.keys()  # pieces without an id
    mixed = "the 模型 and the 翰墨 的 model"
    assert vocabulary["的"] in tokenizer.encode(mixed)  # known to the target alone
    assert "的" in target - source
    assert tokenizer.encode(mixed) != tokenizer.encode_targets([mixed])[0]


def test_no_text_can_write_a_special_token(tokenizer: Tokenizer) -> None:
    ids = [*tokenizer.encode("a </s> b<pad>>>zho<<"), *tokenizer.encode_targets(["</s><pad>"])[0]]
    assert not {tokenizer.eos_id, tokenizer.pad_id, tokenizer.token_id(">>zho<<")} & set(ids)


def test_language_codes(tokenizer: Tokenizer) -> None:
    assert isinstance(tokenizer, MarianTokenizer)
    assert tokenizer.codes == (">>zho<<", ">>eng<<")
    assert tokenizer.encode(">>zho<<model") == [tokenizer.token_id(">>zho<<"), *tokenizer.encode("model")]
    with pytest.raises(DataError, match=r"text 2.*no language code >>fra<<.*>>zho<<, >>eng<<"):
        tokenizer.encode_batch(["a", ">>fra<< b"])
    ((ids, spans),) = tokenizer.encode_spans([">>zho<<model"])
    assert len(ids) == len(spans)
    assert (spans[0], spans[-1][1]) == ((0, 7), 12)


def test_the_files_are_written_as_they_were(folder: Path, tokenizer: Tokenizer) -> None:
    first = Tokenizer.load(folder)
    (folder / "new").mkdir()
    (folder / "new" / "tokenizer.json").write_text("of another one")
    first.save(folder / "new")
    assert sorted(file.name for file in (folder / "new").iterdir()) == sorted((*FILES, "tokenizer_config.json"))
    for name in FILES:
        assert (folder / "new" / name).read_bytes() == (GOLDEN / name).read_bytes()
    second = Tokenizer.load(folder / "new")
    assert (second.config, second.sha256) == (first.config, first.sha256)
    assert second.sha256 == tokenizer.sha256
    assert [second.encode(case["text"]) for case in EXPECTED] == [first.encode(case["text"]) for case in EXPECTED]


def test_what_needs_a_tokenizer_json_is_refused(tokenizer: Tokenizer) -> None:
    for use in (lambda: tokenizer.definition, lambda: tokenizer.plain, lambda: tokenizer.with_chat_template("x")):
        with pytest.raises(ConfigError, match=r"has no tokenizer.json"):
            use()
    with pytest.raises(ConfigError, match="reads no special tokens"):
        tokenizer.encode("</s>", allow_special=True)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("vocab.json", "[1]", r"vocab.json.*not a table"),
        ("vocab.json", '{"a": 0, "b": 0}', "the same id"),
        ("vocab.json", '{"a": 0, "<unk>": 1, "</s>": 2}', "'<pad>' is not in the vocabulary"),
        ("source.spm", "", r"source.spm.*not a SentencePiece model"),
        ("tokenizer_config.json", '{"separate_vocabs": true}', "separate_vocabs = True is not supported"),
        ("tokenizer_config.json", '{"sp_model_kwargs": {"enable_sampling": true}}', "sp_model_kwargs"),
        (
            "tokenizer_config.json",
            '{"added_tokens_decoder": {"3": {"content": "</s>"}}}',
            "'</s>' is not in vocab.json",
        ),
        ("tokenizer_config.json", '{"additional_special_tokens": ["<eop>"]}', "'<eop>' is not in vocab.json"),
    ],
)
def test_files_that_do_not_fit(name: str, content: str, words: str, folder: Path) -> None:
    (folder / name).write_text(content)
    assert has_tokenizer(folder)
    with pytest.raises(FormatError, match=words):
        Tokenizer.load(folder)


def test_a_model_that_is_no_unigram_is_refused(folder: Path) -> None:
    shutil.copy(GOLDEN.parent / "sentencepiece" / "llama.model", folder / "target.spm")
    with pytest.raises(FormatError, match=r"target.spm.*'bpe' is not supported"):
        Tokenizer.load(folder)
