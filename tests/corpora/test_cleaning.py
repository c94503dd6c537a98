from __future__ import annotations

import base64
import random

import pytest

from hanmo.corpora.cleaning import clean, quality_problem
from hanmo.corpora.documents import Document
from hanmo.corpora.settings import CorpusSettings

CHINESE = "今天天气很好，我们一起去公园里走一走。"
ENGLISH = "The history of the city is long and well known."


def document(text: str, kind: str = "txt") -> Document:
    return Document(text=text, id="x", source="x", meta={"kind": kind})


@pytest.mark.parametrize("text", [CHINESE, ENGLISH, "春眠不觉晓，处处闻啼鸟。", "Привет, как у тебя дела сегодня?"])
def test_ordinary_text_is_kept(text: str) -> None:
    assert clean(document(text), CorpusSettings())[1] is None


@pytest.mark.parametrize(
    ("text", "lang", "reason"),
    [
        ("好的。", "zh", "too short"),
        ("two words", "en", "too short"),
        ("1,2,3,4;5|6 " * 200 + "some words are in here too", "en", "mostly symbols or digits"),
        ("--- === --- *** " * 100 + CHINESE, "zh", "mostly symbols or digits"),
        (
            "see below for the data\n" + base64.b64encode(random.Random(0).randbytes(3000)).decode(),
            "en",
            "encoded binary data",
        ),
        ("Click here to read more about us today.\n" * 30, "en", "repetitive lines"),
        ((CHINESE + "\n") * 30, "zh", "repetitive lines"),
    ],
)
def test_reasons(text: str, lang: str, reason: str) -> None:
    assert quality_problem(text, lang) == reason


def test_a_poem_with_a_refrain_is_kept() -> None:
    verses = "\n".join(f"{CHINESE}{n}是新的一句\n啊，朋友再见" for n in range(20))
    assert quality_problem(verses, "zh") is None


def test_filters_can_be_switched_off_but_empty_text_never_passes() -> None:
    settings = CorpusSettings(quality_filters=False)
    assert clean(document("好的。"), settings)[1] is None
    assert clean(document(" \n "), settings)[1] == "empty"


def test_repair_is_part_of_cleaning_except_for_code() -> None:
    fixed, _ = clean(document("\ufeff浣犲ソ\r\n" + CHINESE), CorpusSettings())
    assert fixed.text == "你好\n" + CHINESE
    assert fixed.meta["mojibake_lines"] == 1
    assert fixed.lang == "zh"
    left, _ = clean(document("浣犲ソ\n" + CHINESE), CorpusSettings(repair_mojibake=False))
    assert left.text.startswith("浣犲ソ")
    source = 'text = "浣犲ソ schÃ¶n"\n\n\ndef words(first, second, third, fourth):\n    return text\n'
    code, reason = clean(document(source, "py"), CorpusSettings())
    assert (code.text, code.lang, reason) == (source, "code", None)


def test_lone_surrogates_never_reach_the_corpus() -> None:
    for settings in (CorpusSettings(), CorpusSettings(repair_mojibake=False)):
        clean(document(CHINESE + "\ud800"), settings)[0].text.encode("utf-8")


def test_chinese_script_is_changed_in_chinese_documents_only() -> None:
    pytest.importorskip("opencc", reason="the extra 'corpus' is not installed")
    settings = CorpusSettings(chinese_script="simplified", quality_filters=False)
    for text, expected in (
        ("我們在這裡學習漢語，很高興。", "我们在这里学习汉语，很高兴。"),
        ("この國の言葉は、漢字と仮名で書かれてゐる。", "この國の言葉は、漢字と仮名で書かれてゐる。"),
        ("A text about the word 漢語 and no other.", "A text about the word 漢語 and no other."),
    ):
        document = Document(text=text, id="x", source="x")
        assert clean(document, settings)[0].text == expected
        assert clean(document, CorpusSettings())[0].text == text


def test_only_wanted_languages_are_kept() -> None:
    pytest.importorskip("py3langid", reason="the extra 'corpus' is not installed")
    texts = {
        "zh-Hans": "我们在这里学习汉语，今天天气很好。",
        "zh-Hant": "我們在這裡學習漢語，今天天氣很好。",
        "fr": "Le chat est sur la table et il ne veut pas descendre.",
        "code": "def add(a, b):\n    return a + b\n",
    }
    for wanted, kept in (
        (("zh",), {"zh-Hans", "zh-Hant"}),
        (("zh-Hans", "fr"), {"zh-Hans", "fr"}),
        (("code",), {"code"}),
    ):
        settings = CorpusSettings(languages=wanted, quality_filters=False)
        for name, text in texts.items():
            meta = {"kind": "py"} if name == "code" else {}
            reason = clean(Document(text=text, id="x", source="x", meta=meta), settings)[1]
            assert reason == (None if name in kept else f"language not wanted: {name}")
