from __future__ import annotations

import gzip
import time
from pathlib import Path

import pytest

from hanmo.corpora.dedup.first import later_occurrences, over_parts
from hanmo.corpora.dedup.paragraphs import paragraph_keys, paragraph_keys_of, paragraph_spans
from hanmo.corpora.dedup.removal import remove_spans

COOKIES = "We use cookies on this site to give you the best experience; by going on you accept our terms of use."
NOTICE = "本文来源于网络，版权归原作者所有，仅代表作者个人观点，如有侵权请联系我们删除。"


def test_many_texts_are_the_same_as_one_by_one() -> None:
    texts = ["", COOKIES, f"\n{NOTICE}\n\n{COOKIES}\n", "short", NOTICE] * 700
    for (keys, starts, ends), text in zip(paragraph_keys_of(texts), texts, strict=True):
        plain = paragraph_keys(text)
        assert [keys.tolist(), starts.tolist(), ends.tolist()] == [array.tolist() for array in plain]


def deduplicated(texts: list[str], n_buckets: int = 3) -> list[str]:
    found = list(paragraph_keys_of(texts))
    marks = over_parts(later_occurrences, [keys for keys, _, _ in found], n_buckets)
    return [
        remove_spans(text, zip(starts[later].tolist(), ends[later].tolist(), strict=True))
        for text, (_, starts, ends), later in zip(texts, found, marks, strict=True)
    ]


def test_spans_are_the_lines_that_are_not_empty() -> None:
    text = "\none\n\n 二\n"
    assert [text[a:b] for a, b in zip(*(array.tolist() for array in paragraph_spans(text)), strict=True)] == [
        "one",
        " 二",
    ]
    assert len(paragraph_spans("")[0]) == 0


@pytest.mark.parametrize("line", [COOKIES, NOTICE])
def test_the_first_of_a_paragraph_stays(line: str) -> None:
    texts = [f"头\n{line}\n\nfirst", f"second\n\n{line}\n\nend", line, f"again\n{line}\n{line}\nend"]
    assert deduplicated(texts) == [texts[0], "second\n\nend", "", "again\nend"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (COOKIES, COOKIES.upper().replace(";", " –").replace(" ", "  ")),
        (NOTICE, NOTICE.replace("，", ", ").replace("。", "")),
        ("Posted on 12 May 2019 at 10:45 by the editors of the paper, who ask for your patience and support.",
         "Posted on 28 May 2021 at 09:15 by the editors of the paper, who ask for your patience and support."),
        ("发布于２０１９年５月１２日，来源为本报编辑部和各地记者站，转载时请注明出处和作者姓名。",
         "发布于2021年6月28日，来源为本报编辑部和各地记者站，转载时请注明出处和作者姓名。"),
    ],
)  # fmt: skip
def test_case_width_marks_and_digits_do_not_count(one: str, other: str) -> None:
    assert paragraph_keys(one)[0].tolist() == paragraph_keys(other)[0].tolist() != []


def test_another_word_counts() -> None:
    assert paragraph_keys(COOKIES)[0] != paragraph_keys(COOKIES.replace("best", "worst"))[0]


@pytest.mark.parametrize(
    "line",
    [
        "Chapter 1. Of how it began",
        "第一百二十回　甄士隐详说太虚情　贾雨村归结红楼梦",
        "———" * 40,
        "* * *",
        "    for name, value in zip(names, values, strict=True):",
        "床前明月光，疑是地上霜。",
        "1,234.5 | 6,789.0 | 2019-01-01 | 2020-01-01 | 13,579.2 | 24,680.1 | 2021-01-01 | 100 % | 35,791.3",
    ],
)
def test_structure_is_never_removed(line: str) -> None:
    assert len(paragraph_keys(line)[0]) == 0


def test_the_lengths_are_thirty_characters_or_sixty_letters() -> None:
    assert [len(paragraph_keys(text)[0]) for text in ("字" * 29, "字" * 30, "a" * 59, "a" * 60, "字" * 15 + "a" * 30)] == [
        0, 1, 0, 1, 1,
    ]  # fmt: skip


def test_real_documents_have_no_paragraph_in_common(data_root: Path) -> None:
    """Documents of clue_corpus_small_sample were chosen one by one; nothing of them may go by chance."""
    packed = (data_root / "clue_corpus_small_sample" / "CLUECorpusSmall_sampled.txt.gz").read_bytes()
    texts = gzip.decompress(packed).decode().splitlines()[:800]
    assert deduplicated(texts) == texts
    assert deduplicated([*texts[:200], *texts[:200]])[200:] == [
        "" if len(paragraph_keys(t)[0]) else t for t in texts[:200]
    ]


def test_a_long_text_takes_no_longer_per_character() -> None:
    started = time.process_time()
    paragraph_keys("一行\n" * 300_000 + "\n" * 300_000)
    assert time.process_time() - started < 2
