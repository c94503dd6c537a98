"""A Marian directory as those of the hub: three files for the tokenizer, and a pair of languages."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from tests.generation.models import wild

import hanmo
from hanmo.core.errors import ConfigError
from hanmo.models.transformer import TransformerConfig, transformer
from hanmo.tasks.pair_examples import PairExample
from hanmo.tasks.seq2seq_model import Seq2SeqModel
from hanmo.tasks.text2text_learning import encode_pairs
from hanmo.tasks.text2text_model import Text2TextModel
from hanmo.tokenizers.marian import FILES
from hanmo.tokenizers.tokenizer import Tokenizer

GOLDEN = Path(__file__).parents[1] / "golden" / "marian"
SETTINGS = {"max_new_tokens": 12, "num_beams": 3}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tokenizer = Tokenizer.load(GOLDEN)
    sizes = {"d_model": 20, "n_heads": 2, "n_layers": 1, "n_decoder_layers": 1, "d_ff": 30}
    sizes |= {"max_len": 60, "vocab_size": tokenizer.vocab_size}
    ids = {"eos_id": tokenizer.eos_id, "pad_id": tokenizer.pad_id, "decoder_start_id": tokenizer.pad_id}
    config = TransformerConfig.model_validate(sizes | ids)
    path = tmp_path_factory.mktemp("marian")
    Seq2SeqModel(wild(transformer(config), 3), tokenizer).save(path)
    return path


def test_it_is_loaded_and_saved(folder: Path, tmp_path: Path) -> None:
    lm = hanmo.load(folder, device="cpu")
    text = lm.generate("Hello, the model", **SETTINGS)
    assert text
    lm.save(tmp_path)
    assert not (tmp_path / "tokenizer.json").exists()
    for name in (*FILES, "config.json", "model.safetensors"):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()
    assert hanmo.load(tmp_path, device="cpu").generate("Hello, the model", **SETTINGS) == text


def test_a_code_is_the_first_token(folder: Path) -> None:
    lm = hanmo.load(folder, device="cpu")
    plain, coded = (lm.generate(text, **SETTINGS) for text in ("the model", ">>zho<<the model"))
    assert plain != coded
    write = hanmo.pipeline("translation", folder, device="cpu")
    assert write("the model", tgt_lang="zho", **SETTINGS)[0]["translation_text"] == coded.strip()
    assert write(">>zho<<the model", **SETTINGS)[0]["translation_text"] == coded.strip()
    for told in ({}, {"tgt_lang": "zh"}, {"src_lang": "en", "tgt_lang": "zh"}):  # its only pair needs no code
        assert write("the model", **told, **SETTINGS)[0]["translation_text"] == plain.strip()
    with pytest.raises(ConfigError, match=r"not translate into fra.*zh, zho, eng"):
        write("the model", tgt_lang="fra")


def test_transformers_writes_the_same(folder: Path) -> None:
    lm = hanmo.load(folder, device="cpu")
    ids = torch.tensor([[*lm.tokenizer.encode("你好 the model"), lm.tokenizer.eos_id]])
    pad = lm.tokenizer.pad_id
    rival: Any = transformers.MarianMTModel.from_pretrained(folder)
    theirs = rival.generate(ids, do_sample=False, bad_words_ids=[[pad]], **SETTINGS)[0]
    assert lm.generate("你好 the model", **SETTINGS) == lm.tokenizer.decode(theirs[1:])


def test_targets_are_cut_by_their_own_model(folder: Path) -> None:
    model = Text2TextModel.of(hanmo.load(folder, device="cpu"))
    example = PairExample(source="the 模型 and 的", target="the 模型 and 的", where="1", references=("的",))
    (row,) = encode_pairs([example], model, overlong="error", notes=Counter())
    end = list(model.eos_ids)
    assert row["input_ids"] == model.tokenizer.encode(example.source) + end
    assert row["labels"] == model.tokenizer.encode_targets([example.target])[0] + end
    assert row["labels"] != row["input_ids"]
