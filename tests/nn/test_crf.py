"""The CRF against sums and maxima over all sequences, written out; compiled and plain forms; limits of schemes."""

from __future__ import annotations

import itertools
import math
import random

import pytest
import torch
from torch import Tensor

from hanmo.core.errors import ConfigError
from hanmo.nn import crf as module
from hanmo.nn.crf import (
    CRF,
    Chain,
    best_paths_fast,
    best_paths_plain,
    log_partition_fast,
    log_partition_plain,
    posteriors_fast,
    posteriors_plain,
)
from hanmo.nn.label_schemes import Limits, guess_scheme, label_limits

LABELS = {
    "BIO": ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"],
    "IOB1": ["O", "B-PER", "I-PER", "I-LOC"],
    "BIOES": ["B-X", "I-X", "E-X", "S-X", "O"],
    "BMES": ["B", "M", "E", "S"],
}
VALID = {
    "BIO": ["O", "B-PER I-PER O", "B-PER B-PER I-PER", "B-LOC", "O B-LOC I-LOC B-PER"],
    "IOB1": ["O I-PER", "I-PER B-PER I-PER", "I-PER I-LOC", "I-LOC"],
    "BIOES": ["S-X", "B-X E-X", "O B-X I-X I-X E-X S-X"],
    "BMES": ["S", "B E", "B M M E S", "S S B E"],
}
INVALID = {
    "BIO": ["I-PER", "O I-PER", "B-LOC I-PER", "B-PER O I-PER"],
    "IOB1": ["B-PER", "O B-PER", "I-LOC B-PER"],
    "BIOES": ["B-X", "I-X E-X", "B-X O", "B-X S-X", "O E-X", "B-X I-X", "S-X E-X"],
    "BMES": ["B", "M", "B S", "S E", "B M", "E S"],
}


def allowed_paths(crf: CRF, length: int) -> Tensor:
    """Every sequence that the limits allow, (N, length)."""
    paths = torch.cartesian_prod(*[torch.arange(crf.n_labels)] * length).reshape(-1, length)
    if crf.limits is None:
        return paths
    may_follow = torch.tensor(crf.limits.transitions)[paths[:, :-1], paths[:, 1:]].all(1)
    ends = torch.tensor(crf.limits.start)[paths[:, 0]] & torch.tensor(crf.limits.end)[paths[:, -1]]
    return paths[may_follow & ends]


def path_scores(crf: CRF, emissions: Tensor, paths: Tensor) -> Tensor:
    """Of one row (T, C) and paths (N, T), by the formula."""
    scores = crf.start[paths[:, 0]] + crf.end[paths[:, -1]]
    for t in range(paths.shape[1]):
        scores = scores + emissions[t, paths[:, t]]
        if t:
            scores = scores + crf.transitions[paths[:, t - 1], paths[:, t]]
    return scores


def make_crf(n_labels: int, *, limits: Limits | None = None, std: float = 1.0) -> CRF:
    crf = CRF(n_labels, limits=limits).double()
    for parameter in crf.parameters():
        torch.nn.init.normal_(parameter, std=std)
    return crf


def random_case(seed: int) -> tuple[CRF, Tensor, Tensor]:
    """A CRF, emissions and a mask with padding on the left, the right, or in between."""
    rng = random.Random(seed)
    torch.manual_seed(seed)
    scheme = rng.choice([None, None, "BIO", "IOB1", "BIOES", "BMES"])
    if scheme is None:
        crf = make_crf(rng.randint(1, 5), std=rng.choice([0.1, 1.0, 5.0]))
    else:
        crf = make_crf(len(LABELS[scheme]), limits=label_limits(LABELS[scheme], scheme))
    length = rng.randint(1, 5)
    emissions = torch.randn(2, length, crf.n_labels, dtype=torch.float64) * rng.choice([0.1, 1.0, 20.0])
    mask = torch.ones(2, length, dtype=torch.int64)
    match rng.choice(["none", "left", "right", "holes"]):
        case "left":
            mask[0, : rng.randrange(length)] = 0
        case "right":
            mask[0, length - rng.randrange(length) :] = 0
        case "holes":
            mask[0] = torch.randint(2, (length,))
            mask[0, rng.randrange(length)] = 1
    return crf, emissions, mask


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("block", [pytest.param(b, marks=[pytest.mark.slow] if b >= 2 else []) for b in range(10)])
def test_against_all_sequences(block: int) -> None:
    """1,000 random cases in fp64: log Z, scores, Viterbi, marginals, with limits and without."""
    n_padded = 0
    for seed in range(100 * block, 100 * block + 100):
        crf, emissions, mask = random_case(seed)
        n_padded += int(mask.sum() < mask.numel())
        total, marginals = crf.log_partition(emissions, mask), crf.marginals(emissions, mask)
        decoded, best = crf.decode(emissions, mask)
        for row, real in enumerate(mask.bool()):
            paths = allowed_paths(crf, int(real.sum()))
            scores = path_scores(crf, emissions[row, real], paths)
            expected = scores.logsumexp(0)
            assert abs(total[row] - expected) <= 1e-10, seed
            assert abs(best[row] - scores.max()) <= 1e-10
            assert torch.equal(decoded[row, real], paths[scores.argmax()]), seed
            assert (decoded[row, ~real] == -100).all()
            shares = (scores - expected).exp()
            each = torch.nn.functional.one_hot(paths, crf.n_labels).double()  # (N, T, C)
            assert (marginals[row, real] - torch.einsum("n,ntc->tc", shares, each)).abs().max() <= 1e-10
            assert (marginals[row, ~real] == 0).all()
            labels = torch.zeros_like(mask)
            pick = int(torch.randint(len(paths), ()))
            labels[row, real] = paths[pick]
            assert abs(crf.score(emissions, labels, mask)[row] - scores[pick]) <= 1e-10
    assert n_padded > 20


@pytest.mark.parametrize("seed", range(40))
def test_gradients_against_all_sequences(seed: int) -> None:
    """What autograd makes of the plain sum over sequences, for each parameter and emission."""
    crf, emissions, mask = random_case(seed)
    emissions.requires_grad_()
    labels = torch.zeros_like(mask)
    expected = torch.zeros((), dtype=torch.float64)
    for row, real in enumerate(mask.bool()):
        paths = allowed_paths(crf, int(real.sum()))
        scores = path_scores(crf, emissions[row, real], paths)
        labels[row, real] = paths[len(paths) // 2]
        expected = expected + (row + 1) * (scores.logsumexp(0) - scores[len(paths) // 2])
    loss = (crf.loss(emissions, labels, mask, reduction="none") * torch.tensor([1.0, 2.0])).sum()
    assert abs(loss - expected) <= 1e-10
    inputs = [emissions, *crf.parameters()]
    ours, theirs = torch.autograd.grad(loss, inputs), torch.autograd.grad(expected, inputs, materialize_grads=True)
    for mine, other in zip(ours, theirs, strict=True):
        assert (mine - other).abs().max() <= 1e-10


def test_gradcheck() -> None:
    crf, mask = make_crf(3), torch.tensor([[1, 1, 1, 0], [0, 1, 0, 1]])
    emissions = torch.randn(2, 4, 3, dtype=torch.float64, requires_grad=True)
    labels = torch.randint(3, (2, 4))

    def loss(emissions: Tensor, *parameters: Tensor) -> Tensor:
        return torch.func.functional_call(
            crf, dict(zip(dict(crf.named_parameters()), parameters, strict=True)), (emissions, labels, mask)
        )

    crf.forward = crf.loss
    assert torch.autograd.gradcheck(loss, (emissions, *crf.parameters()))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_compiled_and_plain_forms(dtype: torch.dtype) -> None:
    for labels, scheme in ((9, None), (9, "BIO")):
        names = ["O", *(f"{p}-{k}" for k in "WXYZ" for p in "BI")]
        crf = make_crf(labels, limits=label_limits(names, scheme) if scheme else None).to(dtype)
        emissions = torch.randn(6, 30, 9, dtype=dtype, requires_grad=True)
        lengths = torch.tensor([30, 1, 0, 17, 29, 2])
        results = []
        for form in (log_partition_plain, log_partition_fast):
            total = form(emissions, crf.chain(dtype), lengths)
            grads = torch.autograd.grad((total * torch.arange(6)).sum(), [emissions, *crf.parameters()])
            results.append([total, *grads])
        tolerance = 1e-11 if dtype == torch.float64 else 1e-4
        for plain, fast in zip(*results, strict=True):
            assert plain.dtype == fast.dtype == dtype
            torch.testing.assert_close(fast, plain, atol=tolerance, rtol=tolerance)
        with torch.no_grad():
            chain = crf.chain(dtype)
            exact = emissions.double(), Chain(*(part.double() for part in chain))  # in which it always searches
            one, two = best_paths_plain(*exact, lengths), best_paths_fast(emissions, chain, lengths)
            assert torch.equal(one[0], two[0])
            assert torch.equal(one[1].to(dtype), two[1])  # the same sums in the same order: equal to the last bit
            assert torch.equal(log_partition_fast(emissions, chain, lengths), results[1][0])
            posteriors = posteriors_plain(emissions, chain, lengths), posteriors_fast(emissions, chain, lengths)
            torch.testing.assert_close(*posteriors, atol=tolerance, rtol=0)


def test_inference_mode() -> None:
    crf = make_crf(5, limits=label_limits(LABELS["BIO"], "BIO"))
    with torch.inference_mode():
        emissions = torch.randn(2, 4, 5, dtype=torch.float64)
        total, marginals = crf.log_partition(emissions), crf.marginals(emissions)
        _, scores = crf.decode(emissions)
    assert torch.isfinite(total).all()
    torch.testing.assert_close(marginals.sum(-1), torch.ones(2, 4, dtype=torch.float64))
    assert (scores < total).all()
    assert crf.loss(torch.randn(2, 4, 5).double(), torch.zeros(2, 4, dtype=torch.int64)).requires_grad


@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_long_sequences_do_not_overflow(scale: float) -> None:
    crf = make_crf(4).float()
    emissions = (torch.randn(2, 1000, 4) * 5 + 50) * scale
    emissions.requires_grad_()
    loss = crf.loss(emissions, torch.randint(4, (2, 1000)), reduction="none")
    assert torch.isfinite(loss).all()
    loss.sum().backward()
    assert torch.isfinite(emissions.grad).all()
    chain, lengths = crf.chain(torch.float64), torch.tensor([1000, 1000])
    exact = log_partition_plain(emissions.double(), chain, lengths)
    torch.testing.assert_close(crf.log_partition(emissions).double(), exact, rtol=2e-7, atol=0)


def test_scores_too_far_apart_for_scaling() -> None:
    """Half of the paths vanish by e^-2000 and come back: scaled sums would have lost them."""
    crf = make_crf(2)
    with torch.no_grad():
        crf.transitions.copy_(torch.tensor([[0.0, -1e4], [-1e4, 0.0]]))
    emissions = torch.tensor([[[0.0, -2000.0], [0.0, 0.0], [-4000.0, 0.0]]], dtype=torch.float64)
    lengths = torch.tensor([3])
    assert module._path_sums(emissions, crf.chain(torch.float64), lengths, False) is None
    paths = allowed_paths(crf, 3)
    expected = path_scores(crf, emissions[0], paths).logsumexp(0)
    assert abs(crf.log_partition(emissions) - expected) <= 1e-10
    assert crf.decode(emissions)[0].tolist() == [[1, 1, 1]]
    torch.testing.assert_close(crf.marginals(emissions)[0, :, 1], torch.ones(3, dtype=torch.float64))


def test_nan_is_not_hidden() -> None:
    emissions = torch.zeros(1, 3, 2)
    emissions[0, 1] = math.nan
    assert torch.isnan(CRF(2).log_partition(emissions)).all()


@pytest.mark.parametrize("scheme", list(LABELS))
def test_schemes(scheme) -> None:
    names = LABELS[scheme]
    crf = make_crf(len(names), limits=label_limits(names, scheme))
    for text in VALID[scheme]:
        labels = torch.tensor([[names.index(name) for name in text.split()]])
        emissions = torch.zeros(1, labels.shape[1], len(names), dtype=torch.float64)
        assert 0 <= crf.loss(emissions, labels) < 50, text
    for text in INVALID[scheme]:
        labels = torch.tensor([[names.index(name) for name in text.split()]])
        emissions = torch.zeros(1, labels.shape[1], len(names), dtype=torch.float64)
        with pytest.raises(ConfigError, match="does not allow"):
            crf.loss(emissions, labels)


@pytest.mark.parametrize("scheme", list(LABELS))
def test_decoding_never_leaves_the_scheme(scheme) -> None:
    """However the scores push."""
    names = LABELS[scheme]
    limits = label_limits(names, scheme)
    crf = make_crf(len(names), limits=limits, std=10.0).float()
    emissions = torch.randn(300, 12, len(names)) * 100
    mask = torch.rand(300, 12) < 0.8
    mask[:, 0] = True
    decoded, _ = crf.decode(emissions, mask)
    for row in decoded.tolist():
        path = [label for label in row if label >= 0]
        assert limits.start[path[0]]
        assert limits.end[path[-1]]
        assert all(limits.transitions[a][b] for a, b in itertools.pairwise(path))
    free = CRF(len(names))
    free.load_state_dict(crf.state_dict())
    assert not torch.equal(free.decode(emissions, mask)[0], decoded)


def test_schemes_are_guessed_from_names() -> None:
    assert guess_scheme(LABELS["BIO"]) == guess_scheme(LABELS["IOB1"]) == "BIO"
    assert guess_scheme(["O", "B-组织", "M-组织", "E-组织", "S-组织"]) == "BMES"
    assert guess_scheme(LABELS["BIOES"]) == guess_scheme(["O", "B_X", "I_X", "E_X", "S_X"]) == "BIOES"
    assert guess_scheme(LABELS["BMES"]) == "BMES"
    assert guess_scheme(["LABEL_0", "LABEL_1"]) is None
    assert guess_scheme(["O", "I-PER"]) is None
    assert guess_scheme(["B-X", "I-X", "M-X", "O"]) is None
    with pytest.raises(ConfigError, match=r"'E-X' is no label of the scheme BIO\. Its labels"):
        label_limits(["O", "B-X", "E-X"], "BIO")
    with pytest.raises(ConfigError, match="unknown scheme 'BILOU'"):
        label_limits(["O"], "BILOU")  # pyright: ignore[reportArgumentType]


def test_wrong_labels_are_named() -> None:
    names = LABELS["BIO"]
    crf = CRF(5, limits=label_limits(names, "BIO"))
    labels = torch.tensor([[0, 0, 0, 0], [0, 1, 0, 4]])
    with pytest.raises(ConfigError, match=r"labels\[1\]: the labels have I-LOC after O"):
        crf.loss(torch.zeros(2, 4, 5), labels)
    assert crf.loss(torch.zeros(2, 4, 5), labels, labels != 4) > 0  # what is masked out does not count
    with pytest.raises(ConfigError, match="I-PER at the start"):
        crf.loss(torch.zeros(1, 1, 5), torch.tensor([[2]]))


def test_rows_without_labels() -> None:
    crf, emissions = make_crf(3), torch.randn(2, 4, 3, dtype=torch.float64)
    mask = torch.tensor([[0, 0, 0, 0], [1, 1, 1, 0]])
    labels = torch.zeros(2, 4, dtype=torch.int64)
    losses = crf.loss(emissions, labels, mask, reduction="none")
    assert losses[0] == 0
    assert losses[1] > 0
    decoded, scores = crf.decode(emissions, mask)
    assert decoded[0].tolist() == [-100] * 4
    assert scores[0] == 0
    assert crf.loss(emissions, labels, mask, reduction="sum") == losses.sum()
    assert crf.loss(emissions, labels, mask) == losses.sum() / 3
    with pytest.raises(ConfigError, match="no position is left"):
        crf.loss(emissions, labels, torch.zeros(2, 4))


def test_no_sequence_is_possible() -> None:
    crf = CRF(3, limits=label_limits(["B-X", "I-X", "E-X"], "BIOES"))
    emissions = torch.zeros(2, 3, 3)
    assert crf.decode(emissions)[0].tolist() == [[0, 1, 2]] * 2
    for call in (crf.decode, crf.log_partition, crf.marginals):
        with pytest.raises(ConfigError, match="no sequence of labels is allowed for row 1"):
            call(emissions, torch.tensor([[1, 1, 1], [1, 0, 0]]))


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"emissions": torch.zeros(2, 3, 4)}, r"shape \(2, 3, 4\), expected \(rows, positions, 5\)"),
        ({"emissions": torch.zeros(0, 3, 5)}, r"shape \(0, 3, 5\)"),
        ({"mask": torch.ones(2, 4)}, r"mask has shape \(2, 4\), expected \(2, 3\)"),
        ({"labels": torch.zeros(2, 2, dtype=torch.int64)}, r"labels have shape \(2, 2\)"),
        ({"labels": torch.full((2, 3), 5)}, "label 5 is outside"),
        ({"labels": torch.full((2, 3), -100)}, "label -100 is outside"),
    ],
)
def test_bad_input_is_named(arguments: dict, match: str) -> None:
    good = {"emissions": torch.zeros(2, 3, 5), "labels": torch.zeros(2, 3, dtype=torch.int64)}
    with pytest.raises(ConfigError, match=match):
        CRF(5).loss(**good | arguments)


def test_limits_must_fit() -> None:
    with pytest.raises(ConfigError, match="limits of 4 labels for a CRF of 5"):
        CRF(5, limits=label_limits(LABELS["BMES"], "BMES"))


def test_half_precision_is_computed_in_fp32() -> None:
    crf, emissions = CRF(3), torch.randn(1, 4, 3)
    total = crf.to(torch.bfloat16).log_partition(emissions.bfloat16())
    assert total.dtype == torch.float32
    torch.testing.assert_close(total, CRF(3).log_partition(emissions), atol=0.05, rtol=0)
