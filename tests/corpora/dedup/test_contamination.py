from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest

from hanmo.core.errors import ConfigError, DataError, FormatError
from hanmo.corpora.dedup.contamination import MAX_DOCUMENTS, count_documents, find, find_all
from hanmo.corpora.dedup.decontamination import decontaminate
from hanmo.corpora.dedup.evaluation_index import EvaluationIndex, build_index

QUESTION = "If a train leaves Leeds at noon, how long does it take to reach York?"
FRAGE = "小明有三个苹果，又买了五个，吃掉两个，还剩几个？"
PASSAGE = (
    "The harbour was built by the Romans, who brought the stone from an island two days away. It silted up in the "
    "ninth century, and the town moved to the hill where its market still stands every Thursday."
)
KAPITEL = "这座码头由商人集资修建，石料取自两天路程之外的岛屿。九世纪河道淤塞，全镇迁往山上，集市至今每逢周四开张。"


def filler(seed: int, n: int = 60) -> str:
    return " ".join("".join(random.Random(seed * 1_000 + k).choices("abcdefgh", k=6)) for k in range(n)) + "."


def han(seed: int, n: int = 200) -> str:
    return "".join(chr(0x4E00 + random.Random(seed * 1_000 + k).randrange(5_000)) for k in range(n))


@pytest.fixture(scope="module")
def index() -> EvaluationIndex:
    return build_index({"en": [QUESTION, PASSAGE, "yes", ""], "zh": [FRAGE, KAPITEL, "北京"]})


def test_what_is_indexed(index: EvaluationIndex) -> None:
    assert index.names == ["en", "zh"]
    assert index.n_texts == {"en": 2, "zh": 2}
    assert index.n_short == {"en": 1, "zh": 1}


@pytest.mark.parametrize(
    ("text", "name", "number"), [(QUESTION, "en", 0), (PASSAGE, "en", 1), (FRAGE, "zh", 0), (KAPITEL, "zh", 1)]
)
def test_a_whole_text_is_found_wherever_it_stands(index: EvaluationIndex, text: str, name: str, number: int) -> None:
    for before, after in (("", ""), (filler(1) + " ", "\n" + filler(2)), (han(1), han(2) + "。")):
        document = before + text + after
        (match,) = find(index, document)
        assert (match.name, match.number, match.kind, match.share) == (name, number, "exact", 1.0)
        assert document[match.start : match.end] == text.rstrip("?？.。")


@pytest.mark.parametrize(
    "text",
    [
        QUESTION.upper(),
        QUESTION.replace(" ", "\n"),
        QUESTION.replace(",", " –"),
        "".join(chr(ord(char) + 0xFEE0) if char.isalpha() else char for char in QUESTION),
        FRAGE.replace("，", ","),
        FRAGE.replace("，", "， "),
    ],
)
def test_case_width_marks_and_white_space_do_not_count(index: EvaluationIndex, text: str) -> None:
    (match,) = find(index, f"{filler(3)} {text} {filler(4)}")
    assert (match.kind, match.number) == ("normalised", 0)


def test_another_ending_is_not_the_whole(index: EvaluationIndex) -> None:
    assert find(index, QUESTION.replace("York", "Yorkshire").replace("Leeds", "Hull")) == []
    assert [m.kind for m in find(index, QUESTION.removesuffix("?") + "shire?")] == ["n-gram"]


def test_thirteen_words_or_twenty_characters_are_a_sign(index: EvaluationIndex) -> None:
    words, chars = PASSAGE.split(), KAPITEL.replace("，", "").replace("。", "")
    for n, found in ((12, []), (13, ["n-gram"]), (20, ["n-gram"])):
        document = f"{filler(5)} {' '.join(words[2 : 2 + n])} {filler(6)}"
        assert [match.kind for match in find(index, document)] == found
    for n, found in ((19, []), (20, ["n-gram"]), (30, ["n-gram"])):
        matches = find(index, han(5) + chars[5 : 5 + n] + han(6))
        assert [match.kind for match in matches] == found
        assert all(
            match.end - match.start == n and match.share == pytest.approx((n - 19) / (len(chars) - 19))
            for match in matches
        )


def test_stretches_and_share(index: EvaluationIndex) -> None:
    words = PASSAGE.split()
    document = f"{' '.join(words[:15])} {filler(1)} {' '.join(words[18:33])}"
    matches = find(index, document)
    assert [document[m.start : m.end] for m in matches] == [
        " ".join(words[:15]).rstrip("."),
        " ".join(words[18:33]).rstrip("."),
    ]
    assert len({match.share for match in matches}) == 1
    assert 0.2 < matches[0].share < 0.3
    assert find(index, document, min_share=0.5) == []


def test_find_all_is_find(index: EvaluationIndex) -> None:
    parts = [QUESTION, FRAGE, PASSAGE[:120], KAPITEL[:40], "", "short", filler(1), han(1), KAPITEL[40:], PASSAGE[120:]]
    rng = random.Random(0)
    documents = [" ".join(rng.sample(parts, rng.randint(0, 3))) for _ in range(200)]
    found = list(find_all(index, documents))
    assert found == [find(index, document) for document in documents]
    assert 20 < sum(map(bool, found)) < 180


def test_common_ngrams_are_no_sign_but_copies_are(index: EvaluationIndex) -> None:
    quotation = " ".join(PASSAGE.split()[:14])
    documents = [f"{filler(n)} {quotation} {filler(n + 50)} {quotation}" for n in range(12)]
    counts = count_documents(index, documents)
    assert sorted(set(counts.tolist())) == [0, 12]
    assert np.array_equal(counts, count_documents(index, documents[:5]) + count_documents(index, documents[5:]))
    common = counts > MAX_DOCUMENTS
    assert find(index, documents[0]) != []
    assert [find(index, document, common=common) for document in documents] == [[]] * 12
    copies = np.ones(index.n_grams, dtype=bool)
    assert [m.kind for m in find(index, PASSAGE, common=copies)] == ["exact"]
    assert [m.kind for m in find(index, "By the sea. " + PASSAGE.replace("Thursday", "Friday"), common=copies)] == [
        "n-gram"
    ]


def test_instructions_that_texts_share_are_left_out() -> None:
    instruction = "Read the following question with care and then give the one answer that you believe to be right: "
    index = build_index({"quiz": [instruction + filler(n, 20) for n in range(30)]})
    assert find(index, instruction + filler(99)) == []
    assert len(find(index, instruction + filler(7, 20))) == 1
    two = build_index({"quiz": [instruction + filler(n, 20) for n in range(3)]})
    assert len(find(two, instruction + filler(99))) == 3


def test_saved_and_mapped(index: EvaluationIndex, tmp_path: Path) -> None:
    index.save(tmp_path / "index")
    index.save(tmp_path / "index")
    loaded = EvaluationIndex.load(tmp_path / "index")
    document = f"{filler(1)} {QUESTION} {KAPITEL[10:45]}"
    assert find(loaded, document) == find(index, document) != []
    assert loaded.n_texts == index.n_texts
    (tmp_path / "index" / "grams.npy").write_bytes(b"no numbers")
    with pytest.raises(FormatError, match="damaged"):
        EvaluationIndex.load(tmp_path / "index")
    with pytest.raises(DataError, match="build_index"):
        EvaluationIndex.load(tmp_path)


def test_nothing_long_enough_is_refused() -> None:
    with pytest.raises(ConfigError, match="no evaluation sets"):
        build_index({})
    with pytest.raises(DataError, match="labels"):
        build_index({"labels": ["yes", "no"]})


def test_files_of_all_kinds(tmp_path: Path) -> None:
    squad = {
        "data": [{"paragraphs": [{"context": PASSAGE, "qas": [{"question": QUESTION, "answers": [{"text": "noon"}]}]}]}]
    }
    (tmp_path / "squad.json").write_text(json.dumps(squad), encoding="utf-8")
    (tmp_path / "zh.jsonl").write_text(
        json.dumps({"问": FRAGE, "n": 1}) + "\n" + json.dumps([KAPITEL]), encoding="utf-8"
    )
    (tmp_path / "README").write_text(filler(8), encoding="utf-8")
    index = build_index({"both": tmp_path, "table": _written(tmp_path / "t.tsv", f'1\t"{QUESTION}\n2\t{FRAGE}\n')})
    assert index.n_texts == {"both": 4, "table": 2}
    assert [(m.name, m.kind) for m in find(index, filler(1) + FRAGE)] == [("both", "exact"), ("table", "exact")]


def _written(path: Path, text: str) -> Path:
    folder = path.parent.parent / "table"
    folder.mkdir(exist_ok=True)
    (folder / path.name).write_text(text, encoding="utf-8")
    return folder / path.name


def test_cutting_takes_a_margin_and_leaves_pieces(index: EvaluationIndex) -> None:
    document = f"{filler(1, 90)} {QUESTION} {filler(2, 90)}"
    pieces = decontaminate(document, find(index, document), "cut")
    assert len(pieces) == 2
    assert all(piece in document and 380 < len(piece) < 410 for piece in pieces)
    assert document.startswith(pieces[0])
    assert document.endswith(pieces[1])
    chinese = han(1) + FRAGE + han(2)
    assert [len(piece) for piece in decontaminate(chinese, find(index, chinese), "cut")] == [100, 100]


def test_policies(index: EvaluationIndex) -> None:
    document = f"{filler(1)} {QUESTION} {filler(2)}"
    matches = find(index, document)
    assert decontaminate(document, matches, "drop") == []
    assert decontaminate(document, [], "drop") == decontaminate(document, [], "cut") == [document]
    assert decontaminate(QUESTION, find(index, QUESTION), "cut") == []
    many = " ".join(f"{filler(n, 130)} {' '.join(PASSAGE.split()[:13])}" for n in range(12))
    assert decontaminate(many, find(index, many), "cut") == []
    with pytest.raises(ConfigError, match="policy"):
        decontaminate(document, matches, "hide")  # type: ignore[arg-type]


def test_reading_comprehension_in_real_text(data_root: Path) -> None:
    """Passages of XQuAD as a crawler would meet them: inside other text, in another width and case."""
    index = build_index({"xquad": data_root / "xquad" / "xquad.zh.part1.json.gz", "cmrc2018": data_root / "cmrc2018"})
    from hanmo.corpora.dedup.evaluation_texts import read_strings

    texts = [text for text in read_strings(data_root / "xquad" / "xquad.zh.part1.json.gz") if len(text) > 100][:40]
    documents = [f"{han(n)}\n{text.upper()}\n{filler(n)}" for n, text in enumerate(texts)]
    found = list(find_all(index, documents))
    assert all("xquad" in {match.name for match in matches if match.share == 1} for matches in found)
