"""Each head and loss against a plain computation, and checkpoints that are read with another head."""

from __future__ import annotations

import math
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from hanmo.core.errors import ConfigError, ModelError
from hanmo.core.progress import set_quiet
from hanmo.models.directory import read_model, write_model
from hanmo.models.families import FAMILIES
from hanmo.models.heads import (
    Encoded,
    MaskedLMHead,
    MaskedLMScores,
    NextSentenceHead,
    PretrainingHead,
    RowClassifier,
    SpanHead,
    TokenClassifier,
    first_token,
    last_token,
    row_loss,
)
from hanmo.nn.outputs import EncoderOutput, SentenceOrderOutput

B, T, D, V = 3, 7, 8, 11
SHAPE: dict[str, Any] = {"vocab_size": 31, "max_len": 32, "d_model": 12, "n_layers": 2, "n_heads": 3}


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def encoded(*, mask: Tensor | None = None, ids: Tensor | None = None) -> Encoded:
    output = EncoderOutput(torch.randn(B, T, D), pooler_output=torch.randn(B, D))
    return Encoded(output, mask, ids, torch.randn(V, D))


def scores(*, tied: bool = True) -> MaskedLMScores:
    made = MaskedLMScores(D, D, V, activation="gelu", norm_eps=1e-5, tied=tied)
    nn.init.normal_(made.bias)
    return made


def mean_loss(logits: Tensor, labels: Tensor) -> float:
    """Cross-entropy, label by label."""
    total, count = 0.0, 0
    for row, label in zip(logits.reshape(-1, logits.shape[-1]).tolist(), labels.flatten().tolist(), strict=True):
        if label == -100:
            continue
        top = max(row)
        total += top + math.log(sum(math.exp(score - top) for score in row)) - row[label]
        count += 1
    return total / count


def approx(value: float) -> Any:
    return pytest.approx(value, rel=1e-4, abs=1e-5)


# --- losses -------------------------------------------------------------------------------------------------------


def test_loss_of_one_class() -> None:
    logits, labels = torch.randn(5, 4), torch.tensor([0, 3, 1, 1, 2])
    for problem in (None, "single_label_classification"):
        assert row_loss(logits, labels, problem).item() == approx(mean_loss(logits, labels))
        assert row_loss(logits, labels[:, None].int(), problem).item() == approx(mean_loss(logits, labels))
    labels[1] = -100  # not counted
    assert row_loss(logits, labels, None).item() == approx(mean_loss(logits, labels))


def test_loss_of_several_classes() -> None:
    logits, labels = torch.randn(5, 4), torch.randint(2, (5, 4)).float()
    p = logits.sigmoid()
    expected = -(labels * p.log() + (1 - labels) * (1 - p).log()).mean().item()
    assert row_loss(logits, labels, None).item() == approx(expected)
    assert row_loss(logits, labels.long(), "multi_label_classification").item() == approx(expected)


def test_loss_of_numbers() -> None:
    logits, labels = torch.randn(5, 1), torch.randn(5)
    expected = sum((a - b) ** 2 for a, b in zip(logits[:, 0].tolist(), labels.tolist(), strict=True)) / 5
    for shape in ((5,), (5, 1)):
        assert row_loss(logits, labels.reshape(shape), None).item() == approx(expected)
    whole = torch.tensor([0, 1, 5, 2, 3])  # grades: numbers, although they are whole
    assert row_loss(logits, whole, None).item() == approx((logits[:, 0] - whole).square().mean().item())
    logits, labels = torch.randn(5, 3), torch.randn(5, 3)
    assert row_loss(logits, labels, "regression").item() == approx((logits - labels).square().mean().item())


@pytest.mark.parametrize(
    ("labels", "problem", "match"),
    [
        (torch.zeros(4, dtype=torch.int64), None, r"labels have shape \(4,\), expected \(5,\)"),
        (torch.zeros(5, 3, dtype=torch.int64), None, r"shape \(15,\)"),
        (torch.full((5,), 3), None, "class 3 is outside 0 … 2"),
        (torch.full((5,), -1), None, "class -1 is outside"),
        (torch.full((5,), -100), None, "every label is left out"),
        (torch.zeros(5), "single_label_classification", "expected whole numbers"),
        (torch.zeros(5), None, r"labels have shape \(5,\), the scores \(5, 3\)"),
        (torch.zeros(5, 2), "multi_label_classification", r"labels have shape \(5, 2\)"),
        (torch.zeros(5), "regression", r"labels have shape \(5,\)"),
        (torch.zeros(5), "ranking", "unknown problem_type 'ranking'"),
    ],
)
def test_labels_that_do_not_fit_are_named(labels: Tensor, problem: Any, match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        row_loss(torch.randn(5, 3), labels, problem)


# --- heads --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tied", [True, False])
def test_masked_tokens(tied: bool) -> None:
    head, e = MaskedLMHead(scores(tied=tied)), encoded()
    labels = torch.randint(V, (B, T)).masked_fill(torch.rand(B, T) < 0.5, -100)
    out = head(e, labels=labels)
    part = head.tokens
    hidden = nn.functional.gelu(e.output.last_hidden_state @ part.dense.weight.T + part.dense.bias)
    spread = (hidden.var(-1, keepdim=True, unbiased=False) + 1e-5).sqrt()
    normed = (hidden - hidden.mean(-1, keepdim=True)) / spread
    matrix = e.token_weight if part.out is None else part.out.weight
    torch.testing.assert_close(out.logits, normed @ matrix.T + part.bias)
    assert out.loss.item() == approx(mean_loss(out.logits, labels))
    assert head(e).loss is None


def test_masked_tokens_with_narrow_vectors() -> None:
    head = MaskedLMHead(MaskedLMScores(D, 5, V, activation="relu", norm_eps=1e-5))
    e = Encoded(EncoderOutput(torch.randn(B, T, D)), None, None, torch.randn(V, 5))
    assert head(e).logits.shape == (B, T, V)


@pytest.mark.parametrize("order", [False, True])
def test_tokens_and_pairs(order: bool) -> None:
    head = PretrainingHead(scores(), D, output=SentenceOrderOutput) if order else PretrainingHead(scores(), D)
    e = encoded()
    labels, pair = torch.randint(V, (B, T)), torch.tensor([0, 1, 1])
    out = head(e, labels=labels, pair_labels=pair[:, None])
    pair_scores = out.sop_logits if order else out.seq_relationship_logits
    torch.testing.assert_close(pair_scores, e.output.pooler_output @ head.pair.weight.T + head.pair.bias)
    assert out.loss.item() == approx(mean_loss(out.prediction_logits, labels) + mean_loss(pair_scores, pair))
    assert out.keys() == ["loss", "prediction_logits", "sop_logits" if order else "seq_relationship_logits"]
    for half in ({"labels": labels}, {"pair_labels": pair}):
        with pytest.raises(ConfigError, match="belong together"):
            head(e, **half)


def test_next_sentence() -> None:
    head, e, labels = NextSentenceHead(D), encoded(), torch.tensor([1, 0, 1])
    expected = mean_loss(e.output.pooler_output @ head.pair.weight.T + head.pair.bias, labels)
    assert head(e, labels=labels).loss.item() == approx(expected)
    assert head(e, pair_labels=labels).loss.item() == approx(expected)
    with pytest.raises(ConfigError, match="given twice"):
        head(e, labels=labels, pair_labels=labels)


def test_rows() -> None:
    e, labels = encoded(), torch.tensor([1, 0, 4])
    plain = RowClassifier(D, 5)
    torch.testing.assert_close(plain(e).logits, e.output.pooler_output @ plain.out.weight.T + plain.out.bias)
    assert plain(e, labels=labels).loss.item() == approx(mean_loss(plain(e).logits, labels))
    dense = RowClassifier(D, 5, pool=first_token, dense=True, bias=False)
    assert dense.out.bias is None
    x = (e.output.last_hidden_state[:, 0] @ dense.dense.weight.T + dense.dense.bias).tanh()
    torch.testing.assert_close(dense(e).logits, x @ dense.out.weight.T)
    dropped = RowClassifier(D, 5, dropout=0.5)
    assert not torch.equal(dropped(e).logits, dropped(e).logits)
    dropped.eval()
    assert torch.equal(dropped(e).logits, dropped(e).logits)


def test_tokens() -> None:
    head, e = TokenClassifier(D, 4), encoded()
    labels = torch.randint(4, (B, T)).masked_fill(torch.rand(B, T) < 0.5, -100)
    out = head(e, labels=labels)
    torch.testing.assert_close(out.logits, e.output.last_hidden_state @ head.out.weight.T + head.out.bias)
    assert out.loss.item() == approx(mean_loss(out.logits, labels))
    with pytest.raises(ConfigError, match=r"labels have shape \(3,\), expected \(3, 7\)"):
        head(e, labels=torch.zeros(B, dtype=torch.int64))


def test_spans() -> None:
    head, e = SpanHead(D), encoded()
    start, end = torch.tensor([0, 3, 6]), torch.tensor([2, 3, 6])
    out = head(e, start_positions=start, end_positions=end[:, None])
    both = e.output.last_hidden_state @ head.out.weight.T + head.out.bias
    torch.testing.assert_close(out.start_logits, both[..., 0])
    torch.testing.assert_close(out.end_logits, both[..., 1])
    assert out.loss.item() == approx((mean_loss(both[..., 0], start) + mean_loss(both[..., 1], end)) / 2)
    # an answer that was cut off counts neither as a start nor as an end
    cut = head(e, start_positions=torch.tensor([0, 3, 7]), end_positions=torch.tensor([2, 400, 7]))
    expected = mean_loss(both[:2, :, 0], start[:2]) + mean_loss(both[:1, :, 1], end[:1])
    assert cut.loss.item() == approx(expected / 2)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"start_positions": torch.zeros(3, dtype=torch.int64)}, "belong together"),
        ({"end_positions": torch.zeros(3, dtype=torch.int64)}, "belong together"),
        ({"start_positions": torch.full((3,), 9), "end_positions": torch.zeros(3).long()}, "start_positions: every label"),
        ({"start_positions": torch.full((3,), -1), "end_positions": torch.zeros(3).long()}, "class -1 is outside 0 … 6"),
        ({"start_positions": torch.zeros(2).long(), "end_positions": torch.zeros(3).long()}, r"shape \(2,\), expected \(3,\)"),
        ({"labels": torch.zeros(3)}, "labels were given to a SpanHead, which has no use for them"),
    ],
)  # fmt: skip
def test_spans_that_do_not_fit_are_named(arguments: dict[str, Tensor], match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        SpanHead(D)(encoded(), **arguments)


def test_the_vector_of_the_last_token() -> None:
    ids = torch.tensor([[5, 6, 7, 0, 0, 0, 0], [0, 0, 0, 0, 0, 8, 9], [1, 2, 3, 4, 5, 6, 7]])
    right = torch.tensor([[1, 1, 1, 0, 0, 0, 0], [0, 0, 0, 0, 0, 1, 1], [1] * 7])
    e = encoded(mask=right, ids=ids)
    expected = e.output.last_hidden_state[torch.arange(3), torch.tensor([2, 6, 6])]
    assert torch.equal(last_token(e, pad_id=0), expected)
    assert torch.equal(last_token(e, pad_id=None), expected)
    without = Encoded(e.output, None, ids, e.token_weight)
    assert torch.equal(last_token(without, pad_id=0), expected)
    with pytest.raises(ConfigError, match="nothing says which tokens are padding"):
        last_token(without, pad_id=None)
    vectors_only = Encoded(e.output, None, None, e.token_weight)
    assert torch.equal(last_token(vectors_only, pad_id=None), e.output.last_hidden_state[:, -1])
    first = e.output.last_hidden_state[torch.arange(3), torch.tensor([0, 5, 0])]
    assert torch.equal(first_token(e), first)


# --- models -------------------------------------------------------------------------------------------------------


def build(name: str, architecture: str, **more: Any) -> Any:
    family = FAMILIES[name]
    config = family.config.model_validate(SHAPE | {"pad_id": 0, "init_std": 0.2} | more)
    return family.architecture(architecture).build(config).eval()


DECODERS = [
    (name, architecture)
    for name, family in FAMILIES.items()
    for architecture in family.architectures
    if family.architecture().generates and architecture.endswith(("SequenceClassification", "TokenClassification"))
    and architecture.startswith(("GPT2", "Llama", "Mistral", "Qwen"))
]  # fmt: skip


@pytest.mark.parametrize(("name", "architecture"), DECODERS, ids=[kind for _, kind in DECODERS])
def test_decoders_under_a_classifier(name: str, architecture: str) -> None:
    model = build(name, architecture, labels=("好", "坏", "中"))
    assert not any("head" in key and "decoder" in key for key, _ in model.named_parameters())
    rows = architecture.endswith("SequenceClassification")
    text, other = torch.randint(1, 31, (1, 6)), torch.randint(1, 31, (1, 9))
    for side in ("left", "right"):
        padding = torch.zeros(1, 3, dtype=torch.int64)
        row = torch.cat((padding, text) if side == "left" else (text, padding), 1)
        mask = (row != 0).long()
        positions = (mask.cumsum(-1) - 1).clamp(min=0)
        batch = model(
            torch.cat((row, other)),
            attention_mask=torch.cat((mask, torch.ones_like(other))),
            position_ids=torch.cat((positions, torch.arange(9)[None])),
        ).logits
        one, two = model(text).logits[0], model(other).logits[0]
        torch.testing.assert_close(batch[0] if rows else batch[0, mask[0].bool()], one, atol=1e-5, rtol=0)
        torch.testing.assert_close(batch[1], two, atol=1e-5, rtol=0)
    empty = torch.zeros_like(other)
    labels = torch.tensor([1, 2]) if rows else torch.cat((other, other)) % 3
    out = model(torch.cat((empty, other)), attention_mask=torch.cat((empty, empty + 1)), labels=labels)
    out.loss.backward()
    assert torch.isfinite(out.logits).all()
    for key, parameter in model.named_parameters():
        assert parameter.grad is not None, key
        assert torch.isfinite(parameter.grad).all(), key
    with pytest.raises(ConfigError, match="'past_key_values' is not supported"):
        model(text, past_key_values=[])
    with pytest.raises(ConfigError, match="has no use for them"):
        model(text, start_positions=torch.tensor([0]), end_positions=torch.tensor([0]))


@pytest.mark.parametrize(("name", "architecture"), [("gpt2", "GPT2ForSequenceClassification"), ("roberta", "RobertaForSequenceClassification")])  # fmt: skip
def test_a_classifier_learns_a_batch_of_chinese_and_english(name: str, architecture: str) -> None:
    texts = ["这部电影真好看", "难看，浪费时间", "a joy to watch", "dull and too long"]
    rows = [[1 + ord(letter) % 250 for letter in text] for text in texts]
    ids = torch.tensor([row + [0] * (20 - len(row)) for row in rows])
    model = build(name, architecture, vocab_size=251, init_std=0.02).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(15):
        optimizer.zero_grad()
        loss = model(ids, attention_mask=(ids != 0).long(), labels=torch.tensor([0, 1, 0, 1])).loss
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_heads_can_be_pickled() -> None:
    for model in (build("gpt2", "GPT2ForSequenceClassification"), build("roberta", "RobertaForSequenceClassification")):
        again = pickle.loads(pickle.dumps(model))  # noqa: S301 (worker processes are handed models so)
        ids = torch.randint(1, 31, (2, 5))
        assert torch.equal(again(ids).logits, model(ids).logits)


# --- another head than the one that was stored ----------------------------------------------------------------------


def stack(model: Any) -> dict[str, Tensor]:
    """The parameters that both kinds of a family have."""
    prefixes = ("backbone.decoder.", "backbone.", "decoder.")
    named = {}
    for key, parameter in model.named_parameters():
        short = next((key.removeprefix(p) for p in prefixes if key.startswith(p)), key)
        if not short.startswith(("head", "pooler")):
            named[short] = parameter
    return named


@pytest.mark.parametrize(
    ("name", "stored", "wanted", "fresh", "unused"),
    [
        ("bert", "BertForMaskedLM", "BertForTokenClassification", {"head.out.weight", "head.out.bias"}, "cls.predictions"),
        ("bert", "BertForMaskedLM", "BertForSequenceClassification",
         {"head.out.weight", "head.out.bias", "backbone.pooler.dense.weight", "backbone.pooler.dense.bias"}, "cls."),
        ("bert", "BertForPreTraining", "BertModel", set(), "cls.seq_relationship"),
        ("bert", "BertModel", "BertForQuestionAnswering", {"head.out.weight", "head.out.bias"}, "bert.pooler"),
        ("roberta", "RobertaForMaskedLM", "RobertaForSequenceClassification",
         {"head.dense.weight", "head.dense.bias", "head.out.weight", "head.out.bias"}, "lm_head.dense"),
        ("xlm-roberta", "XLMRobertaModel", "XLMRobertaForTokenClassification",
         {"head.out.weight", "head.out.bias"}, "roberta.pooler"),
        ("albert", "AlbertForPreTraining", "AlbertForSequenceClassification",
         {"head.out.weight", "head.out.bias"}, "sop_classifier"),
        ("gpt2", "GPT2LMHeadModel", "GPT2ForSequenceClassification", {"head.out.weight"}, ""),
        ("llama", "LlamaForCausalLM", "LlamaForTokenClassification", {"head.out.weight", "head.out.bias"}, "lm_head.weight"),
        ("llama", "LlamaForSequenceClassification", "LlamaModel", set(), "score.weight"),
    ],
)  # fmt: skip
def test_a_stack_is_read_under_another_head(
    name: str,
    stored: str,
    wanted: str,
    fresh: set[str],
    unused: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = build(name, stored)
    write_model(tmp_path, before)
    set_quiet(False)
    changes = {} if wanted.endswith(("Model", "QuestionAnswering")) else {"labels": ["人名", "地名", "其他"]}
    model = read_model(tmp_path, architecture=wanted, changes=changes)
    said = capsys.readouterr()
    text = (said.out + said.err).replace("\n", " ")
    assert model.architecture == wanted
    for key in fresh:
        assert key in text
    assert ("start fresh" in text) == bool(fresh)
    assert ("not used" in text) == bool(unused)
    assert unused in text
    old, new = stack(before), stack(model)
    assert new.keys() <= old.keys()
    assert all(torch.equal(new[key], old[key]) for key in new)
    assert all(torch.isfinite(parameter).all() for parameter in model.parameters())
    if changes:
        assert model.config.labels == ("人名", "地名", "其他")
        assert model.head.out.weight.shape[0] == 3
        assert model.head.out.weight.std() > 0
    write_model(tmp_path / "again", model)
    again = read_model(tmp_path / "again")
    assert again.config == model.config
    assert all(torch.equal(one, two) for one, two in zip(model.parameters(), again.parameters(), strict=True))


def test_a_head_with_other_labels_is_fresh(tmp_path: Path) -> None:
    write_model(tmp_path, build("bert", "BertForSequenceClassification", labels=("a", "b", "c")))
    assert read_model(tmp_path).head.out.weight.shape == (3, 12)
    changed = read_model(tmp_path, changes={"labels": ["a", "b"]})
    assert changed.head.out.weight.shape == (2, 12)
    # the same number of labels fits: the head is kept
    renamed = read_model(tmp_path, changes={"labels": ["正", "负", "无"]})
    assert torch.equal(renamed.head.out.weight, read_model(tmp_path).head.out.weight)
    assert renamed.config.labels == ("正", "负", "无")


def test_what_cannot_be_changed_is_named(tmp_path: Path) -> None:
    write_model(tmp_path, build("bert", "BertForMaskedLM"))
    with pytest.raises(ModelError, match=r"have no class 'BertForPoetry' here.*Known: BertModel, BertForPreTraining"):
        read_model(tmp_path, architecture="BertForPoetry")
    with pytest.raises(ModelError, match="have no class 'RobertaForMaskedLM' here"):
        read_model(tmp_path, architecture="RobertaForMaskedLM")
    with pytest.raises(ModelError, match="unknown key 'label'"):
        read_model(tmp_path, changes={"label": ["a"]})
    with pytest.raises(ModelError, match=r"word_embeddings\.weight is \(31, 12\), expected \(40, 12\)"):
        read_model(tmp_path, changes={"vocab_size": 40})
    with pytest.raises(ModelError, match=r"layer\.2\..* is missing"):
        read_model(tmp_path, changes={"n_layers": 3})
