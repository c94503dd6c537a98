"""Pairs of texts are read from all formats; what is wrong with them is named with file and line."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from hanmo.core.errors import DataError
from hanmo.tasks.pair_examples import PairData, PairExample, read_pairs

EN_ZH = ("en", "zh")
ROWS = [
    ("The cat sleeps.", "猫在睡觉。"),
    ("It rains.", "下雨了。"),
    ("He reads.", "他在看书。"),
    ("We sing.", "我们唱歌。"),
]


def lines(path: Path, texts: list[str]) -> str:
    content = "".join(f"{text}\n" for text in texts).encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return str(path)


def objects(path: Path, rows: list[dict[str, Any]]) -> str:
    return lines(path, [json.dumps(row, ensure_ascii=False) for row in rows])


def everything(data: PairData, languages: tuple[str, str] | None = EN_ZH) -> list[PairExample]:
    splits = read_pairs(data, seed=0, languages=languages)
    return sorted([*splits.train, *splits.dev, *splits.test], key=lambda one: one.where)


def test_every_format_holds_the_same(tmp_path: Path) -> None:
    sources, targets = [list(side) for side in zip(*ROWS, strict=True)]
    files = [
        PairData(train=lines(tmp_path / "a.en.gz", sources), train_target=lines(tmp_path / "a.zh", targets)),
        PairData(train=lines(tmp_path / "b.tsv", [f"{a}\t{b}" for a, b in ROWS])),
        PairData(train=lines(tmp_path / "c.txt.gz", [f"{a}\t{b}" for a, b in ROWS])),
        PairData(train=objects(tmp_path / "d.jsonl", [{"translation": {"en": a, "zh": b}} for a, b in ROWS])),
        PairData(train=objects(tmp_path / "e.jsonl.gz", [{"zh": b, "en": a, "id": 1} for a, b in ROWS])),
        PairData(train=objects(tmp_path / "f.jsonl", [{"source": a, "target": b} for a, b in ROWS])),
        PairData(train=objects(tmp_path / "g.jsonl", [{"x": a, "y": b} for a, b in ROWS]), source="x", target="y"),
        PairData(train=lines(tmp_path / "i.csv", ["source,target", *(f"{a},{b}" for a, b in ROWS)])),
        PairData(train=lines(tmp_path / "j.tsv", ["\ufeffZH\tEN", *(f"{b}\t{a}" for a, b in ROWS)])),
        PairData(train=lines(tmp_path / "k.json", [json.dumps([{"en": a, "zh": b} for a, b in ROWS], indent=1)])),
        PairData(
            train=lines(tmp_path / "h.tsv", ["zh\ten", *(f"{b}\t{a}" for a, b in ROWS)]), source="en", target="zh"
        ),
    ]
    for data in files:
        found = {(one.source, one.target) for one in everything(data)}
        assert found == set(ROWS), data.train


def test_lists_are_sentences_and_right_texts(tmp_path: Path) -> None:
    rows = [{"source": ["One. ", "Two."], "target": ["A", "B"]}, {"source": "Three.", "target": "C"}]
    first, second = everything(PairData(train=objects(tmp_path / "a.jsonl", rows)), None)
    assert first.source == "One.\nTwo."
    assert first.references == ("A", "B")
    assert first.target == "A"
    assert second.references == ("C",)


def test_marks_choose_sentences(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"text": ["一。", "二。", "三。"], "label": [1, 0, 1]},
        {"text": ["One.", "Two.", "Three."], "label": [0, 1, 1]},
        {"text": ["One.", "Nothing."], "label": [0, 0]},
    ]
    path = objects(tmp_path / "a.json", rows)
    first, second = everything(PairData(train=path, source="text", marks="label", empty="drop"), None)
    assert (first.source, first.target) == ("一。\n二。\n三。", "一。三。")
    assert second.target == "Two. Three."
    with pytest.raises(DataError, match=r"a\.json:3: an empty target"):
        everything(PairData(train=path, source="text", marks="label"), None)
    wrong = [{"text": ["a", "b"], "label": [1]}, {"text": "a", "label": [1]}, {"text": ["a"], "label": [True]}]
    with pytest.raises(DataError, match=r"3 examples cannot be used: .*b\.jsonl:1: the marks are not a 0 or a 1"):
        everything(PairData(train=objects(tmp_path / "b.jsonl", wrong), source="text", marks="label"), None)
    with pytest.raises(ValidationError, match="both say what is learned"):
        PairData(train=path, source="text", target="x", marks="label")
    with pytest.raises(ValidationError, match="belong together"):
        PairData(train=path, marks="label")


def test_sides_of_different_length(tmp_path: Path) -> None:
    first, second = lines(tmp_path / "a.en", ["one", "two", "three"]), lines(tmp_path / "a.zh", ["一", "二"])
    with pytest.raises(DataError, match=r"a\.en has 3 lines.*a\.zh has 2.*a\.en:3"):
        everything(PairData(train=first, train_target=second))


@pytest.mark.parametrize("empty", [("", "空"), ("empty", " ")])
def test_empty_sides(empty: tuple[str, str], tmp_path: Path) -> None:
    rows = [*ROWS, empty]
    first = lines(tmp_path / "a.en", [a for a, _ in rows])
    second = lines(tmp_path / "a.zh", [b for _, b in rows])
    with pytest.raises(DataError, match=r"a\.en:5: an empty (source|target)"):
        everything(PairData(train=first, train_target=second))
    data = PairData(train=first, train_target=second, empty="drop")
    assert len(everything(data)) == 4
    assert read_pairs(data, seed=0, languages=EN_ZH).notes["rows with an empty side left out"] == 1


def test_what_is_no_text(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"source": 3, "target": "x"},
        {"source": "a", "target": None},
        {"source": "a", "target": "b"},
    ]
    with pytest.raises(DataError, match=r"a\.jsonl:1: the source is a int; .*a\.jsonl:2: the target is a NoneType"):
        everything(PairData(train=objects(tmp_path / "a.jsonl", rows)))


def test_keys_that_are_not_clear(tmp_path: Path) -> None:
    rows = [{"left": "a", "right": "b"}]
    with pytest.raises(DataError, match=r"a\.jsonl:1: which keys.*left, right.*source and target"):
        everything(PairData(train=objects(tmp_path / "a.jsonl", rows)))
    rows = [{"translation": {"en": "a", "zh": "一"}}, {"translation": {"en": "b"}}]
    with pytest.raises(DataError, match=r"b\.jsonl:2: no 'zh' \(found en\)"):
        everything(PairData(train=objects(tmp_path / "b.jsonl", rows)))


def test_leaks_on_either_side(tmp_path: Path) -> None:
    train = lines(
        tmp_path / "train.tsv", [*(f"{a}\t{b}" for a, b in ROWS), "the  CAT sleeps.\t猫睡了。", "Rain.\t下雨了。"]
    )
    test = lines(tmp_path / "test.tsv", ["The cat sleeps.\t那只猫睡着。", "Rain!\t下雨了。"])
    dev = lines(tmp_path / "dev.tsv", ["Nothing of it.\t都不是。"])
    base = {"train": train, "test": test, "dev": dev}
    with pytest.raises(DataError, match=r"4 training texts.*train\.tsv:1 is in test .*test\.tsv:1"):
        everything(PairData.model_validate(base))
    splits = read_pairs(PairData.model_validate(base | {"leaks": "drop"}), seed=0, languages=EN_ZH)
    assert [one.source for one in splits.train] == ["He reads.", "We sing."]
    splits = read_pairs(PairData.model_validate(base | {"apart": "pair"}), seed=0, languages=EN_ZH)
    assert len(splits.train) == 6


def test_no_sentence_is_on_both_sides_of_a_split(tmp_path: Path) -> None:
    """Chains of shared sides stay together: a-1, a-2, b-2, b-3."""
    rows = [(f"s{n // 2}", f"目标{(n + 1) // 2}") for n in range(8)] + [(f"alone {n}", f"单独{n}") for n in range(30)]
    data = PairData(
        train=lines(tmp_path / "a.tsv", [f"{a}\t{b}" for a, b in rows]), test_fraction=0.3, dev_fraction=0.2
    )
    for seed in range(3):
        splits = read_pairs(data, seed=seed, languages=EN_ZH)
        sides = [
            {text for one in split for text in (one.source, one.target)}
            for split in (splits.train, splits.dev, splits.test)
        ]
        assert not sides[0] & sides[1]
        assert not (sides[0] | sides[1]) & sides[2]
        assert sum(len(split) for split in (splits.train, splits.dev, splits.test)) == len(rows)


def test_source_as_target_is_counted(tmp_path: Path) -> None:
    rows = [*ROWS, ("OK", "ok")]
    notes = read_pairs(PairData(train=lines(tmp_path / "a.tsv", [f"{a}\t{b}" for a, b in rows])), seed=0).notes
    assert notes["examples whose target is their source"] == 1


@pytest.mark.parametrize(
    ("section", "match"),
    [
        ({"train_target": "{}", "source": 1, "target": 2}, "two files of lines have no columns"),
        ({"source": 1}, "belong together"),
        ({"dev_target": "{}"}, "no dev whose other sides"),
        ({"train_target": "nowhere.zh"}, "does not exist"),
    ],
)
def test_impossible_sections(section: dict[str, Any], match: str, tmp_path: Path) -> None:
    file = lines(tmp_path / "a.tsv", ["a\tb"])
    section = {name: file if value == "{}" else value for name, value in section.items()}
    with pytest.raises(ValidationError, match=match):
        PairData.model_validate({"train": file} | section)
