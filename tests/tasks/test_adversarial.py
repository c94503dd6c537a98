"""Adversarial training against the equations of Miyato et al. (2017), written out."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import functional as F

from hanmo.models.bert import BertConfig, bert
from hanmo.models.cnn import CNNConfig, cnn
from hanmo.tasks.text_classification import classification_loss
from hanmo.tasks.text_loss import LossSettings

BATCH = {
    "input_ids": torch.tensor([[2, 5, 6, 7, 3], [2, 8, 3, 0, 0]]),
    "attention_mask": torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]]),
    "labels": torch.tensor([0, 2]),
}


def small(kind: str) -> Any:
    torch.manual_seed(1)
    labels = ("a", "b", "c")
    if kind == "cnn":
        return cnn(CNNConfig(vocab_size=12, d_embedding=6, d_filters=4, widths=(2, 3), labels=labels))
    shape = {"vocab_size": 12, "d_model": 8, "n_layers": 1, "n_heads": 2, "max_len": 8, "labels": labels}
    return bert(BertConfig.model_validate(shape), "BertForSequenceClassification").eval()


def at(model: Any, vectors: torch.Tensor) -> torch.Tensor:
    logits = model(inputs_embeds=vectors, attention_mask=BATCH["attention_mask"]).logits
    return F.cross_entropy(logits, BATCH["labels"], reduction="sum")


@pytest.mark.parametrize("kind", ["cnn", "bert"])
@pytest.mark.parametrize("size", [0.01, 1.0])
def test_loss_and_gradients(kind: str, size: float) -> None:
    model = small(kind)
    vectors = F.embedding(BATCH["input_ids"], model.backbone.token_weight)
    plain = at(model, vectors)
    (gradient,) = torch.autograd.grad(plain, vectors, retain_graph=True)
    push = torch.stack([size * row / row.norm() for row in gradient]).detach()
    assert (push[1, 3:] == 0).all()  # nothing looks at padding
    expected = (plain + at(model, vectors + push)) / 2
    total, n = classification_loss("single", LossSettings(adversarial=size))(model, BATCH)
    torch.testing.assert_close(total, expected)
    assert n == 2
    assert total > plain
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    for one, two in zip(torch.autograd.grad(total, parameters), torch.autograd.grad(expected, parameters), strict=True):
        torch.testing.assert_close(one, two)


def test_a_frozen_table() -> None:
    model = small("cnn")
    model.backbone.token_weight.requires_grad_(False)
    total, _ = classification_loss("single", LossSettings(adversarial=1.0))(model, BATCH)
    total.backward()
    assert model.backbone.token_weight.grad is None
    assert model.head.out.weight.grad is not None
