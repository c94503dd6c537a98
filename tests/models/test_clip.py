"""What must hold for a pair of towers, whatever other libraries do."""

from __future__ import annotations

import io
import math
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from hanmo.batches.images import ImageSettings, prepare_images
from hanmo.core.errors import ConfigError
from hanmo.models.clip import SIZES, CLIPConfig, CLIPTextConfig, CLIPVisionConfig, clip, clip_text, clip_vision
from hanmo.models.towers import TwoTowers
from hanmo.nn import attention
from hanmo.nn.contrastive import Temperature, contrastive_loss

VOCAB, END, PAD = 101, 100, 1
TEXT = {"vocab_size": VOCAB, "max_len": 24, "d_model": 30, "n_layers": 2, "n_heads": 5, "d_ff": 50, "eos_id": END}
VISION = {"image_size": 13, "patch_size": 4, "d_model": 24, "n_layers": 2, "n_heads": 3, "d_ff": 50}


def build(text: dict[str, Any] | None = None, vision: dict[str, Any] | None = None, **more: Any) -> TwoTowers:
    torch.manual_seed(0)
    both = {"text": TEXT | (text or {}), "vision": VISION | (vision or {}), "d_shared": 16}
    return clip(CLIPConfig.model_validate(both | more))


@pytest.fixture(params=["fused", "plain"])
def form(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "plain":
        monkeypatch.setattr(attention, "attention", attention.attention_plain)
    return request.param


def random_texts(rows: int, length: int) -> Tensor:
    """Ending with the end-of-text token."""
    ids = torch.randint(2, END, (rows, length), generator=torch.Generator().manual_seed(3))
    return torch.cat((ids[:, :-1], torch.full((rows, 1), END)), 1)


def random_images(rows: int, height: int = 13, width: int = 13) -> Tensor:
    return torch.randn(rows, 3, height, width, generator=torch.Generator().manual_seed(4))


@torch.no_grad()
@pytest.mark.parametrize("eos_id", [END, 2])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_follows_the_end_changes_nothing(form: str, eos_id: int, dtype: torch.dtype) -> None:
    model, ids = build({"eos_id": eos_id}).to(dtype).eval(), random_texts(3, 9)
    batches = [torch.cat((ids, torch.full((3, 6), fill)), 1) for fill in (PAD, 0, 7)]
    if eos_id == END:
        batches.append(torch.cat((ids, torch.full((3, 6), END)), 1))  # padded with the end-of-text token
    pooled = [model.get_text_features(batch).pooler_output for batch in batches]
    assert all(torch.equal(one, pooled[0]) for one in pooled)
    torch.testing.assert_close(
        pooled[0], model.get_text_features(ids).pooler_output, atol=1e-5 if dtype == torch.float32 else 2e-2, rtol=0
    )


@torch.no_grad()
@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_changes_nothing(form: str, side: str) -> None:
    model, text, other = build().eval().text, random_texts(1, 9), random_texts(1, 14)
    padding = torch.full((1, 5), PAD)
    mask = torch.ones(2, 14, dtype=torch.int64)
    mask[0, slice(0, 5) if side == "left" else slice(9, 14)] = 0
    row = torch.cat((padding, text) if side == "left" else (text, padding), 1)
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    out = model(torch.cat((row, other)), attention_mask=mask, position_ids=positions)
    assert torch.isfinite(out.last_hidden_state).all()
    torch.testing.assert_close(
        out.last_hidden_state[0, mask[0].bool()], model(text).last_hidden_state[0], atol=1e-5, rtol=0
    )
    torch.testing.assert_close(out.pooler_output[0], model(text).pooler_output[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(out.pooler_output[1], model(other).pooler_output[0], atol=1e-5, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("training", [False, True])
def test_texts_are_read_from_left_to_right(form: str, training: bool) -> None:
    model, ids = build().text.train(training), random_texts(2, 20)
    before = model(ids).last_hidden_state
    for t in (1, 11, 18):
        changed = ids.clone()
        changed[:, t] = (changed[:, t] + 1) % END
        after = model(changed).last_hidden_state
        assert torch.equal(after[:, :t], before[:, :t])
        assert not torch.equal(after[:, t], before[:, t])


@torch.no_grad()
def test_patches_are_those_of_a_convolution() -> None:
    """Each patch lies where a convolution with stride would put it, and pixels beyond the last one are not seen."""
    embedding, images = build().image.embedding, random_images(2)
    weight = embedding.project.weight.view(24, 3, 4, 4)
    expected = torch.nn.functional.conv2d(images, weight, stride=4).flatten(2).transpose(1, 2)
    out = embedding(images) - embedding.positions.weight
    torch.testing.assert_close(out[:, 1:], expected, atol=1e-5, rtol=0)
    assert torch.equal(out[0, 0], out[1, 0])
    images[:, :, 12:, :] = 9
    images[:, :, :, 12:] = 9
    assert torch.equal(embedding(images) - embedding.positions.weight, out)


@torch.no_grad()
def test_every_patch_sees_every_other() -> None:
    model, images = build().image.eval(), random_images(1)
    before = model(images).last_hidden_state
    images[0, :, 8:12, 8:12] += 1  # the last patch
    assert (model(images).last_hidden_state != before).any(-1).all()


@torch.no_grad()
def test_rows_do_not_see_each_other() -> None:
    model, ids, images, order = build().eval(), random_texts(5, 12), random_images(5), torch.tensor([3, 1, 4, 0, 2])
    one, two = model(ids[order], images[order]), model(ids, images)
    torch.testing.assert_close(one.logits_per_text, two.logits_per_text[order][:, order], atol=1e-5, rtol=0)


def test_rows_without_any_token_give_no_nan(form: str) -> None:
    model, ids = build(), random_texts(3, 8)
    mask = torch.ones_like(ids)
    mask[0] = 0
    mask[1, :5] = 0
    out = model(ids, random_images(3), attention_mask=mask, return_loss=True)
    assert torch.isfinite(out.logits_per_text).all()
    out.loss.backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())


def test_other_sizes_with_interpolated_positions() -> None:
    model = build().image.eval()
    with pytest.raises(ConfigError, match="images are 21 by 17 pixels, this model takes 13 by 13"):
        model(random_images(1, 21, 17))
    out = model(random_images(1, 21, 17), interpolate_pos_encoding=True)
    assert out.last_hidden_state.shape == (1, 1 + 5 * 4, 24)
    same = model(random_images(1), interpolate_pos_encoding=True)
    assert torch.equal(same.last_hidden_state, model(random_images(1)).last_hidden_state)


def test_the_loss_is_symmetric_and_that_of_the_paper() -> None:
    torch.manual_seed(0)
    logits = torch.randn(5, 5, dtype=torch.float64) * 4
    by_row = sum(-math.log(math.exp(logits[i, i]) / sum(math.exp(x) for x in logits[i])) for i in range(5)) / 5
    by_column = sum(-math.log(math.exp(logits[i, i]) / sum(math.exp(x) for x in logits[:, i])) for i in range(5)) / 5
    assert contrastive_loss(logits).item() == pytest.approx((by_row + by_column) / 2, abs=1e-12)
    torch.testing.assert_close(contrastive_loss(logits.t()), contrastive_loss(logits))
    order = torch.randperm(5)
    torch.testing.assert_close(contrastive_loss(logits[order][:, order]), contrastive_loss(logits))
    assert contrastive_loss(torch.eye(5) * 1000).item() == 0
    assert contrastive_loss(torch.zeros(7, 7)).item() == pytest.approx(math.log(7))


@torch.no_grad()
def test_logits_are_scaled_cosines() -> None:
    model, ids, images = build(log_scale=1.5).eval(), random_texts(4, 6), random_images(3)
    out = model(ids, images)
    text, image = model.get_text_features(ids).pooler_output, model.get_image_features(images).pooler_output
    assert text is not None
    assert image is not None
    cosine = torch.nn.functional.cosine_similarity(text[:, None], image[None], dim=-1)
    torch.testing.assert_close(out.logits_per_text, cosine * math.exp(1.5))
    assert torch.equal(out.logits_per_image, out.logits_per_text.t())
    torch.testing.assert_close(out.text_embeds.norm(dim=-1), torch.ones(4))
    assert out.text_model_output.pooler_output.shape == (4, 16)
    with pytest.raises(ConfigError, match=r"shape \(4, 3\) are not those of pairs"):
        model(ids, images, return_loss=True)


def test_training_does_not_push_the_temperature_beyond_its_limit() -> None:
    temperature = Temperature(7.0)
    assert temperature.eval()().item() == pytest.approx(math.exp(7.0))  # a file is taken as it is
    assert temperature.train()().item() == pytest.approx(100.0)
    assert temperature.log_scale.item() == pytest.approx(math.log(100.0))
    temperature().backward()
    assert temperature.log_scale.grad is not None
    assert temperature.log_scale.grad.item() == pytest.approx(100.0)  # it can come down again
    below = Temperature(2.0)
    assert below().item() == pytest.approx(math.exp(2.0))
    model = build()
    optimizer = torch.optim.SGD([model.temperature.log_scale], lr=0.1, maximize=True)
    for _ in range(20):
        (model.temperature() ** 2).backward()
        optimizer.step()
    assert model.temperature().item() == pytest.approx(100.0)


def test_every_parameter_is_used_and_initialised() -> None:
    model = build()
    out = model(random_texts(6, 24), random_images(6), return_loss=True)
    (out.loss + out.text_model_output.last_hidden_state.square().mean()).backward()
    for key, parameter in model.named_parameters():
        assert torch.isfinite(parameter).all(), key
        if key.endswith("bias"):
            assert (parameter == 0).all(), key
        elif "norm" in key:
            assert (parameter == 1).all(), key
        elif parameter.dim():
            assert 0.01 < parameter.std() < 0.4, key
        assert parameter.grad is not None, key
        if not key.endswith("qkv.bias"):  # a key's bias moves all scores of a query alike: its true gradient is zero
            assert (parameter.grad != 0).any(), key


def test_the_first_loss_is_that_of_guessing() -> None:
    model = build(log_scale=0.0)
    loss = model(random_texts(32, 12), random_images(32), return_loss=True).loss
    assert abs(loss.item() - math.log(32)) < 0.05


def test_same_seed_same_weights() -> None:
    one, two = build().state_dict(), build().state_dict()
    assert all(torch.equal(one[key], two[key]) for key in one)


def test_published_sizes_have_their_published_number_of_parameters() -> None:
    for name, millions in (("clip-vit-base-patch32", 151.3), ("clip-vit-large-patch14", 427.6)):
        with torch.device("meta"):
            model = clip(CLIPConfig.model_validate(SIZES[name]))
        assert sum(p.numel() for p in model.parameters()) / 1e6 == pytest.approx(millions, abs=0.1)


def test_towers_alone() -> None:
    text, vision = CLIPTextConfig.model_validate(TEXT), CLIPVisionConfig.model_validate(VISION)
    projected = clip_text(text, "CLIPTextModelWithProjection")
    assert projected(random_texts(2, 5)).text_embeds.shape == (2, 512)
    assert "image_embeds" not in projected(random_texts(2, 5))
    assert clip_vision(vision)(random_images(2)).pooler_output.shape == (2, 24)
    assert clip_vision(vision, "CLIPVisionModelWithProjection")(random_images(2)).image_embeds.shape == (2, 512)


def test_a_tiny_batch_is_learned() -> None:
    model, ids, images = build(), random_texts(6, 8), random_images(6)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(15):
        loss = model(ids, images, return_loss=True).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0]


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"input_ids": torch.tensor([[5, VOCAB]])}, "token id 101 is outside the vocabulary of 101"),
        ({"input_ids": torch.tensor([[5, END], [5, 6]])}, "row 1 has no end-of-text token 100"),
        ({"input_ids": torch.zeros(0, 3, dtype=torch.int64)}, "nothing to do"),
        ({"input_ids": None}, "either input_ids"),
        ({"input_ids": torch.full((1, 25), END)}, "25 positions, but this model has learned 24"),
        ({"attention_mask": torch.ones(1, 4)}, r"shape \(1, 4\), expected \(1, 3\)"),
        ({"position_ids": torch.ones(1, 4, dtype=torch.int64)}, "position_ids have shape"),
        ({"pixel_values": None}, "give images"),
        ({"pixel_values": torch.zeros(1, 1, 13, 13)}, r"expected images of shape \(B, 3, height, width\)"),
        ({"pixel_values": torch.zeros(3, 13, 13)}, "expected images of shape"),
        ({"pixel_values": torch.zeros(0, 3, 13, 13)}, "expected images of shape"),
        ({"pixel_values": torch.zeros(1, 3, 2, 13), "interpolate_pos_encoding": True}, "hold no patch of 4"),
        ({"output_attentions": True}, "'output_attentions' is not supported"),
        ({"labels": torch.zeros(1)}, "'labels' is not supported"),
    ],
)
def test_bad_input_is_named(arguments: dict[str, Any], match: str) -> None:
    inputs = {"input_ids": torch.tensor([[1, 2, END]]), "pixel_values": random_images(1)} | arguments
    with pytest.raises(ConfigError, match=match):
        build().eval()(**inputs)


@pytest.mark.slow
def test_learns_which_caption_goes_with_which_photograph(data_root: Path) -> None:
    """200 steps on photographs of ten kinds with Chinese and English captions, character by character."""
    pytest.importorskip("PIL.Image", reason="Pillow is not installed (extra 'images')")
    kinds = {
        "airplane": "飞机", "automobile": "汽车", "bird": "鸟", "cat": "猫", "deer": "鹿", "dog": "狗", "frog": "青蛙",
        "horse": "马", "ship": "船", "truck": "卡车",
    }  # fmt: skip
    settings = ImageSettings(shortest_edge=32, crop_to=(32, 32))
    pixels: dict[str, dict[str, Tensor]] = {"train": {}, "test": {}}
    with zipfile.ZipFile(data_root / "cifar10_jpg" / "cifar10_subset.zip") as archive:
        for part, kind in ((part, kind) for part in pixels for kind in kinds):
            names = sorted(name for name in archive.namelist() if f"{part}/{kind}/" in name and name.endswith("jpg"))
            pixels[part][kind] = prepare_images([_image(archive.read(name)) for name in names[:200]], settings)
    captions = [[f"一张{zh}的照片", f"a photo of a {en}"] for en, zh in kinds.items()]
    characters = sorted(set("".join(text for pair in captions for text in pair)))
    width = max(len(text) for pair in captions for text in pair) + 1
    end = len(characters)

    def encode(text: str) -> list[int]:
        ids = [characters.index(char) for char in text]
        return ids + [end] * (width - len(ids))

    ids = torch.tensor([[encode(text) for text in pair] for pair in captions])  # (10, 2, T)
    torch.manual_seed(0)
    rng = torch.Generator().manual_seed(0)
    shared = {"n_heads": 4, "d_model": 64, "n_layers": 2}
    text = shared | {"vocab_size": end + 1, "eos_id": end, "max_len": width}
    both = {"text": text, "vision": shared | {"image_size": 32, "patch_size": 4}, "d_shared": 32}
    model = clip(CLIPConfig.model_validate(both))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    losses = []
    for _ in range(200):
        language = torch.randint(2, (10,), generator=rng)
        picks = [part[int(torch.randint(len(part), (), generator=rng))] for part in pixels["train"].values()]
        loss = model(ids[torch.arange(10), language], torch.stack(picks), return_loss=True).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-20:]) / 20 < sum(losses[:20]) / 20 - 0.3
    # zero-shot: the photographs that were held back, by either language (a guess finds one in ten)
    model.eval()
    with torch.no_grad():
        photographs = torch.cat(list(pixels["test"].values()))
        truth = torch.arange(10).repeat_interleave(len(photographs) // 10)
        for language in (0, 1):
            found = model(ids[:, language], photographs).logits_per_image.argmax(-1)
            assert (found == truth).float().mean() > 0.17


def _image(data: bytes) -> Any:
    from PIL import Image

    return Image.open(io.BytesIO(data))
