"""Many rows through a model: order, batches, and what the model is given."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from hanmo.tasks.forward import forward_by_length
from hanmo.tokenizers.framed import Framed

ROWS = [Framed([7, 8, 9], [0, 0, 0]), Framed([1], [0]), Framed([4, 5], [0, 1]), Framed([2, 3], [0, 0])]


def test_answers_keep_the_order_of_the_texts() -> None:
    shapes = []

    def total(inputs: Mapping[str, Tensor]) -> Tensor:
        shapes.append(tuple(inputs["input_ids"].shape))
        real = inputs.get("attention_mask", torch.ones_like(inputs["input_ids"]))
        assert bool((inputs["input_ids"].masked_select(real == 0) == 99).all())
        return (inputs["input_ids"] * real).sum(-1, keepdim=True)

    for max_tokens in (1, 4, 100):
        answers = forward_by_length(ROWS, total, pad_id=99, max_tokens=max_tokens)
        assert answers.tolist() == [[24], [1], [9], [5]]
    assert shapes == [(1, 3), (1, 2), (1, 2), (1, 1), (1, 3), (2, 2), (1, 1), (4, 3)]


def test_what_says_nothing_is_left_out() -> None:
    given: list[set[str]] = []

    def note(inputs: Mapping[str, Tensor]) -> Tensor:
        given.append(set(inputs))
        assert torch.is_inference_mode_enabled()
        return inputs["input_ids"][:, 0]

    forward_by_length(ROWS[1:2], note, pad_id=0)
    forward_by_length(ROWS[2:3], note, pad_id=0)
    forward_by_length(ROWS[:2], note, pad_id=0)
    assert given == [{"input_ids"}, {"input_ids", "token_type_ids"}, {"input_ids", "attention_mask"}]
