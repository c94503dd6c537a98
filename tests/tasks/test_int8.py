"""Pipelines that compute in 8 bits: near those in float32, for every encoder; what cannot have them says so."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import hanmo
from hanmo.cli.app import main
from hanmo.core.errors import ConfigError, ModelError
from hanmo.models.albert import AlbertConfig, albert
from hanmo.models.bert import BertConfig, bert, bert_encoder
from hanmo.models.directory import write_model
from hanmo.models.gpt2 import GPT2Config, gpt2
from hanmo.models.int8 import use_int8
from hanmo.nn.int8_linear import Int8Linear
from hanmo.tokenizers.words import train_words

TEXTS = ["the film is fine", "房间很干净，服务很热情", "no", "a long and rather dull film, not fine at all", "房间太小"]
LABELS = ("NEGATIVE", "POSITIVE", "无")


def write(folder: Path, family: str = "bert", architecture: str = "BertForSequenceClassification") -> Path:
    tokenizer = train_words(TEXTS, 100)
    shape = {"vocab_size": tokenizer.vocab_size, "n_layers": 2, "n_heads": 4}
    torch.manual_seed(1)
    match family:
        case "bert":
            config = BertConfig.model_validate(shape | {"d_model": 64, "max_len": 64, "labels": LABELS})
            model = bert_encoder(config) if architecture == "BertModel" else bert(config, architecture)
        case "albert":
            config = AlbertConfig.model_validate(shape | {"d_model": 64, "d_ff": 128, "max_len": 64, "labels": LABELS})
            model = albert(config, architecture)
        case _:
            model = gpt2(GPT2Config.model_validate(shape | {"d_model": 64, "max_len": 64}))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    write_model(folder, model)
    tokenizer.save(folder)
    return folder


@pytest.mark.parametrize("family", ["bert", "albert"])
def test_probabilities_are_near_those_in_float32(family: str, tmp_path: Path) -> None:
    folder = write(tmp_path, family, f"{family.capitalize()}ForSequenceClassification")
    exact, rounded = (hanmo.pipeline("text-classification", folder, dtype=dtype) for dtype in ("float32", "int8"))
    one, two = exact(TEXTS, top_k=None), rounded(TEXTS, top_k=None)
    for right, found in zip(one, two, strict=True):
        assert {item["label"]: item["score"] for item in found} == pytest.approx(
            {item["label"]: item["score"] for item in right}, abs=0.03
        )
    assert one != two
    layers = [module for module in rounded.classifier.model.modules() if isinstance(module, Int8Linear)]
    assert len(layers) >= 4
    assert rounded(TEXTS[3]) == [pytest.approx(rounded(TEXTS)[3])]


def test_sentence_vectors_point_the_same_way(tmp_path: Path) -> None:
    folder = write(tmp_path, architecture="BertModel")
    exact, rounded = (hanmo.pipeline("feature-extraction", folder, dtype=dtype) for dtype in ("float32", "int8"))
    one, two = (np.array([pipe(text, pooled=True) for text in TEXTS]).squeeze() for pipe in (exact, rounded))
    cosines = (one * two).sum(-1) / np.linalg.norm(one, axis=-1) / np.linalg.norm(two, axis=-1)
    assert (cosines > 0.999).all()
    assert (one != two).any()


def test_what_cannot_have_them(tmp_path: Path) -> None:
    classifier = write(tmp_path / "bert")
    with pytest.raises(ConfigError, match="'int4'"):
        hanmo.pipeline("text-classification", classifier, dtype="int4")
    with pytest.raises(ModelError, match="for encoders, not for a LanguageModel"):
        hanmo.pipeline("zero-shot-classification", write(tmp_path / "gpt2", "gpt2"), dtype="int8")
    with pytest.raises(ModelError, match="for the CPU"):
        use_int8(torch.nn.Linear(64, 64, device="meta"), where="here")
    with pytest.raises(ModelError, match="no layer"):
        use_int8(bert(BertConfig(vocab_size=9, d_model=16, n_layers=1, n_heads=2)), where="here")


def test_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, source, out = write(tmp_path / "model"), tmp_path / "texts.txt", tmp_path / "answers.jsonl"
    source.write_text("\n".join(TEXTS), encoding="utf-8")
    assert main(["predict", "text-classification", str(folder), TEXTS[1], "--int8", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    wanted = hanmo.pipeline("text-classification", folder, dtype="int8")(TEXTS)
    assert told["score"] == pytest.approx(wanted[1]["score"], abs=1e-6)
    # what was begun in float32 is not gone on with
    partial = out.with_name("answers.jsonl.partial")
    assert main(["predict", "text-classification", str(folder), "--file", str(source), "--out", str(out)]) == 0
    out.rename(partial)
    Path(f"{partial}.json").write_text(json.dumps({"made_by": "x", "options": {}}), encoding="utf-8")
    command = ["predict", "text-classification", str(folder), "--file", str(source), "--out", str(out), "--int8"]
    assert main(command) == 1
    assert "another model" in capsys.readouterr().err
    partial.unlink()
    assert main(command) == 0
    answers = [json.loads(line)["answer"]["score"] for line in out.read_text(encoding="utf-8").splitlines()]
    assert answers == pytest.approx([item["score"] for item in wanted], abs=1e-6)
