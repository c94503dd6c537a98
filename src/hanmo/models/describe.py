"""A model drawn as text: its parts with shapes, parameters, memory and floating-point operations. No weight is read.

FLOPs are those of a forward pass, a multiplication and an addition counting as two, matrix products only:

- a matrix of n weights: 2 n for each token that it is applied to;
- attention of H heads of width K that looks at S positions: 4 S H K for each token (scores, and the sum of values);
- parts that see a whole row once (poolers, classifiers of rows) count per row, not per token.

Of an encoder and a decoder together, "a token" is one that is read and one that is written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from hanmo.core.errors import ConfigError
from hanmo.models.causal_lm import CausalLM
from hanmo.models.decoder_heads import DecoderBackbone
from hanmo.models.directory import read_plan
from hanmo.models.heads import NextSentenceHead, PretrainingHead, RowClassifier
from hanmo.models.hub import find_model
from hanmo.models.summary import SequenceSummary
from hanmo.models.towers import ImageTower, ProjectedTower, TextTower, TwoTowers
from hanmo.nn.additive_attention import AdditiveAttention
from hanmo.nn.attention import CrossAttention, SelfAttention
from hanmo.nn.pooling import FirstTokenPooler
from hanmo.nn.recurrent_decoder import AttentiveDecoder
from hanmo.nn.two_stream import RelativeAttention

__all__ = ["Description", "Part", "describe"]

_DEFAULT_POSITIONS = 512
"""Looked at by models that know no longest text."""
_PER_ROW: list[tuple[type[nn.Module], tuple[str, ...]]] = [
    (PretrainingHead, ("pair",)),
    (ProjectedTower, ("project",)),
    (TwoTowers, ("project_text", "project_image")),
    (AttentiveDecoder, ("bridge",)),
]
_ALL_PER_ROW = (FirstTokenPooler, NextSentenceHead, RowClassifier, SequenceSummary)
_MAY_BE_SHARED = ("head", "out", "decoder_embedding", "target_embedding")
"""Attributes that are None where the token vectors do their work."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """A module, or several alike after each other."""

    name: str
    """As in `state_dict`, without what the parts around it are called; `0-11` for several."""
    kind: str
    """Its class."""
    shapes: dict[str, list[int]] = field(default_factory=dict)
    """Of its own parameters."""
    same_as: str | None = None
    """The part whose parameters these are; they are counted there."""
    count: int = 1
    """How many of it there are."""
    runs: int = 1
    """How often each of them is run in one pass (more than once where layers share their weights)."""
    n_parameters: int = 0
    """Of all of them together."""
    flops_per_token: int = 0
    """Of all of them and all runs together."""
    flops_per_row: int = 0
    """What comes once for a row of any length."""
    parts: list[Part] = field(default_factory=list)
    """What one of them is made of."""

    @property
    def bytes_fp32(self) -> int:
        """Memory of the parameters in float32."""
        return 4 * self.n_parameters

    @property
    def bytes_bf16(self) -> int:
        """Memory of the parameters in bfloat16."""
        return 2 * self.n_parameters

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        sizes = {"bytes_fp32": self.bytes_fp32, "bytes_bf16": self.bytes_bf16}
        return asdict(replace(self, parts=[])) | sizes | {"parts": [part.to_dict() for part in self.parts]}


@dataclass(frozen=True)
class Description:
    """A whole model."""

    architecture: str
    """Its class in `transformers`."""
    n_positions: dict[str, int]
    """How many positions the token counted looks at, by the tower that it is in ("" where there is but one)."""
    whole: Part

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"architecture": self.architecture, "n_positions": self.n_positions, **self.whole.to_dict()}

    def describe(self, depth: int | None = None) -> str:
        """Text for people: one line for each part.

        Args:
            depth: how many levels; all if None.
        """
        whole = self.whole
        rows = [("", "", "shape", "parameters", "fp32", "bf16", "FLOPs/token"), *_rows(whole, depth)]
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        lines = [
            f"{self.architecture}: {whole.n_parameters:,} parameters, {_memory(whole.bytes_fp32)} in fp32, "
            f"{_memory(whole.bytes_bf16)} in bf16",
            f"{_flops(whole.flops_per_token)} per token that looks at {self._positions()}"
            + (f", and {_flops(whole.flops_per_row)} per row" if whole.flops_per_row else ""),
            "",
        ]
        for row in rows:
            left = "  ".join(text.ljust(width) for text, width in zip(row[:3], widths[:3], strict=True))
            right = "  ".join(text.rjust(width) for text, width in zip(row[3:], widths[3:], strict=True))
            lines.append(f"{left}  {right}".rstrip())
        lines += [
            "",
            "FLOPs of a forward pass: 2 x weights of each matrix + 4 x positions x heads x head width of each attention.",
        ]
        if any(" x" in row[1] for row in rows):
            lines.append('A line with "12 x" is the sum of twelve; the lines below it are one of them.')
        return "\n".join(lines)

    def _positions(self) -> str:
        parts = [f"{number:,} positions{f' of {tower}' if tower else ''}" for tower, number in self.n_positions.items()]
        return ", and one that looks at ".join(parts)


def describe(model: nn.Module | str | Path, *, n_positions: int | None = None) -> Description:
    """Take a model apart.

    Args:
        model: a built model; or a folder with config.json, a run (runs/NAME), or "org/name", of which the
            configuration alone is read.
        n_positions: how many positions the token counted looks at; the longest text of the model if None.

    Raises:
        ModelError: if there is no such model, or it cannot be understood.
        ConfigError: if there is nothing to look at.
    """
    if n_positions is not None and n_positions < 1:
        raise ConfigError(f"n_positions = {n_positions} leaves nothing to look at", where="n_positions")
    if not isinstance(model, nn.Module):
        return describe(_read_plan(model), n_positions=n_positions)
    known: Any = getattr(model, "config", None)
    longest = n_positions or getattr(known, "max_len", None) or _DEFAULT_POSITIONS
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    walk = _Walk(model, names, n_positions, any(isinstance(part, CausalLM) for part in model.modules()))
    whole = walk.part(model, "", longest)
    name = getattr(model, "architecture", type(model).__name__)
    return Description(name, walk.towers or {"": longest}, replace(whole, name=name))


def _read_plan(path: str | Path) -> nn.Module:
    folder = find_model(path, weights=False)
    is_run = not (folder / "config.json").exists() and (folder / "model" / "config.json").exists()
    return read_plan(folder / "model" if is_run else folder)


@dataclass(frozen=True)
class _Walk:
    root: nn.Module
    names: dict[int, str]
    """Of parameters, by their identity."""
    asked: int | None
    """Positions that were asked for, if any."""
    causal: bool
    """Whether a position sees earlier ones only."""
    counted: set[int] = field(default_factory=set)
    """Parameters that were counted."""
    towers: dict[str, int] = field(default_factory=dict)
    """Positions of each tower."""

    def part(self, module: nn.Module, path: str, positions: int, *, runs: int = 1, headless: bool = False) -> Part:
        """One module with all that is in it, run `runs` times; `headless` if its output matrix is not used."""
        positions = self._positions(module, path, positions)
        own = dict(module.named_parameters(recurse=False))
        fresh = [parameter for parameter in own.values() if id(parameter) not in self.counted]
        self.counted.update(map(id, fresh))
        parts = self._children(module, path, positions, runs)
        if not headless:
            parts += self._elsewhere(module, runs)
        first = next(iter(own.values()), None)
        repeats = first is not None and not fresh
        part = Part(
            name=path.rpartition(".")[2],
            kind=type(module).__name__,
            shapes={name: list(parameter.shape) for name, parameter in own.items()},
            same_as=self.names[id(first)] if repeats else None,
            runs=runs,
            n_parameters=sum(parameter.numel() for parameter in fresh) + sum(part.n_parameters for part in parts),
            flops_per_token=runs * _own_flops(module, positions, self.causal)
            + sum(part.flops_per_token for part in parts),
            flops_per_row=sum(part.flops_per_row for part in parts),
            parts=parts,
        )
        return _once(part) if isinstance(module, _ALL_PER_ROW) else part

    def _positions(self, module: nn.Module, path: str, positions: int) -> int:
        """Each tower has its own length."""
        if isinstance(module, ImageTower):
            positions = module.embedding.grid**2 + 1
        elif isinstance(module, TextTower):
            positions = self.asked or module.config.max_len
        else:
            return positions
        self.towers[path] = positions
        return positions

    def _children(self, module: nn.Module, path: str, positions: int, runs: int) -> list[Part]:
        order: Counter[int] = Counter(getattr(module, "order", ()))
        once = next((names for kind, names in _PER_ROW if isinstance(module, kind)), ())
        parts = []
        for name, child in module.named_children():
            here = f"{path}.{name}" if path else name
            if isinstance(child, nn.ModuleList):
                each = [
                    self.part(one, f"{here}.{number}", positions, runs=runs * (order[number] or 1))
                    for number, one in enumerate(child)
                ]
                parts += [replace(part, name=f"{name}.{part.name}") for part in _gather(each)]
                continue
            pairs = isinstance(module, AdditiveAttention) and name == "score"  # one score for each position
            headless = isinstance(module, DecoderBackbone)
            part = self.part(child, here, positions, runs=runs * (positions if pairs else 1), headless=headless)
            part = _once(part) if name in once else part
            parts.append(replace(part, runs=runs) if pairs else part)
        return parts

    def _elsewhere(self, module: nn.Module, runs: int) -> Iterator[Part]:
        """What is missing because the parameters of another part do its work."""
        for name in _MAY_BE_SHARED:
            if name not in vars(module) or vars(module)[name] is not None:
                continue
            scores = name in ("head", "out")
            if name == "head":
                weight = getattr(module, "head_weight", None)
            elif name == "out":
                weight = getattr(getattr(self.root, "backbone", None), "token_weight", None)
            else:
                source: Any = getattr(module, "encoder" if name == "decoder_embedding" else "embedding")
                weight = getattr(source, "embedding", source).token.weight
            if weight is not None:
                yield Part(
                    name=name, kind="", shapes={"weight": list(weight.shape)},
                    same_as=self.names[id(weight)].removesuffix(".weight"), runs=runs,
                    flops_per_token=2 * weight.numel() * runs * scores,
                )  # fmt: skip


def _once(part: Part) -> Part:
    """The same part where it is run once for a row."""
    flops = part.flops_per_row + part.flops_per_token
    return replace(part, flops_per_token=0, flops_per_row=flops, parts=[_once(child) for child in part.parts])


def _own_flops(module: nn.Module, positions: int, causal: bool) -> int:
    """For one token, the parts of the module left aside."""
    match module:
        case nn.Linear():
            return 2 * module.weight.numel()
        case SelfAttention():
            return 4 * _seen(module, positions, causal) * module.n_heads * module.d_head
        case CrossAttention():
            return 4 * positions * module.n_heads * module.d_head
        case RelativeAttention():
            # distances go both ways, so there are twice as many, and each is projected and compared
            return 8 * positions * module.n_heads * module.d_head + 2 * module.distance.weight.numel()
        case AttentiveDecoder():
            width = module.readout.in_features // 2
            return 2 * positions * width * (1 if isinstance(module.attention, AdditiveAttention) else 2)
        case _:
            return 0


def _seen(attention: SelfAttention, positions: int, causal: bool) -> int:
    """What the last position sees, or one in the middle where order does not matter."""
    if attention.pattern is None:
        return positions
    keys = torch.arange(positions, device="cpu")
    return int(attention.pattern.sees(keys[-1 if causal else positions // 2], keys).sum())


def _gather(parts: list[Part]) -> list[Part]:
    """Neighbours that differ in their number alone become one."""
    gathered: list[Part] = []
    first = 0
    for number, part in enumerate(parts):
        if gathered and _shape(gathered[-1]) == _shape(part):
            last = gathered[-1]
            gathered[-1] = replace(
                last, name=f"{first}-{number}", count=last.count + 1,
                n_parameters=last.n_parameters + part.n_parameters,
                flops_per_token=last.flops_per_token + part.flops_per_token,
                flops_per_row=last.flops_per_row + part.flops_per_row,
            )  # fmt: skip
        else:
            first = number
            gathered.append(part)
    return gathered


def _shape(part: Part) -> tuple[Any, ...]:
    each = part.n_parameters // part.count, part.flops_per_token // part.count, part.flops_per_row // part.count
    return part.kind, str(part.shapes), part.same_as, part.runs, each, tuple(_shape(child) for child in part.parts)


def _rows(part: Part, depth: int | None, indent: str = "") -> Iterator[tuple[str, ...]]:
    """A line of the table for each part inside of this one."""
    if depth == 0:
        return
    for number, child in enumerate(part.parts):
        last = number == len(part.parts) - 1
        notes = [
            f"{child.count} x" if child.count > 1 else "",
            f"run {child.runs} times" if child.runs > part.runs else "",
        ]
        notes.append(f"= {child.same_as}" if child.same_as else "")
        kind = " ".join([child.kind, *filter(None, notes)]).strip()
        yield (
            f"{indent}{'└─ ' if last else '├─ '}{child.name}", kind, _shown(child),
            f"{child.n_parameters:,}" if not child.same_as else "0",
            _memory(child.bytes_fp32), _memory(child.bytes_bf16),
            _flops(child.flops_per_token).removesuffix("FLOPs") if child.flops_per_token else
            f"{_flops(child.flops_per_row).removesuffix('FLOPs')}/row" if child.flops_per_row else "",
        )  # fmt: skip
        below = None if depth is None else depth - 1
        yield from _rows(child, below, indent + ("   " if last else "│  "))


def _shown(part: Part) -> str:
    shapes = dict(part.shapes)
    main = shapes.pop("weight", None)
    texts = ["×".join(map(str, main))] if main is not None else []
    texts += [f"{name} {'×'.join(map(str, shape))}" for name, shape in shapes.items()]
    return ", ".join(texts)


def _memory(n_bytes: int) -> str:
    for unit, size in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if n_bytes >= size:
            return f"{n_bytes / size:,.1f} {unit}"
    return f"{n_bytes} B"


def _flops(number: int) -> str:
    for unit, size in (("T", 10**12), ("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if number >= size:
            return f"{number / size:,.2f} {unit}FLOPs"
    return f"{number} FLOPs"
