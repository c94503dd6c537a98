"""Examples of text classification are checked whole before anything is trained on them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from hanmo.core.errors import ConfigError, DataError
from hanmo.core.progress import set_quiet
from hanmo.tasks.splits import Splits
from hanmo.tasks.text_examples import TextData, TextExample, read_splits


def write(folder: Path, name: str, rows: list[tuple[Any, ...]]) -> str:
    file = folder / name
    file.write_text("".join("\t".join(map(str, row)) + "\n" for row in rows))
    return str(file)


def read(folder: Path, train: list[tuple[Any, ...]], **more: Any) -> Splits[TextExample]:
    values: dict[str, Any] = {"text": 1, "label": 2, "train": write(folder, "train.tsv", train)}
    for split in ("dev", "test"):
        if split in more:
            more[split] = write(folder, f"{split}.tsv", more[split])
    return read_splits(TextData.model_validate(values | more), seed=0)


TRAIN = [("很好", 1), ("fine", 1), ("太贵", 0), ("dull", 0), ("poor", 0)]


def test_splits(tmp_path: Path) -> None:
    splits = read(tmp_path, TRAIN, dev=[("不错", 1)], test=[("bad", 0)], names={"0": "差", "1": "好"})
    assert [(example.text, example.label) for example in splits.train][:2] == [("很好", "好"), ("fine", "好")]
    assert [example.where for example in splits.dev] == [str(tmp_path / "dev.tsv") + ":1"]
    assert splits.labels == ("差", "好")
    assert splits.train[0].texts == "很好"


def test_dev_is_set_aside(tmp_path: Path) -> None:
    rows = [(f"text {number}", number % 2) for number in range(50)]
    one, two = (read(tmp_path, rows, dev_fraction=0.2) for _ in range(2))
    assert one == two
    assert (len(one.train), len(one.dev), one.test) == (40, 10, [])
    assert {example.text for example in one.train + one.dev} == {row[0] for row in rows}


def test_a_test_set_is_set_aside_when_asked(tmp_path: Path) -> None:
    rows = [(f"文本 {number}", "ab"[number % 2]) for number in range(100)]
    splits = read(tmp_path, rows, test_fraction=0.2)
    assert (len(splits.train), len(splits.dev), len(splits.test)) == (72, 8, 20)
    path = write(tmp_path, "train.tsv", rows)
    again = read_splits(TextData(train=path, text=1, label=2, test_fraction=0.2), seed=9)
    assert [example.text for example in again.test] == [example.text for example in splits.test]
    assert [example.text for example in again.dev] != [example.text for example in splits.dev]
    fold = read_splits(TextData(train=path, text=1, label=2, test_fraction=0.2, fold=(1, 4)), seed=0)
    assert [len(side) for side in (fold.train, fold.dev, fold.test)] == [60, 20, 20]


def test_numbers_and_several_labels(tmp_path: Path) -> None:
    numbers = read(tmp_path, [("a", "0.5"), ("b", "-3")], dev=[("c", "2"), ("d", "1")], kind="regression")
    assert [example.label for example in numbers.train] == [0.5, -3.0]
    assert numbers.labels == ("score",)
    several = read(
        tmp_path, [("a", "x,y"), ("b", ""), ("c", "y, x"), ("d", "10,2"), ("e", "2,10")], dev=[("f", "x")], kind="multi"
    )
    assert [example.label for example in several.train][:3] == [("x", "y"), (), ("y", "x")]
    assert several.labels == ("2", "10", "x", "y")


def test_pairs(tmp_path: Path) -> None:
    splits = read(tmp_path, [("a", 1, "b"), ("c", 0, "d"), ("e", 1, "f"), ("g", 0, "h")], dev=[("i", 1, "j")], pair=3)
    assert splits.train[0].texts == ("a", "b")


@pytest.mark.parametrize(
    ("train", "more", "match"),
    [
        ([*TRAIN, (" ", 1)], {}, r"1 examples cannot be used: .*train\.tsv:6: an empty text"),
        ([*TRAIN, ("x", "")], {}, r"train\.tsv:6: the label is empty"),
        ([*TRAIN, ("x", 2)], {"names": {"0": "a", "1": "b"}}, r"train\.tsv:6: the label '2' is not in \[data\] names"),
        ([*TRAIN, ("x", 2)], {"dev": [("y", 1)]}, r"the class '2' has one training example \(.*train\.tsv:6\)"),
        (TRAIN, {"dev": [("x", 7)]}, r"dev\.tsv:1: the label '7' is not in the training data"),
        (TRAIN, {"dev": [("FINE ", 1)]}, r"train\.tsv:2 is in dev \(.*dev\.tsv:1\)"),
        (TRAIN, {"test": [("ｆｉｎｅ", 1)], "dev": [("x", 1)]}, r"train\.tsv:2 is in test"),
        ([("a", 1), ("b", 1)], {"dev": [("c", 1)]}, "all training examples have the label '1'"),
        ([("a", "x"), ("b", "1")], {"dev": [("c", 1)], "kind": "regression"}, "the label 'x' is no number"),
        ([("a", "nan"), ("b", "1")], {"dev": [("c", 1)], "kind": "regression"}, "'nan' is not finite"),
        ([("a", "1"), ("b", "1")], {"dev": [("c", 1), ("d", 2)], "kind": "regression"}, r"train\.tsv: all 2 labels are 1"),
        ([("a", "1"), ("b", "2")], {"dev": [("c", 1)], "kind": "regression"}, r"dev\.tsv: all 1 labels are 1"),
        ([(f"t{n}", n) for n in range(9)], {"kind": "regression", "dev_fraction": 0.1}, r"train\.tsv: all 1 labels set aside for dev"),
        ([("a", 10**400), ("b", "1")], {"dev": [("c", 1)], "kind": "regression"}, "'1000000000000000000 is not finite"),
        ([(f"t{n}", f"label {n}") for n in range(60)], {"dev": [("x", "label 1")]}, "60 different labels for 60 examples"),
        ([("a", 1)], {}, "too few to set some aside"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(tmp_path: Path, train: Any, more: dict[str, Any], match: str) -> None:
    with pytest.raises((DataError, ConfigError), match=match):
        read(tmp_path, train, **more)


@pytest.mark.parametrize("seed", range(8))
def test_rare_classes_stay_to_be_learned(tmp_path: Path, seed: int) -> None:
    """A class of two examples loses none to what is set aside; it would be refused then."""
    rows = [(f"文本 {n}", "ab"[n % 2]) for n in range(20)] + [(f"稀有 {n}", "c") for n in range(2)]
    path = write(tmp_path, "train.tsv", rows)
    splits = read_splits(TextData(train=path, text=1, label=2, dev_fraction=0.5, test_fraction=0.2), seed=seed)
    assert sum(example.label == "c" for example in splits.train) == 2
    assert splits.labels == ("a", "b", "c")
    assert (len(splits.dev), len(splits.test)) == (9, 4)


def test_nothing_is_left_out_uncounted(tmp_path: Path) -> None:
    splits = read(tmp_path, [*TRAIN, ("", 1), ("真好", 1)], dev=[("fine", 1)], leaks="drop", empty="drop")
    assert [example.text for example in splits.train] == ["很好", "太贵", "dull", "poor", "真好"]
    assert splits.notes == {"empty texts left out": 1, "training texts left out because dev or test has them": 1}
    assert read(tmp_path, [*TRAIN, ("x", 2)], dev=[("y", 1)], rare="keep").labels == ("0", "1", "2")
    kept = read(tmp_path, TRAIN, dev=[("fine", 1)], leaks="keep")
    assert len(kept.train) == 5
    assert kept.notes == {"training texts that are also in dev or test were kept": 1}


def test_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, "train.tsv", TRAIN)
    monkeypatch.setenv("SOMEWHERE", str(tmp_path))
    assert TextData(train="$SOMEWHERE/train.tsv").train == path
    monkeypatch.delenv("SOMEWHERE")
    for values, match in (
        ({"train": "$SOMEWHERE/train.tsv"}, "the variable SOMEWHERE is not set"),
        ({"train": f"{path}x"}, "does not exist"),
        ({"train": path, "names": {"0": "a", "1": "a"}}, "two labels have the same name"),
        ({"train": path, "names": {"0": "a"}, "kind": "regression"}, "no meaning"),
    ):
        with pytest.raises(ValidationError, match=match):
            TextData.model_validate(values)


def test_several_labels_that_are_none(tmp_path: Path) -> None:
    file = tmp_path / "multi.jsonl"
    file.write_text(
        '{"text": "一", "label": ["a"]}\n{"text": "二", "label": null}\n{"text": "三", "label": {"a": 1}}\n'
    )
    with pytest.raises(DataError, match=r"multi.jsonl:2: the label None is no list.*multi.jsonl:3"):
        read_splits(TextData(train=str(file), kind="multi"), seed=0)


def test_dev_texts_are_not_set_aside_for_the_test(tmp_path: Path) -> None:
    rows = [(f"文本 {number}", "ab"[number % 2]) for number in range(50)]
    splits = read(tmp_path, rows, dev=rows[:10], test_fraction=0.5, leaks="drop")
    sides = [{example.text for example in side} for side in (splits.train, splits.dev, splits.test)]
    assert [len(side) for side in sides] == [20, 10, 20]
    assert sum(map(len, sides)) == len(set.union(*sides))
    kept = read(tmp_path, rows, dev=rows[:10], test_fraction=0.5, leaks="keep")
    assert kept.notes["training texts that are also in dev or test were kept"] == 10  # counted once
    with pytest.raises(DataError, match="10 training texts are also in dev"):
        read(tmp_path, rows, dev=rows[:10], test_fraction=0.5)


def test_dev_texts_in_the_test_are_counted(tmp_path: Path) -> None:
    rows = [(f"文本 {number}", "ab"[number % 2]) for number in range(20)]
    splits = read(tmp_path, rows[:10], dev=rows[10:15], test=rows[13:])
    assert splits.notes == {"dev texts are also in test": 2}


def test_texts_with_two_labels_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    set_quiet(False)
    rows = [f"第{number}条\t{'好差'[number % 2]}" for number in range(8)] + [
        "第 0 条\t好",
        "第0条\t差",
        "第 1 条\t差",
        "第1条\t好",
    ]
    (tmp_path / "train.tsv").write_text("text\tlabel\n" + "\n".join(rows))
    (tmp_path / "dev.tsv").write_text("text\tlabel\n很好\t好\n")
    splits = read_splits(TextData(train=str(tmp_path / "train.tsv"), dev=str(tmp_path / "dev.tsv")), seed=0)
    at = f"{tmp_path / 'train.tsv'}"
    assert splits.notes == {"training examples are there before with another label": 2}
    assert f"The same examples with different labels: {at}:11 and {at}:2, {at}:13 and {at}:3" in capsys.readouterr().err
