"""The LSTM language model: what must hold for any causal family, its directory, and text written with it."""

from __future__ import annotations

import gzip
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

import hanmo
from hanmo.batches.blocks import TokenBlocks
from hanmo.core.devices import Compute
from hanmo.core.errors import ConfigError, ModelError
from hanmo.core.runs import RunFolder
from hanmo.evaluation.perplexity import evaluate_blocks
from hanmo.models.directory import read_model, write_model
from hanmo.models.lstm import LSTMLM, SIZES, LSTMConfig, lstm
from hanmo.nn.cache import GrowingCache
from hanmo.nn.masks import positions_from_padding
from hanmo.nn.recurrent import LSTMState
from hanmo.tasks.causal_lm import causal_lm_loss
from hanmo.tasks.language_model import LanguageModel
from hanmo.tokenizers.bpe import train_bpe
from hanmo.training import TrainingSettings, fit

VOCAB = 101
SHAPES: dict[str, dict[str, Any]] = {
    "tied": {"d_hidden": 31, "n_layers": 3},
    "untied": {"tie_embeddings": False, "n_layers": 2},
    "one layer": {"n_layers": 1},
}
ENGLISH = "The old printer mended seven maps by candlelight before sunrise. "
CHINESE = "老先生清早抄好了一封长信，小徒弟把砚台收拾干净。"


def build(name: str, **more: Any) -> LSTMLM:
    torch.manual_seed(0)
    return lstm(LSTMConfig.model_validate({"vocab_size": VOCAB, "max_len": 64, "d_model": 23} | SHAPES[name] | more))


@pytest.fixture(params=list(SHAPES))
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def model(name: str) -> LSTMLM:
    return build(name, init_std=1.0).eval()


def random_ids(rows: int, length: int) -> Tensor:
    return torch.randint(VOCAB, (rows, length), generator=torch.Generator().manual_seed(3))


@torch.no_grad()
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_future_is_invisible(model: LSTMLM, dtype: torch.dtype) -> None:
    model.to(dtype)
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
@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_changes_nothing(model: LSTMLM, side: str) -> None:
    text, other = random_ids(1, 9), random_ids(1, 14)
    padding = torch.full((1, 5), 17)
    row = torch.cat((padding, text) if side == "left" else (text, padding), 1)
    mask = torch.ones(2, 14, dtype=torch.int64)
    mask[0, slice(0, 5) if side == "left" else slice(9, 14)] = 0
    batch = model(torch.cat((row, other)), attention_mask=mask, position_ids=positions_from_padding(mask)).logits
    torch.testing.assert_close(batch[0, mask[0].bool()], model(text).logits[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(batch[1], model(other).logits[0], atol=1e-5, rtol=0)
    assert (batch[0, ~mask[0].bool()] == 0).all()


@torch.no_grad()
def test_rows_do_not_see_each_other(model: LSTMLM) -> None:
    ids, order = random_ids(5, 12), torch.tensor([3, 1, 4, 0, 2])
    torch.testing.assert_close(model(ids[order]).logits, model(ids).logits[order], atol=1e-5, rtol=0)


def test_rows_without_any_token_give_no_nan(model: LSTMLM) -> None:
    ids = random_ids(3, 8)
    mask = torch.ones_like(ids)
    mask[0] = 0
    mask[1, :5] = 0
    out = model(ids, attention_mask=mask, labels=ids.masked_fill(mask == 0, -100))
    assert torch.isfinite(out.logits).all()
    out.loss.backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())


@torch.no_grad()
@pytest.mark.parametrize("chunks", [[20], [1] * 20, [7, 1, 1, 8, 3]])
@pytest.mark.parametrize("padded", ["no", "left", "holes"])
def test_cached_and_full_decoding_agree(model: LSTMLM, chunks: list[int], padded: str) -> None:
    ids = random_ids(2, 20)
    mask = torch.ones_like(ids)
    mask[1, {"no": slice(0), "left": slice(6), "holes": slice(4, 9)}[padded]] = 0
    full = model(ids, attention_mask=mask).logits
    cache = model.new_cache(2, 24)
    parts, start = [], 0
    for size in chunks:
        end = start + size
        positions = positions_from_padding(mask)[:, start:end]
        masked = {"attention_mask": mask[:, :end], "position_ids": positions} if padded != "no" else {}
        out = model(ids[:, start:end], **masked, past_key_values=cache)
        assert out.past_key_values is cache
        assert cache.length == end
        parts.append(out.logits)
        start = end
    assert (torch.cat(parts, 1) - full)[mask.bool()].abs().max() <= 1e-5


def test_every_parameter_is_used_and_initialised(name: str) -> None:
    model = build(name)
    model(random_ids(4, 64), labels=random_ids(4, 64)).loss.backward()
    for key, parameter in model.named_parameters():
        assert torch.isfinite(parameter).all(), key
        assert (parameter.grad != 0).any(), key
        assert parameter.std() > 0.01, key
    assert (model.head is None) == (name != "untied")
    assert (model.head_weight is model.embedding.token.weight) == (name != "untied")


def test_the_first_loss_is_that_of_guessing(name: str) -> None:
    loss = build(name)(random_ids(8, 64), labels=random_ids(8, 64)).loss
    assert abs(loss.item() - math.log(VOCAB)) < 0.05


def test_same_seed_same_weights(name: str) -> None:
    one, two = build(name).state_dict(), build(name).state_dict()
    assert all(torch.equal(one[key], two[key]) for key in one)


def test_dropout_reaches_every_place() -> None:
    for place in ("dropout", "dropout_weights"):
        model = build("tied", **{place: 0.5}).train()
        ids = random_ids(2, 9)
        assert not torch.equal(model(ids).logits, model(ids).logits)
        model.eval()
        assert torch.equal(model(ids).logits, build("tied").eval()(ids).logits)


def test_loss_labels_and_hidden_states(model: LSTMLM) -> None:
    ids = random_ids(2, 6)
    labels = ids.clone()
    labels[0, :3] = -100
    out = model(ids, labels=labels, output_hidden_states=True)
    picked = out.logits[:, :-1].log_softmax(-1).gather(2, ids[:, 1:, None])[..., 0][labels[:, 1:] != -100]
    torch.testing.assert_close(out.loss, -picked.mean())
    assert len(out.hidden_states) == model.config.n_layers + 1
    assert torch.equal(out.hidden_states[-1], out.last_hidden_state)
    assert torch.equal(out.hidden_states[0], model.embedding.token(ids))
    kept = torch.tensor([1, 4])
    torch.testing.assert_close(model(ids, logits_to_keep=kept).logits, out.logits[:, kept])
    torch.testing.assert_close(model(inputs_embeds=model.embedding.token(ids)).logits, out.logits)


def test_truncated_backpropagation_reads_on(model: LSTMLM) -> None:
    ids = random_ids(2, 12)
    first = model(ids[:, :6], use_cache=True)
    second = model(ids[:, 6:], past_key_values=first.past_key_values.detach())
    torch.testing.assert_close(second.logits, model(ids).logits[:, 6:], atol=1e-5, rtol=0)
    second.logits.sum().backward()


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"input_ids": torch.tensor([[0, VOCAB]])}, "token id 101 is outside the vocabulary of 101"),
        ({"input_ids": torch.zeros(0, 3, dtype=torch.int64)}, r"nothing to do for an input of shape \(0, 3\)"),
        ({}, "either input_ids or inputs_embeds"),
        ({"attention_mask": torch.ones(1, 4)}, r"shape \(1, 4\), expected \(1, 3\)"),
        ({"position_ids": torch.tensor([[0, 1, 0]])}, "several texts in a row"),
        ({"position_ids": torch.zeros(1, 2, dtype=torch.int64)}, "position_ids have shape"),
        ({"labels": torch.zeros(1, 2, dtype=torch.int64)}, "labels have shape"),
        ({"labels": torch.full((1, 3), -100)}, "every label is left out"),
        ({"token_type_ids": torch.zeros(1, 3)}, "'token_type_ids' is not supported"),
        ({"past_key_values": GrowingCache()}, "past_key_values is a GrowingCache"),
        ({"past_key_values": LSTMState(), "use_cache": False}, "contradicts"),
    ],
)
def test_bad_input_is_named(arguments: dict[str, Any], match: str) -> None:
    if arguments and "input_ids" not in arguments:
        arguments = {"input_ids": torch.tensor([[1, 2, 3]])} | arguments
    with pytest.raises(ConfigError, match=match):
        build("tied")(**arguments)


# -- the directory ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_directory_survives_the_round_trip(name: str, dtype: torch.dtype, tmp_path: Path) -> None:
    model = build(name, eos_id=7, dropout=0.1)
    write_model(tmp_path / "one", model, dtype=dtype)
    again = read_model(tmp_path / "one")
    assert again.config == model.config
    write_model(tmp_path / "two", again, dtype=dtype)
    first, second = (tmp_path / folder / "model.safetensors" for folder in ("one", "two"))
    assert first.read_bytes() == second.read_bytes()
    config = json.loads((tmp_path / "one" / "config.json").read_text())
    assert (config["model_type"], config["architectures"]) == ("hanmo-lstm", ["LSTMForCausalLM"])
    assert json.loads((tmp_path / "one" / "generation_config.json").read_text())["eos_token_id"] == 7
    ids = random_ids(2, 9)
    atol = 1e-2 if dtype == torch.bfloat16 else 0
    torch.testing.assert_close(again(ids).logits, model.eval()(ids).logits, atol=atol, rtol=0)


def test_a_layer_of_the_file_loads_into_torch(tmp_path: Path) -> None:
    write_model(tmp_path, build("tied"))
    stored = load_file(tmp_path / "model.safetensors")
    names = {f"lstm.{i}.{kind}" for i in range(3) for kind in ("weight_ih", "weight_hh", "bias")}
    assert set(stored) == {"embedding.weight"} | names
    rival, x = nn.LSTM(23, 31, batch_first=True), torch.randn(2, 5, 23)
    rival.load_state_dict(
        {
            "weight_ih_l0": stored["lstm.0.weight_ih"],
            "weight_hh_l0": stored["lstm.0.weight_hh"],
            "bias_ih_l0": stored["lstm.0.bias"],
            "bias_hh_l0": torch.zeros(4 * 31),
        }
    )
    torch.testing.assert_close(build("tied").layers.layers[0](x)[0], rival(x)[0])


def test_a_wrong_directory_is_named(tmp_path: Path) -> None:
    write_model(tmp_path, build("tied"))
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"recurrent_size": 30}))
    with pytest.raises(ModelError, match=r"lstm\.0\.weight_ih is \(124, 23\), expected \(120, 23\)"):
        read_model(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(config | {"peepholes": True}))
    with pytest.raises(ModelError, match="peepholes = True"):
        read_model(tmp_path)


def test_sizes() -> None:
    counts = {}
    for size, shape in SIZES.items():
        with torch.device("meta"):
            counts[size] = sum(p.numel() for p in lstm(LSTMConfig.model_validate(shape)).parameters())
    # as published, but for the second bias of each layer and that of the head, which say nothing new
    assert counts["zaremba-small"] == 2 * 10_000 * 200 + 2 * (8 * 200 * 200 + 4 * 200)
    assert 60e6 < counts["zaremba-large"] < 70e6
    assert 23e6 < counts["awd"] < 25e6


# -- text ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lm(tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    tokenizer = train_bpe([ENGLISH * 3, CHINESE * 3], 320)
    torch.manual_seed(0)
    shape = {"vocab_size": tokenizer.vocab_size, "max_len": 64, "d_model": 24, "d_hidden": 40, "init_std": 1.0}
    model = lstm(LSTMConfig(**shape, eos_id=tokenizer.eos_id))
    folder = tmp_path_factory.mktemp("lstm") / "model"
    LanguageModel(model, tokenizer).save(folder)
    return hanmo.load(folder)


@pytest.mark.parametrize("prompt", [ENGLISH[:20], CHINESE[:9], ""])
@pytest.mark.parametrize("settings", [{"max_new_tokens": 40}, {"temperature": 1.0, "max_new_tokens": 20, "seed": 1}])
def test_it_writes(lm: LanguageModel, prompt: str, settings: dict[str, Any]) -> None:
    text = lm.generate(prompt, **settings)
    assert "".join(lm.stream(prompt, **settings)) == text
    if "seed" not in settings:
        ids = lm.tokenizer.encode(prompt) or [lm.tokenizer.eos_id]
        start = len(ids)
        with torch.no_grad():
            for _ in range(40):  # the plain road: the whole sequence anew for every token
                new = int(lm.model(input_ids=torch.tensor([ids])).logits[0, -1].argmax())
                if new == lm.tokenizer.eos_id:
                    break
                ids.append(new)
        assert text == lm.tokenizer.decode(ids[start:])


def test_prompts_of_different_lengths_do_not_disturb_each_other(lm: LanguageModel) -> None:
    prompts = [ENGLISH[:30], CHINESE[:3], "T", CHINESE]
    assert lm.generate(prompts, max_new_tokens=12) == [lm.generate(p, max_new_tokens=12) for p in prompts]


def test_it_scores(lm: LanguageModel) -> None:
    score = lm.score(CHINESE * 3)
    assert score.n_bytes == len((CHINESE * 3).encode())
    assert all(value < 0 for value in score.logprobs)


def batches(ids: Tensor, rows: int, length: int) -> list[dict[str, Tensor]]:
    n = (len(ids) - 1) // (rows * length) * rows * length
    inputs, labels = (ids[k : k + n].view(-1, rows, length) for k in (0, 1))
    return [{"input_ids": x, "labels": y} for x, y in zip(inputs, labels, strict=True)]


def train(model: LSTMLM, data: list[dict[str, Tensor]], n_steps: int, lr: float) -> list[float]:
    optimizer, losses = torch.optim.Adam(model.parameters(), lr=lr), []
    model.train()
    for step in range(n_steps):
        total, n = causal_lm_loss(model, data[step % len(data)])
        loss = total / n
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    return losses


def test_the_loss_falls_on_a_fixed_batch(lm: LanguageModel) -> None:
    tokenizer = lm.tokenizer
    data = batches(torch.tensor(tokenizer.encode((ENGLISH + CHINESE) * 3)), 2, 16)
    torch.manual_seed(0)
    model = lstm(LSTMConfig(vocab_size=tokenizer.vocab_size, d_model=32))
    losses = train(model, data[:1], 15, 1e-2)
    assert losses[-1] < losses[0] - 1
    before = evaluate_blocks(lstm(model.config), data[:1], n_bytes=100)
    assert evaluate_blocks(model, data[:1], n_bytes=100)["loss"] < before["loss"] - 1


def test_the_training_loop_takes_it(lm: LanguageModel, tmp_path: Path) -> None:
    ids = np.array(lm.tokenizer.encode((ENGLISH + CHINESE) * 4))
    torch.manual_seed(0)
    model = lstm(LSTMConfig(vocab_size=lm.tokenizer.vocab_size, d_model=32, dropout=0.1, dropout_weights=0.1))

    def evaluate(trained: Any) -> dict[str, float]:
        held_out = TokenBlocks.sequential(ids, block_len=12, batch_size=4)
        return evaluate_blocks(trained, held_out, n_bytes=len((ENGLISH + CHINESE).encode()) * 4)

    fitted = fit(
        model,
        loss=causal_lm_loss,
        batches=TokenBlocks(ids, block_len=12, batch_size=4, seed=0),
        settings=TrainingSettings(n_steps=20, minutes=None, lr=2e-2, eval_every=10),
        run=RunFolder(tmp_path),
        evaluate=evaluate,
        identity={"tokenizer": "t0"},
        compute=Compute(
            device=torch.device("cpu"),
            autocast=None,
            matmul_precision="highest",
            compile=False,
            n_threads=1,
            findings={},
        ),
    )
    assert (fitted.status, fitted.step) == ("finished", 20)
    log = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    losses = [event["loss"] for event in log if "loss" in event]
    assert losses[-1] < losses[0] - 0.2


@pytest.mark.slow
def test_it_learns_chinese_prose(data_root: Path) -> None:
    with gzip.open(data_root / "chinese_novels" / "红楼梦.txt.gz", "rt", encoding="utf-8") as file:
        text = file.read(120_000)
    tokenizer = train_bpe([text], 600)
    data = batches(torch.tensor(tokenizer.encode(text)), 16, 32)
    held_out, data = data[-4:], data[:-4]
    torch.manual_seed(0)
    model = lstm(LSTMConfig(vocab_size=tokenizer.vocab_size, d_model=96, d_hidden=128))
    losses = train(model, data, 200, 1e-2)
    n_bytes = sum(len(tokenizer.decode(row.tolist()).encode()) for block in held_out for row in block["labels"])
    found = evaluate_blocks(model, held_out, n_bytes=n_bytes)
    print(
        f"loss {losses[0]:.3f} -> {losses[-1]:.3f}, held out {found['loss']:.3f}, {found['bits_per_byte']:.3f} bits/byte"
    )
    assert abs(losses[0] - math.log(tokenizer.vocab_size)) < 0.1
    counts = torch.cat([block["labels"].flatten() for block in data]).bincount(minlength=tokenizer.vocab_size) + 0.1
    frequencies = (counts / counts.sum()).log()
    order0 = -frequencies[torch.cat([block["labels"].flatten() for block in held_out])].mean()
    assert found["loss"] < order0 - 0.3  # more was learned than how frequent tokens are
