"""Examples of texts that are alike are checked whole before anything is trained on them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from hanmo.core.errors import DataError
from hanmo.tasks.similarity_examples import SimilarityExample, read_similar
from hanmo.tasks.similarity_settings import SimilarityData, SimilarityLoss
from hanmo.tasks.splits import Splits

PAIRS = [("怎么退货", "退货流程是什么"), ("where is it", "how do I find it"), ("a", "b"), ("c", "d")]


def write(folder: Path, name: str, rows: list[tuple[Any, ...]]) -> str:
    file = folder / name
    file.write_text("".join("\t".join(map(str, row)) + "\n" for row in rows), encoding="utf-8")
    return str(file)


def read(folder: Path, train: list[tuple[Any, ...]], **more: Any) -> Splits[SimilarityExample]:
    columns = {"text": 1, "pair": 2}
    columns |= {"scores": {"score": 3}, "triples": {"negative": 3}}.get(more.get("kind", "pairs"), {})
    values: dict[str, Any] = columns | {"train": write(folder, "train.tsv", train)}
    for split in ("dev", "test"):
        if split in more:
            more[split] = write(folder, f"{split}.tsv", more[split])
    return read_similar(SimilarityData.model_validate(values | more), seed=0)


def test_pairs(tmp_path: Path) -> None:
    splits = read(tmp_path, PAIRS, dev=[("x", "y")])
    assert splits.train[0] == SimilarityExample(PAIRS[0], None, f"{tmp_path}/train.tsv:1")
    assert (len(splits.train), len(splits.dev), splits.labels) == (4, 1, ())
    assert (len(read(tmp_path, PAIRS).train), len(read(tmp_path, PAIRS).dev)) == (3, 1)


def test_triples_and_scores(tmp_path: Path) -> None:
    triples = read(tmp_path, [("a", "b", "c"), ("猫", "小猫", "狗")], dev=[("x", "y", "z")], kind="triples")
    assert triples.train[1].texts == ("猫", "小猫", "狗")
    rows = [("a", "b", "0"), ("c", "d", "5"), ("e", "f", "2.5")]
    scores = read(tmp_path, rows, dev=[("x", "y", 1), ("z", "u", 2)], kind="scores", highest=5)
    assert [example.score for example in scores.train] == [0.0, 5.0, 2.5]


def test_names_of_columns_have_defaults(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,pair,score\n你好,您好,0.9\nyes,no,0.1\n", encoding="utf-8")
    data = SimilarityData(train=str(tmp_path / "a.csv"), dev=str(tmp_path / "a.csv"), kind="scores", leaks="keep")
    assert read_similar(data, seed=0).train[0].texts == ("你好", "您好")
    (tmp_path / "b.jsonl").write_text('{"text": "a", "pair": "b", "negative": "c"}\n' * 2)
    data = SimilarityData(train=str(tmp_path / "b.jsonl"), dev=str(tmp_path / "b.jsonl"), kind="triples", leaks="keep")
    assert read_similar(data, seed=0).train[0].texts == ("a", "b", "c")


@pytest.mark.parametrize(
    ("train", "more", "match"),
    [
        ([*PAIRS, ("x", " ")], {}, r"1 examples cannot be used: .*train\.tsv:5: an empty text"),
        ([*PAIRS, ("x",)], {}, r"line 5 has 1 columns"),
        (PAIRS, {"dev": [("B", "a")]}, r"train\.tsv:3 is in dev \(.*dev\.tsv:1\)"),
        ([("a", "b", "x")], {"kind": "scores"}, r"train\.tsv:1: the score 'x' is no number"),
        ([("a", "b", "nan")], {"kind": "scores"}, "'nan' is not finite"),
        ([("a", "b", "3.8")], {"kind": "scores"}, r"the score 3\.8 is outside 0\.\.1 \(\[data\] lowest and highest\)"),
        ([("a", "b", 1), ("c", "d", 1)], {"kind": "scores", "dev": [("x", "y", 0), ("z", "u", 1)]}, r"train\.tsv: all 2 scores are 1"),
        ([("a", "b", 1), ("c", "d", 0)], {"kind": "scores", "dev": [("x", "y", 1)]}, r"dev\.tsv: all 1 scores are 1"),
        ([("a", "b", "B ")], {"kind": "triples"}, r"train\.tsv:1: the text that does not belong is one of the two"),
        ([("a", "b")], {}, "too few to set some aside"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(tmp_path: Path, train: Any, more: dict[str, Any], match: str) -> None:
    with pytest.raises(DataError, match=match):
        read(tmp_path, train, **more)


def test_a_number_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "a", "pair": 7}\n')
    with pytest.raises(DataError, match=r"a\.jsonl:1: a int where a text belongs"):
        read_similar(SimilarityData(train=str(tmp_path / "a.jsonl")), seed=0)


def test_nothing_is_left_out_uncounted(tmp_path: Path) -> None:
    splits = read(tmp_path, [*PAIRS, ("", "x")], dev=[("b", "a")], leaks="drop", empty="drop")
    assert len(splits.train) == 3
    assert splits.notes == {
        "examples with an empty text left out": 1,
        "training texts left out because dev or test has them": 1,
    }


@pytest.mark.parametrize(
    ("values", "match"),
    [
        ({"negative": 3}, 'negative has no meaning for kind = "pairs"'),
        ({"highest": 5}, 'highest has no meaning for kind = "pairs"'),
        ({"kind": "triples", "score": 3}, 'score has no meaning for kind = "triples"'),
        ({"kind": "scores", "lowest": 5, "highest": 5}, "lowest = 5 is not below highest = 5"),
    ],
)
def test_settings_that_cannot_be(tmp_path: Path, values: dict[str, Any], match: str) -> None:
    with pytest.raises(ValidationError, match=match):
        SimilarityData(train=write(tmp_path, "a.tsv", PAIRS), **values)


def test_losses_fit_examples() -> None:
    assert [SimilarityLoss().chosen(kind) for kind in ("pairs", "triples", "scores")] == [
        "ranking",
        "ranking",
        "cosine",
    ]
    assert SimilarityLoss(kind="triplet", margin=0.1).chosen("triples") == "triplet"
    for loss, kind, match in (
        (SimilarityLoss(kind="cosine"), "pairs", "is not for"),
        (SimilarityLoss(kind="triplet"), "scores", "is not for"),
        (SimilarityLoss(margin=0.2), "triples", "margin has no meaning"),
        (SimilarityLoss(temperature=0.2), "scores", "temperature has no meaning"),
    ):
        with pytest.raises(ValueError, match=match):
            loss.chosen(kind)
