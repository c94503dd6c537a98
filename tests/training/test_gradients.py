from __future__ import annotations

import pytest
import torch

from hanmo.training.gradients import clip, compute_gradient


class Scripted:
    """Gives the listed batches in turn."""

    fingerprint = "scripted"

    def __init__(self, batches):
        self.batches = iter(batches)

    def next(self):
        return next(self.batches)

    def state(self):
        return {}

    def restore(self, state):
        raise AssertionError("not used")


def gradient_of(tiny, sentences, accumulate, loss=None):
    torch.manual_seed(0)
    model = tiny.Model(dropout=0.0).double()
    size = len(sentences) // accumulate
    parts = [tiny.pad(sentences[i * size : (i + 1) * size if i < accumulate - 1 else None]) for i in range(accumulate)]
    found = compute_gradient(
        model, loss or tiny.loss, Scripted(parts), accumulate=accumulate, device=torch.device("cpu"), autocast=None
    )
    return found, {name: p.grad.clone() for name, p in model.named_parameters()}


@pytest.mark.parametrize("accumulate", [2, 3, 8])
def test_accumulation_over_ragged_batches_equals_one_big_batch(tiny, accumulate):
    sentences = tiny.Batches(n_sentences=16).sentences
    whole, expected = gradient_of(tiny, sentences, 1)
    found, gradients = gradient_of(tiny, sentences, accumulate)
    assert found.n_tokens == whole.n_tokens == sum(len(s) - 1 for s in sentences)
    assert abs(found.loss - whole.loss) <= 1e-10
    assert abs(found.norm - whole.norm) <= 1e-10
    for name, gradient in gradients.items():
        assert (gradient - expected[name]).abs().max() <= 1e-10, name


def test_the_comparison_can_fail_mean_of_means_differs(tiny):
    """Negative control: the bug of transformers#34191, each micro-batch divided by its own tokens."""

    def mean_of_means(model, batch):
        total, count = tiny.loss(model, batch)
        return total / count, 1

    sentences = tiny.Batches(n_sentences=16).sentences
    _, expected = gradient_of(tiny, sentences, 1)
    _, gradients = gradient_of(tiny, sentences, 3, mean_of_means)
    assert max((gradients[n] - expected[n]).abs().max() for n in expected) > 1e-4


def test_gradient_is_that_of_the_mean_loss_and_the_norm_is_global(tiny):
    sentences = tiny.Batches().sentences
    found, gradients = gradient_of(tiny, sentences, 1)
    torch.manual_seed(0)
    model = tiny.Model(dropout=0.0).double()
    total, count = tiny.loss(model, tiny.pad(sentences))
    (total / count).backward()
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(gradients[name], parameter.grad)
    flat = torch.cat([g.flatten() for g in gradients.values()])
    assert found.norm == pytest.approx(float(flat.norm()))


def test_clip_scales_to_the_norm_and_leaves_shorter_ones(tiny):
    model = torch.nn.Linear(3, 1, bias=False)
    model.weight.grad = torch.tensor([[3.0, 4.0, 0.0]])
    clip(model, 5.0, 10.0)
    assert model.weight.grad.norm() == 5.0
    clip(model, 5.0, 1.0)
    torch.testing.assert_close(model.weight.grad, torch.tensor([[0.6, 0.8, 0.0]]))
