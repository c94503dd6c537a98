"""Mixtures of examples against the equations of Guo et al. (2019), written out."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import functional as F

from hanmo.models.bert import BertConfig, bert
from hanmo.models.cnn import CNNConfig, cnn
from hanmo.tasks.mixup import mixed_loss
from hanmo.tasks.text_classification import classification_loss
from hanmo.tasks.text_loss import LossSettings

IDS = torch.tensor([[2, 5, 6, 7, 3], [2, 8, 3, 0, 0], [2, 9, 5, 3, 0]])
MASK = (IDS != 0).long()


def drawn(seed: int, alpha: float) -> tuple[float, torch.Tensor]:
    """λ and the partners of a batch of three, as the loss draws them."""
    torch.manual_seed(seed)
    return float(torch.distributions.Beta(alpha, alpha).sample()), torch.randperm(3)


def small(kind: str, **more: Any) -> Any:
    torch.manual_seed(1)
    if kind == "cnn":
        return cnn(CNNConfig(vocab_size=12, d_embedding=6, d_filters=4, widths=(2, 3), labels=("a", "b", "c"), **more))
    shape = {"vocab_size": 12, "d_model": 8, "n_layers": 1, "n_heads": 2, "max_len": 8, "labels": ("a", "b", "c")}
    return bert(BertConfig.model_validate(shape | more), "BertForSequenceClassification").eval()


@pytest.mark.parametrize("kind", ["cnn", "bert"])
def test_sentences(kind: str) -> None:
    """Vectors are mixed before the last matrix, and the target is the mixture of both labels."""
    model = small(kind)
    labels = torch.tensor([0, 2, 1])
    share, order = drawn(3, 0.4)
    seen: list[torch.Tensor] = []
    hook = model.head.out.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    model(input_ids=IDS, attention_mask=MASK)
    hook.remove()
    vectors = share * seen[0] + (1 - share) * seen[0][order]
    target = share * F.one_hot(labels, 3) + (1 - share) * F.one_hot(labels[order], 3)
    expected = F.cross_entropy(model.head.out(vectors), target, reduction="sum")
    torch.manual_seed(3)
    loss = mixed_loss(classification_loss("single", LossSettings()), "sentences", 0.4)
    total, n = loss(model, {"input_ids": IDS, "attention_mask": MASK, "labels": labels})
    torch.testing.assert_close(total, expected)
    assert n == 3


@pytest.mark.parametrize("kind", ["cnn", "bert"])
def test_words(kind: str) -> None:
    model = small(kind)
    labels = torch.tensor([0, 2, 1])
    share, order = drawn(5, 1.0)
    table = model.backbone.token_weight
    vectors = table[IDS] * MASK[..., None]
    mixed = share * vectors + (1 - share) * vectors[order]
    logits = model(inputs_embeds=mixed, attention_mask=torch.maximum(MASK, MASK[order])).logits
    target = share * F.one_hot(labels, 3) + (1 - share) * F.one_hot(labels[order], 3)
    torch.manual_seed(5)
    loss = mixed_loss(classification_loss("single", LossSettings()), "words", 1.0)
    total, _ = loss(model, {"input_ids": IDS, "attention_mask": MASK, "labels": labels})
    torch.testing.assert_close(total, F.cross_entropy(logits, target, reduction="sum"))
    total.backward()
    assert model.head.out.weight.grad is not None


@pytest.mark.parametrize("how", ["words", "sentences"])
def test_rows_of_one_length_have_no_mask(how: Any) -> None:
    loss = mixed_loss(classification_loss("single", LossSettings(label_smoothing=0.1)), how, 1.0)
    total, _ = loss(small("cnn"), {"input_ids": IDS[:1], "labels": torch.tensor([1])})
    plain, _ = classification_loss("single", LossSettings(label_smoothing=0.1))(
        small("cnn"), {"input_ids": IDS[:1], "labels": torch.tensor([1])}
    )
    torch.testing.assert_close(total, plain)  # a row mixed with itself


def test_several_labels_and_numbers() -> None:
    model = small("cnn", problem_type="multi_label_classification")
    labels = torch.tensor([[1, 0, 0], [1, 1, 0], [0, 0, 1]])
    share, order = drawn(7, 1.0)
    logits = model(input_ids=IDS, attention_mask=MASK).logits
    mixed = share * logits + (1 - share) * logits[order]
    target = share * labels + (1 - share) * labels[order]
    torch.manual_seed(7)
    loss = mixed_loss(classification_loss("multi", LossSettings()), "sentences", 1.0)
    total, _ = loss(model, {"input_ids": IDS, "attention_mask": MASK, "labels": labels})
    torch.testing.assert_close(
        total, F.binary_cross_entropy_with_logits(mixed, target, reduction="none").mean(-1).sum()
    )
    number = small("cnn")
    last = number.head.out = torch.nn.Linear(8, 1)
    values = torch.tensor([0.5, 2.0, -1.0])
    torch.manual_seed(7)
    loss = mixed_loss(classification_loss("regression", LossSettings()), "sentences", 1.0)
    total, _ = loss(number, {"input_ids": IDS, "attention_mask": MASK, "labels": values})
    total.backward()
    assert last.weight.grad is not None
    ours = last.weight.grad.clone()
    number.zero_grad()
    logits = number(input_ids=IDS, attention_mask=MASK).logits.squeeze(-1)
    mixed = share * logits + (1 - share) * logits[order]
    ((mixed - share * values - (1 - share) * values[order]) ** 2).sum().backward()
    torch.testing.assert_close(ours, last.weight.grad)
