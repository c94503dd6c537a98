"""What must hold for every causal family, whatever other libraries do."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from hanmo.core.errors import ConfigError
from hanmo.models.causal_lm import CausalLM
from hanmo.models.families import FAMILIES
from hanmo.nn import attention
from hanmo.nn.cache import GrowingCache
from hanmo.nn.losses import chunked_cross_entropy
from hanmo.nn.masks import positions_from_padding

VOCAB = 101
SHAPES: dict[str, dict[str, Any]] = {
    "gpt2": {"d_ff": 50},
    "gpt2 untied": {"tie_embeddings": False},
    "llama": {"n_kv_heads": 2, "d_ff": 50},
    "llama tied": {"tie_embeddings": True, "attention_bias": True, "mlp_bias": True, "d_head": 4},
    "llama scaled": {"rope_scaling": {"kind": "yarn", "factor": 4.0, "original_len": 16}, "d_ff": 50},
    "llama blocks": {
        "attention": ({"kind": "block_sparse", "block_size": 2, "offsets": (0, 1, 3)},),
        "n_kv_heads": 3,
        "d_ff": 50,
    },
    "gpt2 global": {"attention": ({"kind": "local_global", "window": 3, "n_global": 2},), "d_ff": 50},
    "hanmo-gpt3": {"attention": ({"kind": "dense"}, {"kind": "block_sparse", "block_size": 3}), "d_ff": 50},
    "mistral": {"attention": ({"kind": "sliding_window", "window": 5},), "n_kv_heads": 1, "d_ff": 50},
    "qwen2": {"n_kv_heads": 2, "d_ff": 50, "tie_embeddings": True},
    "qwen2 windows": {"attention": ({"kind": "dense"}, {"kind": "sliding_window", "window": 1}), "d_ff": 50},
    "qwen3": {"n_kv_heads": 3, "d_head": 8, "d_ff": 50, "attention_bias": True},
}


def build(name: str, **more: Any) -> CausalLM:
    torch.manual_seed(0)
    family = FAMILIES[name.split()[0]]
    settings = {
        "vocab_size": VOCAB,
        "max_len": 64,
        "d_model": 36,
        "n_layers": 3,
        "n_heads": 6,
        "init_std": 0.2,
    } | SHAPES[name]
    return family.architecture().build(family.config.model_validate(settings | more))


@pytest.fixture(params=list(SHAPES))
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def model(name: str) -> CausalLM:
    return build(name).eval()


@pytest.fixture(params=["fused", "plain"])
def form(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "plain":
        monkeypatch.setattr(attention, "attention", attention.attention_plain)
    return request.param


def random_ids(rows: int, length: int) -> Tensor:
    return torch.randint(VOCAB, (rows, length), generator=torch.Generator().manual_seed(3))


@torch.no_grad()
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("training", [False, True])
def test_the_future_is_invisible(model: CausalLM, form: str, dtype: torch.dtype, training: bool) -> None:
    model.to(dtype).train(training)
    ids = random_ids(2, 23)
    mask = torch.ones_like(ids)
    mask[1, :4] = 0
    for arguments in ({}, {"attention_mask": mask}):
        before = model(ids, **arguments).logits
        for t in (1, 11, 22):
            changed = ids.clone()
            changed[:, t:] = (changed[:, t:] + 1) % VOCAB
            after = model(changed, **arguments).logits
            assert torch.equal(after[:, :t], before[:, :t])
            assert not torch.equal(after[:, t], before[:, t])


@torch.no_grad()
def test_the_future_is_invisible_with_dropout(name: str) -> None:
    dropout = {"dropout_attention": 0.2}
    if name.startswith(("gpt2", "hanmo-gpt3")):
        dropout |= {"dropout_residual": 0.2, "dropout_embedding": 0.2}
    model, ids = build(name, **dropout), random_ids(2, 23)
    changed = ids.clone()
    changed[:, 11:] = (changed[:, 11:] + 1) % VOCAB
    logits = []
    for batch in (ids, changed):
        torch.manual_seed(5)
        logits.append(model(batch).logits)
    assert torch.equal(logits[0][:, :11], logits[1][:, :11])
    assert not torch.equal(logits[0], model(ids).logits)


@torch.no_grad()
@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_changes_nothing(model: CausalLM, form: str, side: str) -> None:
    text, other = random_ids(1, 9), random_ids(1, 14)
    padding = torch.full((1, 5), 17)
    row = torch.cat((padding, text) if side == "left" else (text, padding), 1)
    mask = torch.ones(2, 14, dtype=torch.int64)
    mask[0, slice(0, 5) if side == "left" else slice(9, 14)] = 0
    positions = positions_from_padding(mask)
    batch = model(torch.cat((row, other)), attention_mask=mask, position_ids=positions).logits
    assert torch.isfinite(batch).all()
    torch.testing.assert_close(batch[0, mask[0].bool()], model(text).logits[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(batch[1], model(other).logits[0], atol=1e-5, rtol=0)


@torch.no_grad()
def test_rows_do_not_see_each_other(model: CausalLM) -> None:
    ids, order = random_ids(5, 12), torch.tensor([3, 1, 4, 0, 2])
    torch.testing.assert_close(model(ids[order]).logits, model(ids).logits[order], atol=1e-5, rtol=0)


def test_rows_without_any_token_give_no_nan(model: CausalLM, form: str) -> None:
    ids = random_ids(3, 8)
    mask = torch.ones_like(ids)
    mask[0] = 0
    mask[1, :5] = 0
    out = model(ids, attention_mask=mask, labels=ids.masked_fill(mask == 0, -100))
    assert torch.isfinite(out.logits).all()
    out.loss.backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())


@torch.no_grad()
@pytest.mark.parametrize("kind", ["growing", "static"])
@pytest.mark.parametrize("chunks", [[20], [1] * 20, [7, 1, 1, 8, 3]])
@pytest.mark.parametrize("padded", [False, True])
def test_cached_and_full_decoding_agree(model: CausalLM, kind: str, chunks: list[int], padded: bool) -> None:
    ids = random_ids(2, 20)
    mask = torch.ones_like(ids)
    if padded:
        mask[1, :6] = 0
    positions = positions_from_padding(mask)
    full = model(ids, attention_mask=mask, position_ids=positions).logits
    cache = GrowingCache() if kind == "growing" else model.new_cache(2, 24)
    parts, start = [], 0
    for size in chunks:
        end = start + size
        out = model(
            ids[:, start:end],
            attention_mask=mask[:, :end] if padded else None,
            position_ids=positions[:, start:end] if padded else None,
            past_key_values=cache,
        )
        assert out.past_key_values is cache
        assert cache.length == end
        parts.append(out.logits)
        start = end
    difference = (torch.cat(parts, 1) - full)[mask.bool()].abs()
    assert difference.max() <= 1e-5


def test_every_parameter_is_used_and_initialised(name: str) -> None:
    model = build(name, init_std=0.02)
    model(random_ids(4, 64), labels=random_ids(4, 64)).loss.backward()
    for key, parameter in model.named_parameters():
        assert parameter.grad is not None, key
        assert torch.isfinite(parameter).all(), key
        if key.endswith("bias"):
            assert (parameter == 0).all(), key
        elif "norm" in key:
            assert (parameter == 1).all(), key
        else:
            assert 0.005 < parameter.std() < 0.03, key
        if not key.endswith("qkv.bias"):  # a key's bias moves all scores of a query alike: its true gradient is zero
            assert (parameter.grad != 0).any(), key


def test_the_first_loss_is_that_of_guessing(name: str) -> None:
    model = build(name, init_std=0.02)
    loss = model(random_ids(8, 64), labels=random_ids(8, 64)).loss
    assert abs(loss.item() - math.log(VOCAB)) < 0.05


def test_same_seed_same_weights(name: str) -> None:
    one, two = build(name).state_dict(), build(name).state_dict()
    assert all(torch.equal(one[key], two[key]) for key in one)


@pytest.mark.parametrize(
    "name", ["llama", *(pytest.param(name, marks=pytest.mark.slow) for name in ("gpt2", "llama blocks", "qwen3"))]
)
def test_compiles_into_one_graph_for_training(name: str) -> None:
    model, ids = build(name, n_layers=1), random_ids(2, 10)

    def loss(ids: Tensor) -> Tensor:
        return chunked_cross_entropy(model.hidden(ids).flatten(0, 1), model.head_weight, ids.flatten())

    grads = []
    for form in (loss, torch.compile(loss, fullgraph=True, backend="aot_eager")):
        model.zero_grad()
        form(ids).backward()
        grads.append([parameter.grad for parameter in model.parameters()])
    for eager, compiled in zip(*grads, strict=True):
        torch.testing.assert_close(eager, compiled, atol=1e-5, rtol=1e-4)


def test_tied_and_untied_heads(model: CausalLM, name: str) -> None:
    tied = name in ("gpt2", "llama tied", "gpt2 global", "hanmo-gpt3", "qwen2")
    assert (model.head is None) == tied
    assert (model.head_weight is model.embedding.token.weight) == tied
    hidden = model.hidden(random_ids(1, 4))
    torch.testing.assert_close(model(random_ids(1, 4)).logits, hidden @ model.head_weight.T)


def test_loss_is_the_mean_over_shifted_labels(model: CausalLM) -> None:
    ids = random_ids(2, 6)
    labels = ids.clone()
    labels[0, :3] = -100
    out = model(ids, labels=labels)
    picked = out.logits[:, :-1].log_softmax(-1).gather(2, ids[:, 1:, None])[..., 0][labels[:, 1:] != -100]
    torch.testing.assert_close(out.loss, -picked.mean())


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"input_ids": torch.tensor([[0, VOCAB]])}, "token id 101 is outside the vocabulary of 101"),
        ({"input_ids": torch.tensor([[0, -1]])}, "token id -1 is outside"),
        ({"input_ids": torch.rand(1, 3)}, r"input_ids: a token id is no float32. .* give input_ids.long\(\)"),
        ({"input_ids": torch.zeros(0, 3, dtype=torch.int64)}, r"nothing to do for an input of shape \(0, 3\)"),
        ({"input_ids": torch.zeros(1, 0, dtype=torch.int64)}, "nothing to do"),
        ({"input_ids": torch.zeros(3, dtype=torch.int64)}, r"expected 2 axes.* \(batch, length\)"),
        ({"input_ids": [[1, 2]]}, "input_ids: a list, not a tensor"),
        ({}, "either input_ids or inputs_embeds"),
        ({"attention_mask": torch.ones(1, 4)}, r"shape \(1, 4\), expected \(1, 3\)"),
        ({"attention_mask": torch.ones(2, 3)}, r"shape \(2, 3\), expected \(1, 3\)"),
        ({"position_ids": torch.zeros(1, 2, dtype=torch.int64)}, "position_ids have shape"),
        ({"labels": torch.zeros(1, 2, dtype=torch.int64)}, "labels have shape"),
        ({"labels": torch.full((1, 3), -100)}, "every label is left out"),
        ({"labels": torch.full((1, 3), VOCAB)}, "label 101 is outside"),
        ({"token_type_ids": torch.zeros(1, 3)}, "'token_type_ids' is not supported"),
        ({"output_attentions": True}, "'output_attentions' is not supported"),
        ({"attenion_mask": torch.ones(1, 3)}, "'attenion_mask' is not supported"),
        ({"past_key_values": [], "use_cache": True}, "past_key_values is a list"),
        ({"past_key_values": GrowingCache(), "use_cache": False}, "contradicts"),
    ],
)
def test_bad_input_is_named(model: CausalLM, arguments: dict[str, Any], match: str) -> None:
    if arguments and "input_ids" not in arguments:
        arguments = {"input_ids": torch.tensor([[1, 2, 3]])} | arguments
    with pytest.raises(ConfigError, match=match):
        model(**arguments)


def test_arguments_that_mean_nothing_else_are_fine(model: CausalLM) -> None:
    assert model(random_ids(1, 3), return_dict=True, output_attentions=False, token_type_ids=None).loss is None


def test_too_long_for_learned_positions() -> None:
    model = build("gpt2").eval()
    with pytest.raises(ConfigError, match="65 positions, but this model has learned 64"):
        model(random_ids(1, 65))
    assert torch.isfinite(build("llama")(random_ids(1, 65)).logits).all()
