"""The main job told on a corpus of a few sentences: what it leaves behind, and who else can read it."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from types import ModuleType

import pytest
import torch

import hanmo
from hanmo.core.errors import DataError
from hanmo.core.files import sha256_file
from hanmo.corpora.documents import read_documents
from hanmo.stories.result import PretrainResult

TEXTS = ["The old teacher wrote a long letter.", "老先生清早写完了一封长信。", " <|endoftext|> \n\t½ 🖌️"]


@pytest.fixture(params=["english", "chinese"])
def result(request: pytest.FixtureRequest) -> PretrainResult:
    return request.getfixturevalue(request.param)


def test_the_run_folder_is_complete(result: PretrainResult) -> None:
    files = {str(path.relative_to(result.run)) for path in result.run.rglob("*") if path.is_file()}
    assert files >= {
        "run.json", "recipe.toml", "metrics.jsonl", "evaluation.json", "samples.json", "report.html",
        "corpus/corpus.json", "corpus/train.jsonl.gz", "corpus/heldout.jsonl.gz", "shards/train/tokens.bin",
        "model/config.json", "model/generation_config.json", "model/model.safetensors", "model/tokenizer.json",
        "model/tokenizer_config.json", "model/README.md",
    }  # fmt: skip
    assert not [name for name in files if ".hanmo-" in name]
    assert result.report.stat().st_size > 10_000


def test_run_json_says_what_happened(result: PretrainResult) -> None:
    info = json.loads((result.run / "run.json").read_text(encoding="utf-8"))
    assert info["status"] == result.status == "finished"
    assert info["error"] is None
    assert [stage["name"] for stage in info["stages"]] == [
        "corpus", "tokenizer", "encode", "train", "model", "evaluate", "ngram", "samples",
    ]  # fmt: skip
    assert info["hashes"]["model.safetensors"] == sha256_file(result.model / "model.safetensors")
    assert info["hashes"]["train.jsonl.gz"] == sha256_file(result.run / "corpus" / "train.jsonl.gz")
    assert info["training"]["n_steps"] == info["recipe"]["training"]["n_steps"]
    assert info["training"]["tokens_per_s"] == result.tokens_per_s > 0
    assert sum(stage["seconds"] for stage in info["stages"]) <= info["seconds"] + 1


def test_the_report_is_in_the_language_of_the_recipe(english: PretrainResult, chinese: PretrainResult) -> None:
    assert '<html lang="en' in english.report.read_text(encoding="utf-8")
    assert '<html lang="zh' in chinese.report.read_text(encoding="utf-8")


def test_transformers_reads_the_model_directory(result: PretrainResult) -> None:
    transformers = pytest.importorskip("transformers")
    theirs = transformers.AutoModelForCausalLM.from_pretrained(result.model).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(result.model)
    ours = hanmo.load(result.model)
    assert tokenizer.eos_token_id == ours.tokenizer.eos_id
    for text in TEXTS:
        ids = ours.tokenizer.encode(text, allow_special=True)
        assert tokenizer(text)["input_ids"] == ids
        batch = torch.tensor([ids])
        with torch.no_grad():
            difference = (theirs(input_ids=batch).logits - ours.model(input_ids=batch).logits).abs().max()
        assert difference < 1e-5
    batch = torch.tensor([ours.tokenizer.encode("The old teacher")])
    greedy = theirs.generate(batch, max_new_tokens=12, do_sample=False)[0, batch.shape[1] :].tolist()
    text = ours.generate("The old teacher", max_new_tokens=12, temperature=0)
    assert text == ours.tokenizer.decode(greedy)


def test_the_summary_shows_how_to_go_on(english: PretrainResult, chinese: PretrainResult) -> None:
    commands = [shlex.split(line) for line in chinese.summary().splitlines() if line.startswith("  hanmo generate")]
    assert commands == [["hanmo", "generate", str(chinese.model), chinese.prompt]]
    assert chinese.prompt == "最重要的是"
    assert english.prompt != chinese.prompt
    assert f"{chinese.evaluation['heldout']['bits_per_byte']:.3f} bits per byte" in chinese.summary()


def test_load_generates(result: PretrainResult) -> None:
    lm = hanmo.load(result.model)
    texts = [lm.generate("老先生", max_new_tokens=20, temperature=1.0, seed=seed) for seed in (3, 3, 4)]
    assert texts[0] == texts[1] != texts[2]


def test_training_taught_something(chinese: PretrainResult) -> None:
    assert chinese.evaluation["heldout"]["bits_per_byte"] < 0.8 * chinese.evaluation["baselines"]["order0"]


def test_no_document_is_on_both_sides(result: PretrainResult) -> None:
    train, heldout = (list(read_documents(result.run / "corpus" / f"{name}.jsonl.gz")) for name in ("train", "heldout"))
    assert train
    assert heldout
    assert not {document.id for document in train} & {document.id for document in heldout}
    assert not {document.text for document in train} & {document.text for document in heldout}


def test_same_seed_same_model_other_seed_another(
    tiny: ModuleType, corpus: Path, english: PretrainResult, tmp_path: Path
) -> None:
    again = tiny.make_tiny_run(tmp_path / "again", corpus=corpus)
    other = tiny.make_tiny_run(tmp_path / "other", corpus=corpus, seed=1)
    weights = [sha256_file(run.model / "model.safetensors") for run in (english, again, other)]
    assert weights[0] == weights[1] != weights[2]
    assert (english.run / "samples.json").read_bytes() == (again.run / "samples.json").read_bytes()
    assert english.evaluation == again.evaluation


def test_a_failure_is_recorded(tiny: ModuleType, tmp_path: Path) -> None:
    little = tiny.make_tiny_corpus(tmp_path / "little", n_files=1)
    with pytest.raises(DataError, match="min_chars"):
        tiny.make_tiny_run(tmp_path / "run", corpus=little)
    info = json.loads((tmp_path / "run" / "run.json").read_text(encoding="utf-8"))
    assert info["status"] == "failed"
    assert "min_chars" in info["error"]
    assert not (tmp_path / "run" / "corpus" / "corpus.json").exists()


def test_a_bug_is_recorded_too(tiny: ModuleType, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def break_down(*arguments: object) -> None:
        raise RuntimeError("a wheel came off")

    monkeypatch.setattr("hanmo.stories.pretrain.evaluate_run", break_down)
    with pytest.raises(RuntimeError, match="wheel"):
        tiny.make_tiny_run(tmp_path / "run", corpus=corpus)
    info = json.loads((tmp_path / "run" / "run.json").read_text(encoding="utf-8"))
    assert (info["status"], info["error"]) == ("failed", "a wheel came off")


def test_early_stopping_is_reported(tiny: ModuleType, corpus: Path, tmp_path: Path) -> None:
    stopped = tiny.make_tiny_run(
        tmp_path / "run", corpus=corpus,
        training={"n_steps": 40, "eval_every": 2, "patience": 1, "min_delta": 100.0},
    )  # fmt: skip
    assert stopped.status == "early_stopped"
    info = json.loads((stopped.run / "run.json").read_text(encoding="utf-8"))
    assert info["training"]["stopped_by"] == "early stopping"
    assert info["training"]["n_steps"] < 40


def test_a_story_without_samples(tiny: ModuleType, corpus: Path, tmp_path: Path) -> None:
    run = tiny.make_tiny_run(tmp_path / "run", corpus=corpus, samples={"n_prompts": 0}).run
    assert json.loads((run / "samples.json").read_text(encoding="utf-8")) == []
