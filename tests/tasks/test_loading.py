from __future__ import annotations

import pytest
import torch

import hanmo
from hanmo.cli.app import main
from hanmo.core.errors import ConfigError, ModelError
from hanmo.models.directory import write_model
from hanmo.models.families import FAMILIES
from hanmo.tasks.loaded_model import LoadedModel
from hanmo.tasks.loading import load_language_model
from hanmo.tasks.permutation_model import PermutationModel
from hanmo.tokenizers.bpe import train_bpe

ENGLISH = "The old printer mended seven maps by candlelight before sunrise. "
CHINESE = "老先生清早抄好了一封长信，小徒弟把砚台收拾干净。"
SHAPES = {
    "bert": {"d_model": 20, "n_heads": 2, "n_layers": 1, "max_len": 90},
    "xlnet": {"d_model": 20, "n_heads": 2, "n_layers": 1},
}


@pytest.fixture(scope="module")
def tokenizer():
    return train_bpe([ENGLISH * 3, CHINESE * 3], 320)


@pytest.fixture
def folder(tokenizer, tmp_path):
    def write(model_type, architecture, **more):
        family = FAMILIES[model_type]
        shape = SHAPES[model_type] | {"vocab_size": tokenizer.vocab_size, "eos_id": tokenizer.eos_id, "pad_id": 0}
        torch.manual_seed(1)
        write_model(tmp_path, family.architecture(architecture).build(family.config.model_validate(shape | more)))
        tokenizer.save(tmp_path)
        return tmp_path

    return write


@pytest.mark.parametrize("architecture", list(FAMILIES["bert"].architectures))
def test_an_encoder_comes_with_its_tokenizer_and_goes_back_to_a_folder(folder, tmp_path, architecture):
    loaded = hanmo.load(folder("bert", architecture), device="cpu")
    assert type(loaded) is LoadedModel
    ids = torch.tensor([loaded.tokenizer.encode(CHINESE)])
    before = loaded.model(input_ids=ids)
    loaded.save(tmp_path / "again")
    again = hanmo.load(tmp_path / "again", device="cpu")
    assert again.model.architecture == architecture
    after = again.model(input_ids=ids)
    assert all(torch.equal(before[key], after[key]) for key in before if isinstance(before[key], torch.Tensor))
    assert f"LoadedModel({architecture}" in repr(loaded)


def test_a_model_that_writes_no_text_is_refused_by_the_verbs_that_write(folder, capsys):
    path = folder("bert", "BertForMaskedLM")
    for verb in (["generate", str(path), "词"], ["score", str(path), "词"], ["chat", str(path)]):
        assert main(verb) == 1
        error = capsys.readouterr().err
        assert "BertForMaskedLM" in error
        assert "Traceback" not in error
    with pytest.raises(ModelError, match="does not continue a text"):
        load_language_model(path)


def test_another_models_tokenizer(folder, tokenizer):
    with pytest.raises(ModelError, match="belongs to another model"):
        hanmo.load(folder("bert", "BertModel", vocab_size=tokenizer.vocab_size - 1))


@pytest.mark.parametrize("prompt", [ENGLISH, CHINESE])
def test_a_permutation_model_writes(folder, prompt):
    lm = hanmo.load(folder("xlnet", "XLNetLMHeadModel"), device="cpu")
    assert type(lm) is PermutationModel
    settings = {"max_new_tokens": 6, "temperature": 1.0, "seed": 3}
    text = lm.generate(prompt, **settings)
    assert text
    assert text == lm.generate(prompt, **settings) == "".join(lm.stream(prompt, **settings))
    assert lm.generate([prompt, prompt], **settings)[0] == text
    several = lm.generate(prompt, n=2, **settings)
    assert several[0] == text
    assert len(several) == 2
    with pytest.raises(ConfigError, match="no tokens"):
        lm.generate("", **settings)
    with pytest.raises(ConfigError, match="stop strings"):
        lm.generate(prompt, stop=("x",))
