"""Models by name: what is fetched, what is found in the cache, what never reaches the network."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx2
import huggingface_hub
import pytest
from huggingface_hub import errors
from hypothesis import given
from hypothesis import strategies as st

import hanmo
from hanmo.core.errors import ModelError
from hanmo.models.directory import read_config, read_model, write_model
from hanmo.models.gpt2 import GPT2Config, gpt2
from hanmo.models.hub import find_model, parse_name
from hanmo.tokenizers.bpe import train_bpe

COMMIT = "0123456789abcdef0123456789abcdef01234567"
TRICKS = [
    "../x", "../../etc/passwd", "/etc/nothing-here", "org/name/../../etc", "org/..", "./name", "org//name",
    "org/name/more", "org\\name", "..\\name", "org/na\0me", "org/name@../../x", "org/name@a b", "org/name@", "name",
    "org/name\n", "~/name", "https://huggingface.co/org/name", "org/name@a@b", "org/-name", "org/na--me", "org/name.git",
    "org/名字", "C:/name", "org/" + "x" * 5000,
]  # fmt: skip


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> str:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)


@pytest.mark.parametrize("name", TRICKS, ids=[repr(name[:30]) for name in TRICKS])
def test_path_tricks_never_reach_the_network(name: str, no_network: None) -> None:
    assert parse_name(name) is None
    if not os.path.exists(name):
        for read in (find_model, read_model, read_config, hanmo.load):
            with pytest.raises(ModelError, match="no such model directory"):
                read(name)


@given(st.text(alphabet="ab./\\@-_\0 名", max_size=12))
def test_what_is_taken_for_a_name_cannot_leave_its_folder(text: str) -> None:
    name = parse_name(text)
    if name is not None:
        repository, revision = name
        assert repository.count("/") == 1
        assert not {"", ".", ".."} & set(f"{repository}/{revision or 'main'}".split("/"))
        assert "\\" not in text
        assert text == (repository if revision is None else f"{repository}@{revision}")


def test_names_and_revisions() -> None:
    assert parse_name("google-bert/bert-base-chinese") == ("google-bert/bert-base-chinese", None)
    assert parse_name(Path("Qwen/Qwen2.5-0.5B")) == ("Qwen/Qwen2.5-0.5B", None)
    assert parse_name("org/name_1@v1.0") == ("org/name_1", "v1.0")
    assert parse_name("org/name@refs/pr/7") == ("org/name", "refs/pr/7")


def test_a_folder_comes_before_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_network: None) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "org" / "name").mkdir(parents=True)
    assert find_model("org/name") == Path("org/name")
    with pytest.raises(ModelError, match="no such model directory"):  # runs/NAME, misspelt
        find_model("org/other")


def make_snapshot(folder: Path) -> Path:
    """What the hub would hold: a model with its tokenizer."""
    tokenizer = train_bpe(["the old teacher 老先生清早写信 " * 9], 300)
    config = GPT2Config(vocab_size=tokenizer.vocab_size, max_len=16, d_model=12, n_layers=1, n_heads=3)
    write_model(folder, gpt2(config.model_copy(update={"eos_id": tokenizer.eos_id})))
    tokenizer.save(folder)
    return folder


def make_cache(home: Path) -> Path:
    """The same as `huggingface_hub` lays it out: refs, snapshots, and blobs that they link to."""
    repository = home / "hub" / "models--org--name"
    whole = make_snapshot(home / "whole")
    snapshot = repository / "snapshots" / COMMIT
    for folder in (snapshot, repository / "refs", repository / "blobs"):
        folder.mkdir(parents=True)
    (repository / "refs" / "main").write_text(COMMIT)
    (repository / "refs" / "v1").write_text(COMMIT)
    for number, file in enumerate(sorted(whole.iterdir())):
        shutil.move(file, repository / "blobs" / str(number))
        (snapshot / file.name).symlink_to(f"../../blobs/{number}")
    return snapshot


def test_the_cache_without_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot = make_cache(tmp_path)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    assert huggingface_hub.constants.HF_HUB_OFFLINE
    for name in ("org/name", "org/name@main", "org/name@v1", f"org/name@{COMMIT}"):
        assert find_model(name).resolve() == snapshot.resolve()
    assert isinstance(read_config("org/name"), GPT2Config)
    assert read_model("org/name").config == read_config(snapshot)
    model = hanmo.load("org/name", device="cpu")
    assert len(model.tokenizer.encode(model.generate("the 老先生", max_new_tokens=3))) > 0
    for name in ("org/other", "org/name@v2"):
        with pytest.raises(ModelError, match=rf"{name}: .*HF_HUB_OFFLINE forbids.*hf download org/.*give that folder"):
            read_model(name)


def test_the_settings_of_the_hub_are_honoured(tmp_path: Path) -> None:
    make_cache(tmp_path)
    child = "from hanmo.models.hub import find_model; print(find_model('org/name'))"
    environment = {"PATH": os.environ["PATH"], "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    done = subprocess.run([sys.executable, "-c", child], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(tmp_path / "hub" / "models--org--name" / "snapshots" / COMMIT)


def test_what_is_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, Any]] = []
    kept = ["config.json", "tokenizer.json", "1_Pooling/config.json", "vocab.txt", "merges.txt", "spiece.model"]
    kept += ["chat_template.jinja", "model.safetensors", "model-00001-of-00002.safetensors"]
    left = ["pytorch_model.bin", "model.pt", "modeling_evil.py", "weights.pkl", "tf_model.h5", "README.md"]
    left += ["original/model.safetensors", "consolidated.safetensors", "setup.sh", "rust_model.ot"]

    def download(repository: str, *, revision: Any, allow_patterns: Any, ignore_patterns: Any) -> str:
        asked.append((repository, revision))
        from huggingface_hub.utils import filter_repo_objects

        passed = list(filter_repo_objects(kept + left, allow_patterns=allow_patterns, ignore_patterns=ignore_patterns))
        assert passed == [
            name for name in kept if any("safetensors" in item for item in allow_patterns) or "safetensors" not in name
        ]
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    assert find_model("org/name@v2", weights=False) == tmp_path
    with pytest.raises(ModelError, match=r"no \.safetensors weights; pickles.*not fetched.*save_pretrained"):
        find_model("org/name")
    make_snapshot(tmp_path)
    assert find_model("org/name") == tmp_path
    assert asked == [("org/name", "v2"), ("org/name", None), ("org/name", None)]


def refusal(kind: type[Exception], status: int) -> Exception:
    request = httpx2.Request("GET", "https://huggingface.co/api/models/org/name")
    return kind("refused", response=httpx2.Response(status, request=request))  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (refusal(errors.RepositoryNotFoundError, 404), "no such repository.*HF_TOKEN"),
        (refusal(errors.GatedRepoError, 403), "must be asked for.*huggingface.co/org/name"),
        (refusal(errors.RevisionNotFoundError, 404), "no such revision"),
        (refusal(errors.HfHubHTTPError, 500), "could not be fetched"),
        (errors.LocalEntryNotFoundError("not there"), "not in the local cache"),
        (OSError(28, "No space left on device"), "No space left"),
    ],
)
def test_what_the_hub_answers(error: Exception, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def download(*_: Any, **__: Any) -> str:
        raise error

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    with pytest.raises(ModelError, match=f"org/name: .*{words}") as caught:
        find_model("org/name")
    assert caught.value.__cause__ is error
