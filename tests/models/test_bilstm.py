"""The bidirectional LSTM as backbone, the head with a CRF, and both on BERT."""

from __future__ import annotations

import gzip
import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file
from torch import Tensor, nn

from hanmo.core.errors import ConfigError, ModelError
from hanmo.models.bert import BertConfig, bert
from hanmo.models.bilstm import SIZES, BiLSTMConfig, bilstm, bilstm_encoder
from hanmo.models.crf_head import CrfHead
from hanmo.models.directory import read_model, write_model
from hanmo.models.families import FAMILIES
from hanmo.models.headed import HeadedModel

VOCAB = 37
LABELS = ("O", "B-人名", "I-人名", "B-LOC", "I-LOC")
HEADED = [name for name in FAMILIES["hanmo-bilstm"].architectures if name.endswith("Classification")]


def build(name: str = "BiLSTMCrfForTokenClassification", **more: Any) -> HeadedModel:
    torch.manual_seed(0)
    settings = {"vocab_size": VOCAB, "d_embedding": 9, "d_hidden": 7, "n_layers": 2, "labels": LABELS} | more
    return bilstm(BiLSTMConfig.model_validate(settings), name)


def build_bert(name: str = "BertCrfForTokenClassification", **more: Any) -> HeadedModel:
    torch.manual_seed(0)
    settings = {"vocab_size": VOCAB, "max_len": 40, "d_model": 15, "n_layers": 2, "n_heads": 3, "labels": LABELS}
    return bert(BertConfig.model_validate(settings | more), name)


def random_ids(rows: int, length: int) -> Tensor:
    return torch.randint(1, VOCAB, (rows, length), generator=torch.Generator().manual_seed(3))


def labels_for(name: str, rows: int, length: int) -> Tensor:
    generator = torch.Generator().manual_seed(4)
    if "Sequence" in name:
        return torch.randint(len(LABELS), (rows,), generator=generator)
    return torch.tensor([1, 2, 3, 0, 1, 2, 2, 3, 4]).repeat(rows, 1 + length // 9)[:, :length]


@pytest.fixture(params=HEADED)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@torch.no_grad()
@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_changes_nothing(name: str, side: str) -> None:
    model, text, other = build(name, init_std=1.0).eval(), random_ids(1, 6), random_ids(1, 10)
    row = torch.cat((torch.full((1, 4), 5), text) if side == "left" else (text, torch.full((1, 4), 5)), 1)
    mask = torch.ones(2, 10, dtype=torch.int64)
    mask[0, slice(0, 4) if side == "left" else slice(6, 10)] = 0
    batch = model(torch.cat((row, other)), attention_mask=mask)
    for i, ids in enumerate((text, other)):
        alone, real = model(ids), mask[i].bool()
        logits = batch.logits[i] if "Sequence" in name else batch.logits[i, real]
        torch.testing.assert_close(logits, alone.logits[0], atol=1e-5, rtol=0)
        if "Crf" in name:
            assert torch.equal(batch.decoded[i, real], alone.decoded[0])
            assert (batch.decoded[i, ~real] == -100).all()
    swapped = model(torch.cat((other, row)), attention_mask=mask.flip(0))
    torch.testing.assert_close(swapped.logits, batch.logits.flip(0), atol=1e-5, rtol=0)


def test_every_parameter_is_used_and_initialised(name: str) -> None:
    model, ids = build(name), random_ids(8, 27)
    loss = model(ids, labels=labels_for(name, 8, 27)).loss
    loss.backward()
    for key, parameter in model.named_parameters():
        assert torch.isfinite(parameter).all(), key
        assert (parameter.grad != 0).any(), key
    if "Crf" not in name:
        assert abs(loss.item() - math.log(len(LABELS))) < 0.05
    else:
        assert (model.head.crf.transitions == 0).all()
        assert 0.5 * math.log(len(LABELS)) < loss.item() < math.log(len(LABELS))  # fewer sequences can be
        free = build(name, labels=[f"L{i}" for i in range(5)])
        first = free(ids, labels=labels_for(name, 8, 27)).loss
        assert abs(first.item() - math.log(len(LABELS))) < 0.05
    again = build(name).state_dict()
    assert all(torch.equal(value, again[key]) for key, value in model.state_dict().items())


def test_rows_without_any_token_give_no_nan(name: str) -> None:
    model, mask = build(name), torch.ones(2, 5)
    mask[0] = 0
    labels = labels_for(name, 2, 5)
    if "Sequence" not in name:
        labels[0] = -100
    out = model(random_ids(2, 5), attention_mask=mask, labels=labels)
    assert torch.isfinite(out.logits).all()
    out.loss.backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())


def test_it_sees_both_sides() -> None:
    encoder, ids = build().backbone.eval(), random_ids(1, 9)
    changed = ids.clone()
    changed[0, 4] = (changed[0, 4] + 1) % VOCAB
    moved = (encoder(ids).last_hidden_state != encoder(changed).last_hidden_state)[0]
    assert moved.any(-1).all()
    states = encoder(ids, output_hidden_states=True)
    assert [part.shape[-1] for part in states.hidden_states] == [9, 14, 14]
    assert torch.equal(states.hidden_states[-1], states.last_hidden_state)
    embeds = encoder.embedding.token(ids)
    assert torch.equal(encoder(inputs_embeds=embeds).last_hidden_state, states.last_hidden_state)


@pytest.mark.parametrize("make", [build, build_bert])
def test_the_head_is_its_crf(make) -> None:
    model, ids = make().eval(), random_ids(3, 9)
    labels = labels_for("Crf", 3, 9)
    labels[0, 3] = labels[1, 4:] = -100
    out = model(ids, labels=labels)
    crf = model.head.crf
    torch.testing.assert_close(out.loss, crf.loss(out.logits, labels.clamp(min=0), labels != -100))
    assert torch.equal(out.decoded, crf.decode(out.logits, labels != -100)[0])
    assert ((out.decoded == -100) == (labels == -100)).all()
    mask = labels != -100
    assert torch.equal(model(ids, label_mask=mask).decoded, out.decoded)
    assert model(ids).decoded.min() >= 0
    assert model.train()(ids, labels=labels).decoded is None
    assert set(out.keys()) == {"loss", "logits", "decoded"}


@pytest.mark.parametrize("make", [build, build_bert])
def test_bad_labels_are_named(make) -> None:
    model, ids = make(), random_ids(1, 3)
    for labels, match in (
        (torch.tensor([[0, 2, 0]]), "I-人名 after O"),
        (torch.tensor([[2, 0, 0]]), "I-人名 at the start"),
        (torch.tensor([[0, 5, 0]]), "label 5 is outside"),
        (torch.tensor([[0, 0]]), r"labels have shape \(1, 2\), expected \(1, 3\)"),
        (torch.full((1, 3), -100), "no position is left"),
    ):
        with pytest.raises(ConfigError, match=match):
            model(ids, labels=labels)
    with pytest.raises(ConfigError, match="label_mask"):
        build("BiLSTMForTokenClassification")(ids, label_mask=torch.ones(1, 3))
    with pytest.raises(ConfigError, match="token_type_ids"):
        build()(ids, token_type_ids=torch.zeros(1, 3))


def test_the_scheme_of_a_head() -> None:
    assert build().head.crf.limits.labels == LABELS
    assert build(labels=["X", "Y"]).head.crf.limits is None
    first_inside = torch.tensor([[2, 2, 0]])
    assert build(scheme="IOB1")(random_ids(1, 3), labels=first_inside).loss > 0
    with pytest.raises(ConfigError, match="no label of the scheme"):
        CrfHead(4, ["X", "Y"], scheme="BIO")


@pytest.mark.parametrize("architecture", list(FAMILIES["hanmo-bilstm"].architectures))
def test_the_directory_survives_the_round_trip(architecture: str, tmp_path: Path) -> None:
    if architecture == "BiLSTMModel":
        model = bilstm_encoder(BiLSTMConfig(vocab_size=VOCAB, d_embedding=9, d_hidden=7))
    else:
        model = build(architecture, scheme="IOB1", dropout=0.1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    write_model(tmp_path / "one", model)
    again = read_model(tmp_path / "one")
    assert again.config == model.config
    assert again.architecture == architecture
    write_model(tmp_path / "two", again)
    first, second = (tmp_path / folder / "model.safetensors" for folder in ("one", "two"))
    assert first.read_bytes() == second.read_bytes()
    ids = random_ids(2, 5)
    for key, value in model.eval()(ids).__dict__.items():
        assert value is None or torch.equal(value, again(ids)[key])


def test_a_plain_tagger_becomes_one_with_a_crf(tmp_path: Path) -> None:
    plain = build("BiLSTMForTokenClassification")
    write_model(tmp_path, plain)
    model = read_model(tmp_path, architecture="BiLSTMCrfForTokenClassification")
    assert torch.equal(model.head.out.weight, plain.head.out.weight)
    assert (model.head.crf.transitions == 0).all()
    with pytest.raises(ModelError, match="no class"):
        read_model(tmp_path, architecture="BiLSTMForCausalLM")
    for size in SIZES.values():
        with torch.device("meta"):
            assert bilstm(BiLSTMConfig.model_validate(size)).config.d_model == 2 * size["d_hidden"]


def test_bert_with_a_crf_loads_elsewhere_as_a_plain_tagger(tmp_path: Path) -> None:
    ours = build_bert().eval()
    with torch.no_grad():
        for parameter in ours.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    write_model(tmp_path / "ours", ours)
    stored = load_file(tmp_path / "ours" / "model.safetensors")
    assert {"crf.transitions", "crf.start", "crf.end", "classifier.weight"} <= set(stored)
    rival = transformers.AutoModelForTokenClassification.from_pretrained(tmp_path / "ours")
    assert type(rival).__name__ == "BertForTokenClassification"
    assert rival.config.id2label == dict(enumerate(LABELS))
    ids = random_ids(2, 9)
    assert (rival(ids).logits - ours(ids).logits).abs().max() <= 1e-5
    again = read_model(tmp_path / "ours")
    assert torch.equal(again(ids).decoded, ours(ids).decoded)
    write_model(tmp_path / "again", again)
    first, second = (tmp_path / folder / "model.safetensors" for folder in ("ours", "again"))
    assert first.read_bytes() == second.read_bytes()
    # what comes back from there is a plain tagger, on which a CRF may be put anew
    rival.save_pretrained(tmp_path / "theirs")
    assert read_model(tmp_path / "theirs").architecture == "BertForTokenClassification"
    renewed = read_model(tmp_path / "theirs", architecture="BertCrfForTokenClassification")
    assert torch.equal(renewed.head.out.weight, ours.head.out.weight)
    assert (renewed.head.crf.transitions == 0).all()


@pytest.mark.parametrize("make", [build, build_bert])
def test_the_loss_falls_on_a_fixed_batch(make) -> None:
    model, ids = make(), random_ids(4, 9)
    optimizer, losses = torch.optim.Adam(model.parameters(), lr=2e-2), []
    for _ in range(15):
        loss = model(ids, labels=labels_for("Crf", 4, 9)).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.4


# -- named entities -----------------------------------------------------------------------------------------------


def read_cluener(file: Path) -> list[tuple[str, list[str]]]:
    """Characters and a BIO label for each."""
    rows = []
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            labels = ["O"] * len(row["text"])
            for kind, found in row["label"].items():
                for first, last in (span for spans in found.values() for span in spans):
                    labels[first : last + 1] = [f"B-{kind}"] + [f"I-{kind}"] * (last - first)
            rows.append((row["text"], labels))
    return rows


def spans(labels: list[str]) -> set[tuple[int, int, str]]:
    found, start = set(), None
    for i, label in enumerate([*labels, "O"]):
        if start is not None and not (label.startswith("I-") and label[2:] == labels[start][2:]):
            found.add((start, i, labels[start][2:]))
            start = None
        if label.startswith("B-"):
            start = i
    return found


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["BiLSTM-CRF", "BERT-CRF"])
def test_it_learns_chinese_names(data_root: Path, kind: str) -> None:
    """CLUENER 2020, characters, 200 steps from scratch."""
    data = [read_cluener(data_root / "cluener2020" / f"{part}.json.gz") for part in ("train", "dev")]
    names = sorted({label for _, labels in data[0] for label in labels}, key=lambda name: (name != "O", name[2:], name))
    known = sorted({char for text, _ in data[0] for char in text})
    code = {char: i + 2 for i, char in enumerate(known)}

    def batch(rows: list[tuple[str, list[str]]]) -> dict[str, Tensor]:
        ids = [torch.tensor([code.get(char, 1) for char in text]) for text, _ in rows]
        labels = [torch.tensor([names.index(label) for label in row]) for _, row in rows]
        padded = nn.utils.rnn.pad_sequence(ids, True)
        return {
            "input_ids": padded,
            "attention_mask": (padded > 0).long(),
            "labels": nn.utils.rnn.pad_sequence(labels, True, -100),
        }

    shape: dict[str, Any] = {"vocab_size": len(known) + 2, "labels": names, "dropout": 0.1}
    if kind == "BiLSTM-CRF":
        model = build(**shape, d_embedding=128, d_hidden=128, n_layers=1)
    else:
        model = build_bert(**shape, d_model=128, n_layers=2, n_heads=4, max_len=64)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3 if kind == "BiLSTM-CRF" else 1e-3)
    generator, losses = torch.Generator().manual_seed(0), []
    for _ in range(200):
        chosen = torch.randint(len(data[0]), (32,), generator=generator).tolist()
        loss = model(**batch([data[0][i] for i in chosen])).loss
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    model.eval()
    n_true = n_found = n_right = 0
    for start in range(0, len(data[1]), 64):
        rows = data[1][start : start + 64]
        with torch.no_grad():
            decoded = model(**batch(rows)).decoded
        for (_, labels), found in zip(rows, decoded.tolist(), strict=True):
            predicted = [names[label] for label in found[: len(labels)]]
            true, got = spans(labels), spans(predicted)
            n_true, n_found, n_right = n_true + len(true), n_found + len(got), n_right + len(true & got)
            pairs = zip(["O", *predicted[:-1]], predicted, strict=True)  # never an I- that nothing began
            assert all(not now.startswith("I-") or before[1:] == now[1:] for before, now in pairs)
    f1 = 2 * n_right / (n_true + n_found)
    print(
        f"{kind}: loss {losses[0]:.3f} -> {losses[-1]:.3f}, dev span F1 {f1:.3f} ({n_right} of {n_true}, {n_found} found)"
    )
    assert losses[-1] < losses[0] / 2
    assert f1 > (0.2 if kind == "BiLSTM-CRF" else 0.02)


def test_spans_and_segments(tmp_path: Path) -> None:
    model, ids = build("BiLSTMForQuestionAnswering", n_segments=3, init_std=1.0).eval(), random_ids(2, 9)
    kinds = torch.arange(9).repeat(2, 1) // 3
    out = model(ids, token_type_ids=kinds, start_positions=torch.tensor([1, 4]), end_positions=torch.tensor([2, 8]))
    assert out.start_logits.shape == out.end_logits.shape == (2, 9)
    first = nn.functional.cross_entropy(out.start_logits, torch.tensor([1, 4]))
    last = nn.functional.cross_entropy(out.end_logits, torch.tensor([2, 8]))
    torch.testing.assert_close(out.loss, (first + last) / 2)
    out.loss.backward()
    assert all((parameter.grad != 0).any() for parameter in model.parameters())
    plain = model(ids)
    assert torch.equal(plain.start_logits, model(ids, token_type_ids=torch.zeros_like(kinds)).start_logits)
    assert (plain.start_logits != out.start_logits).all()
    write_model(tmp_path, model)
    assert torch.equal(read_model(tmp_path).eval()(ids, token_type_ids=kinds).end_logits, out.end_logits)
    with pytest.raises(ConfigError, match="'token_type_ids' is not supported"):
        build("BiLSTMForQuestionAnswering")(ids, token_type_ids=kinds)
