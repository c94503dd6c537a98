"""Reading tagged sentences: every format, and what is refused with its place."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from hanmo.core.errors import ConfigError, DataError
from hanmo.core.progress import set_quiet
from hanmo.core.settings import check_settings
from hanmo.tasks.splits import Splits
from hanmo.tasks.tag_examples import TagData, TagExample, read_tagged

IOB1 = """-DOCSTART- -X- O O

EU NNP I-NP I-ORG
rejects VBZ I-VP O
German JJ I-NP I-MISC
Dutch JJ I-NP B-MISC

Rome NNP I-NP I-LOC
"""
BMES = "高 B-NAME\n勇 E-NAME\n： O\n男 S-SEX\n\n无 O\n境 O\n"


def read(path: Path, text: str, **more: Any) -> Splits[TagExample]:
    path.write_text(text, encoding="utf-8")
    values = {"train": str(path), "dev_fraction": 0.4} | more
    return read_tagged(check_settings(TagData, values), seed=0)


def sentences(splits: Splits[TagExample]) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    return sorted((example.words, example.tags) for example in splits.train + splits.dev)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("词.json", {"tag_column": 2}), ("词.json", {"scheme": "IOB2"}), ("词.txt", {"format": "segmented", "tag_column": 2}),
        ("a.conllu", {"word_column": 2}),
    ],
)  # fmt: skip
def test_settings_of_another_format_are_refused(name: str, values: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / name).touch()
    with pytest.raises(ConfigError, match=f"{list(values)[-1]} has no effect with files that are"):
        check_settings(TagData, {"train": str(tmp_path / name)} | values)


def test_conll_columns_and_schemes(tmp_path: Path) -> None:
    splits = read(tmp_path / "a.txt", IOB1, scheme="IOB1", dev=str(tmp_path / "a.txt"), leaks="keep")
    assert [(example.words, example.tags) for example in splits.train] == [
        (("EU", "rejects", "German", "Dutch"), ("S-ORG", "O", "S-MISC", "S-MISC")),
        (("Rome",), ("S-LOC",)),
    ]
    assert [example.where for example in splits.train] == [f"{tmp_path}/a.txt:3", f"{tmp_path}/a.txt:8"]
    both: dict[str, Any] = {"train": str(tmp_path / "a.txt"), "dev": str(tmp_path / "a.txt"), "leaks": "keep"}
    kept = read_tagged(TagData(scheme="IOB1", learn="IOB2", **both), seed=0)
    assert kept.train[0].tags == ("B-ORG", "O", "B-MISC", "B-MISC")
    assert kept.labels == ("O", "B-LOC", "I-LOC", "B-MISC", "I-MISC", "B-ORG", "I-ORG")
    assert kept.notes == {
        "training texts that are also in dev or test were kept": 2,
        "kinds of tags with a single training example": 2,
    }
    pos = read_tagged(TagData(tag_column=2, **both), seed=0)
    assert pos.train[0].tags == ("NNP", "VBZ", "JJ", "JJ")
    assert pos.labels == ("JJ", "NNP", "VBZ")


def test_chinese_columns(tmp_path: Path) -> None:
    path = tmp_path / "a.bmes"
    path.write_text(BMES, encoding="utf-8")
    whole = read_tagged(TagData(train=str(path), dev=str(path), leaks="keep", scheme="BMES"), seed=0)
    assert whole.train[0].tags == ("B-NAME", "E-NAME", "O", "S-SEX")
    assert whole.labels == ("O", *(f"{letter}-{kind}" for kind in ("NAME", "SEX") for letter in "BMES"))


def test_conllu(tmp_path: Path) -> None:
    def line(*fields: str) -> str:
        return "\t".join([*fields, *"_" * (10 - len(fields))])

    text = "\n".join(
        [
            "# text = don't go", line("1-2", "don't"), line("1", "do", "do", "AUX", "VBP"),
            line("2", "n't", "not", "PART", "RB"), line("3", "go", "go", "VERB", "VB"), line("3.1", "there", "_", "ADV"),
            "", line("1", "走", "走", "VERB", "VV"), "",
        ]
    )  # fmt: skip
    path = tmp_path / "a.conllu"
    splits = read(path, text)
    assert sentences(splits)[0] == (("do", "n't", "go"), ("AUX", "PART", "VERB"))
    fine = read(path, text, tag_column="xpos", dev=str(path), leaks="keep")
    assert fine.train[0].tags == ("VBP", "RB", "VB")
    by_number = read(path, text, tag_column=5, dev=str(path), leaks="keep")
    assert [example.tags for example in by_number.train] == [example.tags for example in fine.train]
    with pytest.raises(DataError, match=r"a\.conllu:2: 4 columns where CoNLL-U has 10"):
        read(path, "# x\n1\tgo\tgo\tVERB\n")


def test_cluener(tmp_path: Path) -> None:
    rows = [
        {"text": "彭小军在台湾", "label": {"name": {"彭小军": [[0, 2]]}, "address": {"台湾": [[4, 5]]}}},
        {"text": "没有", "label": {}},
    ]
    path = tmp_path / "a.json.gz"

    def write(records: list[dict[str, Any]]) -> TagData:
        path.write_bytes(gzip.compress("\n".join(json.dumps(row, ensure_ascii=False) for row in records).encode()))
        return TagData(train=str(path), dev=str(path), leaks="keep")

    splits = read_tagged(write(rows), seed=0)
    assert splits.train[0].words == tuple("彭小军在台湾")
    assert splits.train[0].tags == ("B-name", "I-name", "E-name", "O", "B-address", "E-address")
    assert splits.train[1].tags == ("O", "O")
    wrong = [*rows, {"text": "温格", "label": {"name": {"温格": [[1, 2]]}}}]
    with pytest.raises(DataError, match=r"a\.json\.gz:3: '温格' \(name\) does not stand at 1 to 2"):
        read_tagged(write(wrong), seed=0)
    crossed = [
        *rows,
        {"text": "北京大学", "label": {"address": {"北京": [[0, 1]]}, "organization": {"北京大学": [[0, 3]]}}},
    ]
    rows[1]["label"] = {"organization": {"没": [[0, 0]]}}
    with pytest.raises(DataError, match=r":3: address at 0 overlaps organization at 0"):
        read_tagged(write(crossed), seed=0)
    mended = read_tagged(write([*rows, crossed[-1]]).model_copy(update={"illegal": "repair"}), seed=0)
    assert mended.train[2].tags == ("B-organization", "I-organization", "I-organization", "E-organization")
    assert mended.notes["spans left out because they overlap a longer one"] == 2


@pytest.mark.parametrize("places", ['[["0", "1"]]', "[[0.0, 1.0]]", "[[null, 1]]", "[[true, 1]]", "[[0]]", "3"])
def test_places_of_cluener_are_numbers(tmp_path: Path, places: str) -> None:
    text = f'{{"text": "张三来了", "label": {{"name": {{"张三": {places}}}}}}}\n'
    with pytest.raises(DataError, match=r"a\.jsonl:1: not an object with"):
        read(tmp_path / "a.jsonl", text)
    with pytest.raises(DataError, match=r"a\.jsonl:1: an empty text"):
        read(tmp_path / "a.jsonl", '{"text": " ", "label": {}}\n')


@pytest.mark.parametrize("seed", range(6))
def test_a_rare_kind_stays_to_be_learned(tmp_path: Path, seed: int) -> None:
    file = tmp_path / "a.conll"
    file.write_text("".join(f"走 B-ACT\n{n} O\n\n" for n in range(10)) + "北京 B-LOC\n\n", encoding="utf-8")
    splits = read_tagged(TagData(train=str(file), scheme="IOB2", dev_fraction=0.4), seed=seed)
    assert any(tag.endswith("LOC") for example in splits.train for tag in example.tags)


def test_segmented(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    splits = read(path, "扬帆  远东  做\n他　来到  China\n", format="segmented")
    assert sentences(splits)[0][0] in (tuple("他来到China"), tuple("扬帆远东做"))
    assert ("".join(splits.labels)) == "BMES"
    tags = {words: "".join(tags) for words, tags in sentences(splits)}
    assert tags[tuple("扬帆远东做")] == "BEBES"
    assert tags[tuple("他来到China")] == "SBEBMMME"


@pytest.mark.parametrize(
    ("text", "more", "match"),
    [
        ("a O\n\nb I-X\n", {"scheme": "IOB2"}, r"a\.txt:3: word 1: I-X cannot follow the beginning of the sentence"),
        ("a B-X\nb O\n", {"scheme": "BMES"}, r"a\.txt:1: word 2: O cannot follow B-X in BMES"),
        ("a B-X\n", {"scheme": "BIOES"}, "the end of the sentence cannot follow B-X"),
        ("a Q-X\n", {"scheme": "IOB2"}, "'Q-X' is not a tag of IOB2"),
        ("a N\nb\n", {}, r"a\.txt:2: 1 columns where 2 are needed"),
        ("a N\n", {"tag_column": 4}, r"a\.txt:1: 2 columns where 4 are needed"),
        ("a x N\n看 x V\n看\n", {"tag_column": -3, "word_column": 2}, r"a\.txt:3: 1 columns where 3 are needed"),
        ("\n \n", {}, "there is no sentence in this file"),
        ("a N\n\nb N\n\nc N\n", {}, "all words have the tag 'N'"),
        ("a O\n\nb O\n\nc O\n", {"scheme": "IOB2"}, "no word has a tag other than O"),
    ],
)
def test_refused(text: str, more: dict[str, Any], match: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=match):
        read(tmp_path / "a.txt", text, **more)


def test_repaired_when_asked(tmp_path: Path) -> None:
    splits = read(tmp_path / "a.txt", "a I-X\nb I-X\nc O\n\nd B-X\n", scheme="IOB2", illegal="repair")
    assert (("a", "b", "c"), ("B-X", "E-X", "O")) in sentences(splits)
    assert splits.notes["sentences whose tags broke their scheme were mended"] == 1


def test_tags_that_training_never_sees(tmp_path: Path) -> None:
    (tmp_path / "dev.txt").write_text("x B-Y\n")
    with pytest.raises(DataError, match=r"tags that training never sees: .*dev\.txt:1: S-Y"):
        read(tmp_path / "a.txt", "a B-X\n\nb O\n", scheme="IOB2", dev=str(tmp_path / "dev.txt"))
    # another part of a span of a known kind is no surprise
    (tmp_path / "dev.txt").write_text("x B-X\ny I-X\n")
    read(tmp_path / "a.txt", "a B-X\n\nb O\n", scheme="IOB2", dev=str(tmp_path / "dev.txt"))


def test_leaks_are_named(tmp_path: Path) -> None:
    (tmp_path / "dev.txt").write_text("A N\n")
    with pytest.raises(DataError, match=r"a\.txt:1 is in dev \(.*dev\.txt:1\)"):
        read(tmp_path / "a.txt", "a N\n\nb V\n", dev=str(tmp_path / "dev.txt"))


@pytest.mark.parametrize(
    "values", [{"tag_column": 0}, {"tag_column": "upos", "format": "conll"}, {"scheme": "BIO"}, {"train": "nowhere"}]
)
def test_settings_that_cannot_be(values: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a N\n")
    with pytest.raises(ConfigError):
        check_settings(TagData, {"train": str(tmp_path / "a.txt")} | values)


@pytest.mark.parametrize("name", ["走.conllu", "走.CONLLU.gz", "走.txt"])
@pytest.mark.parametrize("column", [11, 12, -2, -6, -11])
def test_columns_that_conllu_has_not(tmp_path: Path, name: str, column: int) -> None:
    for file in (name, "a.txt"):
        (tmp_path / file).touch()
    form = "conllu" if name.endswith(".txt") else "auto"
    with pytest.raises(ConfigError, match=rf"tag_column = {column}: .*走.* from 1 to 10"):
        check_settings(TagData, {"train": str(tmp_path / name), "tag_column": column, "format": form})
    check_settings(TagData, {"train": str(tmp_path / "a.txt"), "tag_column": column})  # conll has those it has


@pytest.mark.parametrize("other", ["dev", "test"])
def test_columns_fit_every_file(tmp_path: Path, other: str) -> None:
    conll, conllu = str(tmp_path / "甲.txt"), str(tmp_path / "乙.conllu")
    for path in (conll, conllu):
        Path(path).touch()
    with pytest.raises(ConfigError, match=r"tag_column = 12: .*乙\.conllu"):
        check_settings(TagData, {"train": conll, other: conllu, "tag_column": 12})
    with pytest.raises(ConfigError, match=r"tag_column = 'upos' .*甲\.txt is conll"):
        check_settings(TagData, {"train": conllu, other: conll, "tag_column": "upos"})


def test_the_real_files(data_root: Path) -> None:
    conll = TagData(
        train=str(data_root / "conll2003_ner/eng.train.gz"), dev=str(data_root / "conll2003_ner/eng.testa.gz"),
        test=str(data_root / "conll2003_ner/eng.testb.gz"), scheme="IOB1", leaks="keep", illegal="repair",
    )  # fmt: skip
    splits = read_tagged(conll, seed=0)
    assert [len(split) for split in (splits.train, splits.dev, splits.test)] == [14041, 3250, 3453]
    assert len(splits.labels) == 17
    assert splits.notes["sentences whose tags broke their scheme were mended"] == 2


def test_a_kind_with_one_example_is_noted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    set_quiet(False)
    lines = ["李 B-人\n明 I-人\n来 O"] * 3 + ["黄 B-河\n河 I-河\n水 O"]
    (tmp_path / "train.txt").write_text("\n\n".join(lines))
    (tmp_path / "dev.txt").write_text("王 B-人\n芳 I-人")
    data = TagData(train=str(tmp_path / "train.txt"), dev=str(tmp_path / "dev.txt"), scheme="IOB2")
    assert read_tagged(data, seed=0).notes == {"kinds of tags with a single training example": 1}
    assert f"河 has one training example, {tmp_path / 'train.txt'}:13" in capsys.readouterr().err
