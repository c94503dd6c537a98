"""Zero-shot pipelines against `transformers.pipeline`, and labels of a language model against a sum by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

import hanmo
from hanmo.core.errors import ConfigError, DataError, ModelError
from hanmo.models.bert import BertConfig, bert
from hanmo.models.directory import write_model
from hanmo.models.gpt2 import GPT2Config, gpt2
from hanmo.tasks.predict_file import predict_file
from hanmo.tasks.zero_shot import listed_labels
from hanmo.tokenizers.bpe import train_bpe
from hanmo.tokenizers.framed import encode_framed
from hanmo.tokenizers.tokenizer import Tokenizer
from hanmo.tokenizers.words import train_words

TEXTS = ["the film is fine", "房间很干净，服务很热情", "they won the game", "房价又涨了，股市大跌"]
LABELS = ["sport", "travel and film", "经济"]
NLI = ("contradiction", "neutral", "entailment")


def shaken(model: Any, seed: int = 1) -> Any:
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    return model.eval()


def write_nli(folder: Path, labels: tuple[str, ...] = NLI, max_len: int = 64) -> Path:
    tokenizer = train_words([*TEXTS, *LABELS, "this example is . 这句话说的是"], 200)
    shape = {"vocab_size": tokenizer.vocab_size, "d_model": 16, "n_layers": 2, "n_heads": 2, "labels": labels}
    write_model(
        folder, shaken(bert(BertConfig.model_validate(shape | {"max_len": max_len}), "BertForSequenceClassification"))
    )
    tokenizer.save(folder)
    return folder


@pytest.fixture(scope="module")
def nli(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_nli(tmp_path_factory.mktemp("nli"))


def same(mine: Any, theirs: Any) -> bool:
    """Whether both answers say the same, but for the last digits."""
    if isinstance(mine, list):
        return len(mine) == len(theirs) and all(same(one, two) for one, two in zip(mine, theirs, strict=True))
    plain = all(mine[key] == theirs[key] for key in ("sequence", "labels"))
    return mine.keys() == theirs.keys() and plain and mine["scores"] == pytest.approx(theirs["scores"], abs=1e-5)


# -- entailment ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("inputs", [TEXTS[1], TEXTS, TEXTS[:1]])
@pytest.mark.parametrize(
    "options",
    [{}, {"multi_label": True}, {"hypothesis_template": "这句话说的是{}。"}, {"candidate_labels": "sport, 经济"}, {"candidate_labels": ["经济"]}],
)  # fmt: skip
def test_answers_of_transformers(nli: Path, inputs: Any, options: dict[str, Any]) -> None:
    asked = {"candidate_labels": LABELS} | options
    theirs: Any = transformers.pipeline("zero-shot-classification", str(nli), device="cpu")
    assert same(hanmo.pipeline("zero-shot-classification", nli)(inputs, **asked), theirs(inputs, **asked))


def test_the_place_of_entailment_is_found_by_its_name(tmp_path: Path) -> None:
    """`transformers` takes the first class for contradiction; where it stands elsewhere, so do we."""
    one = write_nli(tmp_path / "a", ("entailment", "neutral", "contradiction"))
    two = write_nli(tmp_path / "b", ("entailment", "contradiction", "neutral"))
    asked: dict[str, Any] = {"candidate_labels": LABELS, "multi_label": True}
    mine = hanmo.pipeline("zero-shot-classification", one)(TEXTS[0], **asked)
    theirs: Any = transformers.pipeline("zero-shot-classification", str(one), device="cpu")(TEXTS[0], **asked)
    assert same(mine, theirs)
    loaded = hanmo.load(two)
    pairs = encode_framed(loaded.tokenizer, [(TEXTS[0], f"This example is {label}.") for label in LABELS])
    with torch.no_grad():
        logits = [
            loaded.model(torch.tensor([row.ids]), token_type_ids=torch.tensor([row.token_type_ids])).logits[0, :2]
            for row in pairs
        ]
    wanted = {label: float(both.softmax(-1)[0]) for label, both in zip(LABELS, logits, strict=True)}
    found = hanmo.pipeline("zero-shot-classification", two)(TEXTS[0], **asked)
    assert dict(zip(found["labels"], found["scores"], strict=True)) == pytest.approx(wanted, abs=1e-5)
    chinese = write_nli(tmp_path / "c", ("矛盾", "蕴含", "中立"))
    assert hanmo.pipeline("zero-shot-classification", chinese)(TEXTS[1], LABELS)["labels"]


def test_long_texts_are_read_whole(tmp_path: Path) -> None:
    pipe = hanmo.pipeline("zero-shot-classification", write_nli(tmp_path, max_len=32))
    long = " ".join(TEXTS * 4)
    one, two = (pipe(text, LABELS)["scores"] for text in (long, long.replace("大跌", "大涨")[:-1] + "fine"))
    assert not np.allclose(one, two, atol=1e-6)


def test_bad_questions(nli: Path, tmp_path: Path) -> None:
    pipe = hanmo.pipeline("zero-shot-classification", nli)
    for labels, match in (
        (None, "no labels to choose from"),
        ([], "holds an empty label, or none"),
        (["a", " "], "holds an empty label"),
        (["a", "b", "a"], "'a' is there twice"),
    ):
        with pytest.raises(ConfigError, match=match):
            pipe(TEXTS[0], labels)
    for template, match in (
        ("no place", "no place for a label"),
        ("{} {}", "cannot be filled"),
        ("{x}", "cannot be filled"),
    ):
        with pytest.raises(ConfigError, match=match):
            pipe(TEXTS[0], LABELS, hypothesis_template=template)
    with pytest.raises(DataError, match="an empty text"):
        pipe([TEXTS[0], " "], LABELS)
    assert pipe([], LABELS) == []
    assert listed_labels("体育，经济, ") == ["体育", "经济"]
    for labels in (("good", "bad"), ("entailment", "entails too"), ("entailment", "b", "c")):
        with pytest.raises(ModelError, match=r"entails another|is contradiction"):
            hanmo.pipeline("zero-shot-classification", write_nli(tmp_path / "-".join(labels), labels))
    with pytest.raises(ModelError, match="no preprocessor_config"):
        hanmo.pipeline("zero-shot-image-classification", nli)


def test_a_file_and_the_command_line(nli: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from hanmo.cli.app import main

    pipe = hanmo.pipeline("zero-shot-classification", nli)
    (tmp_path / "in.txt").write_text("\n".join(TEXTS), encoding="utf-8")
    assert predict_file(pipe, tmp_path / "in.txt", tmp_path / "out.jsonl", candidate_labels=LABELS) == 4
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert same([line["answer"] for line in lines], pipe(TEXTS, LABELS))
    command = [
        "predict",
        "zero-shot-classification",
        str(nli),
        TEXTS[1],
        "--labels",
        "经济,sport",
        "--template",
        "关于{}",
    ]
    assert main(command) == 0
    found = pipe(TEXTS[1], ["经济", "sport"], hypothesis_template="关于{}")
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        [f"{score:.4f}", label] for label, score in zip(found["labels"], found["scores"], strict=True)
    ]


# -- language models -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lm")
    tokenizer: Tokenizer = train_bpe([*TEXTS, *LABELS, "This example is"] * 3, 320)
    shape = {"vocab_size": tokenizer.vocab_size, "max_len": 48, "d_model": 16, "n_layers": 2, "n_heads": 2}
    write_model(folder, shaken(gpt2(GPT2Config.model_validate(shape))))
    tokenizer.save(folder)
    return folder


def test_labels_by_likelihood(lm: Path) -> None:
    """Mean log-probability of the label's tokens behind text and template, each label alone, by `transformers`."""
    pipe, tokenizer = hanmo.pipeline("zero-shot-classification", lm), Tokenizer.load(lm)
    rival = transformers.GPT2LMHeadModel.from_pretrained(lm).eval()
    found = pipe(TEXTS, LABELS)
    for text, answer in zip(TEXTS, found, strict=True):
        means = []
        for label in LABELS:
            context = tokenizer.encode(f"{text}\nThis example is ")
            whole = tokenizer.encode(f"{text}\nThis example is {label}")
            first = next((n for n, (a, b) in enumerate(zip(whole, context, strict=False)) if a != b), len(context))
            assert 0 < first < len(whole)
            with torch.no_grad():
                logits = rival(torch.tensor([[tokenizer.eos_id, *whole]])).logits[0].log_softmax(-1)
            means.append(float(np.mean([logits[place, whole[place]] for place in range(first, len(whole))])))
        wanted = np.exp(means) / np.exp(means).sum()
        order = np.argsort(-wanted)
        assert answer["labels"] == [LABELS[place] for place in order]
        assert answer["scores"] == pytest.approx(wanted[order], abs=1e-5)
    assert sum(found[0]["scores"]) == pytest.approx(1)
    assert pipe(TEXTS[0], LABELS, hypothesis_template="{}") != found[0]


def test_a_text_longer_than_the_context(lm: Path) -> None:
    pipe = hanmo.pipeline("zero-shot-classification", lm)
    long = "。".join(TEXTS * 4)
    together = pipe([TEXTS[0], long], LABELS)
    assert same(together, [pipe(TEXTS[0], LABELS), pipe(long, LABELS)])
    loaded, means = hanmo.load(lm), []
    for label in LABELS:
        score = loaded.score(f"{long}\nThis example is {label}")
        context = loaded.tokenizer.encode(f"{long}\nThis example is ")
        first = next((n for n, (a, b) in enumerate(zip(score.ids, context, strict=False)) if a != b), len(context))
        means.append(np.mean(score.logprobs[first:]))
    wanted = dict(zip(LABELS, np.exp(means) / np.exp(means).sum(), strict=True))
    assert dict(zip(together[1]["labels"], together[1]["scores"], strict=True)) == pytest.approx(wanted, abs=1e-5)


def test_labels_of_a_language_model_stand_against_each_other(lm: Path) -> None:
    pipe = hanmo.pipeline("zero-shot-classification", lm)
    with pytest.raises(ConfigError, match="weighs labels against each other"):
        pipe(TEXTS[0], LABELS, multi_label=True)
    assert pipe(TEXTS[0], ["sport"])["scores"] == [1.0]


# -- images ----------------------------------------------------------------------------------------------------------

pillow = pytest.importorskip("PIL.Image", reason="Pillow is not installed: images are not tried")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clip")
    words = ["<|startoftext|>", "<|endoftext|>", "!", *"abcdefghijklmnopqrstuvwxyz", *(f"{c}</w>" for c in "abcdefghijklmnopqrstuvwxyz.")]  # fmt: skip
    vocabulary = {word: number for number, word in enumerate([*words[2:], *words[:2]])}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("#version: 0.2\nc a\nca t</w>\nd o\ndo g</w>\n")
    vocabulary |= {
        "ca": len(vocabulary),
        "cat</w>": len(vocabulary) + 1,
        "do": len(vocabulary) + 2,
        "dog</w>": len(vocabulary) + 3,
    }
    order = sorted(vocabulary, key=lambda word: (word in words[:2], vocabulary[word]))
    vocabulary = {word: number for number, word in enumerate(order)}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    rivals: Any = transformers
    tokenizer = rivals.CLIPTokenizerFast(str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=24)
    tower = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 20}
    ids = {"eos_token_id": vocabulary["<|endoftext|>"], "bos_token_id": vocabulary["<|startoftext|>"]}
    config = transformers.CLIPConfig(
        text_config=tower | ids | {"vocab_size": len(vocabulary), "max_position_embeddings": 24},
        vision_config=tower | {"image_size": 20, "patch_size": 5}, projection_dim=12,
    )  # fmt: skip
    shaken(transformers.CLIPModel(config)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    size = {"height": 20, "width": 20}
    transformers.CLIPImageProcessor(size={"shortest_edge": 20}, crop_size=size).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    files = []
    for number, shape in enumerate([(30, 20, 3), (20, 44, 3), (61, 33, 3)]):
        files.append(str(folder / f"{number}.png"))
        pillow.fromarray(rng.integers(0, 256, shape, dtype=np.uint8)).save(files[-1])
    return files


@pytest.mark.parametrize("options", [{}, {"hypothesis_template": "{}"}])
def test_images_as_transformers_tells_them(clip: Path, pictures: list[str], options: dict[str, Any]) -> None:
    labels = ["cat", "a small dog", "b"]
    theirs: Any = transformers.pipeline("zero-shot-image-classification", str(clip), device="cpu")
    pipe = hanmo.pipeline("zero-shot-image-classification", clip)
    wanted = theirs(pictures, candidate_labels=labels, **options)

    def close(one: Any, two: Any) -> None:
        assert [row["label"] for row in one] == [row["label"] for row in two]
        assert [row["score"] for row in one] == pytest.approx([row["score"] for row in two], abs=2e-4)

    for mine, other in zip(pipe(pictures, candidate_labels=labels, **options), wanted, strict=True):
        close(mine, other)
    with pillow.open(pictures[0]) as image:
        image.load()
        for one in (pictures[0], Path(pictures[0]), image, np.asarray(image), {"image": pictures[0]}):
            close(pipe(one, labels, **options), wanted[0])
    close(next(pipe(iter(pictures), labels, **options)), wanted[0])


def test_bad_images(clip: Path, pictures: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from hanmo.cli.app import main

    pipe = hanmo.pipeline("zero-shot-image-classification", clip)
    (tmp_path / "x.png").write_bytes(b"no image")
    for wrong, match in (
        (str(tmp_path / "x.png"), r"x\.png: not a whole image"),
        ("https://example.org/cat.png", "an address on the web"),
        (7, "a int is no"),
        ([7], "a int is no image"),
    ):
        with pytest.raises(DataError, match=match):
            pipe(wrong, ["cat", "dog"])
    with pytest.raises(ConfigError, match="no labels to choose from"):
        pipe(pictures[0])
    with pytest.raises(DataError, match="at most 24"):
        pipe(pictures[0], ["a very very very very very long dog"])
    assert pipe([], ["cat", "dog"]) == []
    assert main(["predict", "zero-shot-image-classification", str(clip), pictures[0], "--labels", "cat,dog"]) == 0
    assert {line.split()[1] for line in capsys.readouterr().out.splitlines()} == {"cat", "dog"}


def test_images_of_classes_are_counted(clip: Path, pictures: list[str], tmp_path: Path) -> None:
    for place, picture in enumerate(pictures):
        folder = tmp_path / "images" / ["n01", "n02"][place % 2]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{place}{Path(picture).suffix}").write_bytes(Path(picture).read_bytes())
    named = ['data.names={"n01"="猫", "n02"="a dog"}']
    asked: dict[str, Any] = {"task": "zero-shot-image-classification", "overrides": named}
    found = hanmo.evaluate(clip, file=tmp_path / "images", template="照片里是{}。", **asked)
    pipe = hanmo.pipeline("zero-shot-image-classification", clip)
    told = pipe(pictures, candidate_labels=["猫", "a dog"], hypothesis_template="照片里是{}。")
    right = sum(one[0]["label"] == ["猫", "a dog"][place % 2] for place, one in enumerate(told))
    assert found.figures["scores"]["accuracy"] == pytest.approx(right / len(pictures))
    assert {record["label"] for record in found.records} == {"猫", "a dog"}
    assert Path(found.records[0]["text"]).is_file()

    with pytest.raises(DataError, match="'n02' is not in"):
        hanmo.evaluate(clip, file=tmp_path / "images", **(asked | {"overrides": ['data.names={"n01"="猫"}']}))
    (tmp_path / "images/n03").mkdir()
    with pytest.raises(DataError, match="a class without images"):
        hanmo.evaluate(clip, file=tmp_path / "images", task=asked["task"])
    (tmp_path / "images/n03/text.png").write_text("no image")
    with pytest.raises(DataError, match=r"text\.png"):
        hanmo.evaluate(clip, file=tmp_path / "images", task=asked["task"])
    (tmp_path / "images/loose.png").write_bytes(Path(pictures[0]).read_bytes())
    with pytest.raises(DataError, match="in no folder of a class"):
        hanmo.evaluate(clip, file=tmp_path / "images", task=asked["task"])
