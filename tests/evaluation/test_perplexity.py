"""Held-out scoring with a model whose probabilities are known."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from hanmo.core.errors import DataError
from hanmo.evaluation.perplexity import evaluate_blocks

VOCAB = 5


class Table(nn.Module):
    """Logits of the next token by a table over the current one; dropout shows whether evaluation switched it off."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.table = nn.Embedding(VOCAB, VOCAB)
        self.dropout = nn.Dropout(0.5)
        self.cached: Tensor | None = None

    def hidden(self, input_ids: Tensor) -> Tensor:
        if self.cached is None:
            self.cached = torch.ones(VOCAB)
        return self.dropout(self.table(input_ids)) * self.cached

    @property
    def head_weight(self) -> Tensor:
        return torch.eye(VOCAB)


def block(rows: list[list[int]], labels: list[list[int]]) -> dict[str, Tensor]:
    return {"input_ids": torch.tensor(rows), "labels": torch.tensor(labels)}


def expected_nats(model: Table, pairs: list[tuple[int, int]]) -> float:
    log_p = model.table.weight.detach().double().log_softmax(-1)
    return -sum(float(log_p[a, b]) for a, b in pairs)


def test_known_probabilities_ragged_blocks_and_ignored_labels():
    model = Table()
    blocks = [block([[0, 1, 2], [3, 4, 0]], [[1, 2, 3], [4, 0, 1]]), block([[2, 2]], [[4, -100]])]
    result = evaluate_blocks(model, blocks, n_bytes=10)
    nats = expected_nats(model, [(0, 1), (1, 2), (2, 3), (3, 4), (4, 0), (0, 1), (2, 4)])
    assert result["tokens"] == 7
    assert result["loss"] == pytest.approx(nats / 7, rel=1e-5)
    assert result["perplexity"] == pytest.approx(math.exp(nats / 7), rel=1e-5)
    assert result["bits_per_byte"] == pytest.approx(nats / math.log(2) / 10, rel=1e-5)


def test_the_mean_is_over_tokens_not_blocks():
    model = Table()
    long, short = block([[0, 1, 2, 3]], [[1, 2, 3, 4]]), block([[2]], [[4]])
    alone = [evaluate_blocks(model, [one], n_bytes=1)["loss"] for one in (long, short)]
    both = evaluate_blocks(model, [long, short], n_bytes=1)["loss"]
    assert both == pytest.approx((4 * alone[0] + alone[1]) / 5, rel=1e-5)
    assert both != pytest.approx(sum(alone) / 2, rel=1e-3)


@pytest.mark.parametrize("training", [True, False])
def test_mode_comes_back_and_training_goes_on(training):
    model = Table().train(training)
    blocks = [block([[0, 1]], [[1, 2]])]
    assert evaluate_blocks(model, blocks, n_bytes=2) == evaluate_blocks(model, blocks, n_bytes=2)
    assert model.training is training
    assert model.table.weight.grad is None
    model.hidden(
        torch.tensor([[0, 1]])
    ).sum().backward()  # what was cached during evaluation can still be trained through
    assert model.table.weight.grad is not None


def test_mode_comes_back_after_an_error():
    model = Table().train()
    with pytest.raises(IndexError):
        evaluate_blocks(model, [block([[VOCAB]], [[0]])], n_bytes=1)
    assert model.training


def test_nothing_to_score_is_an_error():
    with pytest.raises(DataError, match="no held-out token"):
        evaluate_blocks(Table(), [block([[0]], [[-100]])], n_bytes=1)
    with pytest.raises(DataError, match="no held-out token"):
        evaluate_blocks(Table(), [], n_bytes=1)
