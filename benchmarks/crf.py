"""A linear-chain CRF: loss with gradients, and Viterbi, compiled beside plain torch and pytorch-crf where it is installed.

    python benchmarks/crf.py [--rows 32] [--positions 64] [--labels 20] [--repeats 15] [--threads 1]

All contestants run in this process, one after the other in each round, in an order that turns, on the same scores; each
is warmed up first (compiling included, its time is shown). Rows are of varied length. Before any timing, losses and
gradients are compared within 1e-3 relative and paths for equality.
"""

from __future__ import annotations

import argparse
import importlib.util
import time
from collections.abc import Callable
from typing import Any

import torch
from machine_line import machine_line, spread
from torch import Tensor

from hanmo.nn.crf import CRF, best_paths_plain, log_partition_plain

SEED = 0
_TURN = 0.1
"""Seconds: a single call takes a millisecond, much of it to wake up what slept while the others ran."""


def make(arguments: argparse.Namespace) -> tuple[CRF, Tensor, Tensor, Tensor]:
    """A CRF, emissions (B, T, C), labels (B, T), mask (B, T) with padding on the right."""
    torch.manual_seed(SEED)
    crf = CRF(arguments.labels)
    for parameter in crf.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    shape = (arguments.rows, arguments.positions)
    lengths = torch.randint(arguments.positions // 2, arguments.positions + 1, shape[:1])
    lengths[0] = arguments.positions
    mask = torch.arange(arguments.positions) < lengths[:, None]
    return crf, torch.randn(*shape, arguments.labels), torch.randint(arguments.labels, shape), mask


def plain_loss(crf: CRF, emissions: Tensor, labels: Tensor, mask: Tensor) -> Tensor:
    """The sum of the losses by torch alone."""
    chain = crf.chain(emissions.dtype)
    total = log_partition_plain(emissions, chain, mask.sum(1))
    return (total - crf.score(emissions, labels, mask)).sum()


def rival_of(crf: CRF) -> Any | None:
    """pytorch-crf with the same scores, if it is installed."""
    if importlib.util.find_spec("torchcrf") is None:
        return None
    import torchcrf  # pyright: ignore[reportMissingImports]

    rival = torchcrf.CRF(crf.n_labels, batch_first=True)
    with torch.no_grad():
        rival.transitions.copy_(crf.transitions)
        rival.start_transitions.copy_(crf.start)
        rival.end_transitions.copy_(crf.end)
    return rival


def race(title: str, contestants: dict[str, Callable[[], Any]], repeats: int) -> None:
    """Time all of them in turn, each for a tenth of a second, and print batches per second."""
    print(f"\n{title}, batches/s")
    for name, run in contestants.items():
        start = time.perf_counter()
        run()
        print(f"  {name}: first call {time.perf_counter() - start:.1f} s")
    rates: dict[str, list[float]] = {name: [] for name in contestants}
    order = list(contestants)
    for _ in range(repeats):
        order.append(order.pop(0))
        for name in order:
            start, n = time.perf_counter(), 0
            while (passed := time.perf_counter() - start) < _TURN:
                contestants[name]()
                n += 1
            rates[name].append(n / passed)
    ours = sorted(rates["hanmo"])[repeats // 2]
    for name, found in rates.items():
        ratio = f"  hanmo is {ours / sorted(found)[repeats // 2]:.1f} x" if name != "hanmo" else ""
        print(f"  {name:12s} {spread(found)}{ratio}")


def main() -> None:
    """Compare, then measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=32)
    parser.add_argument("--positions", type=int, default=64)
    parser.add_argument("--labels", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    crf, emissions, labels, mask = make(arguments)
    rival = rival_of(crf)
    print(machine_line(SEED, "numba", *(["pytorch-crf"] if rival is not None else [])))
    print(f"{arguments.rows} rows of {arguments.positions} positions or fewer, {arguments.labels} labels")
    if rival is None:
        print("pytorch-crf is not installed: plain torch stands in for it")

    def gradients(loss: Callable[[Tensor], Tensor], parameters: list[Tensor]) -> list[Tensor]:
        x = emissions.clone().requires_grad_()
        total = loss(x)
        return [total.detach(), *torch.autograd.grad(total, [x, *parameters])]

    ours = list(crf.parameters())
    losses: dict[str, Callable[[], list[Tensor]]] = {
        "hanmo": lambda: gradients(lambda x: crf.loss(x, labels, mask, reduction="sum"), ours),
        "plain torch": lambda: gradients(lambda x: plain_loss(crf, x, labels, mask), ours),
    }
    paths: dict[str, Callable[[], Any]] = {
        "hanmo": lambda: crf.decode(emissions, mask)[0].tolist(),
        "plain torch": lambda: best_paths_plain(emissions, crf.chain(emissions.dtype), mask.sum(1))[0].tolist(),
    }
    if rival is not None:
        theirs = [rival.transitions, rival.start_transitions, rival.end_transitions]
        losses["pytorch-crf"] = lambda: gradients(lambda x: -rival(x, labels, mask), theirs)
        paths["pytorch-crf"] = lambda: rival.decode(emissions, mask)
    expected = losses["hanmo"]()
    for name, run in losses.items():
        for mine, other in zip(expected, run(), strict=True):
            error = float((mine - other).abs().max() / mine.abs().max())
            assert error < 1e-3, f"{name} has another loss or gradient: {error:.1e}"
    known = [[label for label in row if label >= 0] for row in paths["hanmo"]()]
    for name, run in paths.items():
        assert [[label for label in row if label >= 0] for row in run()] == known, f"{name} finds other paths"
    print("losses, gradients and paths are equal")
    race("loss and gradients", losses, arguments.repeats)
    race("Viterbi", paths, arguments.repeats)


if __name__ == "__main__":
    main()
