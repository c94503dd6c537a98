import copy
import logging
import threading

import pytest
import torch
from tests.generation.models import Counter, small_gpt2, small_llama
from tests.generation.test_decoding import prompts_of, rows_of
from torch import nn

from hanmo.core.errors import ModelError
from hanmo.generation import GenerationSettings, decode, supports
from hanmo.generation.fast import FastRow
from hanmo.generation.packing import refusal

VARIANTS = {
    "gpt2": lambda: small_gpt2(),
    "gpt2 untied, exact GELU, scores by depth": lambda: small_gpt2(
        tie_embeddings=False, activation="gelu", scale_scores_by_depth=True
    ),
    "gpt2 ReLU, odd sizes": lambda: small_gpt2(activation="relu", vocab_size=83, d_model=33, n_heads=3, d_ff=37),
    "gpt2 QuickGELU": lambda: small_gpt2(activation="quick_gelu"),
    "llama": lambda: small_llama(),
    "llama biases, tied": lambda: small_llama(attention_bias=True, mlp_bias=True, tie_embeddings=True),
    "llama one key head": lambda: small_llama(n_kv_heads=1, activation="gelu_tanh"),
}


def tokens_of(row, n):
    return [row.next_greedy() for _ in range(n)]


@pytest.mark.parametrize("name", VARIANTS)
def test_logits_equal_the_plain_road(name):
    model = VARIANTS[name]()
    assert refusal(model) is None
    prompt = prompts_of(61, (37,))[0]
    row = FastRow(model, prompt, 64)
    with torch.no_grad():
        for length in (1, 9, 10, 26, 37):  # one token, a chunk of 8, one more, a whole chunk, the rest
            expected = model(input_ids=torch.tensor([prompt[:length]])).logits[0, -1]
            ours = row.next_logits(prompt[:length])
            torch.testing.assert_close(ours, expected, rtol=2e-5, atol=2e-5 * float(expected.abs().max()))


@pytest.mark.parametrize("name", VARIANTS)
def test_guessing_ahead_changes_no_token(name):
    model = VARIANTS[name]()
    for prompt in prompts_of(61, (1, 2, 16, 21), seed=5):
        n = 64 - len(prompt)
        expected = rows_of(decode(model, [prompt], GenerationSettings(max_new_tokens=n), fast=False))[0]
        for n_draft in (0, 1, 7, 15):
            assert tokens_of(FastRow(model, prompt, 64, n_draft=n_draft), n) == expected


def test_logits_are_the_same_bits_however_tokens_are_grouped_and_divided_among_threads():
    model = small_gpt2()
    prompt = prompts_of(61, (40,))[0]
    whole = FastRow(model, prompt, 64, n_threads=1).next_logits(prompt)
    one_by_one = FastRow(model, prompt, 64, n_threads=1)
    for length in range(1, 41):
        logits = one_by_one.next_logits(prompt[:length])
    three = FastRow(model, prompt, 64, n_threads=3).next_logits(prompt)
    assert torch.equal(whole, logits)
    assert torch.equal(whole, three)


def test_wrong_guesses_are_caught():
    model = small_gpt2()
    prompt = prompts_of(61, (5,))[0]
    expected = tokens_of(FastRow(model, prompt, 64, n_draft=0), 58)
    bad = FastRow(model, prompt, 64)
    bad._pause = 10**9  # no copying: the draft weights alone
    plan, exact, draft = bad._weights
    bad._weights = (plan, exact, draft._replace(head=draft.head[:, ::-1].copy()))
    assert tokens_of(bad, 58) == expected


def calls_of(row, n):
    run, count = row._run, []
    row._run = lambda *arguments: count.append(1) or run(*arguments)
    tokens_of(row, n)
    return len(count)


def test_guesses_save_passes_over_the_weights():
    model = small_gpt2()
    with torch.no_grad():
        for parameter in model.stack.parameters():
            parameter.mul_(0.1)  # calm: the next token follows from the last one by a clear margin
    assert calls_of(FastRow(model, [1, 2], 64, n_draft=0), 60) == 60
    drafting = FastRow(model, [1, 2], 64)
    drafting._pause = 10**9
    assert calls_of(drafting, 60) < 15


@pytest.mark.parametrize("build", [lambda: small_gpt2(tie_embeddings=False), small_llama])
def test_draft_tokens_are_those_of_the_model_with_rounded_weights(build):
    model = build()
    rounded = copy.deepcopy(model)
    with torch.no_grad():
        for name, weight in rounded.named_parameters():
            if weight.dim() == 2 and not name.startswith("embedding"):
                scale = weight.abs().amax(dim=1, keepdim=True) / 127
                weight.copy_((weight / scale).round() * scale)
    agree = 0
    for start in range(20):
        row = FastRow(model, [start], 64, n_draft=15)
        count = row._run(0, 1, 15)  # right guesses, one exact token in place of the first wrong one, more guesses
        guesses = row._room.tokens[1:16].tolist()
        expected = tokens_of(FastRow(rounded, [start], 64, n_draft=0), 15)
        agree += sum(guesses[i] == expected[i] for i in range(15) if i != count - 1)
    assert agree > 0.95 * 20 * 14  # inputs are rounded too, to 15 bits, which may decide a near tie


def test_threads_do_not_change_tokens():
    model = small_llama()
    prompt = prompts_of(61, (6,))[0]
    expected = tokens_of(FastRow(model, prompt, 64, n_threads=1), 50)
    assert tokens_of(FastRow(model, prompt, 64, n_threads=2), 50) == expected
    assert tokens_of(FastRow(model, prompt, 64, n_threads=4), 50) == expected


def test_changed_weights_are_noticed():
    model = small_gpt2()
    settings = GenerationSettings(max_new_tokens=40)
    first = rows_of(decode(model, [[1, 2]], settings))
    with torch.no_grad():
        model.stack.layers[0].attention.inner.qkv.weight.mul_(-1)
    changed = rows_of(decode(model, [[1, 2]], settings))
    assert changed == rows_of(decode(model, [[1, 2]], settings, fast=False))
    assert changed != first
    model.load_state_dict(small_gpt2().state_dict())
    assert rows_of(decode(model, [[1, 2]], settings)) == first
    model.stack.norm.weight = nn.Parameter(-model.stack.norm.weight)
    assert rows_of(decode(model, [[1, 2]], settings)) == rows_of(decode(model, [[1, 2]], settings, fast=False))


def test_a_training_step_is_noticed():
    model = small_gpt2().train()
    settings = GenerationSettings(max_new_tokens=40)
    list(decode(model, [[1, 2]], settings))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    ids = torch.tensor([[1, 2, 3, 4, 5]])
    model(input_ids=ids, labels=ids).loss.backward()
    optimizer.step()
    assert rows_of(decode(model, [[1, 2]], settings)) == rows_of(decode(model, [[1, 2]], settings, fast=False))


def hooked(model):
    model.stack.layers[1].register_forward_hook(lambda *_: None)
    return model


def wrapped(model):
    class Adapted(nn.Linear):
        pass

    inner = model.stack.layers[0].attention.inner
    inner.qkv = Adapted(inner.qkv.in_features, inner.qkv.out_features)
    return model


def shared(model):
    model.stack.order = (0, 0, 0)
    return model


@pytest.mark.parametrize(
    ("build", "reason"),
    [
        (lambda: Counter(), "is not an embedding and a stack"),
        (lambda: small_gpt2().bfloat16(), "float32"),
        (lambda: hooked(small_gpt2()), "hooks"),
        (lambda: wrapped(small_gpt2()), "replaced"),
        (lambda: shared(small_gpt2()), "once each"),
        (lambda: small_gpt2().to("meta"), "on the CPU"),
    ],
)
def test_models_with_other_parts_are_refused_with_a_reason(build, reason, caplog):
    model = build()
    with caplog.at_level(logging.DEBUG, "hanmo.generation"):
        assert not supports(model)
    assert reason in caplog.text


def test_a_model_the_kernels_refuse_is_still_decoded():
    model = hooked(small_gpt2())
    decoding = decode(model, [[1, 2]], GenerationSettings(max_new_tokens=40))
    assert not decoding.fast
    assert rows_of(decoding) == rows_of(decode(small_gpt2(), [[1, 2]], GenerationSettings(max_new_tokens=40)))


def test_a_copy_is_supported_and_packed_apart():
    model = small_gpt2()
    other = copy.deepcopy(model)
    assert supports(other)
    with torch.no_grad():
        other.stack.norm.weight.mul_(-1)
    settings = GenerationSettings(max_new_tokens=40)
    assert rows_of(decode(model, [[1]], settings)) != rows_of(decode(other, [[1]], settings))


@pytest.mark.parametrize("settings", [{}, {"temperature": 0.9, "top_p": 0.9, "seed": 4}, {"repetition_penalty": 1.3}])
def test_several_rows_and_sampling_equal_the_plain_road(settings):
    model = small_llama()
    prompts = prompts_of(61, (3, 12, 1, 7))
    checked = GenerationSettings(max_new_tokens=40, **settings)
    fast = decode(model, prompts, checked)
    assert fast.fast
    assert rows_of(fast) == rows_of(decode(model, prompts, checked, fast=False))


def test_end_tokens_inside_a_burst_end_the_row():
    model = small_gpt2()
    text = rows_of(decode(model, [[1, 2]], GenerationSettings(max_new_tokens=40), fast=False))[0]
    end = text[20]
    decoding = decode(model, [[1, 2]], GenerationSettings(max_new_tokens=40), eos_ids={end})
    assert decoding.fast
    assert rows_of(decoding) == [text[: text.index(end)]]
    assert decoding.finish_reasons == ["stop"]


def test_an_id_outside_the_vocabulary_is_named():
    with pytest.raises(ModelError, match="token id 61 is outside the vocabulary of 61"):
        FastRow(small_gpt2(), [1, 61], 64)


def test_rows_in_several_threads_do_not_mix():
    model = small_gpt2()
    prompts = prompts_of(61, (4,) * 6)
    expected = [tokens_of(FastRow(model, prompt, 64, n_threads=2), 50) for prompt in prompts]
    found = [None] * 6

    def work(i):
        found[i] = tokens_of(FastRow(model, prompts[i], 64, n_threads=2), 50)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == expected


def test_an_interrupted_call_does_not_leave_a_thread_waiting():
    row = FastRow(small_gpt2(), [1, 2, 3], 64, n_threads=2)
    advance = row._advance

    def interrupted(*arguments):
        if arguments[-2] == 0:
            raise KeyboardInterrupt
        return advance(*arguments)

    row._advance = interrupted
    with pytest.raises(KeyboardInterrupt):
        row.next_greedy()
    row._pool.shutdown(wait=True)  # returns only if the other thread has left the barrier
