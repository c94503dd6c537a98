"""An encoder from texts that are alike: the whole story at toy size, from nothing and from a checkpoint."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

import hanmo
from hanmo.core.errors import ConfigError, DataError
from hanmo.core.toml import to_toml
from hanmo.models.bert import BertConfig, bert, bert_encoder
from hanmo.models.directory import write_model
from hanmo.stories.similarity_recipe import SimilarityRecipe
from hanmo.stories.train import plan, read_recipe, train
from hanmo.tasks.embeddings import load_sentence_encoder
from hanmo.tokenizers.words import train_words

TOPICS = [
    ["退货 怎么 办理", "我 想 退货", "return this item", "refund the item"],
    ["发票 在 哪里", "请 开 发票", "send an invoice", "where is my invoice"],
    ["快递 到 哪 了", "查 快递", "track my parcel", "parcel not here"],
    ["密码 忘 了", "重置 密码", "forgot my password", "reset the password"],
]


def pairs(n: int, seed: int) -> list[dict[str, Any]]:
    draw = random.Random(seed)
    rows = []
    for _ in range(n):
        topic, other = draw.sample(TOPICS, 2)
        first, second = draw.sample(topic, 2)
        mark = f" {draw.randrange(10**6)}"
        rows.append({"text": first + mark, "pair": second + mark, "negative": draw.choice(other) + mark})
    return rows


def scores(n: int, seed: int) -> list[dict[str, Any]]:
    rows = pairs(n, seed)
    for number, row in enumerate(rows):
        if number % 2:
            row["pair"] = row["negative"]
        row["score"] = 0.5 if number % 2 else 4.5
    return rows


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("alike")
    for kind, make in (("pairs", pairs), ("scores", scores)):
        for seed, (name, n) in enumerate({"train": 64, "dev": 16, "test": 16}.items()):
            lines = [json.dumps(row, ensure_ascii=False) for row in make(n, seed)]
            (folder / f"{kind}-{name}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return folder


def recipe(folder: Path, kind: str = "scores", **more: Any) -> SimilarityRecipe:
    file = "scores" if kind == "scores" else "pairs"
    section: dict[str, Any] = {name: str(folder / f"{file}-{name}.jsonl") for name in ("train", "dev", "test")}
    section |= {"kind": kind} | ({"highest": 5} if kind == "scores" else {})
    values: dict[str, Any] = {
        "data": section,
        "model": {"encoder": "bag", "d_embedding": 24, "dropout": 0.0, "min_count": 1},
        "batch_size": 8,
        "training": {"epochs": 8, "lr": 2e-2, "checkpoint_seconds": None},
    }
    return SimilarityRecipe.model_validate(values | more)


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(recipe(data), out=tmp_path_factory.mktemp("runs") / "scores").run


def test_scores_are_learned(run: Path) -> None:
    evaluation = json.loads((run / "evaluation.json").read_text())["test"]
    assert evaluation["scores"]["spearman"] > 0.8
    assert set(evaluation["intervals"]) == {"spearman", "pearson"}
    predictions = [json.loads(line) for line in (run / "predictions.jsonl").read_text().splitlines()]
    assert len(predictions) == 32
    assert abs(predictions[0]["label"] - predictions[0]["predicted"]) >= abs(
        predictions[15]["label"] - predictions[15]["predicted"]
    )
    report = (run / "report.html").read_text()
    assert "Spearman" in report
    assert "Share right" not in report
    alike = hanmo.pipeline("sentence-similarity", run / "model")
    found = alike({"source_sentence": "我 想 退货", "sentences": ["refund the item", "send an invoice", "请 开 发票"]})
    assert found[0] > max(found[1:])


def test_a_finished_run_is_left_alone(run: Path, data: Path) -> None:
    before = (run / "model" / "model.safetensors").stat().st_mtime_ns
    result = train(recipe(data), out=run, resume=True)
    assert result.evaluation == json.loads((run / "evaluation.json").read_text())
    assert (run / "model" / "model.safetensors").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("kind", "encoder", "loss"),
    [
        ("pairs", "bag", {}),
        ("pairs", "cnn", {"temperature": 0.1}),
        ("triples", "bilstm", {"kind": "triplet", "margin": 0.5}),
        pytest.param("triples", "transformer", {"kind": "ranking"}, marks=pytest.mark.slow),
    ],
)
def test_pairs_and_triples_are_learned(kind: str, encoder: str, loss: Any, data: Path, tmp_path: Path) -> None:
    shape = {"encoder": encoder, "d_embedding": 24, "d_hidden": 16, "dropout": 0.0, "n_heads": 2, "max_len": 32}
    settings = recipe(
        data,
        kind,
        model=shape,
        loss=loss,
        training={"epochs": 12, "lr": 3e-3 if encoder == "cnn" else 1e-2, "patience": None},
    )
    result = train(settings, out=tmp_path / "run")
    found = result.evaluation["test"]["scores"]
    assert found["recall@1"] <= found["recall@5"] <= found["recall@10"]
    if kind == "triples":
        assert found["triplet_accuracy"] > 0.85
    else:
        assert found["recall@5"] > 0.7
    assert "spearman_before" not in found
    loaded = load_sentence_encoder(tmp_path / "run" / "model", device="cpu")
    assert loaded.encode(["退货", "a parcel"]).shape == (2, loaded.config.d_model)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bert")
    tokenizer = train_words([text for topic in TOPICS for text in topic], 200)
    torch.manual_seed(0)
    config = BertConfig(vocab_size=tokenizer.vocab_size, d_model=24, n_layers=1, n_heads=2, max_len=40)
    write_model(folder, bert_encoder(config))
    tokenizer.save(folder)
    return folder


@pytest.mark.parametrize("pooling", ["mean", "cls", "max"])
def test_from_a_checkpoint(pooling: str, checkpoint: Path, data: Path, tmp_path: Path) -> None:
    model = {"checkpoint": str(checkpoint), "pooling": pooling}
    length: dict[str, Any] = {"epochs": 8, "lr": 1e-2} if pooling == "mean" else {"n_steps": 2}
    found = train(recipe(data, model=model, training=length), out=tmp_path / "run").evaluation["test"]
    if pooling == "mean":
        assert found["scores"]["spearman"] > max(0.7, found["scores"]["spearman_before"])
    assert "spearman_before" in found["intervals"]
    # what is written says how to pool, to hanmo and to sentence-transformers, and the stack loads in transformers
    folder = tmp_path / "run" / "model"
    texts = ["我 想 退货", "track my parcel", "发票"]
    loaded = load_sentence_encoder(folder, device="cpu")
    assert (loaded.pooling, loaded.normalize, loaded.max_len) == (pooling, True, 40)
    modules = json.loads((folder / "modules.json").read_text())
    assert [module["type"].rpartition(".")[2] for module in modules] == ["Transformer", "Pooling", "Normalize"]
    theirs = transformers.AutoModel.from_pretrained(folder).eval()
    inputs = transformers.AutoTokenizer.from_pretrained(folder)(texts, return_tensors="pt", padding=True)
    with torch.no_grad():
        hidden = theirs(**inputs).last_hidden_state
    real = inputs["attention_mask"][..., None].bool()
    pooled = {
        "mean": lambda: (hidden * real).sum(1) / real.sum(1),
        "cls": lambda: hidden[:, 0],
        "max": lambda: hidden.masked_fill(~real, -1e9).amax(1),
    }[pooling]()
    expected = torch.nn.functional.normalize(pooled, dim=-1).numpy()
    np.testing.assert_allclose(loaded.encode(texts), expected, atol=1e-5)


@pytest.mark.slow
def test_a_checkpoint_says_how_to_pool(checkpoint: Path, data: Path, tmp_path: Path) -> None:
    settings = recipe(data, model={"checkpoint": str(checkpoint), "pooling": "max"}, training={"n_steps": 1})
    first = train(settings, out=tmp_path / "first").run / "model"
    settings = recipe(data, model={"checkpoint": str(first)}, training={"n_steps": 1})
    assert load_sentence_encoder(train(settings, out=tmp_path / "second").run / "model").pooling == "max"


def test_a_masked_language_model_is_a_start(data: Path, checkpoint: Path, tmp_path: Path) -> None:
    loaded = hanmo.load(checkpoint)
    write_model(tmp_path / "mlm", bert(loaded.config, "BertForMaskedLM"))
    loaded.tokenizer.save(tmp_path / "mlm")
    settings = recipe(data, "pairs", model={"checkpoint": str(tmp_path / "mlm")}, training={"n_steps": 2})
    assert train(settings, out=tmp_path / "run").evaluation["test"]["scores"]["mrr_before"] > 0


def test_a_plan(data: Path, tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text(to_toml(recipe(data, "triples").model_dump(mode="json")))
    text = plan(tmp_path / "recipe.toml")
    assert "64 train, 16 dev, 16 test" in text
    assert "CNNModel" in text
    assert "(8, 3, " in text
    assert isinstance(read_recipe(tmp_path / "recipe.toml"), SimilarityRecipe)


def test_texts_longer_than_the_model(data: Path, checkpoint: Path, tmp_path: Path) -> None:
    lines = [{"text": "退货 " * 60, "pair": f"退货 {n}"} for n in range(6)] + pairs(20, 5)
    (tmp_path / "long.jsonl").write_text("\n".join(map(json.dumps, lines)))
    section = {"train": str(tmp_path / "long.jsonl"), "dev": str(data / "pairs-dev.jsonl")}
    model = {"checkpoint": str(checkpoint)}
    with pytest.raises(DataError, match=r"6 examples have a text of more than 40 tokens: .*long\.jsonl:1"):
        train(recipe(data, data=section, model=model, training={"n_steps": 1}), out=tmp_path / "a")
    cut = recipe(data, data=section | {"overlong": "truncate"}, model=model, training={"n_steps": 1})
    assert train(cut, out=tmp_path / "b").status == "finished"


@pytest.mark.parametrize(
    ("kind", "section", "match"),
    [
        ("pairs", {"loss": {"kind": "cosine"}}, 'loss.kind = "cosine" is not for data.kind = "pairs"'),
        ("scores", {"loss": {"margin": 0.2}}, "loss.margin has no meaning"),
        ("pairs", {"batch_size": 1}, "batch_size = 1 leaves nothing to choose from"),
        ("pairs", {"model": {"checkpoint": "x", "dropout": 0.1}}, "dropout is that of a head"),
        ("pairs", {"model": {"encoder": "bag", "embeddings": "x", "freeze_embeddings": True}}, "nothing to learn"),
        ("pairs", {"model": {"pooling": "sum"}}, "pooling"),
    ],
)
def test_impossible_recipes(data: Path, kind: str, section: dict[str, Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        recipe(data, kind, **section)


def test_a_family_without_an_encoder(data: Path, tmp_path: Path) -> None:
    from hanmo.tasks.embeddings import sentence_architecture

    assert sentence_architecture(["GPT2LMHeadModel", "GPT2Model"]) == "GPT2Model"
    with pytest.raises(ConfigError, match="no encoder of texts"):
        sentence_architecture(["CLIPModel", "MarianMTModel", "GPT2LMHeadModel", "BertForMaskedLM"])
