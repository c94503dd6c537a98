"""`hanmo text`: what it prints and refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.mark.parametrize(
    ("arguments", "printed"),
    [
        (("segment", "我来到北京清华大学。"), "我 来到 北京 清华大学 。\n"),
        (("segment", "Don't go.\n再见"), "Don't go .\n再见\n"),
        (("sentences", "Dr. Li came. 他问：“来吗？”好。"), "Dr. Li came.\n他问：“来吗？”\n好。\n"),
        (("stopwords", "我们的模型 and the data"), "模型 data\n"),
        (("stem", "running dogs 关系"), "run dog 关系\n"),
        (("lemma", "mice went 老鼠"), "mouse go 老鼠\n"),
        (("tag", "我爱北京"), "我/r 爱/v 北京/ns\n"),
        (("pinyin", "重庆银行"), "chóngqìng yínháng\n"),
        (("pinyin", "银行", "--style", "numbers"), "yin2hang2\n"),
        (("width", "Ｈａｎ，２０"), "Han，20\n"),
        (("width", "Han,20", "--to", "full", "--kinds", "punctuation", "digits"), "Han，２０\n"),
        (("numbers", "三千零五十人 and twenty-one"), "3050  三千零五十\n21  twenty-one\n"),
        (("repair", "ä½\xa0å¥½"), "你好\n"),
        (("language", "今天天气很好"), "zh 1.00\n"),
        (("script", "漢字簡化"), "汉字简化\n"),
        (("script", "软件和鼠标", "--to", "taiwan", "--words"), "軟體和滑鼠\n"),
        (("script", "軟體", "--from", "taiwan", "--words"), "软件\n"),
        (("language", "The weather is fine"), "en 0.83\n"),
    ],
)
def test_verbs(hanmo: Callable[..., Any], arguments: tuple[str, ...], printed: str) -> None:
    shown = hanmo("text", *arguments)
    assert (shown.code, shown.out) == (0, printed)


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (("segment", "我来到北京\nA b"), {"lines": [["我", "来到", "北京"], ["A", "b"]]}),
        (("sentences", "好。 Fine."), {"sentences": [{"text": "好。", "start": 0, "end": 2}, {"text": "Fine.", "start": 3, "end": 8}]}),
        (("stopwords", "我们的模型"), {"kept": ["模型"], "removed": ["我们", "的"]}),
        (("stem", "dogs"), {"words": [{"word": "dogs", "stem": "dog"}]}),
        (("lemma", "mice"), {"words": [{"word": "mice", "lemma": "mouse"}]}),
        (("tag", "北京好"), {"words": [{"word": "北京", "tag": "ns"}, {"word": "好", "tag": "a"}]}),
        (("pinyin", "银行"), {"words": [{"word": "银行", "syllables": ["yín", "háng"]}]}),
        (("width", "２"), {"text": "2"}),
        (("numbers", "1,205"), {"plain": "一千二百零五", "formal": "壹仟贰佰零伍", "digits": "一二〇五", "english": "one thousand two hundred and five"}),
        (("numbers", "百分之五"), {"numbers": [{"text": "百分之五", "start": 0, "end": 4, "value": "0.05"}]}),
        (("repair", "a\r\nb"), {"text": "a\nb", "mojibake_lines": 0, "control_characters": 0}),
        (("language", "你好世界"), {"language": "zh", "probability": 0.9988}),
    ],
)  # fmt: skip
def test_json(hanmo: Callable[..., Any], arguments: tuple[str, ...], answer: dict[str, Any]) -> None:
    assert json.loads(hanmo("text", *arguments, "--json").out) == answer


def test_numerals_are_shown(hanmo: Callable[..., Any]) -> None:
    shown = hanmo("text", "numbers", "3050.5").out.split("\n")
    assert shown[0].split() == ["plain", "三千零五十点五"]
    assert shown[3] == "english  three thousand and fifty point five"


def test_a_file_and_a_dictionary(hanmo: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_bytes("翰墨工具包很好\n".encode("gb18030"))
    (tmp_path / "words.txt").write_text("翰墨工具包 100 n\n", encoding="utf-8")
    given = ("--file", tmp_path / "text.txt", "--words", tmp_path / "words.txt")
    assert hanmo("text", "segment", *given).out == "翰墨工具包 很 好\n"
    assert hanmo("text", "tag", *given).out.split()[0].startswith("翰墨工具包/")
    assert hanmo("text", "pinyin", *given).out == "hànmògōngjùbāo hěn hǎo\n"
    assert hanmo("text", "segment", stdin="再见".encode()).out == "再见\n"


def test_the_own_segmenter(hanmo: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "cut.txt").write_text("他 是 北大 人\n北大 是 大学\n", encoding="utf-8")
    shown = hanmo("text", "segment", "他是北大人", "--train", tmp_path / "cut.txt")
    assert shown.out == "他 是 北大 人\n"


def test_a_model_tags_the_rest(hanmo: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def fake(task: str, model: str) -> Callable[..., list[dict[str, Any]]]:
        assert (task, model) == ("pos", "runs/pos/model")
        return lambda text, ignore_labels: [{"word": word, "entity": "X"} for word in text.split()]

    monkeypatch.setattr("hanmo.tasks.pipelines.pipeline", fake)
    assert hanmo("text", "tag", "I go", "--model", "runs/pos/model").out == "I/X go/X\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("tag", "I love it"), ("not Chinese", "--model")),
        (("tag", "我", "--model", "m", "--words", "w"), ("--model and --words",)),
        (("segment", "我", "--train", "a", "--words", "b"), ("--words and --train",)),
        (("segment", "我", "--words", "nowhere.txt"), ("nowhere.txt",)),
        (("segment", "我", "--file", "nowhere.txt"), ("--file",)),
        (("numbers", "1e999999"), ("cannot be written",)),
    ],
)
def test_refused(hanmo: Callable[..., Any], arguments: tuple[str, ...], words: tuple[str, ...]) -> None:
    hanmo("text", *arguments).refused(*words)
