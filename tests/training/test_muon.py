from __future__ import annotations

import pytest
import torch

from hanmo.models.gpt2 import GPT2Config, gpt2
from hanmo.models.llama import LlamaConfig, llama
from hanmo.training.muon import Muon, hidden_matrices, orthogonalize
from hanmo.training.optimizer import (
    adamw,
    build_optimizer,
    load_optimizer_tensors,
    optimizer_tensors,
    set_learning_rate,
    trained_parameters,
)
from hanmo.training.settings import TrainingSettings

SETTINGS = TrainingSettings(n_steps=1, optimizer="muon", lr=3e-3, muon_lr=0.02)
CONFIG = GPT2Config(vocab_size=61, max_len=16, d_model=24, n_layers=2, n_heads=3)


def loss(model, seed=0):
    ids = torch.randint(0, 61, (2, 12), generator=torch.Generator().manual_seed(seed))
    return model(input_ids=ids, labels=ids).loss


def test_both_forms_are_one_function():
    from hanmo.training import muon

    x = torch.randn(3, 16, 40, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    gram = x @ x.mT
    norm = gram.norm(dim=(1, 2), keepdim=True).sqrt()
    torch.testing.assert_close(muon._by_gram(x, gram, norm), muon._by_matrix(x, gram, norm))


@pytest.mark.parametrize("shape", [(16, 16), (8, 32), (32, 8), (3, 24, 12)])
def test_orthogonalize_flattens_the_singular_values_and_keeps_the_directions(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    u, s, vh = torch.linalg.svd(matrix, full_matrices=False)
    assert float((s.amax(-1) / s.amin(-1)).min()) > 1.5  # the input is far from orthogonal
    result = orthogonalize(matrix)
    values = torch.linalg.svdvals(result)
    kept = s > 0.01 * s.amax(-1, keepdim=True)
    assert float(values[kept].min()) > 0.6
    assert float(values.max()) < 1.3
    # the nearest orthogonal matrix is u vh: the result points the same way
    cosine = (result * (u @ vh)).sum((-2, -1)) / (result.norm(dim=(-2, -1)) * (u @ vh).norm(dim=(-2, -1)))
    assert float(cosine.min()) > 0.97


def test_hidden_matrices_leave_out_embeddings_and_heads():
    tied, untied = gpt2(CONFIG), gpt2(CONFIG.model_copy(update={"tie_embeddings": False}))
    for model in (tied, untied):
        names = {
            name
            for name, p in trained_parameters(model).items()
            if id(p) in {id(m.weight) for m in hidden_matrices(model)}
        }
        assert all(
            name.startswith("stack.layers.") and p.dim() == 2 for name, p in model.named_parameters() if name in names
        )
        assert len(names) == 4 * CONFIG.n_layers
    grouped = llama(LlamaConfig(vocab_size=61, max_len=16, d_model=24, n_layers=1, n_heads=3, n_kv_heads=1, d_ff=40))
    assert [m.parts for m in hidden_matrices(grouped)] == [(24, 8, 8), (24,), (40, 40), (24,)]


def test_stacked_projections_are_updated_apart():
    """The update of q does not depend on the gradient of v, though both are rows of one weight."""
    updates = []
    for factor in (1.0, 100.0):
        torch.manual_seed(0)
        model = gpt2(CONFIG)
        weight = model.stack.layers[0].attention.inner.qkv.weight
        before = weight.detach().clone()
        optimizer = build_optimizer(model, SETTINGS.model_copy(update={"weight_decay": 0.0}))
        loss(model).backward()
        weight.grad[48:] *= factor * torch.linspace(0.1, 1, 24)[:, None]
        optimizer.step()
        updates.append(weight.detach() - before)
    assert torch.equal(updates[0][:24], updates[1][:24])
    assert not torch.equal(updates[0][48:], updates[1][48:])


def test_everything_else_gets_exactly_adamw():
    torch.manual_seed(0)
    ours, theirs = gpt2(CONFIG), gpt2(CONFIG)
    theirs.load_state_dict(ours.state_dict())
    first, second = build_optimizer(ours, SETTINGS), adamw(theirs, SETTINGS)
    for model, optimizer in ((ours, first), (theirs, second)):
        loss(model).backward()
        optimizer.step()
    hidden = {id(m.weight) for m in hidden_matrices(ours)}
    for (name, a), b in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        assert torch.equal(a, b) == (id(a) not in hidden), name


def test_update_has_the_size_of_adamw():
    torch.manual_seed(0)
    model = gpt2(GPT2Config(vocab_size=61, max_len=16, d_model=64, n_layers=1, n_heads=2))
    before = {id(m.weight): m.weight.detach().clone() for m in hidden_matrices(model)}
    optimizer = build_optimizer(model, SETTINGS.model_copy(update={"weight_decay": 0.0}))
    torch.manual_seed(1)
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter)
    optimizer.step()
    for matrix in hidden_matrices(model):
        update = (matrix.weight.detach() - before[id(matrix.weight)]) / SETTINGS.muon_lr
        assert 0.12 < float(update.square().mean().sqrt()) < 0.25


def test_state_round_trips_bit_exactly():
    """Three steps, saved and loaded into a fresh optimizer, two more: as five without a break."""
    results = []
    for break_at in (None, 3):
        torch.manual_seed(0)
        model = gpt2(CONFIG)
        optimizer = build_optimizer(model, SETTINGS)
        for step in range(5):
            if step == break_at:
                saved = {key: value.clone() for key, value in optimizer_tensors(optimizer, model).items()}
                optimizer = build_optimizer(model, SETTINGS)
                load_optimizer_tensors(optimizer, model, saved)
            set_learning_rate(optimizer, SETTINGS.lr / (step + 1), SETTINGS)
            model.zero_grad()
            loss(model, step).backward()
            optimizer.step()
        results.append({name: p.detach().clone() for name, p in model.named_parameters()})
    assert all(torch.equal(results[0][name], results[1][name]) for name in results[0])


def test_learning_rates_follow_one_schedule():
    model = gpt2(CONFIG)
    optimizer = build_optimizer(model, SETTINGS)
    assert isinstance(optimizer, Muon)
    set_learning_rate(optimizer, SETTINGS.lr / 2, SETTINGS)
    rates = {group["muon"]: group["lr"] for group in optimizer.param_groups}
    assert rates == {True: pytest.approx(SETTINGS.muon_lr / 2), False: pytest.approx(SETTINGS.lr / 2)}
