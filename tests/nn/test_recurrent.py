"""LSTM layers: the kernel, the plain steps and `torch.nn.LSTM` are one function; padding changes nothing."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from hanmo.core.errors import ConfigError
from hanmo.nn.ragged import ragged
from hanmo.nn.recurrent import LSTM, BiLSTM, LayerState, LSTMLayer, LSTMState, lstm_fused, lstm_plain

MASKS = {
    "right": [[1, 1, 1, 0, 0], [1, 1, 1, 1, 1], [1, 0, 0, 0, 0]],
    "left": [[0, 0, 1, 1, 1], [1, 1, 1, 1, 1], [0, 0, 0, 0, 1]],
    "holes": [[1, 0, 1, 0, 1], [0, 1, 1, 1, 0], [1, 1, 1, 1, 1]],
    "empty": [[0, 0, 0, 0, 0], [1, 1, 0, 0, 0], [0, 0, 0, 0, 0]],
}


def make(rows: int = 3, length: int = 5, width: int = 7, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(rows, length, width, generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(dtype)


def copied(layer: LSTMLayer) -> nn.LSTM:
    """torch's own layer with the same weights."""
    rival = nn.LSTM(layer.input.in_features, layer.d_hidden, batch_first=True)
    with torch.no_grad():
        rival.weight_ih_l0.copy_(layer.input.weight)
        rival.weight_hh_l0.copy_(layer.hidden.weight)
        rival.bias_ih_l0.copy_(layer.input.bias)
        rival.bias_hh_l0.zero_()
    return rival


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("training", [False, True])
def test_kernel_and_plain_steps_agree(dtype: torch.dtype, training: bool) -> None:
    layer, x = LSTMLayer(7, 6).to(dtype).train(training), make(dtype=dtype).requires_grad_()
    state = LayerState(torch.randn(3, 6, dtype=dtype), torch.randn(3, 6, dtype=dtype))
    results = []
    for form in (lstm_plain, lstm_fused):
        out, last = form(x, state, layer.weights())
        loss = out.square().sum() + last.cell.sum()
        results.append([out, *last, *torch.autograd.grad(loss, [x, *layer.parameters()])])
    for plain, fused in zip(*results, strict=True):
        torch.testing.assert_close(fused, plain, atol=2e-6, rtol=1e-5)
    assert not torch.equal(results[0][0], results[0][0].roll(1, 1))


def test_the_same_as_torch_layer_by_layer() -> None:
    lstm, x = LSTM(7, [5, 6, 4]), make()
    expected = x
    for layer in lstm.layers:
        expected, _ = copied(layer)(expected)
    torch.testing.assert_close(lstm(x), expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("kind", ["right", "left", "holes", "empty"])
def test_padding_changes_nothing(kind: str) -> None:
    x, mask = make(), torch.tensor(MASKS[kind])
    for module in (LSTM(7, [6, 4]), BiLSTM(7, 3, 2)):
        out = module(x, mask)
        noise = x.where(mask[..., None] == 1, torch.nan if kind != "empty" else 5.0)
        assert torch.equal(module(noise.nan_to_num(9.0), mask), out)
        for row, real in enumerate(mask.bool()):
            assert (out[row][~real] == 0).all()
            if real.any():
                torch.testing.assert_close(out[row][real], module(x[row : row + 1, real])[0], atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("kind", ["right", "left", "holes"])
def test_bidirectional_is_torchs(kind: str) -> None:
    bilstm, x, mask = BiLSTM(7, 4, 1), make(), torch.tensor(MASKS[kind])
    ahead, back = copied(bilstm.rightward[0]), copied(bilstm.leftward[0])
    out = bilstm(x, mask)
    for row, real in enumerate(mask.bool()):
        text = x[row : row + 1, real]
        expected = torch.cat((ahead(text)[0], back(text.flip(1))[0].flip(1)), -1)
        torch.testing.assert_close(out[row : row + 1, real], expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("kind", ["right", "left", "holes"])
@pytest.mark.parametrize("cut", [1, 3])
def test_state_is_carried_over(kind: str, cut: int) -> None:
    lstm, x, mask = LSTM(7, [6, 4]), make(), torch.tensor(MASKS[kind])
    whole = LSTMState()
    full = lstm(x, mask, whole)
    torch.testing.assert_close(full, lstm(x, mask), atol=1e-6, rtol=1e-5)
    state = LSTMState()
    parts = [lstm(x[:, :cut], mask[:, :cut], state), lstm(x[:, cut:], mask[:, cut:], state)]
    torch.testing.assert_close(torch.cat(parts, 1), full, atol=1e-6, rtol=1e-5)
    assert state.length == whole.length == 5
    assert state.layers is not None
    assert whole.layers is not None
    for one, two in zip(state.layers, whole.layers, strict=True):
        torch.testing.assert_close(one.hidden, two.hidden, atol=1e-6, rtol=1e-5)
        torch.testing.assert_close(one.cell, two.cell, atol=1e-6, rtol=1e-5)
    last = [row.nonzero()[-1, 0] for row in mask]
    torch.testing.assert_close(whole.layers[-1].hidden, full[torch.arange(3), torch.stack(last)])


def test_truncated_backpropagation() -> None:
    lstm, x, state = LSTM(7, [6]), make().requires_grad_(), LSTMState()
    lstm(x[:, :2], None, state)
    state = state.detach()
    out = lstm(x[:, 2:], None, state)
    torch.testing.assert_close(out, lstm(x)[:, 2:])  # values as if never cut
    (grad,) = torch.autograd.grad(out.sum(), x)
    assert (grad[:, :2] == 0).all()  # gradients are
    assert (grad[:, 2:] != 0).any()
    assert state.length == 5


def test_rows_of_a_state_are_selected() -> None:
    lstm, x, state = LSTM(7, [6, 4]), make(), LSTMState()
    state.select(torch.tensor([0]))  # nothing there yet
    lstm(x[:, :3], None, state)
    rows = torch.tensor([2, 2, 0, 1])
    state.select(rows)
    torch.testing.assert_close(lstm(x[rows, 3:], None, state), lstm(x)[rows, 3:], atol=1e-6, rtol=1e-5)
    with pytest.raises(ConfigError, match="holds 4 rows, the input has 3"):
        lstm(x, None, state)
    state.reset()
    assert (state.layers, state.length) == (None, 0)


def test_starting_values() -> None:
    layer = LSTMLayer(50, 40)
    forget = layer.input.bias[40:80]
    assert (forget == 1).all()
    assert layer.input.bias.sum() == 40
    for weight in (layer.input.weight, layer.hidden.weight):
        assert 0.9 * 40**-0.5 < weight.abs().max() <= 40**-0.5
    with torch.device("meta"):
        assert LSTM(5, [4]).layers[0].hidden.weight.is_meta


def test_dropout() -> None:
    x = make()
    for module in (LSTM(7, [6, 4], dropout=0.5), LSTM(7, [6], dropout_weights=0.5), BiLSTM(7, 3, 2, dropout=0.5)):
        module.train()
        assert not torch.equal(module(x), module(x))
        module.eval()
        assert torch.equal(module(x), module(x))
    single = LSTM(7, [6], dropout=0.9).train()  # only between layers
    assert torch.equal(single(x), single(x))
    layer = LSTMLayer(7, 6, dropout_weights=0.5).train()
    dropped = layer.weights().hidden
    assert ((dropped == 0) | (dropped == 2 * layer.hidden.weight)).all()
    assert 0.2 < (dropped == 0).float().mean() < 0.8


def test_gradients_through_padding_are_finite() -> None:
    x, mask = make().requires_grad_(), torch.tensor(MASKS["empty"])
    for module in (LSTM(7, [6, 4]), BiLSTM(7, 3, 2)):
        (grad,) = torch.autograd.grad(module(x, mask).sum(), x)
        assert torch.isfinite(grad).all()
        assert (grad[mask == 0] == 0).all()


def test_bf16_autocast_is_near() -> None:
    lstm, x = LSTM(7, [6, 4]), make()
    with torch.autocast("cpu", torch.bfloat16):
        near = lstm(x)
        near.float().sum().backward()
    torch.testing.assert_close(near.float(), lstm(x), atol=2e-2, rtol=0)
    assert all(p.grad.dtype == torch.float32 for p in lstm.parameters())


@pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning")
def test_the_kernel_stays_out_of_compiled_graphs() -> None:
    lstm, x = LSTM(7, [6, 4]), make()

    def loss(x: Tensor) -> Tensor:
        return (2 * lstm(3 * x)).square().sum()

    results = []
    for form in (loss, torch.compile(loss, backend="aot_eager")):
        lstm.zero_grad()
        form(x).backward()
        results.append([parameter.grad for parameter in lstm.parameters()])
    for eager, compiled in zip(*results, strict=True):
        torch.testing.assert_close(eager, compiled)


def test_ragged_rows_go_to_the_front_and_back() -> None:
    mask = torch.tensor(MASKS["holes"])
    rows = ragged(mask, 3, 5)
    assert rows is not None
    x = torch.arange(15).view(3, 5)
    assert rows.lengths.tolist() == [3, 3, 5]
    assert rows.front(x)[0].tolist()[:3] == [0, 2, 4]
    assert torch.equal(rows.back(rows.front(x)), x)
    mirror = rows.mirrored()
    assert rows.front(x).gather(1, mirror)[0].tolist()[:3] == [4, 2, 0]
    assert torch.equal(mirror.gather(1, mirror), torch.arange(5).expand(3, 5))
    assert ragged(torch.ones(3, 5), 3, 5) is None
    assert ragged(None, 3, 5) is None
    with pytest.raises(ConfigError, match=r"shape \(3, 5\), expected \(2, 5\)"):
        ragged(mask, 2, 5)
