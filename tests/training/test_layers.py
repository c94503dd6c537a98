"""Rates that fall with depth, and layers that are released one by one: what moves, how fast, and after a resume."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
import torch
from torch import nn

from hanmo.core.errors import ConfigError, TrainingError
from hanmo.models.families import FAMILIES
from hanmo.training.identity import run_identity
from hanmo.training.layers import depths_below_head, n_released, release_layers
from hanmo.training.optimizer import build_optimizer, set_learning_rate
from hanmo.training.settings import TrainingSettings

SHAPES: dict[str, dict[str, Any]] = {
    "bert": {"vocab_size": 17, "d_model": 8, "n_layers": 3, "n_heads": 2, "max_len": 16, "dropout": 0.1},
    "hanmo-bilstm": {"vocab_size": 17, "d_embedding": 6, "d_hidden": 4, "n_layers": 3},
}
CLASSIFIERS = {"bert": "BertForSequenceClassification", "hanmo-bilstm": "BiLSTMForSequenceClassification"}


def classifier(kind: str = "bert") -> Any:
    family = FAMILIES[kind]
    torch.manual_seed(3)
    model: Any = family.architecture(CLASSIFIERS[kind]).build(family.config.model_validate(SHAPES[kind]))
    with torch.no_grad():
        model.head.out.weight.normal_()  # a head of zeros would hide the layers from the loss
    return model


def row_loss(model: nn.Module, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, int]:
    ids = batch["input_ids"]
    return model(input_ids=ids, labels=ids[:, 0] % 2).loss * len(ids), len(ids)


@pytest.mark.parametrize("kind", ["bert", "hanmo-bilstm"])
def test_depths(kind: str) -> None:
    depths = depths_below_head(classifier(kind))
    assert depths["head.out.weight"] == 0
    assert {depth for name, depth in depths.items() if ".embedding." in name} == {4}
    for layer in range(3):
        own = {depth for name, depth in depths.items() if f"layers.{layer}." in name or f"ward.{layer}." in name}
        assert own == {3 - layer}
    assert all(depths[name] == 0 for name in depths if "pooler" in name)


def test_every_family_has_layers_but_those_that_have_none() -> None:
    for kind, family in FAMILIES.items():
        for name in family.architectures:
            with torch.device("meta"):
                model = family.architecture(name).build(family.config.model_validate({}))
            if kind == "hanmo-cnn":
                with pytest.raises(ConfigError, match="no layers one after another"):
                    depths_below_head(model)
                continue
            depths = depths_below_head(model)
            assert set(depths) == {name for name, _ in model.named_parameters()}
            tables = [depth for name, depth in depths.items() if "token.weight" in name]
            assert tables == [max(depths.values())] * len(tables), name
            assert max(depths.values()) > 1


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_rates_fall_with_depth(optimizer: str) -> None:
    model = classifier()
    settings = TrainingSettings.model_validate(
        {"n_steps": 1, "optimizer": optimizer, "lr": 1e-2, "muon_lr": 4e-2 if optimizer == "muon" else None}
        | {"layer_decay": 0.5}
    )
    built = build_optimizer(model, settings)
    set_learning_rate(built, 1e-2, settings)
    depths = {id(parameter): depths_below_head(model)[name] for name, parameter in model.named_parameters()}
    seen: list[int] = []
    for group in built.param_groups:
        top = 4e-2 if group.get("muon") else 1e-2
        for parameter in group["params"]:
            assert group["lr"] == pytest.approx(top * 0.5 ** depths[id(parameter)])
            assert (group["weight_decay"] > 0) == (parameter.dim() >= 2)
            seen.append(id(parameter))
    assert sorted(seen) == sorted(map(id, model.parameters()))


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_the_head_has_a_rate_of_its_own(optimizer: str) -> None:
    model = classifier()
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    settings = TrainingSettings.model_validate(
        {"n_steps": 1, "optimizer": optimizer, "lr": 1e-3, "head_lr": 5e-2, "layer_decay": 0.5, "weight_decay": 0.0}
    )
    built = build_optimizer(model, settings)
    set_learning_rate(built, 1e-4, settings)  # a tenth of the way up
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    built.step()
    for name, parameter in model.named_parameters():
        moved = (before[name] - parameter).abs().max().item()
        if name.startswith("head."):
            assert moved == pytest.approx(5e-3, rel=0.01)
        else:
            assert moved < 1.2e-4


def test_a_rate_for_a_head_that_is_not_there() -> None:
    model = torch.nn.Linear(2, 2)
    with pytest.raises(ConfigError, match="no head of its own"):
        build_optimizer(model, TrainingSettings(n_steps=1, head_lr=1e-2))


def test_updates_have_the_size_of_their_rates() -> None:
    """AdamW's first update is the rate itself, whatever the gradient: so it shows which rate each parameter had."""
    model = classifier()
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    settings = TrainingSettings(n_steps=1, lr=1e-3, layer_decay=0.1, weight_decay=0.0, eps=1e-30)
    built = build_optimizer(model, settings)
    set_learning_rate(built, 1e-3, settings)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    built.step()
    for name, depth in depths_below_head(model).items():
        moved = (before[name] - model.get_parameter(name)).abs().max().item()
        assert moved == pytest.approx(1e-3 * 0.1**depth, rel=0.05, abs=2e-7), name


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_layers_are_released_from_the_top(optimizer: str, tiny, tmp_path) -> None:
    model = classifier()
    start = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    depths = depths_below_head(model)
    moved: list[int] = []

    def look(event: dict[str, Any]) -> None:
        changed = {depths[name] for name, p in model.named_parameters() if not torch.equal(p, start[name])}
        moved.append(max(changed))
        assert changed == set(range(max(changed) + 1))

    settings = {"optimizer": optimizer, "unfreeze_steps": 2, "eval_every": None, "patience": None}
    tiny.train(tmp_path, model=model, loss=row_loss, evaluate=None, on_step=look, **settings)
    assert moved == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 4, 4]
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_what_was_frozen_before_stays_frozen(tiny, tmp_path) -> None:
    model = classifier()
    table = model.backbone.embedding.token.weight
    table.requires_grad_(False)
    before = table.detach().clone()
    tiny.train(tmp_path, model=model, loss=row_loss, evaluate=None, unfreeze_steps=1, eval_every=None)
    assert torch.equal(table, before)
    assert not table.requires_grad


class Crash(Exception):
    pass


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_resume_is_bit_exact(optimizer: str, tiny, tmp_path) -> None:
    settings = {"optimizer": optimizer, "unfreeze_steps": 3, "layer_decay": 0.7, "checkpoint_steps": 2}

    def run(path: Any, **more: Any) -> None:
        tiny.train(path, model=classifier(), loss=row_loss, evaluate=tower_loss, **settings, **more)

    def tower_loss(model: nn.Module) -> dict[str, float]:
        total, count = row_loss(model, tiny.pad(tiny.Batches(seed=9).sentences))
        return {"loss": float(total / count)}

    run(tmp_path / "whole")
    whole = tiny.trace(tmp_path / "whole")
    for stop in (3, 7, 11):

        def crash(event: dict[str, Any], stop: int = stop) -> None:
            if event["step"] == stop:
                raise Crash

        path = tmp_path / str(stop)
        with pytest.raises(Crash):
            run(path, on_step=crash)
        run(path, resume=True)
        assert tiny.trace(path) == whole, stop


@pytest.mark.parametrize(("held", "stops"), [({}, 3), ({"unfreeze_steps": 3}, 14)])
def test_patience_waits_for_the_last_layer(held: dict[str, int], stops: int, tiny, tmp_path) -> None:
    """Of 4 releases the last is after step 12: two evaluations without improvement after it."""
    losses = itertools.count()
    result = tiny.train(
        tmp_path, model=classifier(), loss=row_loss, evaluate=lambda _: {"loss": float(next(losses))},
        patience=2, eval_every=1, n_steps=30, **held,
    )  # fmt: skip
    assert (result.status, result.step) == ("early_stopped", stops)


def test_off_costs_nothing(tiny, tmp_path) -> None:
    """No groups of their own, no names in the identity: what was checkpointed before is taken up."""
    plain = TrainingSettings(n_steps=4)
    for optimizer in ("adamw", "muon"):
        groups = build_optimizer(classifier(), plain.model_copy(update={"optimizer": optimizer})).param_groups
        assert len(groups) == (2 if optimizer == "adamw" else 3)
        assert all("depth" not in group for group in groups)
    assert not {"training.layer_decay", "training.unfreeze_steps"} & set(run_identity({}, "", plain))
    on = plain.model_copy(update={"layer_decay": 0.9})
    assert "training.layer_decay" in run_identity({}, "", on)
    assert n_released(plain, 3) is None


def test_impossible(tiny, tmp_path) -> None:
    with pytest.raises(ConfigError, match="no layers one after another"):
        tiny.train(tmp_path / "a", layer_decay=0.9)
    with pytest.raises(ConfigError, match="no layers one after another"):
        tiny.train(tmp_path / "b", unfreeze_steps=1)
    assert not list((tmp_path / "a").iterdir())
    family = FAMILIES["bert"]
    bare = family.architecture("BertModel").build(family.config.model_validate(SHAPES["bert"]))

    def mean_loss(model: nn.Module, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, int]:
        return model(input_ids=batch["input_ids"]).last_hidden_state.square().sum(), 1

    with pytest.raises(TrainingError, match="depends on no parameter that is trained"):
        tiny.train(tmp_path / "c", model=bare, loss=mean_loss, evaluate=None, unfreeze_steps=1, eval_every=None)


def test_a_run_that_ends_too_early_says_so(tiny, tmp_path, capfd: pytest.CaptureFixture[str]) -> None:
    from hanmo.core.progress import set_quiet

    set_quiet(False)
    tiny.train(tmp_path, model=classifier(), loss=row_loss, evaluate=None, unfreeze_steps=5, eval_every=None)
    assert "Training ends before all layers are released" in capfd.readouterr().err
    events = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert len(events) == 12


def test_release_is_by_depth() -> None:
    model = classifier()
    optimizer = build_optimizer(model, TrainingSettings(n_steps=1, unfreeze_steps=1))
    release_layers(optimizer, 1)
    depths = depths_below_head(model)
    assert {name for name, p in model.named_parameters() if p.requires_grad} == {n for n, d in depths.items() if d <= 1}
    release_layers(optimizer, None)
    assert all(p.requires_grad for p in model.parameters())
