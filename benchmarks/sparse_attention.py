"""Forward pass with sparse and with dense attention, from 1k to 8k tokens: a table, slopes, and a plot (SVG).

    python benchmarks/sparse_attention.py [--lengths 1024,2048,4096,8192] [--repeats 5] [--svg sparse_attention.svg]

A Llama shape of 4 layers, width 256, 4 heads, without its output matrix, one text, fp32; patterns are the same in all
layers. In each round all patterns run once per length, in an order that turns. Times are those of the processor, summed
over threads, so that what else runs on the machine counts little. A slope is that of the least-squares line through
log(time) over log(length): 1 is linear, 2 quadratic. Figure of the project: sparse slopes at most 1.15.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from pathlib import Path
from typing import Any

import torch
from machine_line import machine_line

from hanmo.evaluation.markup import element, join
from hanmo.models.llama import LlamaConfig, llama

SEED = 0
PATTERNS: dict[str, tuple[dict[str, Any], ...]] = {
    "dense": (),
    "window 256": ({"kind": "sliding_window", "window": 256},),
    "window 256 + 16 global": ({"kind": "local_global", "window": 256, "n_global": 16},),
    "blocks of 64: 0, 1, 4": ({"kind": "block_sparse", "block_size": 64, "offsets": (0, 1, 4)},),
}
COLOURS = ("#444", "#0b6e99", "#b5541c", "#4b7f2a")


def slope(points: dict[int, float]) -> float:
    """Of the line through (log x, log y)."""
    xs, ys = [math.log(x) for x in points], [math.log(y) for y in points.values()]
    x_mean, y_mean = statistics.mean(xs), statistics.mean(ys)
    above = sum((x - x_mean) * (y - y_mean) for x, y in zip(xs, ys, strict=True))
    return above / sum((x - x_mean) ** 2 for x in xs)


def measure(lengths: list[int], repeats: int) -> dict[str, dict[int, list[float]]]:
    """Processor seconds of each forward pass, by pattern and length."""
    models = {}
    for name, patterns in PATTERNS.items():
        torch.manual_seed(SEED)
        shape = {"vocab_size": 4096, "max_len": max(lengths), "d_model": 256, "n_layers": 4, "n_heads": 4, "d_ff": 704}
        models[name] = llama(LlamaConfig.model_validate(shape | {"attention": patterns})).eval()
    times: dict[str, dict[int, list[float]]] = {name: {length: [] for length in lengths} for name in models}
    names = list(models)
    for turn in range(repeats + 1):
        for length in lengths:
            ids = torch.randint(4096, (1, length), generator=torch.Generator().manual_seed(turn))
            for name in names[turn % len(names) :] + names[: turn % len(names)]:
                start = time.process_time()
                with torch.inference_mode():
                    models[name].hidden(ids)
                if turn:  # the first round warms up
                    times[name][length].append(time.process_time() - start)
    return times


def plot(medians: dict[str, dict[int, float]]) -> str:
    """Time over length, both logarithmic, as an SVG that stands alone."""
    width, height, left, top = 640, 400, 70, 30
    lengths = list(next(iter(medians.values())))
    values = [value for points in medians.values() for value in points.values()]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))

    def across(length: int) -> float:
        share = math.log(length / lengths[0]) / math.log(lengths[-1] / lengths[0])
        return left + share * (width - left - 20)

    def down(seconds: float) -> float:
        return top + (high - math.log10(seconds)) / (high - low) * (height - top - 50)

    parts = []
    for power in range(low, high + 1):
        y = down(10.0**power)
        parts.append(element("line", x1=left, x2=width - 20, y1=y, y2=y, stroke="#ddd"))
        parts.append(element("text", f"{10.0**power:g} s", x=left - 8, y=y + 4, text_anchor="end"))
    parts += [element("text", f"{n:,}", x=across(n), y=height - 30, text_anchor="middle") for n in lengths]
    parts.append(element("text", "tokens", x=width / 2, y=height - 10, text_anchor="middle"))
    for number, (name, points) in enumerate(medians.items()):
        colour = COLOURS[number % len(COLOURS)]
        line = " ".join(f"{across(n):.1f},{down(seconds):.1f}" for n, seconds in points.items())
        parts.append(element("polyline", points=line, fill="none", stroke=colour, stroke_width=2))
        parts += [element("circle", cx=across(n), cy=down(s), r=3, fill=colour) for n, s in points.items()]
        text = f"{name}: slope {slope(points):.2f}"
        parts.append(element("text", text, x=left + 10, y=top + 14 + 18 * number, fill=colour))
    return element(
        "svg", *parts, xmlns="http://www.w3.org/2000/svg", width=width, height=height,
        font_family="sans-serif", font_size=12,
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lengths", default="1024,2048,4096,8192")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--svg", type=Path, default=Path("sparse_attention.svg"))
    arguments = parser.parse_args()
    lengths = [int(length) for length in arguments.lengths.split(",")]
    print(machine_line(SEED))
    print(f"# {torch.get_num_threads()} threads, median of {arguments.repeats} [min..max], milliseconds")
    times = measure(lengths, arguments.repeats)
    medians = {name: {n: statistics.median(some) for n, some in points.items()} for name, points in times.items()}
    print(f"{'':<24}" + "".join(f"{length:>28,}" for length in lengths) + "   slope")
    for name, points in times.items():
        cells = [
            f"{1e3 * medians[name][n]:,.1f} [{1e3 * min(some):,.1f}..{1e3 * max(some):,.1f}]"
            for n, some in points.items()
        ]
        print(f"{name:<24}" + "".join(f"{cell:>28}" for cell in cells) + f"   {slope(medians[name]):.2f}")
    for name in list(PATTERNS)[1:]:
        ratio = medians["dense"][lengths[-1]] / medians[name][lengths[-1]]
        print(f"{name}: {ratio:.1f} x faster than dense at {lengths[-1]:,} tokens")
    arguments.svg.write_text(join((plot(medians), "\n")), encoding="utf-8")
    print(f"plot: {arguments.svg}")


if __name__ == "__main__":
    main()
