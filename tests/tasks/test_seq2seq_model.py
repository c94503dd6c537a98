import pytest
import torch
from tests.generation.models import wild

import hanmo
from hanmo.core.errors import ConfigError, ModelError
from hanmo.models.families import FAMILIES
from hanmo.tasks.loading import load_language_model
from hanmo.tasks.seq2seq_model import Seq2SeqModel
from hanmo.tokenizers.bpe import train_bpe

ENGLISH = "The old printer mended seven maps by candlelight before sunrise. "
CHINESE = "老先生清早抄好了一封长信，小徒弟把砚台收拾干净。"
SHAPES = {
    "t5": {"d_model": 20, "d_head": 5, "n_heads": 3, "n_layers": 1, "tie_embeddings": False},
    "marian": {
        "d_model": 20, "n_heads": 2, "n_layers": 1, "max_len": 90, "share_embeddings": False, "tie_embeddings": False
    },
    "hanmo-lstm-seq2seq": {"d_model": 20, "max_len": 90},
}  # fmt: skip
SAMPLED = {"temperature": 1.0, "top_p": 0.95, "max_new_tokens": 15}


@pytest.fixture(scope="module")
def tokenizer():
    return train_bpe([ENGLISH * 3, CHINESE * 3], 320)


def build(name, tokenizer):
    family = FAMILIES[name]
    ids = {"vocab_size": tokenizer.vocab_size, "eos_id": tokenizer.eos_id, "pad_id": 5, "decoder_start_id": 5}
    config = family.config.model_validate(SHAPES[name] | ids)
    return Seq2SeqModel(wild(family.architecture().build(config), 2), tokenizer)


@pytest.fixture(scope="module", params=list(SHAPES))
def lm(request, tokenizer):
    return build(request.param, tokenizer)


@pytest.mark.parametrize("source", [ENGLISH, CHINESE, ""])
@pytest.mark.parametrize("settings", [{"max_new_tokens": 15}, {**SAMPLED, "seed": 1}])
def test_stream_joins_to_what_generate_returns(lm, source, settings):
    assert "".join(lm.stream(source, **settings)) == lm.generate(source, **settings)


def test_the_source_ends_with_the_end_token(lm):
    ids = [*lm.tokenizer.encode(CHINESE), lm.tokenizer.eos_id]
    with torch.no_grad():
        logits = lm.model(torch.tensor([ids]), decoder_input_ids=torch.tensor([[5]])).logits[0, -1]
    logits[5] = -torch.inf  # padding is never text
    assert lm.generate(CHINESE, max_new_tokens=1) == lm.tokenizer.decode([logits.argmax()])


def test_shapes_of_the_answer(lm):
    for settings in ({**SAMPLED, "seed": 1}, {"num_beams": 3, "max_new_tokens": 12}):
        one = lm.generate(CHINESE, **settings)
        two = lm.generate([CHINESE, ENGLISH], **settings)
        three = lm.generate(CHINESE, n=3, **settings)
        both = lm.generate([CHINESE, ENGLISH], n=3, **settings)
        assert isinstance(one, str)
        assert [type(text) for text in two] == [str, str]
        assert [len(texts) for texts in both] == [3, 3]
        assert three[0] == two[0] == one
        assert both[0] == three
        assert lm.generate([], **settings) == []
    assert lm.generate([CHINESE] * 20, max_new_tokens=3) == [lm.generate(CHINESE, max_new_tokens=3)] * 20
    assert lm.generate(CHINESE, num_beams=1, max_new_tokens=9) == lm.generate(CHINESE, max_new_tokens=9)


def test_stop_strings_are_not_part_of_the_text(lm):
    text = lm.generate(ENGLISH, max_new_tokens=30)
    stop = text[3:5]
    assert lm.generate(ENGLISH, max_new_tokens=30, stop=stop) == text[: text.index(stop)]


def test_what_is_saved_loads_as_it_was(lm, tmp_path):
    lm.save(tmp_path)
    again = hanmo.load(tmp_path, device="cpu")
    assert isinstance(again, Seq2SeqModel)
    assert again.config == lm.config
    for settings in ({}, {"num_beams": 4}, {"temperature": 1.0, "seed": 3}):
        assert again.generate(CHINESE, max_new_tokens=15, **settings) == lm.generate(
            CHINESE, max_new_tokens=15, **settings
        )
    assert repr(again).startswith("Seq2SeqModel(")
    with pytest.raises(ModelError, match="does not continue a text token by token"):
        load_language_model(tmp_path, device="cpu")


def test_transformers_writes_the_same(tokenizer, tmp_path):
    from transformers import AutoModelForSeq2SeqLM

    for name in ("t5", "marian"):
        lm = build(name, tokenizer)
        lm.save(tmp_path)
        rival = AutoModelForSeq2SeqLM.from_pretrained(tmp_path)
        ids = torch.tensor([[*tokenizer.encode(CHINESE), tokenizer.eos_id]])
        settings = {"num_beams": 3, "max_new_tokens": 12}
        theirs = rival.generate(ids, do_sample=False, bad_words_ids=[[5]], **settings)[0]
        assert lm.generate(CHINESE, **settings) == tokenizer.decode(theirs[1:][theirs[1:] != 5])


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"num_beams": 3, "temperature": 0.5}, "temperature"),
        ({"length_penalty": 2.0}, "length_penalty"),
        ({"num_beams": 2, "n": 3}, "n = 3 texts cannot come from num_beams = 2"),
        ({"top_p": 2.0}, "top_p"),
        ({"num_beams": 0}, "num_beams"),
    ],
)
def test_settings_that_cannot_be(lm, settings, match):
    with pytest.raises(ConfigError, match=match):
        lm.generate(CHINESE, **settings)


def test_what_cannot_be_streamed(lm):
    with pytest.raises(ConfigError, match="knows its text only at the end"):
        lm.stream(CHINESE, num_beams=2)
    with pytest.raises(ConfigError, match="one text, not 2"):
        lm.stream(CHINESE, n=2, temperature=1.0)


def test_a_source_that_is_too_long(tokenizer):
    lm = build("marian", tokenizer)
    with pytest.raises(ConfigError, match="this model reads at most 90"):
        lm.generate(CHINESE * 20)


def test_another_tokenizer_is_refused(lm):
    with pytest.raises(ModelError, match="this tokenizer belongs to another model"):
        Seq2SeqModel(lm.model, train_bpe([ENGLISH], 280))
