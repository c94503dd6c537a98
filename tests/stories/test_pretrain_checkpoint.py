"""A trained decoder goes on with a corpus of one's own, whole or with an adapter; Chinese and English text."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import hanmo
from hanmo.cli.app import main
from hanmo.core.errors import ConfigError, DataError, ModelError
from hanmo.core.toml import to_toml
from hanmo.models.gpt2 import GPT2Config, gpt2
from hanmo.stories.recipe import PretrainRecipe
from hanmo.stories.result import PretrainResult
from hanmo.stories.train import for_someone, plan, read_recipe, train
from hanmo.tasks.language_model import LanguageModel
from hanmo.tokenizers.bpe import END_OF_TEXT, train_bpe
from hanmo.tokenizers.training_data import hash_file
from hanmo.training.session import Session

ADAPTERS: dict[str, dict[str, Any]] = {
    "lora": {"rank": 4, "alpha": 8},
    "dora-int8": {"rank": 2, "dora": True, "base_dtype": "int8"},
    "prompt": {"method": "prompt", "n_tokens": 4, "text": "The old teacher"},
    "prefix": {"method": "prefix", "n_tokens": 4},
}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of random weights, with room for 80 positions."""
    folder = tmp_path_factory.mktemp("decoder") / "base"
    tokenizer = train_bpe(["the old teacher wrote a letter", "老先生写信"] * 5, 300, special_tokens=(END_OF_TEXT,))
    torch.manual_seed(0)
    shape = {"d_model": 64, "n_layers": 1, "n_heads": 2, "max_len": 80, "init_std": 0.1}
    ids = {"vocab_size": tokenizer.vocab_size, "bos_id": tokenizer.eos_id, "eos_id": tokenizer.eos_id}
    LanguageModel(gpt2(GPT2Config.model_validate(shape | ids)), tokenizer).save(folder)
    return folder


def recipe(tiny: ModuleType, corpus: Path, base: Path, **changes: Any) -> PretrainRecipe:
    values = tiny.tiny_recipe(corpus).model_dump(mode="json", exclude_unset=True)
    values |= {"model": {"checkpoint": str(base)}, "tokenizer": {}, "batches": {"batch_size": 4, "block_len": 40}}
    training = values["training"] | {"checkpoint_seconds": None} | changes.pop("training", {})
    return PretrainRecipe.model_validate(values | {"training": training} | changes)


@pytest.fixture(scope="module")
def adapted(tiny: ModuleType, corpus: Path, base: Path, tmp_path_factory: pytest.TempPathFactory) -> PretrainResult:
    asked = recipe(tiny, corpus, base, adapter=ADAPTERS["lora"], training={"n_steps": 40, "checkpoint_steps": 20})
    return train(asked, out=tmp_path_factory.mktemp("runs") / "adapted")  # pyright: ignore[reportReturnType]


def test_a_run_leaves_an_adapter_that_fits_the_corpus(adapted: PretrainResult, base: Path) -> None:
    assert adapted.model == adapted.run / "adapter"
    assert not (adapted.run / "model").exists()
    found = adapted.evaluation
    assert found["heldout"]["bits_per_byte"] < 0.85 * found["baselines"]["checkpoint"]
    assert found["heldout"]["window"] == 40
    told = json.loads((adapted.run / "run.json").read_text())
    assert 0 < told["model"]["trained_parameters"] == adapted.trained < told["model"]["parameters"]
    assert "adapter_model.safetensors" in told["hashes"]
    config = json.loads((adapted.model / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == str(base.resolve())
    assert config["task_type"] == "CAUSAL_LM"
    assert not config["modules_to_save"]
    newest = load_file(max((adapted.run / "checkpoints").iterdir()) / "model.safetensors")
    assert sum(tensor.numel() for tensor in newest.values()) == adapted.trained
    card = (adapted.model / "README.md").read_text(encoding="utf-8")
    assert f'base_model: "{base}"' in card
    assert "from scratch" not in card
    assert "The checkpoint before" in adapted.report.read_text(encoding="utf-8")
    assert f"{adapted.run}/adapter" in adapted.report.read_text(encoding="utf-8")
    assert f"{adapted.trained:,} of {adapted.parameters:,} parameters" in adapted.summary()


def test_the_adapter_loads_with_its_base(
    adapted: PretrainResult, base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alone, beside = hanmo.load(adapted.model), hanmo.load(base, adapter=adapted.model)
    text = alone.generate("The old", max_new_tokens=12, temperature=0)
    assert text == beside.generate("The old", max_new_tokens=12, temperature=0)
    assert text != hanmo.load(base).generate("The old", max_new_tokens=12, temperature=0)
    assert json.loads((adapted.run / "samples.json").read_text())[0]["text"]
    capsys.readouterr()
    assert main(["generate", str(adapted.model), "The old", "--max-new-tokens", "12", "--temperature", "0"]) == 0
    assert text.strip() in capsys.readouterr().out


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")  # of peft, about itself
def test_peft_reads_it(adapted: PretrainResult, base: Path) -> None:
    peft, transformers = pytest.importorskip("peft"), pytest.importorskip("transformers")
    theirs = transformers.AutoModelForCausalLM.from_pretrained(base)
    theirs = peft.PeftModel.from_pretrained(theirs, str(adapted.model)).eval()
    ids = torch.tensor([hanmo.load(base).tokenizer.encode("the old teacher 老先生")])
    ours = hanmo.load(adapted.model).model
    assert (ours(input_ids=ids).logits - theirs(input_ids=ids).logits).abs().max() <= 1e-5


@pytest.mark.parametrize("kind", ADAPTERS)
def test_an_interrupted_run_goes_on(
    kind: str, tiny: ModuleType, corpus: Path, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {file.name: file.read_bytes() for file in base.iterdir()}
    training = {"n_steps": 6, "eval_every": 3, "checkpoint_steps": 2}
    asked = recipe(tiny, corpus, base, adapter=ADAPTERS[kind], training=training)
    train(asked, out=tmp_path / "whole")
    step, n = Session.take_step, 0

    def cut(self: Any) -> Any:
        nonlocal n
        n += 1
        if n == 4:
            raise KeyboardInterrupt
        return step(self)

    monkeypatch.setattr(Session, "take_step", cut)
    with pytest.raises(KeyboardInterrupt):
        train(asked, out=tmp_path / "run")
    monkeypatch.undo()
    result = train(asked, out=tmp_path / "run", resume=True)
    one, two = (tmp_path / run / "adapter/adapter_model.safetensors" for run in ("whole", "run"))
    assert one.read_bytes() == two.read_bytes()
    assert {file.name: file.read_bytes() for file in base.iterdir()} == before
    # once finished it is left alone
    again = train(asked, out=tmp_path / "run", resume=True)
    assert again.evaluation == result.evaluation
    assert again.trained == result.trained  # pyright: ignore[reportAttributeAccessIssue]


def test_a_checkpoint_goes_on_whole(tiny: ModuleType, corpus: Path, base: Path, tmp_path: Path) -> None:
    found = train(recipe(tiny, corpus, base, training={"n_steps": 20}), out=tmp_path / "run")
    assert found.evaluation["heldout"]["bits_per_byte"] < found.evaluation["baselines"]["checkpoint"]
    lm = hanmo.load(found.model)
    assert lm.adapters == ()
    assert lm.tokenizer.sha256 == hanmo.load(base).tokenizer.sha256
    assert "on the base of" in (found.model / "README.md").read_text(encoding="utf-8")


def test_for_someone(tiny: ModuleType, corpus: Path, base: Path) -> None:
    asked = for_someone(recipe(tiny, corpus, base), "阿丽")
    assert asked.name == "tiny-阿丽"
    assert asked.adapter is not None
    assert asked.adapter.method == "lora"
    with pytest.raises(ConfigError, match=r"trains a model from nothing.*model\.checkpoint"):
        for_someone(tiny.tiny_recipe(corpus), "阿丽")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"model": {}}, r"\[adapter\] needs a trained model"),
        ({"training": {"n_steps": 4, "compile": "on"}}, "compile = 'on' is not to be had"),
        ({"tokenizer": {"vocab_size": 500}}, r"tokenizer\.vocab_size cannot be chosen with model\.checkpoint"),
        ({"model": {"checkpoint": "base", "d_model": 32}}, "d_model cannot be chosen with a checkpoint"),
        ({"model": {"max_len": 64}, "adapter": None, "batches": {"block_len": 65}}, "65 tokens do not fit into the 64"),
    ],
)
def test_impossible_recipes(
    change: dict[str, Any], match: str, tiny: ModuleType, corpus: Path, base: Path, tmp_path: Path
) -> None:
    values = recipe(tiny, corpus, base, adapter={"rank": 4}).model_dump(mode="json", exclude_unset=True)
    values |= {key: value for key, value in change.items() if value is not None}
    if change.get("adapter", values) is None:
        del values["adapter"]
    (tmp_path / "bad.toml").write_text(to_toml(values), encoding="utf-8")
    with pytest.raises(ConfigError, match=match):
        read_recipe(tmp_path / "bad.toml")


def test_plans_and_what_they_refuse(tiny: ModuleType, corpus: Path, base: Path, tmp_path: Path) -> None:
    told = plan(recipe(tiny, corpus, base, adapter={"rank": 4}))
    assert "trained (" in told
    assert "160 tokens per step" in told
    with pytest.raises(ConfigError, match=r"'q_prj'.*There are: "):
        plan(recipe(tiny, corpus, base, adapter={"targets": ["q_prj"]}))
    # 80 positions, 50 of them virtual
    crowded = {"method": "prefix", "n_tokens": 50}
    with pytest.raises(ConfigError, match="40 tokens do not fit into the 30 positions"):
        plan(recipe(tiny, corpus, base, adapter=crowded))
    with pytest.raises(ModelError):
        plan(recipe(tiny, corpus, tmp_path / "gone"))


def test_a_tokenizer_that_has_read_the_corpus_is_refused(
    tiny: ModuleType, corpus: Path, base: Path, tmp_path: Path
) -> None:
    lm = hanmo.load(base)
    file = sorted(corpus.glob("note-*"))[0]
    LanguageModel(lm.model, lm.tokenizer.with_training_files([hash_file(file, file.name)])).save(tmp_path / "seen")
    with pytest.raises(DataError, match=r"note-00\.txt"):
        plan(recipe(tiny, corpus, tmp_path / "seen"))
