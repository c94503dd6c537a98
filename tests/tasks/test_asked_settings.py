"""What the caller says, then generation_config.json, then our defaults: in every way to have a text written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.generation.models import small_gpt2, wild

import hanmo
from hanmo.core.errors import ConfigError
from hanmo.generation.beam import BeamSettings, beam_search
from hanmo.generation.settings import GenerationSettings
from hanmo.models.families import FAMILIES
from hanmo.tasks.asked_settings import asked_settings, unless_said
from hanmo.tasks.language_model import LanguageModel
from hanmo.tasks.seq2seq_model import Seq2SeqModel
from hanmo.tokenizers.bpe import train_bpe

ENGLISH = "The old printer mended seven maps by candlelight before sunrise. "
CHINESE = "老先生清早抄好了一封长信，小徒弟把砚台收拾干净。"


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return train_bpe([ENGLISH * 3, CHINESE * 3], 320)


@pytest.fixture
def write(tokenizer: Any, tmp_path: Path) -> Callable[..., Path]:
    """A model directory whose generation_config.json says this."""

    def write(kind: str = "gpt2", **file: Any) -> Path:
        if kind == "gpt2":
            lm: Any = LanguageModel(
                small_gpt2(vocab_size=tokenizer.vocab_size, eos_id=tokenizer.eos_id), tokenizer, generation_config=file
            )
        else:
            ids = {"vocab_size": tokenizer.vocab_size, "eos_id": tokenizer.eos_id, "pad_id": 5, "decoder_start_id": 5}
            shape = {"d_model": 20, "d_head": 5, "n_heads": 3, "n_layers": 1, "tie_embeddings": False}
            model = FAMILIES["t5"].architecture().build(FAMILIES["t5"].config.model_validate(shape | ids))
            lm = Seq2SeqModel(wild(model, 2), tokenizer, generation_config=file)
        lm.save(tmp_path / kind)
        return tmp_path / kind

    return write


@pytest.mark.parametrize("prompt", [ENGLISH[:20], CHINESE[:9]])
def test_a_decoder_writes_as_its_file_says(write: Callable[..., Path], prompt: str) -> None:
    drawn = {"do_sample": True, "temperature": 0.9, "top_k": 20, "top_p": 0.95, "repetition_penalty": 1.2}
    folder = write(**drawn, max_new_tokens=9)
    lm = hanmo.load(folder, device="cpu")
    said = {name: value for name, value in drawn.items() if name != "do_sample"}
    plain = hanmo.load(folder, device="cpu")
    plain.generation_config = None
    expected = plain.generate(prompt, seed=4, max_new_tokens=9, **said)
    assert lm.generate(prompt, seed=4) == "".join(lm.stream(prompt, seed=4)) == expected
    assert lm.generate(prompt, seed=4, max_new_tokens=5) == plain.generate(prompt, seed=4, max_new_tokens=5, **said)
    # greedy where the caller wants it: what counts only in draws is passed over
    greedy = plain.generate(prompt, max_new_tokens=9, repetition_penalty=1.2)
    for asked in ({"temperature": 0}, {"do_sample": False}, {"temperature": 0.0, "top_k": 1}):
        assert lm.generate(prompt, **asked) == greedy
    pipe = hanmo.pipeline("text-generation", folder, device="cpu")
    assert pipe(prompt, seed=4, return_full_text=False)[0]["generated_text"] == expected
    assert pipe(prompt, do_sample=False, return_full_text=False)[0]["generated_text"] == greedy


@pytest.mark.parametrize("prompt", [ENGLISH[:20], CHINESE[:9]])
def test_decoders_search_with_beams(write: Callable[..., Path], prompt: str) -> None:
    folder = write(num_beams=3, length_penalty=0.5, max_new_tokens=7)
    lm = hanmo.load(folder, device="cpu")
    settings = BeamSettings(num_beams=3, length_penalty=0.5, max_new_tokens=7, n=3)
    found = beam_search(lm.model, [lm.prompt_ids(prompt)], settings, eos_ids=lm.eos_ids)[0]
    texts = [lm.tokenizer.decode(text.tokens) for text in found]
    assert lm.generate(prompt, n=3) == texts
    assert lm.generate(prompt) == texts[0]
    many = lm.generate([prompt, ENGLISH[:5]] * 20, n=2)  # more than are searched at once
    assert many == [lm.generate(prompt, n=2), lm.generate(ENGLISH[:5], n=2)] * 20
    pipe = hanmo.pipeline("text-generation", folder, device="cpu")
    answers = pipe(prompt, num_return_sequences=2, return_full_text=False)
    assert [one["generated_text"] for one in answers] == texts[:2]
    with pytest.raises(ConfigError, match=r"only at the end.*num_beams=1"):
        lm.stream(prompt)
    assert "".join(lm.stream(prompt, num_beams=1)) == lm.generate(prompt, num_beams=1)
    with pytest.raises(ConfigError, match="stop does not go with the 3 beams"):
        lm.generate(prompt, stop="。")
    for asked in ({"stop": "。"}, {"temperature": 0.5}, {"top_k": 3}, {"seed": 1}, {"form": "5x4"}):
        with pytest.raises(ConfigError, match=f"{next(iter(asked))} does not go with the 2 beams.*Leave it out"):
            lm.generate(prompt, num_beams=2, **asked)
    with pytest.raises(ConfigError, match="cannot be 0 beams"):
        lm.generate(prompt, num_beams=0)


def test_an_encoder_decoder_writes_as_its_file_says(write: Callable[..., Path]) -> None:
    lm = hanmo.load(write("t5", num_beams=2, max_length=9, min_length=4, no_repeat_ngram_size=1), device="cpu")
    alone = hanmo.load(write("t5"), device="cpu")
    said = {"num_beams": 2, "max_new_tokens": 8, "min_new_tokens": 3, "no_repeat_ngram_size": 1}
    for source in (ENGLISH, CHINESE):
        assert lm.generate(source) == alone.generate(source, **said)
        # the caller's greatest length goes before the file's least
        assert lm.generate(source, max_new_tokens=2) == alone.generate(
            source, **said | {"max_new_tokens": 2, "min_new_tokens": 2}
        )


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ({"guidance_scale": 1.5}, "guidance_scale = 1.5"),
        ({"num_beams": 4, "num_beam_groups": 2, "diversity_penalty": 0.5}, "num_beam_groups = 2; diversity_penalty = 0.5"),
        ({"do_sample": True, "typical_p": 0.9}, "typical_p = 0.9"),
        ({"sequence_bias": {"(1,)": 2.0}}, "sequence_bias"),
        ({"exponential_decay_length_penalty": [5, 1.1]}, "exponential_decay_length_penalty"),
        ({"something_new": 3}, r"something_new = 3 \(unknown\)"),
        ({"do_sample": True, "num_beams": 2}, "beams are searched, not drawn"),
        ({"min_length": 5}, "min_length = 5"),
        ({"num_beams": "two"}, "num_beams"),
        ({"max_new_tokens": -1}, "max_new_tokens"),
    ],
)  # fmt: skip
def test_what_cannot_be_had_is_named(write: Callable[..., Path], file: dict[str, Any], words: str) -> None:
    lm = hanmo.load(write(**file), device="cpu")  # its figures and weights are there all the same
    for ask in (lm.generate, lm.stream):
        with pytest.raises(ConfigError, match=words):
            ask(ENGLISH[:20])


@pytest.mark.parametrize(
    "file",
    [
        {"typical_p": 0.9, "top_h": 0.5, "epsilon_cutoff": 0.1},  # count in draws alone
        {"num_beam_groups": 2, "diversity_penalty": 0.5, "constraints": [1]},  # in searches alone
        {"guidance_scale": 1.0, "penalty_alpha": 0.0, "watermarking_config": None, "token_healing": False},
        {"transformers_version": "5.0.0", "use_cache": False, "bos_token_id": 3, "cache_implementation": "static"},
        {"temperature": 0.3, "top_k": 2, "length_penalty": 2.0, "early_stopping": True, "something_new": None},
    ],
)
def test_what_changes_nothing_is_no_matter(file: dict[str, Any]) -> None:
    found = asked_settings(file, {"seed": 1}, continues=True)
    assert found == GenerationSettings(seed=1)


def test_a_start_token_must_be_that_of_the_model() -> None:
    with pytest.raises(ConfigError, match=r"decoder_start_token_id = 3 \(config.json says 5\)"):
        asked_settings({"decoder_start_token_id": 3}, {}, continues=False, start_id=5)
    assert asked_settings({"decoder_start_token_id": 5}, {"seed": 0}, continues=False, start_id=5).max_new_tokens == 256


def test_values_of_a_verb_come_last() -> None:
    verb = {"temperature": 0.8, "top_p": 0.95, "max_new_tokens": 200}
    assert unless_said({}, {"temperature": None}, **verb) == verb
    assert unless_said({"do_sample": False}, {}, **verb) == {"max_new_tokens": 200}
    assert unless_said({"max_length": 30}, {"temperature": 0.5}, **verb) == {"temperature": 0.5, "top_p": 0.95}
    assert unless_said({}, {"num_beams": 3}, **verb) == {"num_beams": 3, "max_new_tokens": 200}


def test_a_file_that_is_saved_again_says_the_same(write: Callable[..., Path], tmp_path: Path) -> None:
    folder = write(num_beams=3, something_new=3)
    hanmo.load(folder, device="cpu").save(tmp_path / "again")
    first, second = (json.loads((path / "generation_config.json").read_text()) for path in (folder, tmp_path / "again"))
    assert first == second
    assert first["something_new"] == 3
