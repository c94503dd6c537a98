"""What must hold for every encoder family, whatever other libraries do."""

from __future__ import annotations

import gzip
import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from hanmo.core.errors import ConfigError, ModelError
from hanmo.models import albert, bert, roberta
from hanmo.models.directory import read_config, read_model, write_model
from hanmo.models.families import FAMILIES
from hanmo.nn import attention
from hanmo.nn.masks import positions_from_padding
from hanmo.nn.outputs import EncoderOutput

VOCAB, PAD = 101, 2
SHAPES: dict[str, dict[str, Any]] = {
    "bert": {"d_ff": 50},
    "bert untied": {"tie_embeddings": False, "n_segments": 3},
    "roberta": {"d_ff": 50},
    "roberta untied": {"tie_embeddings": False, "n_segments": 2},
    "xlm-roberta": {},
    "albert": {"d_embedding": 10},
    "albert groups": {"d_embedding": 48, "n_groups": 2, "n_inner": 2, "tie_embeddings": False},
}
CLASSES = [
    (name, kind) for name in ("bert", "roberta", "xlm-roberta", "albert") for kind in FAMILIES[name].architectures
]


def build(name: str, kind: str = "MaskedLM", **more: Any) -> Any:
    """The family's class that ends in `kind`; "Model" for the bare stack."""
    torch.manual_seed(0)
    family = FAMILIES[name.split()[0]]
    shape = {"vocab_size": VOCAB, "max_len": 64, "d_model": 36, "n_layers": 3, "n_heads": 6, "init_std": 0.2}
    config = family.config.model_validate(shape | {"pad_id": PAD} | SHAPES[name] | more)
    architecture = next(key for key in family.architectures if key.endswith(kind))
    return family.architecture(architecture).build(config)


@pytest.fixture(params=list(SHAPES))
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(params=["fused", "plain"])
def form(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "plain":
        monkeypatch.setattr(attention, "attention", attention.attention_plain)
    return request.param


def random_ids(rows: int, length: int) -> Tensor:
    """Without the id of padding."""
    return torch.randint(PAD + 1, VOCAB, (rows, length), generator=torch.Generator().manual_seed(3))


@torch.no_grad()
@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_padding_changes_nothing(name: str, form: str, side: str, dtype: torch.dtype) -> None:
    model = build(name, "Model").eval().to(dtype)
    text, other = random_ids(1, 9), random_ids(1, 14)
    padding = torch.full((1, 5), PAD)
    row = torch.cat((padding, text) if side == "left" else (text, padding), 1)
    mask = torch.ones(2, 14, dtype=torch.int64)
    mask[0, slice(0, 5) if side == "left" else slice(9, 14)] = 0
    # RoBERTa counts real tokens by itself
    positions = None if "roberta" in name else positions_from_padding(mask)
    batch = model(torch.cat((row, other)), attention_mask=mask, position_ids=positions)
    one, two = model(text), model(other)
    close = {"atol": 1e-5 if dtype == torch.float32 else 0.15, "rtol": 0}
    torch.testing.assert_close(batch.last_hidden_state[0, mask[0].bool()], one.last_hidden_state[0], **close)
    torch.testing.assert_close(batch.last_hidden_state[1], two.last_hidden_state[0], **close)
    torch.testing.assert_close(batch.pooler_output, torch.cat((one.pooler_output, two.pooler_output)), **close)


@torch.no_grad()
def test_rows_do_not_see_each_other(name: str) -> None:
    model = build(name).eval()
    ids, order = random_ids(5, 12), torch.tensor([3, 1, 4, 0, 2])
    torch.testing.assert_close(model(ids[order]).logits, model(ids).logits[order], atol=1e-5, rtol=0)


@torch.no_grad()
def test_tokens_see_both_sides(name: str) -> None:
    model = build(name).eval()
    ids = random_ids(1, 12)
    for place in (0, 5, 11):
        changed = ids.clone()
        changed[0, place] = (changed[0, place] - PAD) % (VOCAB - PAD - 1) + PAD + 1
        moved = (model(changed).logits - model(ids).logits).abs().amax(-1)[0]
        assert (moved > 1e-6).all()


@torch.no_grad()
def test_fused_and_plain_attention_agree(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, ids = build(name).eval(), random_ids(3, 20)
    mask = torch.ones_like(ids)
    mask[0, 13:] = 0
    fused = model(ids, attention_mask=mask).logits
    monkeypatch.setattr(attention, "attention", attention.attention_plain)
    torch.testing.assert_close(model(ids, attention_mask=mask).logits, fused, atol=1e-4, rtol=1e-5)


def test_rows_without_any_token_give_no_nan(name: str, form: str) -> None:
    ids = random_ids(3, 8)
    mask = torch.ones_like(ids)
    mask[0] = 0
    mask[1, :5] = 0
    ids = ids.masked_fill(mask == 0, PAD)
    for kind, labels in (
        ("MaskedLM", ids.masked_fill(mask == 0, -100)),
        ("SequenceClassification", torch.tensor([0, 1, 1])),
    ):
        model = build(name, kind)
        out = model(ids, attention_mask=mask, labels=labels)
        assert torch.isfinite(out.logits).all()
        out.loss.backward()
        assert all(torch.isfinite(p.grad).all() for p in model.parameters())


def labels_for(architecture: str, ids: Tensor) -> dict[str, Tensor]:
    pair = torch.arange(len(ids)) % 2
    match architecture.partition("For")[2]:
        case "PreTraining":
            return {
                "labels": ids,
                ("sentence_order_label" if "Albert" in architecture else "next_sentence_label"): pair,
            }
        case "MaskedLM":
            return {"labels": ids}
        case "TokenClassification":
            return {"labels": ids % 2}
        case "QuestionAnswering":
            return {"start_positions": pair, "end_positions": pair + 3}
        case _:
            return {"labels": pair}


@pytest.mark.parametrize(("name", "architecture"), CLASSES, ids=[kind for _, kind in CLASSES])
def test_every_parameter_is_used_and_initialised(name: str, architecture: str) -> None:
    model, ids = build(name, architecture, init_std=0.02), random_ids(4, 64)
    out = model(ids, **({} if architecture.endswith("Model") else labels_for(architecture, ids)))
    if isinstance(out, EncoderOutput):
        (out.last_hidden_state[:, 1:].square().sum() + out.pooler_output.square().sum()).backward()
    else:
        out.loss.backward()
    for key, parameter in model.named_parameters():
        assert parameter.grad is not None, key
        assert torch.isfinite(parameter).all(), key
        if key.endswith("bias"):
            assert (parameter == 0).all(), key
        elif "norm" in key:
            assert (parameter == 1).all(), key
        elif ".crf." in key:  # every transition is as likely
            assert (parameter == 0).all(), key
        else:
            assert 0.005 < parameter.std() < 0.03, key
        if not key.endswith("qkv.bias"):  # a key's bias moves all scores of a query alike: its true gradient is zero
            assert (parameter.grad != 0).any(), key


def test_the_first_loss_is_that_of_guessing(name: str) -> None:
    ids = random_ids(8, 64)
    assert abs(build(name, init_std=0.02)(ids, labels=ids).loss.item() - math.log(VOCAB)) < 0.05


@pytest.mark.parametrize("name", ["bert", "albert"])
def test_the_first_loss_of_both_tasks(name: str) -> None:
    ids = random_ids(8, 64)
    model = build(name, "PreTraining", init_std=0.02)
    loss = model(ids, **labels_for(model.architecture, ids)).loss
    assert abs(loss.item() - math.log(VOCAB) - math.log(2)) < 0.05


def test_same_seed_same_weights(name: str) -> None:
    one, two = build(name).state_dict(), build(name).state_dict()
    assert all(torch.equal(one[key], two[key]) for key in one)


def test_dropout_acts_in_training_only(name: str) -> None:
    model, ids = build(name, dropout=0.3, dropout_attention=0.3), random_ids(2, 9)
    assert not torch.equal(model(ids).logits, model(ids).logits)
    model.eval()
    assert torch.equal(model(ids).logits, model(ids).logits)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"input_ids": torch.tensor([[0, VOCAB]])}, "input_ids: token id 101 is outside the vocabulary of 101"),
        ({"input_ids": torch.tensor([[0, -1]])}, "token id -1 is outside"),
        ({"input_ids": torch.zeros(0, 3, dtype=torch.int64)}, r"nothing to do for an input of shape \(0, 3\)"),
        ({"input_ids": torch.zeros(1, 0, dtype=torch.int64)}, "nothing to do"),
        ({"input_ids": torch.zeros(3, dtype=torch.int64)}, "expected 2 axes"),
        ({}, "either input_ids or inputs_embeds"),
        ({"input_ids": torch.ones(1, 65, dtype=torch.int64)}, r"input_ids: 65 .*learned"),
        ({"attention_mask": torch.ones(1, 4)}, r"shape \(1, 4\), expected \(1, 3\)"),
        ({"attention_mask": torch.ones(2, 3)}, r"shape \(2, 3\), expected \(1, 3\)"),
        ({"position_ids": torch.zeros(1, 2, dtype=torch.int64)}, "position_ids have shape"),
        ({"position_ids": torch.tensor([[0, 1, 99]])}, "100 positions, but this model has learned"),
        ({"position_ids": torch.tensor([[0, -1, 2]])}, "position -1 is negative"),
        ({"token_type_ids": torch.tensor([[0, 0, 3]])}, r"token_type_ids: segment 3 is outside 0 … \d"),
        ({"token_type_ids": torch.tensor([[0, 0, -1]])}, "segment -1 is outside"),
        ({"token_type_ids": torch.zeros(1, 2, dtype=torch.int64)}, r"token_type_ids have shape \(1, 2\), the input"),
        ({"labels": torch.zeros(1, 2, dtype=torch.int64)}, r"labels have shape \(1, 2\), expected \(1, 3\)"),
        ({"labels": torch.full((1, 3), -100)}, "every label is left out"),
        ({"labels": torch.full((1, 3), VOCAB)}, "labels: class 101 is outside 0 … 100"),
        ({"labels": torch.zeros(1, 3)}, "labels are float32, expected whole numbers"),
        ({"next_sentence_label": torch.zeros(1, dtype=torch.int64)}, "labels of pairs were given to a MaskedLMHead"),
        ({"start_positions": torch.zeros(1, dtype=torch.int64)}, "start_positions were given to a MaskedLMHead"),
        ({"output_attentions": True}, "'output_attentions' is not supported"),
        ({"encoder_hidden_states": torch.ones(1)}, "'encoder_hidden_states' is not supported"),
        ({"attenion_mask": torch.ones(1, 3)}, "'attenion_mask' is not supported"),
    ],
)
def test_bad_input_is_named(name: str, arguments: dict[str, Any], match: str) -> None:
    if arguments and "input_ids" not in arguments:
        arguments = {"input_ids": torch.tensor([[3, 4, 5]])} | arguments
    with pytest.raises(ConfigError, match=match):
        build(name)(**arguments)


def test_token_vectors_in_place_of_ids(name: str) -> None:
    model, ids = build(name, "Model").eval(), random_ids(2, 7)
    vectors = model.embedding.token(ids)
    assert torch.equal(model(inputs_embeds=vectors).last_hidden_state, model(ids).last_hidden_state)
    with pytest.raises(ConfigError, match=r"inputs_embeds: token vectors are 5 wide, this model takes"):
        model(inputs_embeds=vectors[..., :5])
    with pytest.raises(ConfigError, match="either input_ids or inputs_embeds"):
        model(ids, inputs_embeds=vectors)


def test_what_each_layer_saw(name: str) -> None:
    model, ids = build(name, "Model").eval(), random_ids(2, 7)
    out = model(ids, output_hidden_states=True)
    assert len(out.hidden_states) == len(model.stack.order) + 1
    assert torch.equal(out.hidden_states[-1], out.last_hidden_state)
    assert out.pooler_output.shape == (2, 36)
    assert build(name)(ids, output_hidden_states=True).hidden_states is not None


def test_compiles_into_one_graph_for_training() -> None:
    model, ids = build("roberta", n_layers=1), random_ids(2, 10)
    mask = torch.ones_like(ids)
    mask[0, 7:] = 0
    ids = ids.masked_fill(mask == 0, PAD)

    def loss(ids: Tensor) -> Tensor:
        return model(ids, attention_mask=mask, labels=ids.masked_fill(mask == 0, -100)).loss

    compiled = torch.compile(loss, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(ids), loss(ids))


def test_layers_that_share_weights() -> None:
    sizes = {depth: sum(p.numel() for p in build("albert", n_layers=depth).parameters()) for depth in (1, 3, 12)}
    assert len(set(sizes.values())) == 1
    config = albert.AlbertConfig(n_layers=5, n_groups=2, n_inner=2)
    assert config.order == [0, 1, 0, 1, 0, 1, 2, 3, 2, 3]
    assert albert.AlbertConfig(n_layers=3, n_groups=3).order == [0, 1, 2]
    for n_layers in range(1, 60):  # every group is run
        for n_groups in range(1, n_layers + 1):
            assert set(albert.AlbertConfig(n_layers=n_layers, n_groups=n_groups).order) == set(range(n_groups))
    with pytest.raises(ValueError, match="n_groups 4 is more than n_layers 3"):
        albert.AlbertConfig(n_layers=3, n_groups=4)


def test_positions_count_real_tokens() -> None:
    model = build("roberta", "Model").eval()
    long = torch.cat((random_ids(1, 64), torch.full((1, 8), PAD)), 1)  # 64 tokens fit, whatever padding follows
    mask = (long != PAD).long()
    close = model(long, attention_mask=mask).last_hidden_state[:, :64] - model(long[:, :64]).last_hidden_state
    assert close.abs().max() < 1e-5
    with pytest.raises(ConfigError, match="65 tokens, but this model has learned positions for 64"):
        model(torch.full((1, 65), 7))
    given = torch.arange(PAD + 1, PAD + 10)[None]
    ids = random_ids(1, 9)
    assert torch.equal(model(ids, position_ids=given).last_hidden_state, model(ids).last_hidden_state)


@pytest.mark.parametrize(
    ("config", "match"),
    [
        (lambda: roberta.RobertaConfig(pad_id=None), "pad_id is needed"),
        (lambda: roberta.RobertaConfig(pad_id=9, vocab_size=9), "pad_id 9 is outside the vocabulary of 9"),
        (lambda: bert.BertConfig(pad_id=-1), "pad_id"),
        (lambda: bert.BertConfig(d_model=10, n_heads=3), "not a multiple of n_heads"),
        (lambda: bert.BertConfig(activation="mish"), "unknown activation 'mish'"),
        (lambda: bert.BertConfig(labels=()), "labels"),
        (lambda: albert.AlbertConfig(pad_id=30000), "pad_id 30000 is outside"),
    ],
)
def test_settings_that_cannot_work(config: Any, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        config()


def test_named_sizes_fit_their_settings() -> None:
    def count(kind: Any, encoder: Any, size: dict[str, Any]) -> int:
        with torch.device("meta"):
            return sum(p.numel() for p in encoder(kind.model_validate(size)).parameters())

    sizes = {name: count(bert.BertConfig, bert.bert_encoder, size) for name, size in bert.SIZES.items()}
    sizes |= {name: count(albert.AlbertConfig, albert.albert_encoder, size) for name, size in albert.SIZES.items()}
    kinds = {"roberta": roberta.RobertaConfig, "xlm": roberta.XLMRobertaConfig}
    for name, size in roberta.SIZES.items():
        sizes[name] = count(kinds[name.split("-")[0]], roberta.roberta_encoder, size)
    assert sizes["bert-base"] == 109_482_240  # of the published files
    assert sizes["bert-base-chinese"] == 102_267_648
    assert sizes["mbert"] == 177_853_440
    assert sizes["albert-base"] == 11_683_584
    assert sizes["roberta-base"] == 124_645_632
    assert sizes["xlm-roberta-base"] == 278_043_648


# --- public files as they are found -------------------------------------------------------------------------------


def edit_config(path: Path, **changes: Any) -> None:
    file = path / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def test_old_files_with_more_than_their_class_needs(name: str, tmp_path: Path) -> None:
    """bert-base-chinese, roberta-base and albert-base name the masked LM and carry a pooler besides."""
    model = build(name).eval()
    write_model(tmp_path, model)
    bare = build(name, "Model")
    write_model(tmp_path / "bare", bare)
    prefix = {"xlm-roberta": "roberta"}.get(name.split()[0], name.split()[0])
    tensors = load_file(tmp_path / "model.safetensors")
    more = {f"{prefix}.{key}": value for key, value in load_file(tmp_path / "bare/model.safetensors").items()}
    tensors |= {key: value for key, value in more.items() if "pooler" in key}
    if name == "bert":
        tensors |= {"cls.seq_relationship.weight": torch.ones(2, 36), "cls.seq_relationship.bias": torch.ones(2)}
        tensors = {key.replace("LayerNorm.weight", "LayerNorm.gamma"): value for key, value in tensors.items()}
        tensors = {key.replace("LayerNorm.bias", "LayerNorm.beta"): value for key, value in tensors.items()}
    tensors[f"{prefix}.embeddings.position_ids"] = torch.arange(64)[None]
    save_file(tensors, tmp_path / "model.safetensors")
    ids = random_ids(2, 9)
    assert torch.equal(read_model(tmp_path)(ids).logits, model(ids).logits)
    tensors["surprise"] = torch.ones(1)
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(ModelError, match=r"surprise \(1,\) is not part of this model"):
        read_model(tmp_path)


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        # google-bert/bert-base-chinese, hfl/chinese-roberta-wwm-ext
        ("bert", {"directionality": "bidi", "pooler_type": "first_token_transform", "pooler_fc_size": 768,
                  "output_past": True, "gradient_checkpointing": False, "position_embedding_type": "absolute"}),
        # albert/albert-base-v2, voidful/albert_chinese_tiny
        ("albert", {"net_structure_type": 0, "gap_size": 0, "num_memory_blocks": 0, "down_scale_factor": 1,
                    "pooler_size_per_head": 128}),
        ("xlm-roberta", {"output_past": True}),
    ],
)  # fmt: skip
def test_keys_of_public_configs_that_change_nothing(name: str, keys: dict[str, Any], tmp_path: Path) -> None:
    write_model(tmp_path, build(name))
    before = read_config(tmp_path)
    edit_config(tmp_path, **keys)
    assert read_config(tmp_path) == before


@pytest.mark.parametrize(
    ("name", "keys", "match"),
    [
        ("bert", {"position_embedding_type": "relative_key"}, "position_embedding_type = 'relative_key'"),
        ("bert", {"is_decoder": True}, "is_decoder = True"),
        ("albert", {"net_structure_type": 1}, "net_structure_type = 1"),
        ("albert", {"num_hidden_groups": 9}, "n_groups 9 is more than n_layers 3"),
        ("roberta", {"add_cross_attention": True}, "add_cross_attention"),
        ("roberta", {"pad_token_id": None}, "pad_id is needed"),
        ("roberta", {"max_position_embeddings": "many"}, "max_len"),
        ("xlm-roberta", {"problem_type": "ranking"}, "problem_type"),
    ],
)
def test_settings_that_change_the_result_are_named(name: str, keys: dict[str, Any], match: str, tmp_path: Path) -> None:
    write_model(tmp_path, build(name))
    edit_config(tmp_path, **keys)
    with pytest.raises(ModelError, match=match):
        read_config(tmp_path)


def test_the_longest_text_is_what_fits(tmp_path: Path) -> None:
    write_model(tmp_path, build("roberta", "Model", pad_id=1, max_len=512))
    assert json.loads((tmp_path / "config.json").read_text())["max_position_embeddings"] == 514
    assert read_config(tmp_path).max_len == 512  # pyright: ignore[reportAttributeAccessIssue]


# --- training -----------------------------------------------------------------------------------------------------


def masked(ids: Tensor, mask_id: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Ids with a seventh hidden, and the labels: those alone."""
    hidden = torch.rand(ids.shape, generator=rng) < 1 / 7
    hidden[:, 1] = True
    return ids.masked_fill(hidden, mask_id), ids.masked_fill(~hidden, -100)


def test_a_few_steps_on_one_batch(name: str) -> None:
    model = build(name, init_std=0.02)
    ids, labels = masked(random_ids(4, 16), VOCAB - 1, torch.Generator().manual_seed(0))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(15):
        optimizer.zero_grad()
        loss = model(ids, labels=labels).loss
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.7


def chinese_and_english(root: Path) -> list[str]:
    with gzip.open(
        root / "clue_corpus_small_sample" / "CLUECorpusSmall_sampled.txt.gz", "rt", encoding="utf-8"
    ) as file:
        chinese = file.read()[:200_000]
    with gzip.open(root / "tinyshakespeare" / "input.txt.gz", "rt", encoding="utf-8") as file:
        english = file.read()[:100_000]
    text = "".join((chinese + english).split())
    return [text[start : start + 31] for start in range(0, len(text) - 31, 31)]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bert", "roberta", "xlm-roberta", "albert"])
def test_training_on_real_text(name: str, data_root: Path) -> None:
    lines = chinese_and_english(data_root)
    letters = sorted(set("".join(lines)))
    index = {letter: 4 + number for number, letter in enumerate(letters)}  # 0 pad, 1 first, 2 between, 3 mask
    rows = torch.tensor([[index[letter] for letter in line] for line in lines])
    pairs = name in ("bert", "albert")
    size = {"vocab_size": 4 + len(letters), "d_model": 64, "n_heads": 4, "n_layers": 2, "pad_id": 0, "init_std": 0.02}
    model = build(
        name, "PreTraining" if pairs else "MaskedLM", **size, **({"d_embedding": 32} if name == "albert" else {})
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    rng = torch.Generator().manual_seed(0)
    losses = []
    for _ in range(200):
        picked = torch.randint(len(rows) - 1, (16,), generator=rng)
        first, second = rows[picked], rows[picked + 1]
        wrong = torch.rand(16, generator=rng) < 0.5
        if name == "albert":  # the same two sentences, swapped
            first, second = torch.where(wrong[:, None], second, first), torch.where(wrong[:, None], first, second)
        else:  # another second sentence
            second = second.where(~wrong[:, None], rows[torch.randint(len(rows), (16,), generator=rng)])
        text, labels = masked(torch.cat((first, second), 1), 3, rng)
        ids = torch.cat((torch.ones(16, 1, dtype=torch.int64), text[:, :31], torch.full((16, 1), 2), text[:, 31:]), 1)
        none = torch.full((16, 1), -100)
        targets: dict[str, Tensor] = {"labels": torch.cat((none, labels[:, :31], none, labels[:, 31:]), 1)}
        if pairs:
            targets["sentence_order_label" if name == "albert" else "next_sentence_label"] = wrong.long()
        optimizer.zero_grad()
        loss = model(ids, **targets).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    start, end = sum(losses[:20]) / 20, sum(losses[-20:]) / 20
    assert end < start - 0.5, (start, end)
