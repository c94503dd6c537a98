from __future__ import annotations

import json
from pathlib import Path

import pytest

from hanmo.core.errors import DataError
from hanmo.corpora.plan import evaluation_sets, fingerprint, plan_build
from hanmo.corpora.settings import CorpusSettings, Source


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    source = tmp_path / "source"
    source.mkdir()
    for name in ("札记.txt", "notes.txt", "rows.jsonl"):
        (source / name).write_text("老先生写了一封信。\n", encoding="utf-8")
    return source


def test_only_what_is_asked_for_is_read_and_the_rest_is_listed(folder: Path, tmp_path: Path) -> None:
    sources = [Source(path=str(folder), name="甲", only=("札*", "*.jsonl")), Source(path=str(folder), name="乙")]
    plan = plan_build(sources, out=tmp_path / "out")
    names = [[file.name for file in part.files] for part in plan.parts]
    assert names == [["甲/rows.jsonl", "甲/札记.txt"], ["乙/notes.txt", "乙/rows.jsonl", "乙/札记.txt"]]
    assert [(item.source, item.reason) for item in plan.skipped] == [("甲/notes.txt", "not asked for (only)")]


def test_one_of_several_sources_without_a_file(folder: Path, tmp_path: Path) -> None:
    sources = [Source(path=str(folder), name="a", only=("*.pdf",)), Source(path=str(folder), name="b")]
    with pytest.raises(DataError, match="the source 'a' has no file to read"):
        plan_build(sources, out=tmp_path / "out")


@pytest.mark.parametrize("changed", ["source/notes.txt", "exam/a.jsonl", "model/counts.bin", "zh.arpa"])
def test_any_changed_file_makes_another_fingerprint(folder: Path, tmp_path: Path, changed: str) -> None:
    for name in ("exam/a.jsonl", "exam/b.jsonl", "model/counts.bin", "zh.arpa"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(json.dumps({"text": name}))
    settings = CorpusSettings.model_validate(
        {
            "evaluation_texts": [str(tmp_path / "exam")],
            "perplexity": {
                "en": {"model": str(tmp_path / "model"), "high": 3},
                "zh": {"model": str(tmp_path / "zh.arpa"), "high": 8},
            },
        }
    )

    def state() -> str:
        sources = [Source(path=str(folder))]
        return json.dumps(fingerprint(plan_build(sources, out=tmp_path / "out"), sources, settings))

    before = state()
    assert state() == before
    (tmp_path / changed).write_text("something longer than it was before")
    assert state() != before


def test_evaluation_sets_of_the_same_name_are_told_apart() -> None:
    assert evaluation_sets(["a/test.jsonl", "b/exam.json"]) == {
        "test.jsonl": "a/test.jsonl",
        "exam.json": "b/exam.json",
    }
    assert evaluation_sets(["a/test", "b/test", "c/dev"]) == {"a/test": "a/test", "b/test": "b/test", "dev": "c/dev"}
    assert evaluation_sets(["test", "b/test"]) == {"test": "test", "b/test": "b/test"}
    assert evaluation_sets(["a/test", "a/test"]) == {"test": "a/test"}
