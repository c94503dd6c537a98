"""A translator from translations, between English, Chinese and German: the whole story at toy size."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path
from typing import Any

import pytest

import hanmo
from hanmo.cli.app import main
from hanmo.core.errors import ConfigError, DataError
from hanmo.core.toml import to_toml
from hanmo.stories.train import plan, read_recipe, train
from hanmo.stories.translation_recipe import TranslationRecipe

WORDS = {
    "red": ("红", "rot"), "blue": ("蓝", "blau"), "small": ("小", "klein"), "old": ("老", "alt"),
    "cat": ("猫", "Katze"), "dog": ("狗", "Hund"), "bird": ("鸟", "Vogel"), "horse": ("马", "Pferd"),
    "sleeps": ("睡觉", "schlafen"), "runs": ("跑步", "laufen"), "sings": ("唱歌", "singen"),
}  # fmt: skip
FIRST, SECOND, THIRD = list(WORDS)[:4], list(WORDS)[4:8], list(WORDS)[8:]


def sentences(n: int, seed: int, side: int) -> list[tuple[str, str]]:
    """Two clauses: enough of them that those of a test are not those of training. Side 0 is Chinese, 1 German."""
    draw = random.Random(seed)
    found = []
    for _ in range(n):
        clauses = [(draw.choice(FIRST), draw.choice(SECOND), draw.choice(THIRD)) for _ in range(2)]
        english = ", ".join(" ".join(clause) for clause in clauses) + "."
        if side == 0:
            other = "，".join("".join(WORDS[word][0] for word in clause) for clause in clauses) + "。"
        else:
            other = ", ".join(" ".join(WORDS[word][1] for word in clause) for clause in clauses) + "."
        found.append((english, other))
    return found


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two aligned files of English and Chinese, and JSON Lines of English and German."""
    folder = tmp_path_factory.mktemp("pairs")
    for seed, (name, n) in enumerate({"train": 400, "dev": 24, "test": 24}.items()):
        for side, language in enumerate(("zh", "de")):
            pairs = sentences(n, seed, side)
            for own, texts in (
                (f"{language}.en", [a for a, _ in pairs]),
                (f"{language}.{language}", [b for _, b in pairs]),
            ):
                (folder / f"{name}.{own}.gz").write_bytes(
                    gzip.compress("".join(f"{text}\n" for text in texts).encode())
                )
            lines = [json.dumps({"translation": {"en": a, language: b}}, ensure_ascii=False) for a, b in pairs]
            (folder / f"{name}-{language}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return folder


def two_files(folder: Path, language: str = "zh") -> dict[str, Any]:
    found: dict[str, Any] = {"source_language": "en", "target_language": language, "leaks": "drop"}
    for name in ("train", "dev", "test"):
        found[name] = str(folder / f"{name}.{language}.en.gz")
        found[f"{name}_target"] = str(folder / f"{name}.{language}.{language}.gz")
    return found


def json_lines(folder: Path, source: str, target: str) -> dict[str, Any]:
    other = target if source == "en" else source
    files = {name: str(folder / f"{name}-{other}.jsonl") for name in ("train", "dev", "test")}
    return files | {"source_language": source, "target_language": target, "leaks": "drop"}


SMALL = {"d_model": 32, "n_layers": 1, "n_heads": 2, "d_ff": 64, "dropout": 0.0, "max_len": 48}


def recipe(section: dict[str, Any], **more: Any) -> TranslationRecipe:
    values: dict[str, Any] = {
        "data": section,
        "model": SMALL,
        "tokenizer": {"vocab_size": 400},
        "batch_tokens": 350,
        "watched": 8,
        "loss": {"label_smoothing": 0.05},
        "decoding": {"num_beams": 3, "max_new_tokens": 40},
        "training": {"epochs": 20, "lr": 1e-2, "eval_every": 120, "checkpoint_seconds": None, "autocast": "off"},
    }
    values["training"] |= more.pop("training", {})
    return TranslationRecipe.model_validate(values | more)


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """English to Chinese, from two files, with averaging."""
    return train(recipe(two_files(data), averaging={"last": 2}), out=tmp_path_factory.mktemp("runs") / "en-zh").run


def test_translations_are_learned(run: Path, data: Path) -> None:
    evaluation = json.loads((run / "evaluation.json").read_text())["test"]
    assert set(evaluation["scores"]) == {"bleu", "chrf", "ter"}
    assert evaluation["scores"]["bleu"] > 70
    assert (
        evaluation["intervals"]["bleu"]["low"]
        <= evaluation["scores"]["bleu"]
        <= evaluation["intervals"]["bleu"]["high"]
    )
    assert "tok:zh" in evaluation["signatures"]["bleu"]
    records = [json.loads(line) for line in (run / "predictions.jsonl").read_text().splitlines()]
    scores = [row["score"] for row in records if row["split"] == "test"]
    assert len(scores) == 24
    assert scores == sorted(scores)
    page = (run / "report.html").read_text()
    assert "BLEU" in page
    assert evaluation["signatures"]["bleu"] in page
    assert "The worst" in page
    training = json.loads((run / "run.json").read_text())["training"]
    assert training["of_mean"].keys() == training["of_best"].keys()


def test_the_pipeline_is_that_of_transformers(run: Path, data: Path) -> None:
    sources = [text for text, _ in sentences(3, 9, 0)]
    translate = hanmo.pipeline("translation_en_to_zh", run / "model")
    (alone,) = translate(sources[0])
    listed = translate(sources)
    assert set(alone) == {"translation_text"}
    assert listed[0] == alone
    assert list(translate(iter(sources))) == [[answer] for answer in listed]
    several = translate(sources[0], num_beams=3, num_return_sequences=2)
    assert [set(answer) for answer in several] == [{"translation_text"}] * 2
    assert several[0] == alone
    greedy = translate(sources, num_beams=1, max_length=41)
    assert len(greedy) == 3
    drawn = translate(sources[0], do_sample=True, seed=1, num_return_sequences=3)
    assert len(drawn) == 3
    with pytest.raises(ConfigError, match="has not learnt de → zh"):
        translate(sources[0], src_lang="de")
    with pytest.raises(ConfigError, match="has not learnt en → de"):
        hanmo.pipeline("translation_en_to_de", run / "model")
    with pytest.raises(DataError, match="reads at most 48"):
        translate(" ".join(sources * 20))
    assert translate(" ".join(sources * 20), overlong="truncate")
    with pytest.raises(ConfigError, match="all be the same"):
        translate(sources[0], num_beams=1, num_return_sequences=2)
    generate = hanmo.pipeline("text2text-generation", run / "model")
    assert generate(sources[0]) == [{"generated_text": alone["translation_text"]}]


def test_transformers_writes_the_same(run: Path) -> None:
    """The directory is a Marian model, its tokenizer ends each source, its settings of the search are read."""
    transformers = pytest.importorskip("transformers")
    import torch

    sources = [text for text, _ in sentences(4, 9, 0)]
    model = transformers.AutoModelForSeq2SeqLM.from_pretrained(run / "model").eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(run / "model")
    batch = tokenizer(sources, return_tensors="pt", padding=True)
    with torch.inference_mode():
        ids = model.generate(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"])
    wanted = [text.strip() for text in tokenizer.batch_decode(ids, skip_special_tokens=True)]
    translate = hanmo.pipeline("translation", run / "model")
    assert [answer["translation_text"] for answer in translate(sources)] == wanted


def test_from_the_command_line(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = sentences(1, 9, 0)[0][0]
    assert main(["predict", "translation", str(run / "model"), text]) == 0
    (wanted,) = hanmo.pipeline("translation", run / "model")(text)
    assert capsys.readouterr().out.strip() == wanted["translation_text"]
    source, out = tmp_path / "texts.txt", tmp_path / "translations.jsonl"
    source.write_text(f"{text}\n{text}\n", encoding="utf-8")
    assert main(["predict", "translation", str(run / "model"), "--file", str(source), "--out", str(out)]) == 0
    rows = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert [row["translation"] for row in rows] == [wanted, wanted]


def test_lstms_learn_too(data: Path, tmp_path: Path) -> None:
    """The loss falls; recurrent attention takes longer than this test to translate well."""
    shape = SMALL | {"kind": "lstm", "n_heads": 4, "d_ff": None}
    settings = recipe(json_lines(data, "en", "de"), model=shape, training={"epochs": 3, "lr": 1e-2, "eval_every": 20})
    result = train(settings, out=tmp_path / "lstm")
    lines = [json.loads(line) for line in (result.run / "metrics.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in lines if "loss" in line]
    assert losses[-1] < 0.6 * losses[0]
    assert "tok:13a" in result.evaluation["test"]["signatures"]["bleu"]
    (found,) = hanmo.pipeline("translation_en_to_de", tmp_path / "lstm" / "model")("red cat sleeps.")
    assert isinstance(found["translation_text"], str)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["lstm", "t5"])
def test_other_kinds_translate(kind: str, data: Path, tmp_path: Path) -> None:
    shape = SMALL | {"kind": kind} | ({"n_heads": 4, "d_ff": None} if kind == "lstm" else {})
    length = {"epochs": 60, "lr": 1e-2, "eval_every": 200}
    result = train(recipe(json_lines(data, "en", "de"), model=shape, training=length), out=tmp_path / kind)
    assert result.evaluation["test"]["scores"]["bleu"] > 60


def test_several_pairs_in_one_model(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """English with Chinese and German, both ways, and a pair that is only judged."""
    unseen = tmp_path / "zh-de.tsv"
    pairs = [(zh, de) for (_, zh), (_, de) in zip(sentences(12, 5, 0), sentences(12, 5, 1), strict=True)]
    unseen.write_text("".join(f"{zh}\t{de}\n" for zh, de in pairs), encoding="utf-8")
    part = {
        "train": str(unseen),
        "test": str(unseen),
        "source_language": "zh",
        "target_language": "de",
        "leaks": "keep",
    }
    section = two_files(data) | {
        "both_ways": True, "also": [json_lines(data, "en", "de") | {"both_ways": True}], "unseen": [part],
    }  # fmt: skip
    settings = recipe(
        section, training={"epochs": 10}, batch_tokens=800, decoding={"num_beams": 1, "max_new_tokens": 40}
    )
    result = train(settings, out=tmp_path / "run")
    scores = result.evaluation["test"]["scores"]
    assert {name for name in scores if name.startswith("bleu")} == {
        "bleu en-zh", "bleu zh-en", "bleu en-de", "bleu de-en", "bleu zh-de",
    }  # fmt: skip
    assert scores["bleu en-de"] > 10
    assert scores["bleu en-zh"] > 10
    model = tmp_path / "run" / "model"
    english = sentences(1, 9, 0)[0][0]
    translate = hanmo.pipeline("translation", model)
    chinese, german = (translate(english, src_lang="en", tgt_lang=to)[0]["translation_text"] for to in ("zh", "de"))
    assert any("\u4e00" <= letter <= "\u9fff" for letter in chinese)
    assert not any("\u4e00" <= letter <= "\u9fff" for letter in german)
    with pytest.raises(ConfigError, match="more than one pair"):
        translate(english)
    with pytest.raises(ConfigError, match="has not learnt zh → de"):
        translate(chinese, src_lang="zh", tgt_lang="de")
    assert translate(chinese, src_lang="zh", tgt_lang="de", untrained=True)
    asked = ["predict", "translation", str(model), chinese, "--src-lang", "zh", "--tgt-lang", "de"]
    assert main([*asked, "--untrained"]) == 0
    assert main(asked) == 2
    assert "--untrained" in capsys.readouterr().err
    with pytest.raises(ConfigError, match="has not learnt en → fr"):
        translate(english, src_lang="en", tgt_lang="fr")


def test_back_translation(run: Path, data: Path, tmp_path: Path) -> None:
    """English sentences get Chinese sources from the model of the other direction; those of dev and test do not."""
    known = {text for name in ("dev", "test") for text, _ in sentences(24, {"dev": 1, "test": 2}[name], 0)}
    texts = tmp_path / "english.txt"
    texts.write_text("\n".join([text for text, _ in sentences(40, 7, 0)] + sorted(known)), encoding="utf-8")
    back = {"texts": str(texts), "model": str(run / "model")}
    settings = recipe(json_lines(data, "zh", "en"), back_translation=back, training={"epochs": 1})
    result = train(settings, out=tmp_path / "run")
    notes = json.loads((result.run / "run.json").read_text())["data"]["notes"]
    assert 30 <= notes["back-translated examples"] <= 40
    assert notes["texts for back-translation left out because dev or test has them"] >= len(known)
    tokenizer = json.loads((result.run / "model" / "tokenizer.json").read_text())
    assert ">>bt<<" in {token["content"] for token in tokenizer["added_tokens"]}
    wrong = recipe(json_lines(data, "de", "en"), back_translation=back, training={"epochs": 1})
    with pytest.raises(ConfigError, match="has not learnt en → de"):
        train(wrong, out=tmp_path / "wrong")


def test_from_a_checkpoint(run: Path, data: Path, tmp_path: Path) -> None:
    settings = TranslationRecipe.model_validate(
        {
            "data": two_files(data), "model": {"checkpoint": str(run / "model")}, "batch_tokens": 350,
            "training": {"n_steps": 2, "lr": 1e-5, "checkpoint_seconds": None},
        }
    )  # fmt: skip
    result = train(settings, out=tmp_path / "run")
    before = json.loads((run / "evaluation.json").read_text())["test"]["scores"]["bleu"]
    assert result.evaluation["test"]["scores"]["bleu"] == pytest.approx(before, abs=15)


def test_a_plan_shows_labels(data: Path, tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text(to_toml(recipe(two_files(data)).model_dump(mode="json", exclude_none=True)))
    text = plan(tmp_path / "recipe.toml")
    assert "MarianMTModel" in text
    assert "labels (all count in the loss):" in text
    assert "<|endoftext|>" in text
    assert isinstance(read_recipe(tmp_path / "recipe.toml"), TranslationRecipe)
