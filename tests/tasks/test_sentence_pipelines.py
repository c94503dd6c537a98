"""Vectors and similarities of texts: the answers of `transformers.pipeline`, and the files of sentence-transformers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

import hanmo
from hanmo.core.errors import ConfigError, DataError, ModelError
from hanmo.models.bert import BertConfig, bert_encoder
from hanmo.models.cnn import CNNConfig, cnn
from hanmo.models.directory import write_model
from hanmo.tasks.embeddings import SentenceEncoder, load_sentence_encoder
from hanmo.tasks.predict_file import predict_file
from hanmo.tasks.sentence_modules import SentenceSettings, read_sentence_settings
from hanmo.tokenizers.words import train_words

TEXTS = ["the old teacher wrote a letter", "老先生清早写信", "a"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("encoder")
    tokenizer = train_words(TEXTS, 100, model_max_length=24)
    torch.manual_seed(0)
    config = BertConfig(vocab_size=tokenizer.vocab_size, d_model=12, n_layers=2, n_heads=3, max_len=24, init_std=0.5)
    SentenceEncoder(bert_encoder(config), tokenizer, pooling="max", normalize=False, max_len=16).save(path)
    return path


@pytest.mark.parametrize("inputs", [TEXTS[0], TEXTS[1], TEXTS, [TEXTS[2]]])
def test_features_of_transformers(folder: Path, inputs: Any) -> None:
    theirs = transformers.pipeline("feature-extraction", str(folder), device="cpu")(inputs)
    ours = hanmo.pipeline("feature-extraction", folder, device="cpu")(inputs)
    one = isinstance(inputs, str)
    for mine, other in zip([ours] if one else ours, [theirs] if one else theirs, strict=True):
        assert len(mine) == 1
        np.testing.assert_allclose(mine, other, atol=1e-5)


def test_features_as_tensors(folder: Path) -> None:
    extract = hanmo.pipeline("feature-extraction", folder, device="cpu")
    theirs = transformers.pipeline("feature-extraction", str(folder), device="cpu")
    for mine, other in zip(extract(TEXTS, return_tensors=True), theirs(TEXTS, return_tensors=True), strict=True):
        assert mine.shape == other.shape
        torch.testing.assert_close(mine, other, atol=1e-5, rtol=0)
    pooled = extract(TEXTS[1], pooled=True, return_tensors=True)
    assert pooled.tolist() == extract(TEXTS[1], pooled=True)


def test_pooled_features(folder: Path) -> None:
    extract = hanmo.pipeline("feature-extraction", folder, device="cpu")
    encoder = load_sentence_encoder(folder, device="cpu")
    assert (encoder.pooling, encoder.normalize, encoder.max_len) == ("max", False, 16)
    np.testing.assert_allclose(extract(TEXTS, pooled=True), encoder.encode(TEXTS), atol=1e-6)
    np.testing.assert_allclose(extract(TEXTS[0], pooled=True), np.max(extract(TEXTS[0])[0], axis=0), atol=1e-6)
    assert next(extract(iter(TEXTS), pooled=True)) == pytest.approx(extract(TEXTS[0], pooled=True), abs=1e-6)
    assert extract([]) == []


def test_similarities(folder: Path) -> None:
    alike = hanmo.pipeline("sentence-similarity", folder, device="cpu")
    vectors = load_sentence_encoder(folder, device="cpu").encode(TEXTS)
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    question = {"source_sentence": TEXTS[0], "sentences": TEXTS}
    found = alike(question)
    assert found == pytest.approx((vectors @ vectors[0]).tolist(), abs=1e-5)
    assert found[0] == pytest.approx(1, abs=1e-6)
    pair = {"text": TEXTS[0], "text_pair": TEXTS[1]}
    assert alike(pair) == pytest.approx(found[1], abs=1e-6)
    nothing = {"source_sentence": "a", "sentences": []}
    several = alike([pair, question, nothing])
    assert [several[0], several[1][1], several[2]] == [pytest.approx(found[1]), pytest.approx(found[1]), []]
    # what a model cannot read at once is read in windows
    assert 0 < alike({"text": " ".join(TEXTS * 5), "text_pair": TEXTS[0]}) < 1


def test_refused(folder: Path, tmp_path: Path) -> None:
    alike = hanmo.pipeline("sentence-similarity", folder)
    for wrong in (
        "a",
        {"text": "a"},
        {"source_sentence": "a", "sentences": "b"},
        [{"source_sentence": 1, "sentences": []}],
    ):
        with pytest.raises(DataError, match="does not say what to compare"):
            alike(wrong)
    with pytest.raises(ConfigError, match="there is no option 'top_k'"):
        alike({"text": "a", "text_pair": "b"}, top_k=2)
    extract = hanmo.pipeline("feature-extraction", folder)
    with pytest.raises(DataError, match="22 tokens, but at most 16"):
        extract("a " * 20)
    assert len(extract("a " * 20, overlong="truncate")[0]) == 16
    assert len(extract("a " * 20, overlong="windows", pooled=True)) == 12
    with pytest.raises(ConfigError, match="cannot be taken from windows"):
        extract("a", overlong="windows")
    tokenizer = train_words(TEXTS, 100)
    classifier = cnn(CNNConfig(vocab_size=tokenizer.vocab_size, d_embedding=8, d_filters=4))
    write_model(tmp_path, classifier)
    tokenizer.save(tmp_path)
    assert len(hanmo.pipeline("feature-extraction", tmp_path)("a", pooled=True)) == 12


def test_a_file_of_pairs(folder: Path, tmp_path: Path) -> None:
    rows = [{"id": 1, "text": TEXTS[0], "text_pair": TEXTS[2]}, {"id": 2, "source_sentence": "a", "sentences": TEXTS}]
    (tmp_path / "in.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    assert (
        predict_file(hanmo.pipeline("sentence-similarity", folder), tmp_path / "in.jsonl", tmp_path / "out.jsonl") == 2
    )
    found = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert isinstance(found[0]["answer"], float)
    assert len(found[1]["answer"]) == 3


def write_new_form(folder: Path, mode: Any, **more: Any) -> Path:
    """As sentence-transformers 6 writes it."""
    (folder / "1_Pooling").mkdir()
    base = "sentence_transformers.base.modules"
    kinds = [f"{base}.transformer.Transformer", "sentence_transformers.sentence_transformer.modules.pooling.Pooling"]
    modules = [
        {"idx": n, "name": str(n), "path": f"{n}_Pooling" if n else "", "type": kind} for n, kind in enumerate(kinds)
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    settings = {"embedding_dimension": 12, "pooling_mode": mode, "include_prompt": True}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(settings))
    (folder / "sentence_bert_config.json").write_text('{"transformer_task": "feature-extraction"}')
    (folder / "tokenizer_config.json").write_text(json.dumps({"model_max_length": 32} | more))
    return folder


def test_the_form_of_release_6(tmp_path: Path) -> None:
    settings = read_sentence_settings(write_new_form(tmp_path, "lasttoken"))
    assert settings == SentenceSettings(pooling="last", normalize=False, max_len=32)
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"model_max_length": int(1e30)}))
    assert read_sentence_settings(tmp_path).max_len is None


@pytest.mark.parametrize("mode", ["weightedmean", ["cls", "mean"]])
def test_pooling_that_is_not_supported(tmp_path: Path, mode: Any) -> None:
    with pytest.raises(ModelError, match=r"this pooling is not supported: .*mean"):
        read_sentence_settings(write_new_form(tmp_path, mode))
