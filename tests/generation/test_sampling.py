import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from hanmo.core.errors import ModelError
from hanmo.generation.sampling import (
    apply_temperature,
    choose,
    filter_logits,
    keep_min_p,
    keep_top_k,
    keep_top_p,
    penalise_repetition,
    row_generator,
    sample,
)
from hanmo.generation.settings import GenerationSettings

N_DRAWS = 100_000
# 99.9th percentile of χ² by degrees of freedom (any table of the distribution).
CHI2_999 = {1: 10.828, 2: 13.816, 3: 16.266, 4: 18.467, 5: 20.515, 6: 22.458, 7: 24.322}


def draws(logits, settings, seed=0):
    row = filter_logits(logits[None], settings, torch.tensor([[0]]))
    return sample(row.expand(N_DRAWS, -1), torch.Generator().manual_seed(seed))


def chi2(tokens, probabilities):
    counts = np.bincount(tokens.numpy(), minlength=len(probabilities))
    support = probabilities > 0
    assert counts[~support].sum() == 0
    expected = probabilities[support] * N_DRAWS
    return float(((counts[support] - expected) ** 2 / expected).sum()), int(support.sum()) - 1


LOGITS = torch.tensor([2.0, 1.5, 1.0, 0.5, 0.0, -0.5, -1.0, -2.0])


def exact(settings):
    """The distribution that `settings` mean, worked out token by token in plain float64."""
    logits = [float(value) for value in LOGITS]
    if settings.repetition_penalty != 1:
        logits[0] = (
            logits[0] / settings.repetition_penalty if logits[0] > 0 else logits[0] * settings.repetition_penalty
        )
    weights = [math.exp(value / settings.temperature) for value in logits]
    alive = sorted(range(len(weights)), key=lambda i: -weights[i])
    if settings.top_k:
        alive = alive[: settings.top_k]
    if settings.top_p < 1:
        total, running, nucleus = sum(weights[i] for i in alive), 0.0, []
        for i in alive:
            nucleus.append(i)
            running += weights[i] / total
            if running >= settings.top_p:
                break
        alive = nucleus
    alive = [i for i in alive if weights[i] >= settings.min_p * max(weights[j] for j in alive)]
    total = sum(weights[i] for i in alive)
    return np.array([weights[i] / total if i in alive else 0.0 for i in range(len(weights))])


CASES = [
    {"temperature": 1.0},
    {"temperature": 0.5},
    {"temperature": 3.0},
    {"temperature": 1.0, "top_k": 3},
    {"temperature": 1.0, "top_p": 0.7},
    {"temperature": 1.5, "min_p": 0.3},
    {"temperature": 0.8, "top_k": 6, "top_p": 0.9, "min_p": 0.2, "repetition_penalty": 1.7},
]


@pytest.mark.parametrize("case", CASES)
def test_draws_follow_the_exact_distribution(case):
    settings = GenerationSettings(**case)
    statistic, freedom = chi2(draws(LOGITS, settings), exact(settings))
    assert statistic < CHI2_999[freedom]


def test_the_chi2_test_notices_a_wrong_distribution():
    tokens = draws(LOGITS, GenerationSettings(temperature=1.0))
    statistic, freedom = chi2(tokens, exact(GenerationSettings(temperature=1.05)))
    assert statistic > 5 * CHI2_999[freedom]


@pytest.mark.parametrize("seed", range(3))
def test_filters_equal_those_of_transformers(seed):
    from transformers.generation import logits_process as theirs

    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(4, 97, generator=generator) * 3
    logits[0, 5] = logits[0, 7]  # a tie
    seen = torch.randint(0, 97, (4, 30), generator=generator)
    pairs = [
        (penalise_repetition(logits, seen, 1.3), theirs.RepetitionPenaltyLogitsProcessor(1.3)),
        (penalise_repetition(logits, seen, 0.7), theirs.RepetitionPenaltyLogitsProcessor(0.7)),
        (apply_temperature(logits, 0.6), theirs.TemperatureLogitsWarper(0.6)),
        (keep_top_k(logits, 10), theirs.TopKLogitsWarper(10)),
        (keep_top_k(logits, 1000), theirs.TopKLogitsWarper(1000)),
        (keep_top_p(logits, 0.8), theirs.TopPLogitsWarper(0.8)),
        (keep_top_p(logits, 0.01), theirs.TopPLogitsWarper(0.01)),
        (keep_min_p(logits, 0.1), theirs.MinPLogitsWarper(0.1)),
    ]
    for ours, processor in pairs:
        torch.testing.assert_close(ours, processor(seen, logits), rtol=0, atol=0)


def test_all_filters_in_the_order_of_transformers():
    from transformers import GenerationConfig, GPT2Config, GPT2LMHeadModel

    values = {"temperature": 0.7, "top_k": 20, "top_p": 0.85, "min_p": 0.05, "repetition_penalty": 1.4}
    model = GPT2LMHeadModel(GPT2Config(vocab_size=97, n_positions=8, n_embd=8, n_layer=1, n_head=1))
    processors = model._get_logits_processor(
        GenerationConfig(do_sample=True, **values), input_ids_seq_length=5, encoder_input_ids=None, device="cpu"
    )
    generator = torch.Generator().manual_seed(3)
    logits, seen = torch.randn(4, 97, generator=generator) * 3, torch.randint(0, 97, (4, 5), generator=generator)
    ours = filter_logits(logits, GenerationSettings(**values), seen)
    other = processors(seen, logits.clone())
    assert torch.equal(ours.isneginf(), other.isneginf())
    torch.testing.assert_close(ours.softmax(-1), other.softmax(-1), rtol=1e-5, atol=1e-7)
    assert not torch.equal(ours.isneginf(), logits.isneginf())


def test_greedy_ignores_filters_but_not_the_penalty():
    settings = GenerationSettings(top_k=1, repetition_penalty=2.0)
    assert choose(torch.tensor([3.0, 2.0, 0.0]), settings, None, [1]) == 0
    assert choose(torch.tensor([3.0, 2.0, 0.0]), settings, None, [0]) == 1


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_nan_and_infinite_logits_are_refused(bad):
    with pytest.raises(ModelError, match="not a number"):
        choose(torch.tensor([0.0, bad]), GenerationSettings(), None, [0])


@given(
    st.lists(st.floats(-(2.0**100), 2.0**100, width=32), min_size=1, max_size=40),
    st.floats(1e-4, 100),
    st.integers(0, 50),
    st.floats(1e-6, 1),
    st.floats(0, 0.99),
    st.floats(0.1, 10),
)
@hypothesis_settings(deadline=None, max_examples=150)
def test_any_finite_logits_give_a_distribution(logits, temperature, top_k, top_p, min_p, penalty):
    row = torch.tensor(logits)
    settings = GenerationSettings(
        temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p, repetition_penalty=penalty
    )
    token = choose(row, settings, torch.Generator().manual_seed(0), [0])
    assert 0 <= token < len(logits)
    if penalty == 1:
        kept = filter_logits(row[None], settings)[0] > -math.inf
        assert row[kept].max() == row.max()


def test_rows_and_seeds_draw_apart():
    starts = {
        (seed, row): tuple(torch.rand(4, generator=row_generator(seed, row)).tolist())
        for seed in range(20)
        for row in range(20)
    }
    assert len(set(starts.values())) == 400
    assert starts[3, 4] == tuple(torch.rand(4, generator=row_generator(3, 4)).tolist())
    row_generator(2**63 - 1, 127)
