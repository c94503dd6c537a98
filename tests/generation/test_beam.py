import itertools
import math
import random
from types import SimpleNamespace

import pytest
import torch
from pydantic import ValidationError
from tests.generation.models import small_gpt2, small_llama, wild
from torch import nn

from hanmo.core.errors import ConfigError, ModelError
from hanmo.core.settings import check_settings
from hanmo.generation import BeamSettings, beam_search
from hanmo.generation.rules import forbid_repeated_ngrams
from hanmo.models.families import FAMILIES


class Histories:
    """A cache that remembers the tokens themselves."""

    def __init__(self, n_rows):
        self.rows = [() for _ in range(n_rows)]

    def select(self, rows):
        self.rows = [self.rows[row] for row in rows.tolist()]


class Oracle(nn.Module):
    """Its scores depend on every token so far, and on nothing else."""

    def __init__(self, vocab_size, seed, max_len=50):
        super().__init__()
        self.config = SimpleNamespace(max_len=max_len)
        self.weight = nn.Parameter(torch.zeros(1))
        self.vocab_size, self.seed = vocab_size, seed

    def scores(self, tokens):
        draw = random.Random(f"{self.seed} {tokens}")
        return torch.tensor([draw.gauss(0, 2) for _ in range(self.vocab_size)])

    def forward(self, ids, attention_mask, past_key_values, **_):
        new = attention_mask[:, -ids.shape[1] :].bool()
        pairs = zip(past_key_values.rows, ids, new, strict=True)
        past_key_values.rows = [(*old, *row[real].tolist()) for old, row, real in pairs]
        return SimpleNamespace(logits=torch.stack([self.scores(row) for row in past_key_values.rows])[:, None])


def search(model, prompts, **settings):
    ends = settings.pop("eos_ids", ())
    banned = settings.pop("banned_ids", ())
    cache = Histories(len(prompts)) if isinstance(model, Oracle) else None
    return beam_search(model, prompts, BeamSettings(**settings), eos_ids=ends, banned_ids=banned, cache=cache)


def every_text(model, prompt, limit, ends, penalty, shortest=0):
    """(score, tokens, whether it ended itself) of all texts there are, best first."""
    found = []

    def grow(text, logprob):
        scores = model.scores((*prompt, *text))
        logp = scores.log_softmax(0).tolist()
        for token in range(model.vocab_size):
            if token in ends and len(text) < shortest:
                continue
            total, length = logprob + logp[token], len(text) + 1
            if token in ends or length == limit:
                found.append((total / length**penalty, [*text, token][: length - (token in ends)], token in ends))
            else:
                grow([*text, token], total)

    grow([], 0.0)
    return sorted(found, reverse=True)


@pytest.mark.parametrize("penalty", [-1.0, 0.0, 0.7, 1.0, 2.0])
@pytest.mark.parametrize(
    ("vocab_size", "limit", "ends", "shortest"), [(3, 4, {0}, 0), (4, 3, {0, 2}, 0), (4, 3, {3}, 2), (3, 3, set(), 0), (2, 6, {1}, 1)]
)  # fmt: skip
def test_a_beam_as_wide_as_everything_finds_the_best(vocab_size, limit, ends, shortest, penalty):
    n_texts = vocab_size**limit
    for seed in range(3):
        model, prompts = Oracle(vocab_size, seed), [[1], [2 % vocab_size, 1, 1]]
        found = search(
            model, prompts, num_beams=n_texts, n=min(7, n_texts), max_new_tokens=limit, min_new_tokens=shortest,
            length_penalty=penalty, early_stopping="never", eos_ids=ends,
        )  # fmt: skip
        for prompt, texts in zip(prompts, found, strict=True):
            expected = every_text(model, prompt, limit, ends, penalty, shortest)[: len(texts)]
            assert [text.tokens for text in texts] == [tokens for _, tokens, _ in expected]
            assert [text.finish_reason == "stop" for text in texts] == [ended for _, _, ended in expected]
            assert [text.score for text in texts] == pytest.approx([score for score, _, _ in expected], abs=1e-5)


def test_where_there_are_no_more_texts_there_are_fewer():
    [texts] = search(Oracle(2, 0), [[0]], num_beams=4, n=4, max_new_tokens=1, eos_ids={0})
    assert sorted(text.tokens for text in texts) == [[], [1]]
    assert search(Oracle(2, 0), [], num_beams=2) == []


def test_early_stopping_takes_the_first_that_end():
    settings = {"num_beams": 3, "max_new_tokens": 12, "eos_ids": {0, 1}, "n": 3, "length_penalty": 3.0}
    scores = {}
    for early in (True, False, "never"):
        total = 0.0
        for seed in range(20):
            [texts] = search(Oracle(6, seed), [[2]], early_stopping=early, **settings)
            assert len(texts) == 3
            total += texts[0].score
        scores[early] = total
    assert scores[True] < scores[False] <= scores["never"]


def test_rows_do_not_influence_each_other():
    model = Oracle(9, 3)
    prompts = [[1, 2, 3, 4, 5, 6], [7], [8, 8], [1, 2, 3]]
    settings = {"num_beams": 3, "n": 3, "max_new_tokens": 15, "eos_ids": {0, 4}}
    together = search(model, prompts, **settings)
    assert together == [search(model, [prompt], **settings)[0] for prompt in prompts]
    assert len({len(row[0].tokens) for row in together}) > 1  # some ended, and left, before others


def test_recurrent_models_have_beams_too():
    family = FAMILIES["hanmo-lstm"]
    model = wild(family.architecture().build(family.config.model_validate({"vocab_size": 31, "d_model": 12})), 1)
    prompts = [[1, 2, 3, 4], [5], [6, 7]]
    together = search(model, prompts, num_beams=3, n=2, max_new_tokens=8, eos_ids={3})
    assert together == [
        search(model, [prompt], num_beams=3, n=2, max_new_tokens=8, eos_ids={3})[0] for prompt in prompts
    ]


@pytest.mark.parametrize("build", [small_gpt2, small_llama])
def test_scores_are_those_of_the_whole_text(build):
    model, prompts = build(), [[5, 6, 7, 8, 9, 10, 11], [3], [1, 2, 3, 4]]
    found = search(model, prompts, num_beams=4, n=4, max_new_tokens=9, length_penalty=0.5, eos_ids={11, 12, 13})
    for prompt, texts in zip(prompts, found, strict=True):
        assert len({tuple(text.tokens) for text in texts}) == 4
        assert [text.score for text in texts] == sorted((text.score for text in texts), reverse=True)
        for text in texts:
            ids = torch.tensor([prompt + text.tokens])
            logp = model(ids).logits[0, len(prompt) - 1 :].detach().log_softmax(-1)
            n = len(text.tokens)
            total = float(logp[torch.arange(n), ids[0, len(prompt) :]].sum())
            if text.finish_reason == "stop":
                total = max(total + float(logp[n, end]) for end in (11, 12, 13))
                n += 1
            assert text.score == pytest.approx(total / n**0.5, abs=1e-4)


def test_what_is_forbidden_is_not_written():
    model = Oracle(5, 1)
    [texts] = search(
        model, [[1, 2]], num_beams=4, n=4, max_new_tokens=14, min_new_tokens=9, eos_ids={0}, banned_ids={3}
    )
    assert all(len(text.tokens) >= 9 and not {0, 3} & set(text.tokens) for text in texts)
    [texts] = search(model, [[1, 2, 4]], num_beams=4, n=4, max_new_tokens=12, no_repeat_ngram_size=2)
    for text in texts:
        pairs = list(itertools.pairwise([1, 2, 4, *text.tokens]))
        assert len(set(pairs)) == len(pairs)
    model = Oracle(20, 1)
    plain, other = (search(model, [[1, 2]], num_beams=2, max_new_tokens=12, repetition_penalty=x) for x in (1.0, 5.0))
    assert len(set(other[0][0].tokens)) > len(set(plain[0][0].tokens))


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_repeated_ngrams_are_what_they_say(n):
    rng = torch.Generator().manual_seed(n)
    history = torch.randint(3, (40, 9), generator=rng)
    history[:, :2] = torch.where(torch.rand(40, 1, generator=rng) < 0.5, -1, history[:, :2])
    logits = forbid_repeated_ngrams(torch.zeros(40, 3), history, n)
    for row, ids in zip(logits.tolist(), history.tolist(), strict=True):
        ids = [token for token in ids if token >= 0]
        there = {tuple(ids[i : i + n]) for i in range(len(ids) - n + 1)}
        for token, value in enumerate(row):
            ngram = (*ids[len(ids) - n + 1 :], token)
            assert (value == -math.inf) == (ngram in there)
    assert torch.equal(forbid_repeated_ngrams(torch.zeros(40, 3), history[:, :0], n), torch.zeros(40, 3))


def test_the_context_ends_the_text():
    found = search(Oracle(4, 0, max_len=6), [[0, 1], [3]], num_beams=2, max_new_tokens=50)
    assert [len(texts[0].tokens) for texts in found] == [4, 5]
    assert [texts[0].finish_reason for texts in found] == ["length", "length"]
    with pytest.raises(ConfigError, match="prompt 1 has 6 tokens; the model's context is 6"):
        search(Oracle(4, 0, max_len=6), [[0], [1] * 6], num_beams=2)
    with pytest.raises(ConfigError, match="prompt 0 has no tokens"):
        search(Oracle(4, 0), [[]], num_beams=2)


def test_dropout_is_off_and_the_mode_is_left():
    model = small_gpt2(dropout_residual=0.5)
    expected = search(model, [[1]], num_beams=3, max_new_tokens=10)
    model.train()
    assert search(model, [[1]], num_beams=3, max_new_tokens=10) == expected
    assert model.training


def test_nan_weights_are_an_error_not_a_text():
    model = small_gpt2()
    with torch.no_grad():
        model.stack.norm.weight.fill_(float("nan"))
    with pytest.raises(ModelError, match="not a number"):
        search(model, [[1, 2]], num_beams=2)


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"num_beams": 1}, "greater than or equal to 2"),
        ({"num_beams": 3, "n": 4}, "n = 4 texts cannot come from num_beams = 3"),
        ({"min_new_tokens": 9, "max_new_tokens": 8}, "min_new_tokens 9 is above max_new_tokens 8"),
        ({"early_stopping": "sometimes"}, "early_stopping"),
        ({"temperature": 0.5}, "temperature"),
    ],
)
def test_settings_that_cannot_be(settings, match):
    with pytest.raises(ConfigError, match=match):
        check_settings(BeamSettings, settings)
    with pytest.raises(ValidationError):
        BeamSettings(**settings)
