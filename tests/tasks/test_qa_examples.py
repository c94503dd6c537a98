"""Questions on texts are checked whole before anything is trained on them."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanmo.core.errors import DataError, FormatError
from hanmo.tasks.qa_examples import AnswerData, QaExample, read_questions
from hanmo.tasks.splits import Splits

TEXT = "老先生清早写信，信写给北京的学生。The teacher wrote to Paris, and Paris wrote back."


def question(text: str, *answers: tuple[str, int], id: Any = None, **more: Any) -> dict[str, Any]:
    given = [{"text": answer, "answer_start": start} for answer, start in answers]
    return {"id": text if id is None else id, "question": text, "answers": given} | more


def squad(*paragraphs: tuple[str, list[Any]], title: str = "T", apart: bool = False) -> dict[str, Any]:
    inner = [{"context": context, "qas": questions} for context, questions in paragraphs]
    if apart:
        return {"data": [{"title": f"{title}{n}", "paragraphs": [one]} for n, one in enumerate(inner)]}
    return {"version": "1.1", "data": [{"title": title, "paragraphs": inner}]}


GOOD = question("谁写信？", ("老先生", 0), ("先生", 1), ("先生", 1))
OTHER = squad(("A text of Lyon.", [question("Which city?", ("Lyon", 10))]), title="other")


def read(folder: Path, train: Any, *, name: str = "train.json", **more: Any) -> Splits[QaExample]:
    def write(name: str, content: Any) -> str:
        data = content if isinstance(content, bytes) else json.dumps(content, ensure_ascii=False).encode()
        (folder / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return str(folder / name)

    values = {"train": write(name, train)}
    for split in ("dev", "test"):
        if split in more:
            values[split] = write(f"{split}.json", more.pop(split))
    return read_questions(AnswerData.model_validate(values | more), seed=0)


def test_squad(tmp_path: Path) -> None:
    where = question("Where?", (" Paris", TEXT.rindex(" Paris")), id=7)
    none = question("Why?", is_impossible=True, plausible_answers=[{"text": "x", "answer_start": 3}])
    splits = read(tmp_path, squad((TEXT, [GOOD, where, none])), dev=OTHER, name="train.json.gz")
    first, second, third = splits.train
    assert first.answers == ("老先生", "先生", "先生")
    assert first.spans == ((0, 3), (1, 3))
    assert second.id == "7"
    assert [TEXT[a:b] for a, b in second.spans] == ["Paris"]
    assert (third.answers, third.spans) == ((), ())
    assert first.where == f"{tmp_path / 'train.json.gz'}: data[0].paragraphs[0].qas[0] (id 谁写信？)"
    assert splits.labels == ("answer", "no answer")
    assert splits.notes == {}


def test_cmrc_as_it_was_first_published(tmp_path: Path) -> None:
    content = [
        {"context_id": "A", "context_text": TEXT, "title": "信", "qas": [
            {"query_id": "A_0", "query_text": "信写给谁？", "answers": ["北京的学生", "学生"]},
        ]},
    ]  # fmt: skip
    (example,) = read(tmp_path, content, dev=OTHER).train
    assert [TEXT[a:b] for a, b in example.spans] == ["北京的学生", "学生"]
    assert (example.id, example.article) == ("A_0", "信")
    content[0]["qas"][0]["answers"] = ["上海"]  # pyright: ignore[reportArgumentType, reportIndexIssue]
    with pytest.raises(DataError, match=r"train\.json: \[0\]\.qas\[0\] \(id A_0\): the answer '上海' stands nowhere"):
        read(tmp_path, content, dev=OTHER)


BAD = [
    (question("x", ("北京", 12)), r"qas\[1\] \(id x\): the answer '北京' stands at 11, not at 12"),
    (question("x", ("上海", -1)), r"\(id x\): the answer '上海' stands nowhere in its text"),
    (question("x", ("Paris", 70)), r"the answer 'Paris' stands at 49, not at 70"),
    (question(" ", ("北京", 11), id=3), r"\(id 3\): an empty question"),
    (question("x", ("北京", 11), id="谁写信？"), r"data\[0\]\.paragraphs\[0\]\.qas\[0\] \(id 谁写信？\) has the same id"),
    (question("x", (" ", 3)), "an empty answer"),
    (question("x"), "no answer, and \"is_impossible\" does not say so"),
    (question("x", ("北京", 11), is_impossible=True), "is_impossible, and yet it has answers"),
    (question("x", ("北京", 11), is_impossible="no"), '"is_impossible" is a str'),
    (question("x", ("北京", 11), id=[1]), "the id is a list"),
    ({"id": 1, "answers": []}, r'qas\[1\]: there is no text under "question"'),
    ({"id": 1, "question": "x", "answers": [{"text": "北京"}]}, "an answer is neither"),
    ({"id": 1, "question": "x", "answers": {"text": ["北京"]}}, "an answer is neither"),
    ("x", 'there is no text under "question"'),
]  # fmt: skip


@pytest.mark.parametrize(("wrong", "match"), BAD)
def test_what_is_wrong_is_named(tmp_path: Path, wrong: Any, match: str) -> None:
    with pytest.raises(DataError, match=rf"1 things cannot be used: .*train\.json: .*{match}"):
        read(tmp_path, squad((TEXT, [GOOD, wrong])), dev=OTHER)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b'{"data": [\n{]}', r"train\.json:2: not JSON"),
        (b'"x"', "neither an object"),
        ({"data": [{"title": "x"}]}, r'data\[0\]: there is no list under "paragraphs"'),
        ({"data": [{"paragraphs": [{"qas": []}]}]}, r'data\[0\].paragraphs\[0\]: there is no text under "context"'),
        ({"data": []}, "there is no question in this file"),
        (squad(("  ", [GOOD])), "an empty text"),
    ],
)
def test_files_that_cannot_be_used(tmp_path: Path, content: Any, match: str) -> None:
    with pytest.raises((DataError, FormatError), match=match):
        read(tmp_path, content, dev=OTHER)


def test_misplaced_answers(tmp_path: Path) -> None:
    wrong = [
        question("a", (" Paris", TEXT.index(" Paris") + 1)),  # off by one
        question("b", ("上海", -1), ("北京", 3)),
        question("c", ("上海", -1)),
        question("d", ("北京 ", 11)),
    ]
    content = squad((TEXT, [GOOD, *wrong]))
    repaired = read(tmp_path, content, dev=OTHER, misplaced="repair")
    assert [example.id for example in repaired.train] == ["谁写信？", "a", "b", "d"]
    assert [[TEXT[a:b] for a, b in example.spans] for example in repaired.train[1:]] == [["Paris"], ["北京"], ["北京"]]
    assert repaired.train[1].spans[0][0] == TEXT.index("Paris")
    assert repaired.train[2].answers == ("上海", "北京")
    assert repaired.notes == {
        "answers moved to the nearest place where they stand": 3,
        "answers that stand nowhere in their text: not learned": 2,
        "training questions left out because no answer stands in their text": 1,
    }
    dropped = read(tmp_path, content, dev=OTHER, misplaced="drop")
    assert [example.id for example in dropped.train] == ["谁写信？"]
    assert sum(dropped.notes.values()) == 5 + 4
    # what is to be judged keeps them: the official scripts look at texts alone
    judged = read(tmp_path, OTHER, dev=content, misplaced="drop")
    assert [len(example.answers) for example in judged.dev] == [3, 1, 2, 1, 1]


def test_the_nearest_place(tmp_path: Path) -> None:
    text = "ab " * 30
    content = squad((text, [question(str(n), ("ab", n)) for n in (1, 44, 46, 89)]))
    splits = read(tmp_path, content, dev=OTHER, misplaced="repair")
    assert [example.spans[0][0] for example in splits.train] == [0, 45, 45, 87]


def test_nothing_is_left_out_uncounted(tmp_path: Path) -> None:
    content = squad((TEXT, [GOOD, question("", ("北京", 11), id=1), question("again", ("北京", 11), id="谁写信？")]))
    splits = read(tmp_path, content, dev=OTHER, empty="drop", duplicates="drop")
    assert len(splits.train) == 1
    assert splits.notes == {
        "empty questions and texts left out": 1,
        "questions left out because another has their id": 1,
    }


def test_no_text_is_on_two_sides(tmp_path: Path) -> None:
    texts = [f"Text {n} is of {n}." for n in range(20)]
    paragraphs = [(text, [question(f"{text} {k}", (text[:4], 0)) for k in range(3)]) for text in texts]
    splits = read(tmp_path, squad(*paragraphs), test_fraction=0.2)
    sides = [{example.context for example in side} for side in (splits.train, splits.dev, splits.test)]
    assert sum(map(len, sides)) == 20
    assert set.union(*sides) == set(texts)
    assert len(sides[2]) == 4
    assert splits.test == read_again(tmp_path, seed=7).test
    assert splits.dev != read_again(tmp_path, seed=7).dev
    with pytest.raises(DataError, match=r"training texts are also in dev or test"):
        read(tmp_path, squad(paragraphs[0]), test=squad((texts[0].upper(), [question("x", ("TEXT", 0))])), dev=OTHER)
    with pytest.raises(DataError, match="test and test_fraction were both given"):
        read(tmp_path, squad(*paragraphs), test=OTHER, test_fraction=0.2)


def read_again(folder: Path, seed: int) -> Splits[QaExample]:
    return read_questions(AnswerData(train=str(folder / "train.json"), test_fraction=0.2), seed=seed)


def test_whole_articles_are_set_aside(tmp_path: Path) -> None:
    articles = []
    for n in range(12):
        texts = [f"Text {n} {k} is here." for k in range(3)] + (["Shared by two."] if n < 2 else [])
        qas = [[question(f"{n} {k}", (text.split()[0], 0))] for k, text in enumerate(texts)]
        articles += squad(*zip(texts, qas, strict=True), title=f"A{n}")["data"]
    splits = read(tmp_path, {"data": articles}, test_fraction=0.25, apart="article")
    sides = [{example.article for example in side} for side in (splits.train, splits.dev, splits.test)]
    assert sum(map(len, sides)) == 12
    assert sum({"A0", "A1"} <= side for side in sides) == 1  # they share a text


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["data", "paragraphs", "context", "qas", "id", "question", "answers", "text", "answer_start",
                         "is_impossible", "context_text", "query_text", "title"]), inner, max_size=5),
    max_leaves=20,
))  # fmt: skip
def test_any_json_gives_a_typed_error(tmp_path_factory: pytest.TempPathFactory, content: Any) -> None:
    file = tmp_path_factory.mktemp("fuzz") / "x.json"
    file.write_text(json.dumps(content))
    with pytest.raises((DataError, FormatError)):
        read_questions(AnswerData(train=str(file)), seed=0)


def test_real_files(data_root: Path) -> None:
    def load(name: str, **more: Any) -> Splits[QaExample]:
        return read_questions(AnswerData.model_validate({"train": str(data_root / name)} | more), seed=0)

    xquad = load("xquad/xquad.en.part1.json.gz", test_fraction=0.25, apart="article")
    assert [len({one.article for one in side}) for side in (xquad.train, xquad.dev, xquad.test)] == [21, 3, 8]
    cmrc = load("cmrc2018/cmrc2018_dev.json.gz", misplaced="repair")
    assert len(cmrc.train) + len(cmrc.dev) == 3219 - cmrc.notes.get(
        "training questions left out because no answer stands in their text", 0
    )
    assert cmrc.notes["answers that stand nowhere in their text: not learned"] == 193
    with pytest.raises(DataError, match=r"234 things cannot be used: .*data\[3\].paragraphs\[0\].qas\[5\] \(id 1719\)"):
        load("covid_qa/200423_covidQA.json.gz")
    covid = load("covid_qa/200423_covidQA.json.gz", misplaced="repair")
    assert covid.notes == {"answers moved to the nearest place where they stand": 234}
