from __future__ import annotations

import pytest

from hanmo.corpora.cleaning import clean
from hanmo.corpora.documents import Document
from hanmo.corpora.quality.settings import QualitySettings
from hanmo.corpora.settings import CorpusSettings

CHINESE = "今天天气很好，我们一起去公园里走一走。"
ENGLISH = "The history of the city is long and well known."


def document(text: str, kind: str = "txt") -> Document:
    return Document(text=text, id="x", source="x", meta={"kind": kind})


@pytest.mark.parametrize("text", [CHINESE, ENGLISH, "春眠不觉晓，处处闻啼鸟。", "Привет, как у тебя дела сегодня?"])
def test_ordinary_text_is_kept(text: str) -> None:
    assert clean(document(text), CorpusSettings())[1] is None


def test_filters_can_be_switched_off_but_empty_text_never_passes() -> None:
    settings = CorpusSettings(quality=QualitySettings(rules=()))
    assert clean(document("好的。"), settings)[1] is None
    assert clean(document(" \n "), settings)[1] == "empty"


def test_lines_that_rules_take_out_are_counted() -> None:
    text = f"{CHINESE}\n首页 | 登录 | 注册\n{CHINESE}"
    cleaned, reason = clean(document(text), CorpusSettings(quality=QualitySettings(rules=("links",))))
    assert reason is None
    assert cleaned.text == f"{CHINESE}\n{CHINESE}"
    assert cleaned.meta["removed_lines"] == {"navigation (links)": 1}
    assert "removed_lines" not in clean(document(text), CorpusSettings())[0].meta


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
    settings = CorpusSettings(chinese_script="simplified", quality=QualitySettings(rules=()))
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
        settings = CorpusSettings(languages=wanted, quality=QualitySettings(rules=()))
        for name, text in texts.items():
            meta = {"kind": "py"} if name == "code" else {}
            reason = clean(Document(text=text, id="x", source="x", meta=meta), settings)[1]
            assert reason == (None if name in kept else f"language not wanted: {name}")
