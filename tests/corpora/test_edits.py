"""What is taken out of documents that stay, over parts and workers."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from tests.corpora.texts import CHARS, WORDS

from hanmo.core.errors import ConfigError
from hanmo.core.settings import check_settings
from hanmo.corpora import build as build_module
from hanmo.corpora import plan as plan_module
from hanmo.corpora.build import build_corpus
from hanmo.corpora.dedup.paragraphs import paragraph_keys
from hanmo.corpora.dedup.substrings import repeated_spans
from hanmo.corpora.documents import Document, read_documents
from hanmo.corpora.edits import CONTAMINATED, LITTLE_LEFT
from hanmo.corpora.parts import Part, plan_parts
from hanmo.corpora.report import CorpusReport
from hanmo.corpora.settings import CorpusSettings, Source

NOTICE_ZH = (
    "本站所有内容均由网友上传，仅供个人学习交流使用，版权归原作者所有，未经许可任何人不得以任何形式转载或用于商业目的。"
)
NOTICE_EN = (
    "All rights reserved. No part of this site may be copied or sent on in any form without the consent of its owners."
)
PASSAGE = (
    "却说那日天色将晚，两个挑夫歇在渡口的老槐树下，望着江面上一盏一盏亮起来的渔灯，说起当年涨水时把整条街都淹到屋檐的旧事，"
    "讲到动情处，连摆渡的哑巴艄公也放下了手里的橹，蹲在船头静静地听，直到月亮从对岸的山脊后面爬上来，才一齐散了各自回家去。"
)
QUESTION = "那座横跨三条河流交汇处的石拱桥是由哪一位工匠在哪一年主持重新修建完成的？"


def body(kind: str, number: int) -> str:
    """Six lines that are nowhere else."""
    rng = random.Random(f"{kind} {number}")
    if kind == "zh":
        return "\n".join("".join(rng.choices(CHARS, k=45)) + "。" for _ in range(6))
    return "\n".join(" ".join(rng.choices(WORDS, k=20)) + "." for _ in range(6))


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("edits") / "texts"
    root.mkdir()
    for number in range(24):
        (root / f"zh{number:02}.txt").write_text(f"{body('zh', number)}\n{NOTICE_ZH}\n", encoding="utf-8")
        (root / f"en{number:02}.txt").write_text(f"{NOTICE_EN}\n{body('en', number)}\n", encoding="utf-8")
    for number, who in ((3, "甲"), (9, "乙")):  # inside of paragraphs that differ
        text = f"{body('zh', 100 + number)}\n{who}在信里写道，{PASSAGE}而{who}那一夜又是另一番光景。"
        (root / f"passage{number}.txt").write_text(text, encoding="utf-8")
    (root / "zz.txt").write_text(f"短文一则\n{NOTICE_ZH}\n{NOTICE_EN}", encoding="utf-8")
    (root / "quiz.txt").write_text(f"{body('zh', 300)}\n有人问起：{QUESTION}答案不必多说。", encoding="utf-8")
    (root / "code.py").write_text(f'"""{NOTICE_EN}"""\n\ndef add(a, b):\n    return a + b  # the sum of the two\n')
    return root


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sets") / "quiz.json"
    path.write_text(json.dumps({"data": [{"question": QUESTION}]}, ensure_ascii=False), encoding="utf-8")
    return path


def settings(evaluation: Path | None = None, **changes: object) -> CorpusSettings:
    values: dict[str, object] = {"min_chars": 1000, "duplicate_paragraphs": True, "duplicate_stretches": True}
    if evaluation is not None:
        values["evaluation_texts"] = (str(evaluation),)
    return CorpusSettings.model_validate({**values, **changes})


def documents(out: Path) -> dict[str, Document]:
    found = [read_documents(out / f"{side}.jsonl.gz") for side in ("train", "heldout")]
    return {document.id: document for side in found for document in side}


def small_parts(source: int, files: list, *, first: int, topics: bool = False) -> list[Part]:
    """A part for every four files."""
    parts: list[Part] = []
    for start in range(0, len(files), 4):
        parts += plan_parts(source, files[start : start + 4], first=first + len(parts))
    return parts


@pytest.fixture(scope="module")
def built(source: Path, evaluation: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, CorpusReport]:
    out = tmp_path_factory.mktemp("built") / "out"
    return out, build_corpus(source, out, settings(evaluation))


def test_what_stood_earlier_is_taken_out_and_the_first_stays(built: tuple[Path, CorpusReport]) -> None:
    out, report = built
    texts = {name: document.text for name, document in documents(out).items()}
    assert sum(NOTICE_ZH in text for text in texts.values()) == 1
    assert NOTICE_EN in texts["en00.txt"]
    assert sum(NOTICE_EN in text for name, text in texts.items() if name.startswith("en")) == 1
    assert sum(PASSAGE in text for text in texts.values()) == 1
    assert PASSAGE in texts["passage3.txt"]
    assert "乙那一夜又是另一番光景" in texts["passage9.txt"]
    assert NOTICE_EN in texts["code.py"]  # code is left alone
    assert report.edits["paragraphs"] == 23 + 23
    assert report.edits["stretches"] >= 1


def test_what_has_little_left_and_what_is_contaminated_is_dropped_by_name(built: tuple[Path, CorpusReport]) -> None:
    out, report = built
    assert report.dropped == {LITTLE_LEFT: 1, CONTAMINATED: 1}
    assert report.evaluation_texts == {"quiz.json": 1}
    assert {item.source for item in report.listed} == {"zz.txt", "quiz.txt"}
    assert QUESTION[:20] in report.examples[CONTAMINATED][0].note
    assert not {"zz.txt", "quiz.txt"} & documents(out).keys()
    assert report.documents_read == report.documents_kept + 2
    gone = sum(report.removed_characters.values()) + sum(report.edited_characters.values())
    kept = report.train.characters + report.heldout.characters
    assert 0 <= report.characters_read - gone - kept < 3 * report.documents_read  # white space where a cut was


def test_it_agrees_with_the_functions_over_texts_in_memory(built: tuple[Path, CorpusReport], source: Path) -> None:
    out, _ = built
    plain = {path.name: path.read_text(encoding="utf-8").strip() for path in sorted(source.glob("*.txt"))}
    spans = repeated_spans(list(plain.values()))
    for (name, text), found in zip(plain.items(), spans, strict=True):
        document = documents(out).get(name)
        if document is not None:
            for start, end in found:
                assert text[start:end] not in document.text
    keys = [int(key) for document in documents(out).values() for key in paragraph_keys(document.text)[0]]
    assert len(keys) == len(set(keys)) + 1  # the notice in the code


def test_the_same_with_many_parts_and_workers(
    built: tuple[Path, CorpusReport],
    source: Path,
    evaluation: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(plan_module, "plan_parts", small_parts)
    report = build_corpus(source, tmp_path / "out", settings(evaluation), n_workers=2)
    left = {"seconds", "train", "heldout"}  # other places of gzip members
    assert report.model_dump(exclude=left) == built[1].model_dump(exclude=left)
    assert documents(tmp_path / "out") == documents(built[0])


def test_evaluation_texts_are_cut_out_where_that_is_asked(source: Path, evaluation: Path, tmp_path: Path) -> None:
    report = build_corpus(source, tmp_path / "out", settings(evaluation, contaminated="cut"))
    found = {name: document for name, document in documents(tmp_path / "out").items() if name.startswith("quiz")}
    assert report.edits["evaluation texts"] == 1
    assert list(found) == ["quiz.txt/1"]
    assert QUESTION not in found["quiz.txt/1"].text
    assert found["quiz.txt/1"].text.startswith(body("zh", 300)[:40])


def test_an_evaluation_file_that_changed_since_a_stop_is_read_again(
    source: Path, evaluation: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changing = tmp_path / "exam.json"
    changing.write_text(
        json.dumps({"question": "这一套题里问的是别的事情，在哪一篇文章里也找不到，因为没有人写过它们。"})
    )

    def stop(task: object) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(build_module, "pack", stop)
        with pytest.raises(KeyboardInterrupt):
            build_corpus(source, tmp_path / "out", settings(changing), n_workers=1)
    changing.write_bytes(evaluation.read_bytes())
    report = build_corpus(source, tmp_path / "out", settings(changing), n_workers=1)
    assert report.evaluation_texts == {"exam.json": 1}


def test_evaluation_texts_that_do_not_exist() -> None:
    with pytest.raises(ConfigError, match=r"evaluation_texts.*nowhere does not exist"):
        check_settings(CorpusSettings, {"evaluation_texts": ["nowhere"]})


def test_a_part_of_which_nothing_is_left(source: Path, tmp_path: Path) -> None:
    sources = [Source(path=str(source), name="texts"), Source(path=str(source / "zz.txt"), name="copy")]
    report = build_corpus(sources, tmp_path / "out", settings())
    assert [item.documents_kept for item in report.sources] == [52, 0]
    assert report.exact_duplicates == 1
