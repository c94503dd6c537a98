"""The convolutional encoder and the bag of words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from hanmo.models.cnn import SIZES, CNNConfig, cnn
from hanmo.models.directory import read_model, write_model
from hanmo.models.families import FAMILIES
from hanmo.models.headed import HeadedModel
from hanmo.nn.convolution import TextConvolution

HEADED = [name for name in FAMILIES["hanmo-cnn"].architectures if name != "CNNModel"]
SHAPES = {"cnn": {"widths": (1, 2, 5)}, "mean": {"widths": (3,), "pool": "mean"}, "bag": {"widths": (), "pool": "mean"}}


def build(shape: str, name: str = HEADED[0], **more: Any) -> HeadedModel:
    torch.manual_seed(0)
    settings = {"vocab_size": 31, "d_embedding": 7, "d_filters": 5, "labels": ("差", "中", "好"), "init_std": 1.0}
    return cnn(CNNConfig.model_validate(settings | SHAPES[shape] | more), name)


def random_ids(rows: int, length: int) -> Tensor:
    return torch.randint(1, 31, (rows, length), generator=torch.Generator().manual_seed(3))


@torch.no_grad()
@pytest.mark.parametrize("width", [1, 2, 3, 4, 7])
def test_a_filter_is_a_convolution(width: int) -> None:
    torch.manual_seed(0)
    layer, x = TextConvolution(6, 4, (width,)), torch.randn(3, 9, 6)
    weight = layer.filters[0].weight.view(4, width, 6).transpose(1, 2)
    padded = F.pad(x.transpose(1, 2), ((width - 1) // 2, width - 1 - (width - 1) // 2))
    expected = F.conv1d(padded, weight, layer.filters[0].bias).relu().transpose(1, 2)
    torch.testing.assert_close(layer(x), expected)


@torch.no_grad()
@pytest.mark.parametrize("shape", list(SHAPES))
@pytest.mark.parametrize("name", HEADED)
def test_padding_and_neighbours_change_nothing(shape: str, name: str) -> None:
    model, text, other = build(shape, name).eval(), random_ids(1, 4), random_ids(1, 9)
    mask = torch.tensor([[1] * 4 + [0] * 5, [1] * 9])
    batch = model(torch.cat((torch.cat((text, torch.full((1, 5), 8)), 1), other)), attention_mask=mask).logits
    rows = [batch[0] if "Sequence" in name else batch[0, :4], batch[1]]
    for row, ids in zip(rows, (text, other), strict=True):
        torch.testing.assert_close(row, model(ids).logits[0], atol=1e-5, rtol=0)


@pytest.mark.parametrize("shape", list(SHAPES))
@pytest.mark.parametrize("name", HEADED)
def test_every_parameter_is_used_and_kept(shape: str, name: str, tmp_path: Path) -> None:
    model, ids = build(shape, name), random_ids(6, 40)
    labels = torch.randint(3, (6,) if "Sequence" in name else (6, 40), generator=torch.Generator().manual_seed(1))
    model(ids, labels=labels).loss.backward()
    for key, parameter in model.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.abs().sum() > 0, key
    write_model(tmp_path, model)
    again = read_model(tmp_path)
    assert again.config == model.config
    for key, tensor in model.state_dict().items():
        assert torch.equal(again.state_dict()[key], tensor), key
    changed = read_model(tmp_path, architecture=HEADED[0], changes={"labels": ("a", "b")})
    assert changed(ids).logits.shape == (6, 2)


def test_sizes_and_refusals() -> None:
    for values in SIZES.values():
        assert CNNConfig.model_validate(values).d_model > 0
    assert CNNConfig(widths=(), d_embedding=9).d_model == 9
    with pytest.raises(ValueError, match="between 1 and 64"):
        CNNConfig(widths=(0, 3))
