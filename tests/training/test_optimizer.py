from __future__ import annotations

import pytest
import torch

from hanmo.core.errors import FormatError
from hanmo.training.optimizer import adamw, load_optimizer_tensors, optimizer_tensors, trained_parameters
from hanmo.training.settings import TrainingSettings

SETTINGS = TrainingSettings(n_steps=1, lr=0.01, weight_decay=0.5, beta1=0.8, beta2=0.9, eps=1e-6)


def test_matrices_decay_norms_and_biases_do_not_and_tied_weights_come_once(tiny):
    model = tiny.Model()
    optimizer = adamw(model, SETTINGS)
    groups = {group["weight_decay"]: {id(p) for p in group["params"]} for group in optimizer.param_groups}
    assert groups[0.5] == {id(model.embedding.weight), id(model.mix.weight)}
    assert groups[0.0] == {id(model.mix.bias), id(model.norm.weight), id(model.norm.bias)}
    assert "head.weight" not in trained_parameters(model)


def test_frozen_parameters_are_left_out(tiny):
    model = tiny.Model()
    model.mix.weight.requires_grad_(False)
    assert "mix.weight" not in trained_parameters(model)
    assert sum(len(group["params"]) for group in adamw(model, SETTINGS).param_groups) == 4


def test_update_is_that_of_the_paper(tiny):
    """Algorithm 2 of Loshchilov & Hutter (2019), written out in fp64, three steps."""
    model = tiny.Model().double()
    optimizer = adamw(model, SETTINGS)
    weight = model.mix.weight
    theta, m, v = weight.detach().clone(), torch.zeros_like(weight), torch.zeros_like(weight)
    for t in range(1, 4):
        gradient = torch.full_like(weight, 0.1 * t)
        weight.grad = gradient.clone()
        optimizer.step()
        m, v = 0.8 * m + 0.2 * gradient, 0.9 * v + 0.1 * gradient**2
        m_hat, v_hat = m / (1 - 0.8**t), v / (1 - 0.9**t)
        theta = theta - 0.01 * (m_hat / (v_hat.sqrt() + 1e-6) + 0.5 * theta)
    torch.testing.assert_close(weight.detach(), theta, rtol=1e-12, atol=1e-12)


def test_state_round_trip_continues_identically(tiny):
    def step(model, optimizer, value):
        for parameter in model.parameters():
            parameter.grad = torch.full_like(parameter, value)
        optimizer.step()

    model = tiny.Model()
    optimizer = adamw(model, SETTINGS)
    step(model, optimizer, 0.3)
    other = tiny.Model()
    other.load_state_dict(model.state_dict())
    fresh, restored = adamw(other, SETTINGS), adamw(other, SETTINGS)
    assert not optimizer_tensors(fresh, other)
    load_optimizer_tensors(restored, other, {k: v.clone() for k, v in optimizer_tensors(optimizer, model).items()})
    step(model, optimizer, -0.2)
    step(other, restored, -0.2)
    for a, b in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)
    for key, value in optimizer_tensors(optimizer, model).items():
        assert torch.equal(value, optimizer_tensors(restored, other)[key])


def test_state_of_another_model_is_refused(tiny):
    model = tiny.Model()
    with pytest.raises(FormatError, match="nothing"):
        load_optimizer_tensors(adamw(model, SETTINGS), model, {"nothing|exp_avg": torch.zeros(2)})
