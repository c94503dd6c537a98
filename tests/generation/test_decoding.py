import random

import pytest
import torch
from tests.generation.models import Counter, greedy_without_cache, small_gpt2, small_llama

from hanmo.core.errors import ConfigError, ModelError
from hanmo.generation import GenerationSettings, decode


def rows_of(decoding):
    """Columns of what was yielded: each row's new tokens."""
    steps = list(decoding)
    return [[token for token in column if token is not None] for column in zip(*steps, strict=True)]


def prompts_of(vocab_size, lengths, seed=0):
    draw = random.Random(seed)
    return [[draw.randrange(vocab_size) for _ in range(length)] for length in lengths]


def test_counts_and_stops_at_the_limit():
    decoding = decode(Counter(), [[3]], GenerationSettings(max_new_tokens=4))
    assert list(decoding) == [[4], [5], [6], [7]]
    assert decoding.finish_reasons == ["length"]
    assert decoding.rows == [[3, 4, 5, 6, 7]]


def test_an_end_token_ends_its_row_only_and_is_not_shown():
    decoding = decode(Counter(), [[5], [1, 1]], GenerationSettings(max_new_tokens=4), eos_ids={7})
    assert list(decoding) == [[6, 2], [None, 3], [None, 4], [None, 5]]
    assert decoding.finish_reasons == ["stop", "length"]


def test_an_end_token_at_once_gives_no_step():
    decoding = decode(Counter(), [[6]], GenerationSettings(), eos_ids=[7])
    assert list(decoding) == []
    assert decoding.finish_reasons == ["stop"]


def test_no_prompts_give_nothing():
    assert list(decode(Counter(), [], GenerationSettings())) == []


def test_a_row_can_be_finished_from_outside():
    decoding = decode(Counter(), [[0], [5]], GenerationSettings(max_new_tokens=3))
    assert next(decoding) == [1, 6]
    decoding.finish(0)
    assert list(decoding) == [[None, 7], [None, 8]]
    assert decoding.finish_reasons == ["stop", "length"]


def test_the_context_ends_the_text():
    decoding = decode(Counter(max_len=6), [[0, 1], [3]], GenerationSettings(max_new_tokens=50))
    assert rows_of(decoding) == [[2, 3, 4, 5], [4, 5, 6, 7, 8]]
    assert decoding.finish_reasons == ["length", "length"]


@pytest.mark.parametrize("length", [6, 7, 100])
def test_a_prompt_without_room_is_refused_with_both_sizes(length):
    with pytest.raises(ConfigError, match=f"prompt 1 has {length} tokens.*context is 6"):
        decode(Counter(max_len=6), [[1], [0] * length], GenerationSettings())


def test_an_empty_prompt_is_refused():
    with pytest.raises(ConfigError, match="prompt 0 has no tokens"):
        decode(Counter(), [[]], GenerationSettings())


@pytest.mark.parametrize("build", [small_gpt2, small_llama])
def test_cached_ragged_rows_equal_whole_sequences_one_by_one(build):
    model = build()
    prompts = prompts_of(61, (1, 9, 4, 4, 17))
    expected = [greedy_without_cache(model, prompt, 25) for prompt in prompts]
    assert rows_of(decode(model, prompts, GenerationSettings(max_new_tokens=25), fast=False)) == expected
    assert len({tuple(row) for row in expected}) == 5


def test_rows_that_reach_the_end_of_the_context_do_not_disturb_the_others():
    model = small_gpt2(max_len=24)
    prompts = prompts_of(61, (20, 2))
    expected = [greedy_without_cache(model, prompts[0], 4), greedy_without_cache(model, prompts[1], 22)]
    assert rows_of(decode(model, prompts, GenerationSettings(max_new_tokens=60), fast=False)) == expected


@pytest.mark.parametrize("build", [small_gpt2, small_llama])
def test_a_drawn_row_does_not_depend_on_its_neighbours(build):
    model = build()
    prompts = prompts_of(61, (3, 8, 5))
    settings = GenerationSettings(max_new_tokens=20, temperature=1.0, top_p=0.95, seed=11)
    together = rows_of(decode(model, prompts, settings, fast=False))
    for row, prompt in enumerate(prompts):
        assert rows_of(decode(model, [prompt], settings, fast=False, first_row=row)) == [together[row]]
    assert rows_of(decode(model, prompts[:1], settings, fast=False, first_row=1)) != [together[0]]


def test_seeds():
    model = small_gpt2()

    def text(seed):
        return rows_of(
            decode(model, [[1, 2]], GenerationSettings(max_new_tokens=20, temperature=1.0, seed=seed), fast=False)
        )

    assert text(1) == text(1)
    assert text(1) != text(2)
    assert text(None) != text(None)


def test_the_global_random_state_is_left_alone():
    model = small_gpt2()
    before = torch.random.get_rng_state()
    list(decode(model, [[1]], GenerationSettings(max_new_tokens=40, temperature=1.0)))
    assert torch.equal(before, torch.random.get_rng_state())


def test_repetition_penalty_sees_the_prompt():
    assert rows_of(decode(Counter(), [[3, 4, 3]], GenerationSettings(max_new_tokens=1))) == [[4]]
    penalised = rows_of(decode(Counter(), [[3, 4, 3]], GenerationSettings(max_new_tokens=1, repetition_penalty=100.0)))
    assert penalised == [[4]]  # 5 / 100 is still above 0
    model = small_gpt2()
    plain = rows_of(decode(model, [[1, 2]], GenerationSettings(max_new_tokens=30), fast=False))[0]
    other = rows_of(decode(model, [[1, 2]], GenerationSettings(max_new_tokens=30, repetition_penalty=3.0), fast=False))[
        0
    ]
    assert len(set(other)) > len(set(plain))


@pytest.mark.parametrize("fast", [False, True])
def test_nan_weights_are_an_error_not_a_text(fast):
    model = small_gpt2()
    with torch.no_grad():
        model.stack.norm.weight.fill_(float("nan"))
    decoding = decode(model, [[1, 2]], GenerationSettings(max_new_tokens=40), fast=fast)
    assert decoding.fast is fast
    with pytest.raises(ModelError, match="not a number"):
        list(decoding)


def test_dropout_is_off_and_the_mode_is_left():
    model = small_gpt2(dropout_residual=0.5)
    expected = rows_of(decode(model, [[1]], GenerationSettings(max_new_tokens=20), fast=False))
    model.train()
    assert rows_of(decode(model, [[1]], GenerationSettings(max_new_tokens=20), fast=False)) == expected
    assert model.training


@pytest.mark.parametrize("build", [small_gpt2, small_llama])
def test_greedy_tokens_equal_those_of_transformers(build, tmp_path):
    from transformers import AutoModelForCausalLM

    from hanmo.models.directory import write_model

    model = build()
    write_model(tmp_path, model)
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    prompt = prompts_of(61, (7,))[0]
    ids = torch.tensor([prompt])
    expected = theirs.generate(
        ids, attention_mask=torch.ones_like(ids), max_new_tokens=40, do_sample=False, eos_token_id=None, pad_token_id=0
    )
    for fast in (False, True):
        decoding = decode(model, [prompt], GenerationSettings(max_new_tokens=40), fast=fast)
        assert decoding.fast is fast
        assert rows_of(decoding)[0] == expected[0, 7:].tolist()
