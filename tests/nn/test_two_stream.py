"""Relative attention, term by term."""

from __future__ import annotations

import math

import pytest
import torch

from hanmo.core.errors import ConfigError
from hanmo.nn.two_stream import (
    RelativeAttention,
    TwoStreamContext,
    distance_vectors,
    init_relative,
    relative_distances,
    shift_distances,
)


@pytest.mark.parametrize(("n_queries", "n_keys"), [(1, 1), (1, 5), (4, 4), (3, 8)])
def test_shifted_scores_are_those_of_the_distance(n_queries: int, n_keys: int) -> None:
    distances = relative_distances(n_queries, n_keys, backward=True)
    shifted = shift_distances(distances.expand(2, 3, n_queries, -1).clone(), n_keys)
    places = torch.arange(n_keys - n_queries, n_keys)[:, None] - torch.arange(n_keys)
    assert torch.equal(shifted, places.float().expand(2, 3, -1, -1))
    past = relative_distances(n_queries, n_keys, backward=False)
    shifted = shift_distances(past.expand(1, 1, n_queries, -1).clone(), n_keys)[0, 0]
    assert torch.equal(shifted[places >= 0], places.float()[places >= 0])


def test_scores_are_the_four_terms_of_the_paper() -> None:
    """Dai et al., 2019, eq. 5, and Yang et al., 2019, §2.5, one query and key at a time."""
    torch.manual_seed(0)
    T, S, H, K = 3, 5, 2, 3
    part = RelativeAttention(H * K, H).double()
    init_relative(part, 0.5)
    x, memory = torch.randn(1, T, H * K).double(), torch.randn(1, S - T, H * K).double()
    other = torch.rand(1, 1, T, S) < 0.5
    mask = torch.rand(1, 1, T, S) < 0.7
    vectors = distance_vectors(relative_distances(T, S, backward=True), H * K).double()
    context = TwoStreamContext(distances=vectors[None], other_segment=other)
    content = torch.cat((memory, x), 1)
    q = (x[0] @ part.q.weight.T).view(T, H, K)
    k, v = (content[0] @ part.kv.weight.T).view(S, 2, H, K).unbind(1)
    expected = torch.zeros(T, H, K).double()
    for h in range(H):
        for i in range(T):
            scores = torch.full((S,), -math.inf).double()
            for j in range(S):
                r = part.distance(distance_vectors(torch.tensor([float(S - T + i - j)]), H * K).double()).view(H, K)[h]
                s = part.segments[int(other[0, 0, i, j]), h]
                score = (q[i, h] + part.content_bias[h]) @ k[j, h] + (q[i, h] + part.distance_bias[h]) @ r
                score = score + (q[i, h] + part.segment_bias[h]) @ s
                if mask[0, 0, i, j]:
                    scores[j] = score / math.sqrt(K)
            if mask[0, 0, i].any():
                expected[i, h] = scores.softmax(0) @ v[:, h]
    out = part(x, part.keys(content, context), context, mask)
    torch.testing.assert_close(out[0], part.out(expected.flatten(1)))


def test_an_odd_width_is_refused() -> None:
    with pytest.raises(ConfigError, match="even d_model, got 5"):
        distance_vectors(torch.arange(3.0), 5)
    with pytest.raises(ConfigError, match="not a multiple"):
        RelativeAttention(10, 3)
