"""What must hold for a model of two streams with memory, whatever other libraries do."""

from __future__ import annotations

import gzip
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from hanmo.batches.permutation import permute
from hanmo.core.errors import ConfigError
from hanmo.generation.permutation import generate_by_permutation
from hanmo.generation.settings import GenerationSettings
from hanmo.models.families import FAMILIES
from hanmo.nn import attention, two_stream

VOCAB = 101
NAMES = list(FAMILIES["xlnet"].architectures)


def build(name: str = "XLNetLMHeadModel", **more: Any) -> Any:
    torch.manual_seed(0)
    kind = FAMILIES["xlnet"]
    settings = {"vocab_size": VOCAB, "d_model": 36, "n_layers": 3, "n_heads": 6, "d_ff": 50, "init_std": 0.2} | more
    return kind.architecture(name).build(kind.config.model_validate(settings))


@pytest.fixture(params=["fused", "plain"])
def form(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "plain":
        monkeypatch.setattr(two_stream, "attention_sdpa", attention.attention_plain)
    return request.param


def random_ids(rows: int, length: int) -> Tensor:
    return torch.randint(VOCAB, (rows, length), generator=torch.Generator().manual_seed(3))


def one_hot(places: Tensor, length: int) -> Tensor:
    return F.one_hot(places, length).float()


def changed_at(ids: Tensor, places: Tensor) -> Tensor:
    """Other tokens at these places of each row, (B, n)."""
    return ids.scatter(1, places, (ids.gather(1, places) + 1) % VOCAB)


@torch.no_grad()
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("segments", [False, True])
def test_a_target_does_not_see_its_own_token(form: str, dtype: torch.dtype, training: bool, segments: bool) -> None:
    model, ids = build().to(dtype).train(training), random_ids(4, 23)
    batch = permute(ids, 5, torch.Generator().manual_seed(1))
    arguments = {"perm_mask": batch.perm_mask, "target_mapping": batch.target_mapping, "use_mems": False}
    if segments:
        arguments["token_type_ids"] = (torch.arange(23) > 11).long().expand(4, -1)
    before = model(ids, **arguments).logits
    places = batch.target_mapping.argmax(-1)
    for k in range(5):
        after = model(changed_at(ids, places[:, k : k + 1]), **arguments).logits
        assert torch.equal(after[:, : k + 1], before[:, : k + 1])  # itself and those guessed before it
        for later in range(k + 1, 5):  # those guessed after it do see it
            assert not torch.equal(after[:, later], before[:, later])


@torch.no_grad()
def test_even_a_target_that_sees_nothing_does_not_see_itself(form: str) -> None:
    model, ids = build().eval(), random_ids(2, 7)
    nothing = torch.ones(2, 7, 7)
    targets = one_hot(torch.tensor([[2, 5], [0, 6]]), 7)
    out = model(ids, perm_mask=nothing, target_mapping=targets).logits
    assert torch.isfinite(out).all()
    assert torch.equal(out, model((ids + 5) % VOCAB, perm_mask=nothing, target_mapping=targets).logits)


@torch.no_grad()
def test_the_content_stream_sees_what_the_order_allows() -> None:
    """Position i sees j iff j is not later in the order; through layers, that is what it depends on."""
    model, ids = build("XLNetModel").eval(), random_ids(2, 9)
    order = torch.tensor([[3, 1, 4, 0, 5, 8, 2, 6, 7], [8, 7, 6, 5, 4, 3, 2, 1, 0]])
    rank = order.argsort(-1)
    hidden = rank[:, None, :] > rank[:, :, None]
    before = model(ids, perm_mask=hidden).last_hidden_state
    for k in range(9):
        place = order[:, k : k + 1]
        after = model(changed_at(ids, place), perm_mask=hidden).last_hidden_state
        same = (after == before).all(-1)
        assert torch.equal(same, rank < k)


@torch.no_grad()
def test_a_mapped_target_is_the_vector_of_its_place() -> None:
    """The query stream at one place does not depend on which other places are asked for."""
    model, ids = build().eval(), random_ids(2, 11)
    hidden = torch.eye(11).expand(2, -1, -1)
    everywhere = model(ids, perm_mask=hidden, target_mapping=torch.eye(11).expand(2, -1, -1)).logits
    places = torch.tensor([[7, 0, 3], [10, 5, 1]])
    some = model(ids, perm_mask=hidden, target_mapping=one_hot(places, 11)).logits
    torch.testing.assert_close(some, everywhere.gather(1, places[..., None].expand(-1, -1, VOCAB)), atol=1e-5, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("chunks", [[20], [1] * 20, [7, 1, 1, 8, 3]])
@pytest.mark.parametrize("clamp_len", [-1, 4])
def test_memory_and_one_long_segment_agree(chunks: list[int], clamp_len: int, form: str) -> None:
    """With "uni" a segment could not see later ones anyway: memory is exact."""
    model, ids = build(direction="uni", clamp_len=clamp_len).eval(), random_ids(2, 20)
    full = model(ids).logits
    parts, mems, start = [], None, 0
    for size in chunks:
        out = model(ids[:, start : start + size], mems=mems)
        parts.append(out.logits)
        mems, start = out.mems, start + size
        assert [memory.shape for memory in mems] == [(2, start, 36)] * 3
    torch.testing.assert_close(torch.cat(parts, 1), full, atol=1e-5, rtol=0)


@torch.no_grad()
def test_the_future_is_invisible_where_only_the_past_is_asked_for(form: str) -> None:
    model, ids = build(direction="uni").eval(), random_ids(2, 23)
    for arguments in ({}, {"attention_mask": (torch.arange(23) > 3).long().expand(2, -1)}):
        before = model(ids, **arguments).logits
        for t in (1, 11, 22):
            after = model(torch.cat((ids[:, :t], (ids[:, t:] + 1) % VOCAB), 1), **arguments).logits
            assert torch.equal(after[:, :t], before[:, :t])
            assert not torch.equal(after[:, t], before[:, t])


@torch.no_grad()
def test_same_length_looks_back_equally_far() -> None:
    model = build("XLNetModel", direction="uni", same_length=True, n_layers=1).eval()
    ids, mems = random_ids(1, 6), [torch.randn(1, 4, 36)]
    before = model(ids, mems=mems).last_hidden_state
    for j in range(4):  # memory j is seen by the positions up to j
        other = [mems[0].index_add(1, torch.tensor([j]), torch.ones(1, 1, 36))]
        same = (model(ids, mems=other).last_hidden_state == before).all(-1)[0]
        assert same.tolist() == [i > j for i in range(6)]


@torch.no_grad()
def test_lengths_of_memory() -> None:
    ids = random_ids(2, 10)
    out = build(mem_len=6, reuse_len=4).eval()(ids)
    assert [memory.shape[1] for memory in out.mems] == [4, 4, 4]
    model = build(mem_len=6, reuse_len=4).eval()
    assert [memory.shape[1] for memory in model(ids, mems=out.mems).mems] == [6, 6, 6]
    assert torch.equal(out.mems[0], model.backbone.token(ids)[:, :4])
    assert model.train()(ids).mems is None
    assert model(ids, use_mems=True).mems is not None
    assert build(use_mems_eval=False).eval()(ids).mems is None


def test_no_gradient_flows_into_memory() -> None:
    model, ids = build(), random_ids(2, 10)
    mems = model(ids, use_mems=True).mems
    assert not any(memory.requires_grad for memory in mems)
    model(ids, mems=mems, labels=ids).loss.backward()


@torch.no_grad()
@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("direction", ["bi", "uni"])
def test_padding_changes_nothing(form: str, side: str, direction: str) -> None:
    model = build(direction=direction).eval()
    text, other = random_ids(1, 9), random_ids(1, 14)
    padding = torch.full((1, 5), 17)
    row = torch.cat((padding, text) if side == "left" else (text, padding), 1)
    mask = torch.ones(2, 14)
    mask[0, slice(0, 5) if side == "left" else slice(9, 14)] = 0
    # distances do not count from the start of the row
    for arguments in ({"attention_mask": mask}, {"input_mask": 1 - mask}):
        batch = model(torch.cat((row, other)), **arguments).logits
        torch.testing.assert_close(batch[0, mask[0].bool()], model(text).logits[0], atol=1e-5, rtol=0)
        torch.testing.assert_close(batch[1], model(other).logits[0], atol=1e-5, rtol=0)
        changed = torch.cat(((row + (1 - mask[:1]).long()) % VOCAB, other))
        assert torch.equal(model(changed, **arguments).logits[mask.bool()], batch[mask.bool()])


@torch.no_grad()
def test_rows_do_not_see_each_other() -> None:
    model, ids, order = build().eval(), random_ids(5, 12), torch.tensor([3, 1, 4, 0, 2])
    torch.testing.assert_close(model(ids[order]).logits, model(ids).logits[order], atol=1e-5, rtol=0)


@torch.no_grad()
def test_the_second_half_of_a_batch_is_read_from_right_to_left() -> None:
    ids = random_ids(1, 12)
    model = build(mirrored_halves=True).eval()
    out = model(torch.cat((ids, ids.flip(1)))).logits
    torch.testing.assert_close(out[1].flip(0), out[0], atol=1e-5, rtol=0)
    with pytest.raises(ConfigError, match="3 rows cannot be halved"):
        model(random_ids(3, 4))


@torch.no_grad()
def test_only_the_difference_of_segments_counts() -> None:
    model, ids = build().eval(), random_ids(2, 8)
    segments = torch.tensor([[0, 0, 0, 1, 1, 1, 1, 2]]).expand(2, -1)
    out = model(ids, token_type_ids=segments).logits
    assert torch.equal(model(ids, token_type_ids=segments * 3 + 4).logits, out)
    assert not torch.equal(model(ids, token_type_ids=segments * 0).logits, out)


def test_rows_without_any_token_give_no_nan(form: str) -> None:
    model, ids = build(), random_ids(3, 8)
    mask = torch.ones_like(ids)
    mask[0] = 0
    mask[1, :5] = 0
    targets = one_hot(torch.tensor([[0, 4]] * 3), 8)
    for arguments in ({"labels": ids}, {"target_mapping": targets, "labels": ids[:, :2]}):
        out = model(ids, attention_mask=mask, **arguments)
        assert torch.isfinite(out.logits).all()
        out.loss.backward()
        assert all(p.grad is None or torch.isfinite(p.grad).all() for p in model.parameters())


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_is_used_and_initialised(name: str) -> None:
    model, ids = build(name, init_std=0.02), random_ids(4, 64)
    segments = (torch.arange(64) > 30).long().expand(4, -1)
    batch = permute(ids, 8, torch.Generator().manual_seed(1))
    inputs = {"token_type_ids": segments}
    if name in ("XLNetModel", "XLNetLMHeadModel"):
        inputs |= {"perm_mask": batch.perm_mask, "target_mapping": batch.target_mapping}
    out = model(ids, **inputs)
    sum(tensor.square().sum() for tensor in out.to_tuple() if isinstance(tensor, Tensor)).backward()
    for key, parameter in model.named_parameters():
        assert torch.isfinite(parameter).all(), key
        if key.endswith(("up.bias", "out.bias", "dense.bias", "norm.bias", "head.bias")):
            assert (parameter == 0).all(), key
        elif "norm" in key:
            assert (parameter == 1).all(), key
        else:
            assert 0.005 < parameter.std() < 0.04, key
        if key.endswith("target") and "target_mapping" not in inputs:
            continue  # nothing is guessed in these tasks
        assert parameter.grad is not None, key
        assert (parameter.grad != 0).any(), key


@pytest.mark.parametrize("tie_embeddings", [True, False])
def test_the_first_loss_is_that_of_guessing(tie_embeddings: bool) -> None:
    model = build(init_std=0.02, tie_embeddings=tie_embeddings)
    batch = permute(random_ids(16, 64), 16, torch.Generator().manual_seed(1))
    assert abs(model(**batch._asdict()).loss.item() - math.log(VOCAB)) < 0.05


def test_same_seed_same_weights() -> None:
    one, two = build().state_dict(), build().state_dict()
    assert all(torch.equal(one[key], two[key]) for key in one)


def test_a_tiny_batch_is_learned() -> None:
    torch.manual_seed(0)
    model = build(init_std=0.05)
    batch = permute(random_ids(4, 16), 4, torch.Generator().manual_seed(1))
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    losses = []
    for _ in range(15):
        loss = model(**batch._asdict()).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"input_ids": torch.tensor([[0, VOCAB]])}, "token id 101 is outside the vocabulary of 101"),
        ({"input_ids": torch.zeros(0, 3, dtype=torch.int64)}, r"nothing to do for an input of shape \(0, 3\)"),
        ({}, "either input_ids or inputs_embeds"),
        ({"attention_mask": torch.ones(1, 4)}, r"shape \(1, 4\), expected \(1, 3\)"),
        ({"input_mask": torch.ones(1, 4)}, r"shape \(1, 4\), expected \(1, 3\)"),
        ({"input_mask": torch.ones(1, 3), "attention_mask": torch.ones(1, 3)}, "either attention_mask or input_mask"),
        ({"perm_mask": torch.ones(1, 3, 4)}, r"perm_mask have shape \(1, 3, 4\), expected \(1, 3, 3\)"),
        ({"target_mapping": torch.ones(1, 2, 4)}, r"target_mapping have shape \(1, 2, 4\), expected \(1, 2, 3\)"),
        ({"target_mapping": torch.ones(1, 0, 3)}, "target_mapping have shape"),
        ({"target_mapping": torch.ones(3, 3)}, "target_mapping have shape"),
        ({"token_type_ids": torch.ones(1, 2)}, "token_type_ids have shape"),
        ({"mems": [torch.zeros(1, 2, 36)]}, "mems are of 1 layers, this model has 3"),
        ({"mems": [torch.zeros(2, 2, 36)] * 3}, r"mems have shape \(2, 2, 36\), expected \(1, 2, 36\)"),
        ({"mems": [torch.zeros(2, 36)] * 3}, "mems have shape"),
        ({"inputs_embeds": torch.zeros(1, 3, 35)}, "inputs_embeds have shape"),
        ({"labels": torch.zeros(1, 2, dtype=torch.int64)}, "labels have shape"),
        ({"labels": torch.full((1, 3), -100)}, "every label is left out"),
        ({"start_positions": torch.zeros(1, dtype=torch.int64)}, "start_positions were given to a LinearLMHead"),
        ({"use_cache": True}, "'use_cache' is not supported"),
        ({"past_key_values": []}, "'past_key_values' is not supported"),
    ],
)
def test_bad_input_is_named(arguments: dict[str, Any], match: str) -> None:
    if arguments and "input_ids" not in arguments and "inputs_embeds" not in arguments:
        arguments = {"input_ids": torch.tensor([[1, 2, 3]])} | arguments
    with pytest.raises(ConfigError, match=match):
        build().eval()(**arguments)


def test_generation_is_each_rows_own() -> None:
    model = build().train()
    prompts = [[5], [1, 2, 3], [9, 8, 7], [4] * 11]
    for settings in (
        GenerationSettings(max_new_tokens=9),
        GenerationSettings(max_new_tokens=9, temperature=1.0, top_k=20, seed=4),
    ):
        together = generate_by_permutation(model, prompts, settings)
        alone = [
            generate_by_permutation(model, [prompt], settings, first_row=row)[0] for row, prompt in enumerate(prompts)
        ]
        assert together == alone
        assert model.training
    ends = {together[1][3]}
    cut = generate_by_permutation(model, prompts, settings, eos_ids=ends)
    for row, text in enumerate(cut):
        first = next((i for i, token in enumerate(together[row]) if token in ends), 9)
        assert text == together[row][:first]
    with pytest.raises(ConfigError, match="prompt 1 has no tokens"):
        generate_by_permutation(model, [[1], []], settings)


def test_memory_spares_reading_the_prompt_again() -> None:
    """Where only the past is seen, memory and reading anew write the same text."""
    model = build(direction="uni")
    prompts, settings = [[3, 1, 4, 1, 5], [9, 2, 6, 5, 3]], GenerationSettings(max_new_tokens=12)
    one = generate_by_permutation(model, prompts, settings, use_mems=True)
    assert one == generate_by_permutation(model, prompts, settings, use_mems=False)


@pytest.mark.slow
def test_learns_chinese_prose(data_root: Path) -> None:
    """200 steps of permutation language modelling on 红楼梦, character by character."""
    text = gzip.decompress((data_root / "chinese_novels" / "红楼梦.txt.gz").read_bytes()).decode()[20_000:220_000]
    common = sorted(set(text), key=lambda c: (-text.count(c), c))[:999]
    number = {char: index + 1 for index, char in enumerate(common)}
    ids = torch.tensor([number.get(char, 0) for char in text])
    torch.manual_seed(0)
    rng = torch.Generator().manual_seed(0)
    model = build(vocab_size=1000, d_model=96, n_layers=2, n_heads=4, d_ff=384, init_std=0.02)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    losses = []
    for _ in range(200):
        starts = torch.randint(len(ids) - 64, (16,), generator=rng)
        batch = permute(torch.stack([ids[start : start + 64] for start in starts]), 10, rng)
        loss = model(**batch._asdict()).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    first, last = sum(losses[:10]) / 10, sum(losses[-20:]) / 20
    assert abs(losses[0] - math.log(1000)) < 0.1
    assert last < first - 0.8
