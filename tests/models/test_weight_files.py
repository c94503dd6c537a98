"""Damaged and hostile weight files, whole and in shards, of BERT with each of its heads."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from hanmo.core.errors import ModelError
from hanmo.core.progress import set_quiet
from hanmo.models.directory import read_model, write_model
from hanmo.models.families import FAMILIES
from hanmo.models.weight_files import list_tensors

FAMILY = FAMILIES["bert"]
CLASSES = list(FAMILY.architectures)
TWO_SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")


def make_bert(path: Path, name: str = "BertForSequenceClassification", **more: Any) -> Path:
    torch.manual_seed(0)
    tiny = {"vocab_size": 31, "max_len": 16, "d_model": 12, "n_layers": 2, "n_heads": 3, "d_ff": 20}
    write_model(path, FAMILY.architecture(name).build(FAMILY.config.model_validate(tiny | more)))
    return path


def edit_config(path: Path, **changes: Any) -> None:
    file = path / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def edit_tensors(path: Path, changes: dict[str, torch.Tensor | None]) -> None:
    tensors = load_file(path / "model.safetensors") | changes
    kept = {name: tensor for name, tensor in tensors.items() if tensor is not None}
    save_file(kept, path / "model.safetensors", metadata={"format": "pt"})


def shard(path: Path) -> dict[str, str]:
    """Cut model.safetensors in two; returns which file each tensor is in."""
    tensors = load_file(path / "model.safetensors")
    (path / "model.safetensors").unlink()
    weight_map: dict[str, str] = {}
    for number, file in enumerate(TWO_SHARDS):
        part = {name: tensors[name] for name in sorted(tensors)[number::2]}
        save_file(part, path / file, metadata={"format": "pt"})
        weight_map |= dict.fromkeys(part, file)
    write_index(path, weight_map)
    return weight_map


def write_index(path: Path, weight_map: dict[str, str]) -> None:
    index = {"metadata": {"total_size": 0}, "weight_map": weight_map}
    (path / "model.safetensors.index.json").write_text(json.dumps(index))


@pytest.mark.parametrize("name", CLASSES)
def test_shards_of_every_class(name: str, tmp_path: Path) -> None:
    whole = read_model(make_bert(tmp_path, name))
    shard(tmp_path)
    sharded = read_model(tmp_path)
    assert sharded.architecture == name
    for one, two in zip(whole.parameters(), sharded.parameters(), strict=True):
        assert torch.equal(one, two)


def test_shards_that_are_damaged(tmp_path: Path) -> None:
    weight_map = shard(make_bert(tmp_path))
    first, second = (tmp_path / file for file in TWO_SHARDS)
    data = second.read_bytes()
    for keep in (0, 7, 100, len(data) - 1):
        second.write_bytes(data[:keep])
        with pytest.raises(ModelError, match=r"model-00002-of-00002\.safetensors: not a whole safetensors file"):
            read_model(tmp_path)
    second.write_bytes(first.read_bytes())
    with pytest.raises(ModelError, match="is there twice"):
        read_model(tmp_path)
    second.unlink()
    with pytest.raises(ModelError, match=r"model-00002-of-00002\.safetensors is missing \(2 files are listed\)"):
        read_model(tmp_path)
    write_index(tmp_path, {name: file for name, file in weight_map.items() if file == TWO_SHARDS[0]})
    with pytest.raises(ModelError, match="is missing; "):
        read_model(tmp_path)


@pytest.mark.parametrize("name", CLASSES)
def test_what_is_missing_left_over_or_of_another_shape(name: str, tmp_path: Path) -> None:
    prefix = "" if name == "BertModel" else "bert."
    make_bert(tmp_path, name)
    edit_tensors(
        tmp_path,
        {
            f"{prefix}embeddings.LayerNorm.bias": None,
            f"{prefix}encoder.layer.1.attention.self.key.weight": torch.zeros(12, 11),
            f"{prefix}encoder.layer.0.output.dense.bias": torch.zeros(12, dtype=torch.int64),
            "surprise.weight": torch.zeros(3),
        },
    )
    with pytest.raises(ModelError) as caught:
        read_model(tmp_path)
    text = str(caught.value)
    assert "bert.embeddings.LayerNorm.bias (12,) is missing" in text
    assert "bert.encoder.layer.1.attention.self.key.weight is (12, 11), expected (12, 12)" in text
    assert "bert.encoder.layer.0.output.dense.bias holds I64, expected one of F64, F32, F16, BF16" in text
    assert "surprise.weight (3,) is not part of this model" in text
    assert str(tmp_path) in text


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"num_hidden_layers": 4}, r"layer\.2\..* is missing.*and \d+ more"),
        ({"num_hidden_layers": 1}, r"layer\.1\..*is not part of this model.*and \d+ more"),
        ({"hidden_size": 15}, r"is \(31, 12\), expected \(31, 15\)"),
        ({"vocab_size": 32}, r"word_embeddings.weight is \(31, 12\), expected \(32, 12\)"),
        ({"max_position_embeddings": 8}, r"position_embeddings.weight is \(16, 12\), expected \(8, 12\)"),
        ({"type_vocab_size": 3}, r"token_type_embeddings.weight is \(2, 12\), expected \(3, 12\)"),
        ({"intermediate_size": 24}, r"intermediate.dense.weight is \(20, 12\), expected \(24, 12\)"),
        ({"id2label": {"0": "a", "1": "b", "2": "c"}}, r"classifier.weight is \(2, 12\), expected \(3, 12\)"),
        ({"architectures": ["BertForQuestionAnswering"]}, r"qa_outputs.weight \(2, 12\) is missing"),
        ({"architectures": ["BertForMaskedLM"]}, r"cls.predictions.transform.dense.weight \(12, 12\) is missing"),
        ({"architectures": ["BertForFun"]}, "no class 'BertForFun'"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_config_that_contradicts_the_weights(change: dict[str, Any], words: str, tmp_path: Path) -> None:
    make_bert(tmp_path)
    edit_config(tmp_path, **change)
    with pytest.raises(ModelError, match=words) as caught:
        read_model(tmp_path)
    assert len(str(caught.value)) < 3000


def test_another_head_is_asked_for_by_name(tmp_path: Path) -> None:
    """What would be an error in the file is a wish in Python, and is said."""
    make_bert(tmp_path)
    set_quiet(True)
    model = read_model(tmp_path, architecture="BertForTokenClassification", changes={"labels": ("O", "B-X", "I-X")})
    assert model.head.out.weight.shape == (3, 12)


def test_tied_weights_that_are_stored_twice(tmp_path: Path) -> None:
    make_bert(tmp_path, "BertForMaskedLM")
    tensors = load_file(tmp_path / "model.safetensors")
    words = tensors["bert.embeddings.word_embeddings.weight"]
    edit_tensors(tmp_path, {"cls.predictions.decoder.weight": words.clone()})
    read_model(tmp_path)
    edit_tensors(tmp_path, {"cls.predictions.decoder.weight": words + 1})
    with pytest.raises(ModelError, match=r"cls\.predictions\.decoder\.weight"):
        read_model(tmp_path)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_the_dtype_of_the_file_is_kept_where_asked(dtype: torch.dtype, tmp_path: Path) -> None:
    write_model(tmp_path, read_model(make_bert(tmp_path)), dtype=dtype)
    shard(tmp_path)
    assert {parameter.dtype for parameter in read_model(tmp_path, dtype=None).parameters()} == {dtype}
    assert {parameter.dtype for parameter in read_model(tmp_path).parameters()} == {torch.float32}
    edit_config(tmp_path, torch_dtype="float64")  # what a file says of itself changes nothing
    assert {parameter.dtype for parameter in read_model(tmp_path, dtype=None).parameters()} == {dtype}


@pytest.mark.parametrize(
    "names", [("pytorch_model.bin",), ("pytorch_model-00001-of-00002.bin", "pytorch_model.bin.index.json")]
)
def test_pickles_are_refused_with_a_way_out(names: tuple[str, ...], tmp_path: Path) -> None:
    make_bert(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    for name in names:
        (tmp_path / name).write_bytes(b"\x80\x04.")
    with pytest.raises(ModelError, match=rf"pickle \({names[0]}\), which can run code.*save_pretrained"):
        read_model(tmp_path)


def file_of(header: Any, data: bytes = b"", length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def entry(shape: list[Any], start: Any, end: Any, dtype: Any = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


HOSTILE = {
    "a header longer than the file": file_of({"a": entry([1], 0, 4)}, b"1234", 10**6),
    "a header of 2^64 - 1 bytes": file_of({}, b"", 2**64 - 1),
    "a header of nothing": file_of(b""),
    "a header that is a list": file_of([entry([1], 0, 4)], b"1234"),
    "overlapping tensors": file_of({"a": entry([2], 0, 8), "b": entry([2], 4, 12)}, bytes(12)),
    "the same bytes twice": file_of({"a": entry([2], 0, 8), "b": entry([2], 0, 8)}, bytes(8)),
    "a hole between tensors": file_of({"a": entry([1], 0, 4), "b": entry([1], 8, 12)}, bytes(12)),
    "bytes that belong to nothing": file_of({"a": entry([1], 0, 4)}, bytes(400)),
    "an end before its start": file_of({"a": entry([1], 4, 0)}, bytes(4)),
    "negative offsets": file_of({"a": entry([1], -4, 0)}, bytes(4)),
    "negative sizes": file_of({"a": entry([-1, -1], 0, 4)}, bytes(4)),
    "sizes that overflow": file_of({"a": entry([2**32, 2**32, 2**32], 0, 0)}),
    "sizes that are no numbers": file_of({"a": entry(["1"], 0, 4)}, bytes(4)),
    "fewer bytes than the shape": file_of({"a": entry([2], 0, 4)}, bytes(4)),
    "more bytes than the shape": file_of({"a": entry([1], 0, 8)}, bytes(8)),
    "an unknown dtype": file_of({"a": entry([1], 0, 4, "F31")}, bytes(4)),
    "a dtype that is no name": file_of({"a": entry([1], 0, 4, 32)}, bytes(4)),
    "no offsets": file_of({"a": {"dtype": "F32", "shape": [1]}}, bytes(4)),
    "nested without end": file_of(b"[" * 100_000),
    "half a character": file_of(b'{"\xe8\x80": 1}'),
    "a tensor cut short": file_of({"a": entry([4], 0, 16)}, bytes(12)),
}


@pytest.mark.parametrize("attack", HOSTILE)
@pytest.mark.parametrize("sharded", [False, True])
def test_hostile_headers_are_refused(attack: str, sharded: bool, tmp_path: Path) -> None:
    make_bert(tmp_path)
    file = tmp_path / "model.safetensors"
    if sharded:
        shard(tmp_path)
        file = tmp_path / TWO_SHARDS[1]
    file.write_bytes(HOSTILE[attack])
    with pytest.raises(ModelError, match=rf"{file.name}: not a whole safetensors file.*may be cut short"):
        read_model(tmp_path)


@settings(deadline=None, max_examples=60)
@given(at=st.integers(0, 1500), byte=st.integers(0, 255))
def test_a_header_with_a_wrong_byte_is_read_or_refused(
    at: int, byte: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = make_bert(tmp_path_factory.mktemp("byte"))
    data = bytearray((path / "model.safetensors").read_bytes())
    data[at] = byte
    (path / "model.safetensors").write_bytes(data)
    try:
        tensors = list_tensors(path)
    except ModelError:
        return
    # what passes has sane shapes, whatever its names; a plain byte of a name may have changed
    assert sum(torch.Size(tensor.shape).numel() for tensor in tensors) * 4 <= len(data)
