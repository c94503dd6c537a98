"""Losses over vectors of texts against plain loops, rows for batches, and the figures against brute force."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from hanmo.batches.padded_rows import PaddedRows, collate
from hanmo.core.errors import DataError
from hanmo.models.bert import BertConfig, bert_encoder
from hanmo.tasks.embeddings import SentenceEncoder
from hanmo.tasks.similarity import (
    check_lengths,
    cosine_loss,
    encode_similar,
    ranking_loss,
    similarity_fills,
    similarity_loss,
    triplet_loss,
)
from hanmo.tasks.similarity_examples import SimilarityExample
from hanmo.tasks.similarity_figures import find, glance_at_similarity, similarity_figures, similarity_records
from hanmo.tasks.similarity_settings import SimilarityData, SimilarityLoss
from hanmo.tasks.splits import Splits
from hanmo.tokenizers.framed import encode_windows
from hanmo.tokenizers.words import train_words

TEXTS = ["怎么退货", "退货流程是什么", "where is my order", "track the order", "a b c", "c", "发票 invoice", "开发票"]


@pytest.fixture(scope="module")
def encoder() -> SentenceEncoder:
    tokenizer = train_words(TEXTS, 100)
    torch.manual_seed(0)
    config = BertConfig(vocab_size=tokenizer.vocab_size, d_model=12, n_layers=1, n_heads=2, max_len=12)
    return SentenceEncoder(bert_encoder(config), tokenizer)


def example(*texts: str, score: float | None = None, where: str = "f:1") -> SimilarityExample:
    return SimilarityExample(texts, score, where)


def vectors(*shape: int) -> torch.Tensor:
    return F.normalize(torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(3)), dim=-1)


def plain_ranking(v: torch.Tensor, numbers: Sequence[Sequence[int]], temperature: float) -> float:
    total = 0.0
    for i, own in enumerate(numbers):
        scores = []
        for j, others in enumerate(numbers):
            for k in range(1, len(others)):
                right = (j, k) == (i, 1)
                same = others[k] in own[:2] or (k == 1 and others[0] == own[0])
                if right or not same:
                    scores.append((float(v[i, 0] @ v[j, k]) / temperature, right))
        total -= next(score for score, right in scores if right) - math.log(sum(math.exp(s) for s, _ in scores))
    return total


@pytest.mark.parametrize("k", [2, 3])
def test_ranking_loss(k: int) -> None:
    v = vectors(5, k, 8)
    # the second text of row 3 is that of row 0; rows 1 and 4 ask the same; the second of row 2 is the question of row 0
    numbers = [[0, 1, 2], [3, 4, 5], [6, 0, 7], [8, 1, 9], [3, 10, 11]]
    numbers = [row[:k] for row in numbers]
    loss = ranking_loss(v, torch.tensor(numbers), 0.1)
    assert loss.item() == pytest.approx(plain_ranking(v, numbers, 0.1), rel=1e-9)
    # one example alone has nothing to choose from
    assert ranking_loss(v[:1, :2], torch.tensor([[0, 1]]), 0.1).item() == pytest.approx(0)


def test_other_losses() -> None:
    v = vectors(4, 3, 8)
    cosines = (v[:, :1] * v[:, 1:]).sum(-1)
    plain = sum(max(0.0, 0.3 - float(right) + float(wrong)) for right, wrong in cosines)
    assert triplet_loss(v, 0.3).item() == pytest.approx(plain)
    labels = torch.tensor([0.0, 1.0, 0.5, 0.25], dtype=torch.float64)
    assert cosine_loss(v[:, :2], labels).item() == pytest.approx(float(((cosines[:, 0] - labels) ** 2).sum()))


def test_rows_and_their_loss(encoder: SentenceEncoder) -> None:
    examples = [example(TEXTS[0], TEXTS[1], score=5.0), example(TEXTS[2], TEXTS[4], score=1.0)]
    rows = encode_similar(examples, encoder, highest=5.0)
    assert [row["labels"] for row in rows] == [1.0, 0.2]
    assert [row["texts"] for row in rows] == [[0, 1], [2, 3]]
    batch = collate(rows, similarity_fills(0))
    assert batch["input_ids"].shape == (2, 2, 9)
    assert batch["attention_mask"].sum(-1).tolist() == [[6, 9], [6, 5]]
    loss, n = similarity_loss("cosine", SimilarityLoss(), "mean")(encoder.model, batch)
    cosines = encoder.similarity([TEXTS[0], TEXTS[2]], [TEXTS[1], TEXTS[4]])
    assert n == 2
    assert loss.item() == pytest.approx(float(((cosines - [1.0, 0.2]) ** 2).sum()), abs=1e-5)
    triples = encode_similar([example(*TEXTS[:3]), example(TEXTS[0], *TEXTS[3:5])], encoder)
    batches = PaddedRows(triples, fills=similarity_fills(0), batch_size=2, seed=0)
    batch = batches.next()
    assert batch["input_ids"].shape[:2] == (2, 3)
    for kind in ("ranking", "triplet"):
        assert similarity_loss(kind, SimilarityLoss(), "max")(encoder.model, batch)[0].item() > 0


def test_long_texts_are_named(encoder: SentenceEncoder) -> None:
    long = example("a " * 30, "c", where="train.tsv:7")
    with pytest.raises(DataError, match=r"text of more than 12 tokens: train\.tsv:7: 32 tokens.*overlong"):
        check_lengths(Splits([long], [example("a", "b")], [], (), {}), encoder)
    assert [len(ids) for ids in encode_similar([long], encoder)[0]["input_ids"]] == [12, 3]


def test_long_texts_in_windows(encoder: SentenceEncoder) -> None:
    long = " ".join(["a b c"] * 5)
    with pytest.raises(DataError, match="17 tokens, but at most 12"):
        encoder.encode([long])
    rows = encode_windows(encoder.tokenizer, [long], max_len=12, overlap=64)[0]
    each = torch.cat([encoder._vectors({"input_ids": torch.tensor([row.ids])}) for row in rows])
    mean = F.normalize(each.mean(0), dim=0).detach().numpy()
    found = encoder.encode(["c", long], overlong="windows")
    np.testing.assert_allclose(found[1], mean, atol=1e-5)
    np.testing.assert_allclose(found[0], encoder.encode(["c"])[0], atol=1e-6)


class Fixed:
    """Vectors that are known."""

    def __init__(self, table: dict[str, list[float]]):
        self.table = table

    def encode(self, texts: Sequence[str], **_: Any) -> np.ndarray:
        return np.array([self.table[text] for text in texts], dtype=np.float32)


def test_ranking_figures_against_brute_force() -> None:
    draw = np.random.default_rng(0)
    questions = [f"问 {n}" for n in range(40)]
    answers = [f"答 {n}" for n in range(40)]
    noisy = {
        text: (np.eye(40)[n % 40] + draw.normal(0, 0.3, 40)).tolist() for n, text in enumerate(questions + answers)
    }
    examples = [example(*pair, where=f"f:{n}") for n, pair in enumerate(zip(questions, answers, strict=True))]
    examples.append(example(questions[0], answers[1]))  # two answers belong to the first question
    encoder: Any = Fixed(noisy)
    data = SimilarityData.model_construct(kind="pairs", overlong="error")
    found = find(encoder, examples, data)
    ranks = []
    for one in examples:
        right = {other.texts[1] for other in examples if other.texts[0] == one.texts[0]} - {one.texts[1]}
        q = np.array(noisy[one.texts[0]])
        cosines = {a: q @ np.array(noisy[a]) / np.linalg.norm(noisy[a]) for a in answers if a not in right}
        ranks.append(sorted(cosines, key=lambda a: -cosines[a]).index(one.texts[1]) + 1)
    assert found.ranks is not None
    assert found.ranks.tolist() == ranks
    figures = similarity_figures(found, examples, before=found).to_dict(seed=0)
    scores = figures["scores"]
    assert 0.2 < scores["mrr"] < 0.99
    assert scores["mrr"] == scores["mrr_before"] == pytest.approx(np.mean([1 / rank for rank in ranks]))
    assert scores["recall@5"] == pytest.approx(np.mean([rank <= 5 for rank in ranks]))
    assert all(figures["intervals"][name]["low"] <= value <= figures["intervals"][name]["high"] for name, value in scores.items())  # fmt: skip
    assert glance_at_similarity(found, examples)["error"] == pytest.approx(1 - scores["mrr"])
    records = similarity_records(found, examples, data)
    assert records[0]["rank"] == max(ranks)
    assert all(row["right"] == (row["predicted"] == row["label"]) == (row["rank"] == 1) for row in records)


def test_figures_of_triples_and_scores() -> None:
    table = {"a": [1.0, 0], "b": [0.9, 0.1], "c": [0.0, 1], "猫": [0.5, 0.5], "d": [-1.0, 0]}
    encoder: Any = Fixed(table)
    triples = [example("a", "b", "c"), example("猫", "d", "a")]
    data = SimilarityData.model_construct(kind="triples", overlong="error")
    figures = similarity_figures(find(encoder, triples, data), triples).to_dict(seed=0)
    assert figures["scores"]["triplet_accuracy"] == 0.5
    scored = [example("a", "b", score=5.0), example("a", "c", score=2.0), example("a", "d", score=0.0)]
    data = SimilarityData.model_construct(kind="scores", overlong="error", lowest=0.0, highest=5.0)
    found = find(encoder, scored, data)
    figures = similarity_figures(found, scored).to_dict(seed=0)
    assert figures["scores"]["spearman"] == 1.0
    assert glance_at_similarity(found, scored) == {"error": 0.0, "spearman": 1.0}
    records = similarity_records(found, scored, data)
    assert records[0]["where"] == "f:1"
    assert sorted(row["predicted"] for row in records) == pytest.approx([-5.0, 0.0, 4.97], abs=0.01)


def test_a_question_is_no_answer_to_itself(encoder: SentenceEncoder) -> None:
    """Paraphrases stand on both sides: of (A, A2), (A3, A) the choice A, which is like A as nothing else is, is left out."""
    examples = [example("怎么退货", "如何退货"), example("退货流程", "怎么退货"), example("track it", "where is it")]
    found = find(encoder, examples, SimilarityData(train="."))
    assert found.best is not None
    assert found.best[0] != "怎么退货"
    vectors = encoder.encode(["怎么退货", "如何退货", "where is it"])
    assert found.ranks is not None
    assert found.ranks[0] == 1 + (vectors[0] @ vectors[2] > vectors[0] @ vectors[1])
