from __future__ import annotations

import gzip
from pathlib import Path

import huggingface_hub
import pytest
from huggingface_hub import constants, errors

from hanmo.core.errors import DataError
from hanmo.corpora.build import build_corpus
from hanmo.corpora.documents import Document
from hanmo.corpora.quality.settings import QualitySettings
from hanmo.corpora.settings import CorpusSettings
from hanmo.corpora.sources.files import list_files, read_file
from hanmo.corpora.sources.hub_datasets import HubDataset, parse_hub_name

COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILES = {
    "README.md": b"# A card",
    "data/train-00000-of-00002.jsonl": '{"text": "第一行"}\n'.encode(),
    "data/train-00001-of-00002.jsonl.gz": gzip.compress(b'{"text": "second"}\n'),
    "data/test.csv": b"text\nthird\n",
    "retrain.txt": b"fourth",
    ".hidden/x.txt": b"x",
    "picture.png": b"\x89PNG",
}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache as the hub's library leaves it, and no network."""
    folder = tmp_path / "hub" / "datasets--ann--news"
    for name, data in FILES.items():
        path = folder / "snapshots" / COMMIT / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(COMMIT)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return folder / "snapshots" / COMMIT


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("hf://datasets/ann/news", HubDataset("ann/news", None, "")),
        ("hf:/datasets/ann/news", HubDataset("ann/news", None, "")),
        ("hf://datasets/ann/news@v1.0/data/train", HubDataset("ann/news", "v1.0", "data/train")),
        (Path("hf://datasets/ann/news/train"), HubDataset("ann/news", None, "train")),
        ("data/news", None),
    ],
)
def test_names(source: str | Path, expected: HubDataset | None) -> None:
    assert parse_hub_name(source) == expected


@pytest.mark.parametrize("source", ["hf://ann/news", "hf://datasets/news", "hf://datasets/ann/news/../x", "hf://"])
def test_what_is_no_name(source: str) -> None:
    with pytest.raises(DataError, match=r"no name of a dataset.*hf://datasets/ORG/NAME"):
        parse_hub_name(source)


@pytest.mark.parametrize(
    ("part", "names"),
    [
        ("", ["data/test.csv", "data/train-00000-of-00002.jsonl", "data/train-00001-of-00002.jsonl.gz", "retrain.txt"]),
        ("/train", ["data/train-00000-of-00002.jsonl", "data/train-00001-of-00002.jsonl.gz"]),
        ("/data", ["data/test.csv", "data/train-00000-of-00002.jsonl", "data/train-00001-of-00002.jsonl.gz"]),
        ("/data/test.csv", ["data/test.csv"]),
        (f"@{COMMIT}/test", ["data/test.csv"]),
    ],
)
def test_files_in_the_cache(cache: Path, part: str, names: list[str]) -> None:
    source = f"hf://datasets/ann/news{part}"
    files, skipped = list_files(source)
    assert [file.name for file in files] == [f"ann/news/{name}" for name in names]
    assert not skipped


def test_documents(cache: Path, tmp_path: Path) -> None:
    files, _ = list_files("hf://datasets/ann/news/train")
    documents = [item for file in files for item in read_file(file, CorpusSettings())]
    assert [document.text for document in documents if isinstance(document, Document)] == ["第一行", "second"]
    settings = CorpusSettings(min_chars=1, quality=QualitySettings(rules=()))
    assert build_corpus("hf://datasets/ann/news", tmp_path / "out", settings).documents_kept == 4


def test_only_what_is_asked_for_is_fetched(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    asked: list[object] = []

    def snapshot(repository: str, **options: object) -> str:
        asked.append((repository, options["repo_type"], options["revision"], options["allow_patterns"]))
        return str(cache)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    monkeypatch.setattr(huggingface_hub.HfApi, "list_repo_files", lambda self, name, **options: list(FILES))
    list_files("hf://datasets/ann/news@v2/test")
    assert asked == [("ann/news", "dataset", "v2", ["data/test.csv"])]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (errors.RepositoryNotFoundError, "no such dataset"),
        (errors.GatedRepoError, "must be asked for"),
        (errors.RevisionNotFoundError, "no such revision"),
        (OSError("the network is\ndown"), r"could not be fetched \(the network is\)"),
    ],
)
def test_errors(cache: Path, monkeypatch: pytest.MonkeyPatch, error: type[Exception] | Exception, reason: str) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)

    def fail(self: object, name: str, **options: object) -> list[str]:
        if isinstance(error, Exception):
            raise error
        failure = error.__new__(error)
        raise failure

    monkeypatch.setattr(huggingface_hub.HfApi, "list_repo_files", fail)
    with pytest.raises(DataError, match=reason):
        list_files("hf://datasets/ann/news")


def test_what_is_not_in_the_cache(cache: Path) -> None:
    with pytest.raises(DataError, match=r"not in the local cache, and HF_HUB_OFFLINE .*hf download"):
        list_files("hf://datasets/bob/news")
    with pytest.raises(DataError, match=r"no file, folder or split 'valid' .*data/test\.csv"):
        list_files("hf://datasets/ann/news/valid")
    for path in cache.rglob("*.*"):
        if path.is_file() and path.suffix != ".png":
            path.unlink()
    with pytest.raises(DataError, match="no files of text"):
        list_files("hf://datasets/ann/news")
