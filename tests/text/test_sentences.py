"""Sentences of Chinese, English and mixed text."""

from __future__ import annotations

import gzip
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanmo.text.sentences import sentence_spans, sentences


@pytest.mark.parametrize(
    "text",
    [
        "他来了。|我走了！|你呢？",
        "他问：“你来吗？”|我说：“来。”",
        "「好！」|他走了。",
        "他喊“快跑！”，然后不见了。|天黑了。",
        "“你好！”的意思是什么？",
        "《谁动了我的奶酪？》是一本书。|好看。",
        "他（真的！）来了。|（他没有来。）|后来呢？！",
        "我……我不知道。|等等……|算了。",
        "他走了。|的确如此。",
        "１．５元。|好",
        "你好!|今天走了.|明天见",
        "他说OK。|Then he left. |再见！",
        "用Node.js和v2.0写的。|好。",
        "Hello there. | How are you? | Fine!",
        "Dr. Smith and Mrs. Jones left. | They paid $3.50.",
        "J. K. Rowling wrote it. | See the U.S. Army, e.g. Fort Knox, i.e. there.",
        "I live in the U.S. | The end.",
        "Apples, pears, etc. | He ate them all.",
        "He works at Acme Inc. in town. | She does not.",
        "“Fine!” he said. | “Go.” | Then he left.",
        '"Are you coming?" she asked. | "No."',
        "Wait... what? | Well... | Never mind.",
        "See no. 5 and fig. 3 there. | I said no. | Go.",
        "Mail jane.doe@example.org. | See https://example.com/a.html?q=1. | Done.",
        "Version 1.2.3 is out. | It costs 3.14.",
        "1. First. | Second.",
        "So do I. | He too.",
        "It was so.[12] | Then came more.",
        "(He left.) | Nobody saw it.",
        "they didn't. | Today we do.",
        "i went home. | then i slept.",
        "What?! | No way!!! | Really.",
        "no end",
        "",
    ],
)
def test_sentences(text: str) -> None:
    expected = [part.strip() for part in text.split("|")] if text else []
    assert sentences(text.replace("|", "")) == expected


def test_lines() -> None:
    text = "Title\nOne sentence that\ngoes on. Next.\n\n  New one\n"
    assert sentences(text) == ["Title", "One sentence that", "goes on.", "Next.", "New one"]
    assert sentences(text, wrapped=True) == ["Title\nOne sentence that\ngoes on.", "Next.", "New one"]


@given(st.text(st.sampled_from("我来了的AbeDr.1 \n\u3000。！？…”“）()\"'!?，"), max_size=60), st.booleans())
def test_nothing_is_lost(text: str, wrapped: bool) -> None:
    spans = sentence_spans(text, wrapped=wrapped)
    ends = [0, *(place for span in spans for place in span), len(text)]
    assert ends == sorted(ends)
    for between in range(0, len(ends), 2):
        assert not text[ends[between] : ends[between + 1]].strip()
    for start, end in spans:
        assert text[start:end].strip() == text[start:end] != ""


@pytest.mark.parametrize("unit", [" ", "e.g. ", ". ", "\n ", "”", "[1]", "。」", "…", "a. "])
def test_time_grows_with_the_text(unit: str) -> None:
    text = unit * (20_000 // len(unit))
    started = time.process_time()
    sentence_spans(text)
    sentence_spans(text, wrapped=True)
    assert time.process_time() - started < 2


def _paragraphs(path: Path) -> list[list[str]]:
    """The sentences of each paragraph of a treebank."""
    found: list[list[str]] = [[]]
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            if line.startswith(("# newdoc", "# newpar")):
                found.append([])
            elif line.startswith("# text = "):
                found[-1].append(line.removeprefix("# text = ").strip())
    return [paragraph for paragraph in found if paragraph]


@pytest.mark.parametrize(
    ("name", "space", "precision", "recall"),
    [
        ("ud_english_ewt/en_ewt-ud-test.conllu.gz", " ", 0.98, 0.95),
        ("ud_chinese_gsdsimp/zh_gsdsimp-ud-test.conllu.gz", "", 0.99, 0.99),
        ("ud_chinese_hk/zh_hk-ud-test.conllu.gz", "", 0.95, 0.99),
    ],
)
def test_on_treebanks(data_root: Path, name: str, space: str, precision: float, recall: float) -> None:
    """Of the ends of sentences that have a mark; those without any (titles, signatures) no rule on marks finds."""
    n_right = n_found = n_expected = 0
    for paragraph in _paragraphs(data_root / name):
        text, ends, marked = space.join(paragraph), set(), set()
        place = 0
        for sentence in paragraph[:-1]:
            place += len(sentence)
            ends.add(place)
            if sentence[-1] in ".!?\"')。！？…」”":
                marked.add(place)
            place += len(space)
        found = {end for _, end in sentence_spans(text)} - {len(text)}
        n_right += len(found & ends)
        n_found += len(found)
        n_expected += len(marked | (found & ends))
    assert n_found > 400
    assert n_right / n_found >= precision
    assert n_right / n_expected >= recall
