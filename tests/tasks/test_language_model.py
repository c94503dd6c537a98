import json
import math
import os

import pytest
import torch
from tests.generation.models import small_gpt2, small_llama

import hanmo
from hanmo.core.errors import ConfigError, DataError, HanmoError, ModelError
from hanmo.models.directory import write_model
from hanmo.tasks.language_model import LanguageModel
from hanmo.tasks.loading import load
from hanmo.tokenizers.bpe import END_OF_TEXT, train_bpe

ENGLISH = "The old printer mended seven maps by candlelight before sunrise. "
CHINESE = "老先生清早抄好了一封长信，小徒弟把砚台收拾干净。"


@pytest.fixture(scope="module")
def tokenizer():
    return train_bpe([ENGLISH * 3, CHINESE * 3], 320)


@pytest.fixture(scope="module", params=["gpt2", "llama"])
def lm(request, tokenizer):
    build = small_gpt2 if request.param == "gpt2" else small_llama
    return LanguageModel(build(vocab_size=tokenizer.vocab_size, eos_id=tokenizer.eos_id), tokenizer)


@pytest.fixture
def folder(lm, tmp_path):
    lm.save(tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.no_grad():
        yield


SAMPLED = {"temperature": 1.0, "top_p": 0.95, "max_new_tokens": 45}


@pytest.mark.parametrize("prompt", [ENGLISH[:20], CHINESE[:9], ""])
@pytest.mark.parametrize(
    "settings", [{"max_new_tokens": 10}, {"max_new_tokens": 45}, *({**SAMPLED, "seed": s} for s in range(6))]
)
def test_stream_joins_to_what_generate_returns(lm, prompt, settings):
    assert "".join(lm.stream(prompt, **settings)) == lm.generate(prompt, **settings)


def test_the_prompt_is_not_part_of_the_text(lm):
    ids = lm.tokenizer.encode(CHINESE[:9])
    new = lm.model(input_ids=torch.tensor([ids])).logits[0, -1].argmax()
    assert lm.generate(CHINESE[:9], max_new_tokens=1) == lm.tokenizer.decode([new])


def test_shapes_of_the_answer(lm):
    settings = {"max_new_tokens": 6, "temperature": 1.0, "seed": 1}
    one = lm.generate("The", **settings)
    two = lm.generate(["The", CHINESE[:5]], **settings)
    three = lm.generate("The", n=3, **settings)
    both = lm.generate(["The", CHINESE[:5]], n=3, **settings)
    assert isinstance(one, str)
    assert [type(text) for text in two] == [str, str]
    assert len(three) == 3
    assert [len(texts) for texts in both] == [3, 3]
    assert three[0] == two[0] == one  # row 0 draws the same, alone or not
    assert both[0] == three
    assert len(set(three)) == 3
    assert lm.generate([], **settings) == []


def test_many_rows_go_in_batches(lm):
    settings = {"max_new_tokens": 5, "temperature": 1.0, "seed": 2}
    texts = lm.generate("The", n=20, **settings)
    assert len(texts) == 20
    assert texts[:3] == lm.generate("The", n=3, **settings)
    assert len(set(texts)) > 15


@pytest.mark.parametrize("new", [12, 45])
def test_stop_strings_end_the_text_and_never_show(lm, new):
    settings = {"max_new_tokens": new, "temperature": 1.5, "seed": 5}
    whole = lm.generate(ENGLISH[:20], **settings)
    assert len(whole) > 4
    stop = whole[3:5]
    assert lm.generate(ENGLISH[:20], stop=stop, **settings) == whole[: whole.index(stop)]
    assert "".join(lm.stream(ENGLISH[:20], stop=[stop, "never"], **settings)) == whole[: whole.index(stop)]


def test_no_piece_ends_inside_a_character(tokenizer):
    """A model that recites bytes of Chinese one token at a time."""
    from tests.generation.models import Counter

    data = CHINESE.encode()
    of_byte = {tokenizer.token_bytes(i): i for i in range(tokenizer.vocab_size)}
    script = [of_byte[bytes([byte])] for byte in data]

    class Reciter(Counter):
        def forward(self, input_ids, past_key_values=None, **_):
            past_key_values.length += input_ids.shape[1]
            at = past_key_values.length - 1
            token = script[at] if at < len(script) else tokenizer.eos_id
            logits = torch.nn.functional.one_hot(torch.tensor([[token]]), tokenizer.vocab_size).float()
            return type("Output", (), {"logits": logits})()

    lm = LanguageModel(Reciter(tokenizer.vocab_size, max_len=200), tokenizer)
    pieces = list(lm.stream(""))
    assert "".join(pieces) == CHINESE
    assert pieces == list(CHINESE)


def test_bad_settings_are_named_before_anything_is_computed(lm):
    for call in (lm.generate, lm.stream):
        with pytest.raises(ConfigError, match="temperature"):
            call("x", temperature=-1)
        with pytest.raises(ConfigError, match="did you mean 'top_p'"):
            call("x", topp=0.5)
        with pytest.raises(ConfigError, match="context is 64"):
            call(ENGLISH * 20)
    with pytest.raises(ConfigError, match="one text, not 2"):
        lm.stream("x", n=2)


def test_none_means_the_default(lm):
    assert lm.generate("The", max_new_tokens=5, top_k=None, top_p=None, min_p=None, temperature=None) == lm.generate(
        "The", max_new_tokens=5
    )


def test_special_tokens_in_a_prompt_are_ordinary_text(lm):
    assert lm.score(END_OF_TEXT).ids != [lm.tokenizer.eos_id]


def plain_logprobs(lm, ids):
    """Each token given all before it, from one pass over the whole."""
    sequence = torch.tensor([[lm.tokenizer.bos_id, *ids]])
    logits = lm.model(input_ids=sequence[:, :-1]).logits[0].double().log_softmax(-1)
    return logits.gather(1, sequence[0, 1:, None])[:, 0].tolist()


@pytest.mark.parametrize("text", ["T", ENGLISH, CHINESE])
def test_score_of_a_text_inside_the_context(lm, text):
    score = lm.score(text)
    assert score.logprobs == pytest.approx(plain_logprobs(lm, score.ids), abs=1e-4)
    assert "".join(score.tokens).startswith("T") or "\ufffd" in "".join(score.tokens) or "".join(score.tokens) == text
    assert score.n_bytes == len(text.encode())
    assert score.n_tokens == len(score.logprobs) == len(score.tokens)
    assert score.bits_per_byte == pytest.approx(-sum(score.logprobs) / math.log(2) / len(text.encode()))
    assert score.perplexity == pytest.approx(math.exp(score.nats / score.n_tokens))
    json.dumps(score.to_dict(), allow_nan=False)


@pytest.mark.parametrize("stride", [None, 1, 7, 64])
def test_score_of_a_text_longer_than_the_context(lm, stride):
    text = (ENGLISH + CHINESE) * 4
    score = lm.score(text, stride=stride)
    n, length = len(score.ids), 64
    assert n > 2 * length
    sequence = [lm.tokenizer.bos_id, *score.ids]
    step = stride or 32
    for i in range(n):  # token i by hand: the window that first reaches it
        end = min(n, length if i < length else length + -(-(i + 1 - length) // step) * step)
        window = torch.tensor([sequence[end - length : end]])
        logits = lm.model(input_ids=window).logits[0].double().log_softmax(-1)
        at = i - (end - length)
        if stride == 1 or i % 9 == 0:
            assert score.logprobs[i] == pytest.approx(float(logits[at, sequence[i + 1]]), abs=1e-4)


def test_disjoint_windows_are_those_of_lm_eval(lm):
    """Its rolling windows: every token once, one token of context, the last window reaching back."""
    score = lm.score((ENGLISH + CHINESE) * 3, stride=64)
    tokens, prefix, length = score.ids, lm.tokenizer.bos_id, 64
    expected, predicted = [], 0
    while predicted < len(tokens):
        n = min(len(tokens) - predicted, length)
        end = predicted + n
        context = [prefix, *tokens][max(0, end - length) : end]
        logits = lm.model(input_ids=torch.tensor([context])).logits[0].double().log_softmax(-1)
        expected += [float(logits[len(context) - n + i, tokens[predicted + i]]) for i in range(n)]
        predicted = end
    assert score.logprobs == pytest.approx(expected, abs=1e-4)


def test_nothing_to_score_and_bad_strides(lm):
    with pytest.raises(DataError, match="no text"):
        lm.score("")
    for stride in (0, 65):
        with pytest.raises(ConfigError, match="stride"):
            lm.score("x", stride=stride)


def test_nan_weights_are_refused(tokenizer):
    lm = LanguageModel(small_gpt2(vocab_size=tokenizer.vocab_size), tokenizer)
    with torch.no_grad():
        lm.model.stack.norm.weight.fill_(math.nan)
    with pytest.raises(ModelError, match="not a number"):
        lm.score("x")
    with pytest.raises(ModelError, match="not a number"):
        lm.generate("x", max_new_tokens=2)


def test_save_and_load_give_the_same_model(lm, folder):
    again = hanmo.load(folder, device="cpu")
    assert again.config == lm.config
    assert again.eos_ids == lm.eos_ids
    assert again.generate(CHINESE[:5], max_new_tokens=40) == lm.generate(CHINESE[:5], max_new_tokens=40)
    assert again.score(ENGLISH).logprobs == lm.score(ENGLISH).logprobs
    assert again.model(input_ids=torch.tensor([[1, 2]])).logits.shape == (1, 2, lm.config.vocab_size)
    assert load(folder, device="cpu", dtype="bfloat16").model.head_weight.dtype == torch.bfloat16


def test_transformers_reads_what_is_saved(lm, folder):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    theirs, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    ids = tokenizer(CHINESE, return_tensors="pt").input_ids
    assert ids[0].tolist() == lm.tokenizer.encode(CHINESE)
    torch.testing.assert_close(theirs(ids).logits, lm.model(input_ids=ids).logits, rtol=1e-4, atol=1e-4)


def test_what_generation_config_says_is_kept(folder):
    file = folder / "generation_config.json"
    config = json.loads(file.read_text()) | {"eos_token_id": [0, 5], "temperature": 0.3}
    file.write_text(json.dumps(config))
    lm = load(folder, device="cpu")
    assert lm.eos_ids == (0, 5)
    lm.save(folder.parent / "again")
    assert json.loads((folder.parent / "again" / "generation_config.json").read_text()) == config


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_missing_file_is_named(folder, name):
    os.remove(folder / name)
    with pytest.raises(ModelError, match=f"{name} missing"):
        load(folder)


@pytest.mark.parametrize(
    "name", ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "generation_config.json"]
)
@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_truncated_file_is_named(folder, name, share):
    data = (folder / name).read_bytes()
    (folder / name).write_bytes(data[: int(len(data) * share)])
    with pytest.raises(HanmoError, match=name.split(".")[0]):
        load(folder)


def test_wrong_paths(tmp_path, folder):
    with pytest.raises(ModelError, match="no such model directory"):
        load(tmp_path / "nowhere")
    (tmp_path / "file").touch()
    with pytest.raises(ModelError, match="a file, not a model directory"):
        load(tmp_path / "file")
    with pytest.raises(ModelError, match="holds a run, not a model"):
        load(folder.parent)


def test_a_tokenizer_of_another_model_is_refused(folder, tokenizer):
    train_bpe([ENGLISH], 280).save(folder)
    with pytest.raises(
        ModelError, match=f"belongs to another model: the tokenizer has .* tokens, the model {tokenizer.vocab_size}"
    ):
        load(folder)


def test_a_tokenizer_with_another_end_of_text_is_refused(tokenizer):
    model = small_gpt2(vocab_size=tokenizer.vocab_size, eos_id=7)
    with pytest.raises(ModelError, match="end-of-text token is 0"):
        LanguageModel(model, tokenizer, eos_ids=[7])


def test_spare_rows_of_a_rounded_vocabulary_are_allowed(tokenizer):
    LanguageModel(small_gpt2(vocab_size=tokenizer.vocab_size + 1), tokenizer)
    with pytest.raises(ModelError, match="another model"):
        LanguageModel(small_gpt2(vocab_size=tokenizer.vocab_size + 3), tokenizer)


def test_unknown_dtype_and_device(folder):
    with pytest.raises(ConfigError, match="int3"):
        load(folder, dtype="int3")
    with pytest.raises(ConfigError, match="toaster"):
        load(folder, device="toaster")


def test_chat_needs_a_template_and_uses_it(lm):
    with pytest.raises(ConfigError, match="no chat template"):
        lm.chat([{"role": "user", "content": "hello"}])
    template = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
    chatty = LanguageModel(lm.model, lm.tokenizer.with_chat_template(template))
    messages = [{"role": "user", "content": CHINESE[:4]}]
    expected = lm.generate(f"user: {CHINESE[:4]}\n", max_new_tokens=9)
    assert chatty.chat(messages, max_new_tokens=9) == expected
    assert "".join(chatty.stream_chat(messages, max_new_tokens=9)) == expected


def test_a_dropped_stream_can_be_followed_by_another(lm):
    stream = lm.stream("The", **SAMPLED, seed=1)
    first = next(stream)
    stream.close()
    assert lm.generate("The", **SAMPLED, seed=1).startswith(first)


def test_write_model_alone_is_not_a_whole_directory(lm, tmp_path):
    write_model(tmp_path, lm.model)
    with pytest.raises(ModelError, match=r"tokenizer\.json missing"):
        load(tmp_path)
