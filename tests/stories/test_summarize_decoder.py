"""Summaries by a decoder that goes on from a prompt: in English and Chinese, trained, saved, loaded, and read by transformers."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

import hanmo
from hanmo.cli.app import main
from hanmo.core.errors import ConfigError, DataError, ModelError
from hanmo.core.settings import check_settings
from hanmo.stories.summarization_recipe import SummarizationRecipe, Text2TextGenerationRecipe
from hanmo.stories.train import plan, train
from hanmo.stories.translation_recipe import TranslationRecipe

TOPICS = {
    "zh": {"足球": "体育", "股票": "财经", "电影": "娱乐", "芯片": "科技"},
    "en": {"chess": "games", "rain": "weather", "films": "art", "chips": "science"},
}
PROMPTS = {"zh": "\n摘要：", "en": "\nTL;DR: "}


def rows(language: str, n: int, seed: int) -> list[dict[str, str]]:
    draw = random.Random(seed)
    found = []
    for _ in range(n):
        topic, number = draw.choice(list(TOPICS[language])), draw.randrange(10**4)
        kind = TOPICS[language][topic]
        if language == "zh":
            found.append({"text": f"今天是第{number}天。全是关于{topic}的事。", "summary": f"{kind}新闻"})
        else:
            found.append({"text": f"It was day {number}. All was about {topic}.", "summary": f"News of {kind}"})
    return found


def data(folder: Path, language: str) -> dict[str, Any]:
    found: dict[str, Any] = {"apart": "pair", "leaks": "drop"}
    for seed, (name, n) in enumerate({"train": 160, "dev": 16, "test": 16}.items()):
        path = folder / f"{name}-{language}.jsonl"
        path.write_text("\n".join(json.dumps(row) for row in rows(language, n, seed)))
        found[name] = str(path)
    return found


def values(section: dict[str, Any], **more: Any) -> dict[str, Any]:
    known: dict[str, Any] = {
        "data": section,
        "model": {"kind": "gpt2", "d_model": 64, "n_layers": 2, "n_heads": 2, "dropout": 0.0, "max_len": 64},
        "tokenizer": {"vocab_size": 400},
        "loss": {"label_smoothing": 0.05},
        "batch_tokens": 300,
        "decoding": {"num_beams": 1, "max_new_tokens": 16},
        "training": {"n_steps": 120, "lr": 4e-3, "eval_every": 60, "checkpoint_seconds": None, "autocast": "off"},
    }
    return known | {key: known[key] | part if isinstance(known.get(key), dict) else part for key, part in more.items()}


@pytest.fixture(scope="module", params=["zh", "en"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A summariser of one language."""
    folder = tmp_path_factory.mktemp(request.param)
    kind = {"zh": "gpt2", "en": "llama"}[request.param]
    recipe = check_settings(SummarizationRecipe, values(data(folder, request.param), model={"kind": kind}))
    return request.param, train(recipe, out=folder / "run").run


def test_it_is_learned_and_kept(run: tuple[str, Path]) -> None:
    language, folder = run
    scores = json.loads((folder / "evaluation.json").read_text())["test"]["scores"]
    name = "rouge1-zh-char" if language == "zh" else "rouge1"
    assert scores[name] > 0.9
    assert scores[name] > scores[f"{name} lead-1"]
    assert f"{name} textrank-1" in scores
    records = [json.loads(line) for line in (folder / "predictions.jsonl").read_text().splitlines()]
    told = {record["text"]: record["predicted"] for record in records if record["split"] == "test"}
    summarise = hanmo.pipeline("summarization", folder / "model")
    assert summarise.model.purpose.prompt == PROMPTS[language]
    found = summarise(list(told))
    assert [answer["summary_text"] for answer in found] == list(told.values())
    assert not any(text.startswith(" ") for text in told.values())


def test_from_the_command_line(run: tuple[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    language, folder = run
    text = rows(language, 1, 7)[0]["text"]
    assert main(["predict", "summarization", str(folder / "model"), text]) == 0
    alone = capsys.readouterr().out.strip()
    assert main(["predict", "summarization", str(folder / "model"), text, "--num-beams", "3"]) == 0
    assert capsys.readouterr().out.strip()
    assert alone == hanmo.pipeline("summarization", folder / "model")(text)[0]["summary_text"]
    # the prompt is what anybody could type
    written = hanmo.load(folder / "model").generate(text + PROMPTS[language].rstrip(" "), max_new_tokens=16)
    assert written.strip() == alone


def test_beams_and_draws(run: tuple[str, Path]) -> None:
    language, folder = run
    summarise = hanmo.pipeline("summarization", folder / "model")
    texts = [row["text"] for row in rows(language, 3, 9)]
    searched = summarise(texts, num_beams=3, num_return_sequences=2)
    assert [len(answers) for answers in searched] == [2, 2, 2]
    drawn = summarise(texts, do_sample=True, seed=1, num_return_sequences=2)
    assert drawn == summarise(texts, do_sample=True, seed=1, num_return_sequences=2)
    with pytest.raises(DataError, match="reads at most 48"):
        summarise(texts[0] * 20)
    assert summarise(texts[0] * 20, overlong="truncate")[0]["summary_text"]
    kept = summarise.model.cut(summarise.model.encode([texts[0] * 20])[0])
    assert len(kept) == 48
    assert summarise.model.tokenizer.decode(kept).endswith(PROMPTS[language].rstrip(" "))


def test_transformers_writes_the_same(run: tuple[str, Path]) -> None:
    transformers = pytest.importorskip("transformers")
    language, folder = run
    theirs = transformers.AutoModelForCausalLM.from_pretrained(folder / "model")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder / "model")
    summarise = hanmo.pipeline("summarization", folder / "model")
    for text in [row["text"] for row in rows(language, 2, 11)]:
        ids = tokenizer(text + PROMPTS[language].rstrip(" "), return_tensors="pt").input_ids
        assert ids[0].tolist() == summarise.model.encode([text])[0]
        for beams in (1, 3):
            written = theirs.generate(ids, max_new_tokens=16, num_beams=beams, do_sample=False)[0, ids.shape[1] :]
            ours = summarise(text, num_beams=beams, max_new_tokens=16)[0]["summary_text"]
            assert tokenizer.decode(written, skip_special_tokens=True).strip() == ours


def test_a_decoder_as_checkpoint(run: tuple[str, Path], tmp_path: Path) -> None:
    language, folder = run
    section = {"checkpoint": str(folder / "model"), "prompt": "\n=> ", "prefix": "? "}
    more: dict[str, Any] = {"decoding": {"num_beams": 2, "max_new_tokens": 12}, "training": {"n_steps": 3}}
    recipe = {"data": data(tmp_path, language), "model": section, "batch_tokens": 500} | more
    if language == "zh":  # an adapter keeps the prompt, too
        recipe["adapter"] = {"method": "lora", "rank": 2}
    result = train(check_settings(SummarizationRecipe, recipe), out=tmp_path / "run")
    pipe = hanmo.pipeline("summarization", result.model)
    assert (pipe.model.purpose.prompt, pipe.model.purpose.prefix) == ("\n=> ", "? ")
    assert pipe("a b c")
    recipe = recipe | {"decoding": {"max_new_tokens": 63}}
    with pytest.raises(ConfigError, match="63 new tokens leave no room for a source in a context of 64"):
        train(check_settings(SummarizationRecipe, recipe), out=tmp_path / "b")


def test_only_the_target_is_learned(tmp_path: Path) -> None:
    told = plan(check_settings(SummarizationRecipe, values(data(tmp_path, "en"))))
    source, labels = told.split("source:\n")[1].split("labels (all count in the loss):\n")
    assert "TL|;|D" in source.replace("TL;D", "TL|;|D") or "TL" in source
    assert "News" not in source
    assert "It" not in labels.split("\n")[0]
    assert "endoftext" in labels.split("\n")[0]


def test_a_translator_and_any_text(tmp_path: Path) -> None:
    section = data(tmp_path, "zh")
    small = values(section, training={"n_steps": 3}, decoding={"num_beams": 2})
    result = train(check_settings(Text2TextGenerationRecipe, small | {"language": "zh"}), out=tmp_path / "a")
    assert hanmo.pipeline("text2text-generation", result.model).model.purpose.prompt == " = "
    both = [{"source": f"第{n}天", "target": f"day {n}"} for n in range(100, 160)]
    (tmp_path / "zh-en.jsonl").write_text("\n".join(json.dumps(row) for row in both))
    (tmp_path / "en-de.tsv").write_text("\n".join(f"day {n}\tTag {n}" for n in range(100, 140)))
    section = {"train": str(tmp_path / "zh-en.jsonl"), "dev_fraction": 0.1}
    languages = {"source_language": "zh", "target_language": "en", "both_ways": True}
    other = [
        {"source_language": "en", "target_language": "de", "train": str(tmp_path / "en-de.tsv"), "dev_fraction": 0.1}
    ]
    recipe = small | {"data": section | languages | {"also": other}}
    result = train(check_settings(TranslationRecipe, recipe), out=tmp_path / "b")
    translate = hanmo.pipeline("translation_zh_to_en", result.model)
    assert set(translate("今天")[0]) == {"translation_text"}
    with pytest.raises(ConfigError, match="has not learnt zh → de"):
        hanmo.pipeline("translation_zh_to_de", result.model)


def test_what_is_too_long(tmp_path: Path) -> None:
    section = data(tmp_path, "zh")
    short = {"max_len": 24}
    with pytest.raises(
        DataError,
        match=r"more than 8 tokens of source and prompt, or 24 with the target: .*:1: \d+ tokens of source, \d+ of",
    ):
        train(check_settings(SummarizationRecipe, values(section, model=short)), out=tmp_path / "a")
    with pytest.raises(DataError, match="no example is short enough"):
        train(
            check_settings(SummarizationRecipe, values(section | {"overlong": "drop"}, model=short)), out=tmp_path / "b"
        )
    recipe = values(section | {"overlong": "truncate"}, model=short, training={"n_steps": 2})
    result = train(check_settings(SummarizationRecipe, recipe), out=tmp_path / "c")
    notes = json.loads((result.run / "run.json").read_text())["data"]["notes"]
    assert notes["examples cut because they are too long"] == 160


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"model": {"kind": "t5", "prompt": "TL;DR:"}}, "has no prompt between them"),
        ({"model": {"prompt": " "}}, "does not tell where a source ends"),
        ({"model": {"n_decoder_layers": 2}}, "has one stack"),
        ({"model": {"kind": "llama", "dropout": 0.1}}, "llama family has no dropout"),
        ({"decoding": {"max_new_tokens": 63}}, "leaves no room for a source"),
        ({"decoding": {"no_repeat_ngram_size": 3}}, "num_beams above 1"),
    ],
)
def test_recipes_that_cannot_be(tmp_path: Path, change: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        check_settings(SummarizationRecipe, values(data(tmp_path, "en"), **change))


def test_models_that_were_not_trained_to(tmp_path: Path, run: tuple[str, Path]) -> None:
    _, folder = run
    lm = hanmo.load(folder / "model")
    del lm.tokenizer.config["hanmo_text2text"]
    lm.save(tmp_path / "bare")
    with pytest.raises(ModelError, match="was not trained to write a text for a text"):
        hanmo.pipeline("summarization", tmp_path / "bare")


def test_a_checkpoint_says_how_it_wants_to_be_asked(tmp_path: Path) -> None:
    from hanmo.models.families import FAMILIES
    from hanmo.tasks.seq2seq_model import Seq2SeqModel
    from hanmo.tokenizers.bpe import train_bpe

    tokenizer = train_bpe(["summarize: translate English to German: the cat sleeps"], 280)
    shape = {"d_model": 16, "d_head": 8, "n_heads": 2, "n_layers": 1, "vocab_size": tokenizer.vocab_size}
    family = FAMILIES["t5"]
    config = family.config.model_validate(shape | {"eos_id": tokenizer.eos_id, "pad_id": 5, "decoder_start_id": 5})
    folder = tmp_path / "t5"
    Seq2SeqModel(family.architecture().build(config), tokenizer).save(folder)
    file = folder / "config.json"
    told = {
        "summarization": {"prefix": "summarize: ", "max_length": 9, "min_length": 9, "num_beams": 2},
        "translation_en_to_de": {"prefix": "translate English to German: ", "max_length": 6, "num_beams": 1},
    }
    file.write_text(json.dumps(json.loads(file.read_text()) | {"task_specific_params": told}))
    plain = hanmo.pipeline("text2text-generation", folder)
    text = "the cat sleeps"
    summarise, translate = hanmo.pipeline("summarization", folder), hanmo.pipeline("translation_en_to_de", folder)
    asked = {"num_beams": 2, "max_new_tokens": 8, "min_new_tokens": 8}
    wanted = plain("summarize: " + text, **asked)[0]["generated_text"]
    assert wanted != plain(text, **asked)[0]["generated_text"]
    assert summarise(text)[0]["summary_text"] == wanted
    assert summarise(text, max_new_tokens=3)[0]["summary_text"] != wanted
    wanted = plain("translate English to German: " + text, num_beams=1, max_new_tokens=5)[0]["generated_text"]
    assert translate(text)[0]["translation_text"] == wanted
    assert hanmo.pipeline("translation", folder)(text, src_lang="en", tgt_lang="de")[0]["translation_text"] == wanted
    with pytest.raises(ConfigError, match=r"has not learnt en → fr.*en → de"):
        hanmo.pipeline("translation_en_to_fr", folder)
    with pytest.raises(ConfigError, match="more than one pair"):
        hanmo.pipeline("translation", folder)(text)
    file.write_text(
        json.dumps(json.loads(file.read_text()) | {"task_specific_params": {"summarization": {"prefix": 3}}})
    )
    with pytest.raises(ModelError, match="the prefix 3 in task_specific_params is no text"):
        hanmo.pipeline("summarization", folder)
