from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hanmo.core.errors import ConfigError, DataError, FormatError
from hanmo.core.files import sha256_file
from hanmo.corpora.built import take_corpus
from hanmo.corpora.documents import Document, read_documents, write_documents
from hanmo.corpora.executors import Processes
from hanmo.evaluation.corpus_card import write_corpus_card
from hanmo.ngrams.training import train
from hanmo.stories.corpus import build, read_recipe
from hanmo.stories.perplexity import find_percentiles

ENGLISH = (
    "The old teacher wrote letter number {n} before sunrise, and sold notebook {n} to the neighbour at number {m}."
)
CHINESE = "老先生清早写完了第{n}封长信，小徒弟把第{m}号空白的本子卖给了邻居，书店掌柜念了一遍又一遍。"


def text_of(sentence: str, number: int, n: int = 12) -> str:
    return "\n".join(sentence.format(n=number * 31 + k, m=number * 17 + k * k) for k in range(n))


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Books in Chinese, rows in English, one copy between them, and things that fall."""
    root = tmp_path_factory.mktemp("sources")
    for number in range(30):
        (root / "zh").mkdir(exist_ok=True)
        (root / "zh" / f"{number}.txt").write_text(text_of(CHINESE, number), encoding="utf-8")
    rows = [{"body": text_of(ENGLISH, number)} for number in range(30)]
    rows += [rows[3], {"body": "short"}, {"body": rows[4]["body"].replace("sunrise", "sunset", 1)}]
    (root / "en").mkdir()
    (root / "en" / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    (root / "en" / "notes.txt").write_text(text_of(ENGLISH, 99), encoding="utf-8")
    (root / "recipe.toml").write_text(
        f"""
task = "corpus"
name = "two"
lang = "zh"

[[sources]]
name = "zh"
path = "{root}/zh"
licence = "公有领域"

[[sources]]
name = "en"
path = "{root}/en"
only = ["*.jsonl"]
text_key = "body"
note = "rows <b>of</b> letters"

[corpus]
min_chars = 1000
heldout_share = 0.2
""",
        encoding="utf-8",
    )
    return root


def test_a_recipe_becomes_a_corpus_with_a_card(sources: Path, tmp_path: Path) -> None:
    built = build(sources / "recipe.toml", out=tmp_path / "out")
    report = built.report
    assert [source.name for source in report.sources] == ["zh", "en"]
    assert [source.documents_read for source in report.sources] == [30, 33]
    assert [source.documents_kept for source in report.sources] == [30, 30]
    assert sum(source.documents_kept for source in report.sources) == report.documents_kept
    assert report.files_skipped == {"not asked for (only)": 1}
    assert (report.dropped, report.exact_duplicates, report.near_duplicates) == ({"too short": 1}, 1, 1)
    assert {reason: len(shown) for reason, shown in report.examples.items()} == {
        "exact duplicate": 1, "near-duplicate": 1, "too short": 1,
    }  # fmt: skip
    assert report.examples["near-duplicate"][0].note == "en/rows.jsonl#5"
    assert set(report.samples) == {"zh · zh", "en · en"}
    assert sum(sum(found.values()) for found in report.lengths.values()) == report.documents_kept
    page = built.card.read_text(encoding="utf-8")
    assert 'lang="zh-Hans"' in page
    assert "数据卡" in page
    assert "公有领域" in page
    assert "rows &lt;b&gt;of&lt;/b&gt; letters" in page
    write_corpus_card(tmp_path / "out", lang="en")
    assert "What each step took out" in built.card.read_text(encoding="utf-8")
    ids = {document.id for document in read_documents(tmp_path / "out" / "train.jsonl.gz")}
    assert all(name.startswith(("zh/", "en/")) for name in ids)


def test_the_same_bytes_with_any_number_of_workers(sources: Path, tmp_path: Path) -> None:
    reports = [
        build(sources / "recipe.toml", out=tmp_path / "one", n_workers=1).report,
        build(sources / "recipe.toml", out=tmp_path / "three", executor=Processes(3)).report,
    ]
    plain = [report.model_dump(exclude={"seconds"}) for report in reports]
    assert plain[0] == plain[1]
    for name in ("train.jsonl.gz", "heldout.jsonl.gz"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "three" / name).read_bytes()


@pytest.mark.slow
def test_the_same_bytes_with_four_and_eight_workers(sources: Path, tmp_path: Path) -> None:
    one, *others = (
        build(sources / "recipe.toml", out=tmp_path / str(n), n_workers=n).report.model_dump(exclude={"seconds"})
        for n in (1, 4, 8)
    )
    assert all(other == one for other in others)
    for name in ("train.jsonl.gz", "heldout.jsonl.gz"):
        assert len({(tmp_path / str(n) / name).read_bytes() for n in (1, 4, 8)}) == 1


def test_killed_at_any_moment_it_goes_on_to_the_same_bytes(sources: Path, tmp_path: Path) -> None:
    whole = build(sources / "recipe.toml", out=tmp_path / "whole").report
    command = [sys.executable, "-m", "hanmo", "corpus", "build", str(sources / "recipe.toml"), "--out"]
    out, killed_at = tmp_path / "killed", []
    for seen in ("extract/00000", "exact", "pack/00000", "never"):
        process = subprocess.Popen([*command, str(out)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None:
            if (out / ".work" / seen).exists():
                os.kill(process.pid, signal.SIGKILL)
                process.wait()
                killed_at.append(seen)
            time.sleep(0.002)
    assert killed_at
    assert process.returncode == 0
    assert sha256_file(out / "train.jsonl.gz") == whole.train.sha256
    assert sha256_file(out / "heldout.jsonl.gz") == whole.heldout.sha256
    assert not (out / ".work").exists()


def test_a_folder_needs_no_recipe(sources: Path, tmp_path: Path) -> None:
    report = build(sources / "zh", out=tmp_path / "out", overrides=["corpus.min_chars=100"]).report
    assert report.documents_kept == 30
    assert report.train.languages.keys() == {"zh"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('name = "en"', 'name = "zh"'), "no two the same"),
        (("/zh", "/nowhere"), "does not exist"),
        (("min_chars", "min_char"), "min_chars"),
        (("text_key", "textkey"), "text_key"),
        (("{root}", "$NOT_SET_ANYWHERE"), None),
    ],
)
def test_a_recipe_that_cannot_work_is_refused(
    sources: Path, tmp_path: Path, change: tuple[str, str], message: str | None
) -> None:
    text = (sources / "recipe.toml").read_text(encoding="utf-8")
    old, new = change if message else (f"{sources}/en", "$NOT_SET_ANYWHERE/en")
    (tmp_path / "recipe.toml").write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(ConfigError, match=message or "NOT_SET_ANYWHERE is not set"):
        read_recipe(tmp_path / "recipe.toml")


def test_a_folder_with_other_things_in_it_is_not_written_to(sources: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ConfigError, match="holds something else"):
        build(sources / "recipe.toml", out=tmp_path)


def test_a_source_without_files_is_named(sources: Path, tmp_path: Path) -> None:
    text = (sources / "recipe.toml").read_text(encoding="utf-8").replace("*.jsonl", "*.csv")
    (tmp_path / "recipe.toml").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match="the source 'en' has no file to read"):
        build(tmp_path / "recipe.toml", out=tmp_path / "out")


def test_a_corpus_is_taken_as_it_is_unless_it_was_changed(sources: Path, tmp_path: Path) -> None:
    build(sources / "recipe.toml", out=tmp_path / "out")
    take_corpus(tmp_path / "out", tmp_path / "run")
    for name in ("train.jsonl.gz", "heldout.jsonl.gz", "corpus.json"):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "out" / name).read_bytes()
    with gzip.open(tmp_path / "out" / "train.jsonl.gz", "ab") as file:
        file.write(b"{}\n")
    with pytest.raises(FormatError, match=r"not the one that corpus\.json describes"):
        take_corpus(tmp_path / "out", tmp_path / "run")


def test_a_model_of_good_text_finds_what_is_odd(sources: Path, tmp_path: Path) -> None:
    lines = "\n".join(text_of(CHINESE, number) for number in range(40, 80))
    (tmp_path / "good.txt").write_text(lines, encoding="utf-8")
    train(tmp_path / "good.txt", unit="character", order=3).save(tmp_path / "model")
    (tmp_path / "texts").mkdir()
    for path in (sources / "zh").iterdir():
        (tmp_path / "texts" / path.name).write_bytes(path.read_bytes())
    odd = "彁龘靐齉爩麤灪籱鱻麣鸾鹂鲡驪纞虋饢戇鼺黸" * 3
    (tmp_path / "texts" / "odd.txt").write_text(odd, encoding="utf-8")
    n_documents, bits = find_percentiles(_documents(tmp_path / "texts", tmp_path), tmp_path / "model", "zh")
    assert n_documents == 31
    high = bits[95]
    changes = [f"corpus.perplexity.zh={{model='{tmp_path}/model', high={high}}}", "corpus.min_chars=100"]
    for n_workers in (1, 2):
        report = build(tmp_path / "texts", out=tmp_path / "out", overrides=changes, n_workers=n_workers).report
        assert report.examples["unlike good text (perplexity)"][0].id == "odd.txt"
        assert report.dropped["unlike good text (perplexity)"] <= 2


def _documents(folder: Path, tmp_path: Path) -> Path:
    target = tmp_path / "documents.jsonl"
    write_documents(
        target,
        (
            Document(text=path.read_text("utf-8"), id=path.name, source=path.name, lang="zh")
            for path in folder.iterdir()
        ),
    )
    return target


def test_a_source_may_have_rules_of_its_own(sources: Path, tmp_path: Path) -> None:
    text = (sources / "recipe.toml").read_text(encoding="utf-8")
    strict = 'only = ["*.jsonl"]\nquality = { rules = ["gopher_quality"], min_words = 100_000 }'
    (tmp_path / "recipe.toml").write_text(text.replace('only = ["*.jsonl"]', strict), encoding="utf-8")
    report = build(tmp_path / "recipe.toml", out=tmp_path / "out").report
    assert [source.documents_kept for source in report.sources] == [30, 0]
