"""safetensors files: found, checked, read tensor by tensor, written tensor by tensor. No other format is opened."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from hanmo.core.errors import FormatError, ModelError
from hanmo.core.files import read_json, write_atomic

__all__ = [
    "StoredTensor", "check_tensors", "list_tensors", "read_header_entries", "read_tensors", "refuse_pickles", "weight_files",
    "write_tensors",
]  # fmt: skip

_DTYPES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
}
_SHOWN = 10
_PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt")


@dataclass(frozen=True)
class StoredTensor:
    """Where a tensor is and what it is, from the header alone."""

    file: Path
    name: str
    shape: tuple[int, ...]
    dtype: str


def list_tensors(folder: Path, *, name: str | None = None) -> list[StoredTensor]:
    """All tensors of `model.safetensors`, or of the files that its index names; of another file if it is named.

    Raises:
        ModelError: if files are missing, damaged, only there as pickles, or the index points outside the folder.
    """
    return [tensor for file in ([folder / name] if name else weight_files(folder)) for tensor in _headers(file)]


def read_tensors(tensors: Iterable[StoredTensor]) -> dict[str, Tensor]:
    """Read some tensors by name. They lie in mapped memory that is given back when they are dropped."""
    read = {}
    for path, there in groupby(tensors, attrgetter("file")):
        with _open(path) as file:
            read |= {tensor.name: file.get_tensor(tensor.name) for tensor in there}
    return read


def read_header_entries(file: Path) -> dict[str, str]:
    """What `write_tensors` was told of further entries, and what other programs put there.

    Raises:
        ModelError: if the file is missing or damaged.
    """
    with _open(file) as opened:
        return opened.metadata() or {}


def check_tensors(
    stored: Mapping[str, StoredTensor],
    expected: Mapping[str, tuple[int, ...]],
    *,
    what: str,
    where: Path,
    remedy: str,
    known: Sequence[str] = (),
) -> None:
    """Compare what is stored with what a model asks for, from headers alone.

    Args:
        stored: by the names that the model uses.
        expected: shapes by name.
        what: the error's first words.
        where: what it names.
        remedy: what it advises.
        known: problems that were found before.

    Raises:
        ModelError: names the first ten that are missing, too many, or of another shape or kind.
    """
    problems = [*known, *(f"{name} {shape} is missing" for name, shape in expected.items() if name not in stored)]
    for name, tensor in stored.items():
        if name not in expected:
            problems.append(f"{name} {tensor.shape} is not part of this model")
        elif tensor.shape != expected[name]:
            problems.append(f"{name} is {tensor.shape}, expected {expected[name]}")
        elif tensor.dtype not in _DTYPES.values():
            problems.append(f"{name} holds {tensor.dtype}, expected one of {', '.join(_DTYPES.values())}")
    if problems:
        more = f"; and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise ModelError(f"{what}: {'; '.join(problems[:_SHOWN])}{more}", where=where, remedy=remedy)


def write_tensors(
    path: Path, tensors: dict[str, Tensor], *, dtype: torch.dtype | None = None, told: Mapping[str, str] | None = None
) -> None:
    """Write a safetensors file atomically, one tensor in memory at a time (views and transposes are fine).

    Args:
        dtype: convert to this; as they are if None.
        told: further entries of the header.

    Raises:
        StorageError: if the disk is full or may not be written; the old file stays.
    """
    names = sorted(tensors)
    header: dict[str, Any] = {"__metadata__": {"format": "pt", **(told or {})}}
    end = 0
    for name in names:
        kind = dtype or tensors[name].dtype
        start, end = end, end + tensors[name].numel() * kind.itemsize
        header[name] = {"dtype": _DTYPES[kind], "shape": list(tensors[name].shape), "data_offsets": [start, end]}
    head = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    head += b" " * (-len(head) % 8)

    def fill(temporary: Path) -> None:
        with open(temporary, "wb") as file:
            file.write(len(head).to_bytes(8, "little"))
            file.write(head)
            for name in names:
                plain = tensors[name].detach().to(device="cpu", dtype=dtype or tensors[name].dtype).contiguous()
                file.write(plain.flatten().view(torch.uint8).numpy().data)

    write_atomic(path, fill)


def weight_files(folder: Path) -> list[Path]:
    """`model.safetensors`, or the files that its index names.

    Raises:
        ModelError: as `list_tensors`.
    """
    single, index = folder / "model.safetensors", folder / "model.safetensors.index.json"
    if single.is_file():
        return [single]
    if not index.is_file():
        refuse_pickles(folder)
        raise ModelError("no model.safetensors in this folder", where=folder, remedy="Copy or train the model again.")
    try:
        weight_map = read_json(index)["weight_map"]
        names = sorted({str(name) for name in weight_map.values()})
    except (FormatError, KeyError, TypeError, AttributeError) as error:
        raise ModelError("not an index of safetensors files", where=index) from error
    if not names:
        raise ModelError("this index names no file", where=index, remedy="Copy the model again, with all its files.")
    for name in names:
        if Path(name).name != name or not name.endswith(".safetensors"):
            raise ModelError(f"the index names {name!r}, which is not a safetensors file beside it", where=index)
        if not (folder / name).exists():
            raise ModelError(
                f"{name} is missing ({len(names)} files are listed)",
                where=index,
                remedy="Copy the model again, with all its files.",
            )
    return [folder / name for name in names]


def refuse_pickles(folder: Path) -> None:
    """Say how to convert weights that are no safetensors.

    Raises:
        ModelError: if there are pickles.
    """
    pickles = sorted(file.name for file in folder.iterdir() if file.suffix in _PICKLES)
    if pickles:
        raise ModelError(
            f"the weights are only here as pickle ({', '.join(pickles[:3])}), which can run code when opened",
            where=folder,
            remedy='Convert them where you trust them: python -c "from transformers import AutoModelForCausalLM as A; '
            "A.from_pretrained('IN').save_pretrained('OUT')\"",
        )


def _headers(path: Path) -> Iterator[StoredTensor]:
    with _open(path) as file:
        for name in file.keys():  # noqa: SIM118 (not a dict: it has no other iteration)
            part = file.get_slice(name)
            dtype = str(part.get_dtype())
            yield StoredTensor(path, name, tuple(part.get_shape()), dtype)


@contextmanager
def _open(path: Path) -> Iterator[Any]:
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except FileNotFoundError as error:
        raise ModelError("this file is missing", where=path, remedy="Copy the folder again, with all files.") from error
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelError(
            f"not a whole safetensors file ({error})",
            where=path,
            remedy="Copy or download it again; it may be cut short.",
        ) from error
