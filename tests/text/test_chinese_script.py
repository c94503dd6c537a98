from __future__ import annotations

import gzip
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmo.core.errors import ConfigError, MissingExtraError
from hanmo.text import chinese_script
from hanmo.text.chinese_script import convert_script, guess_script

has_opencc = pytest.mark.skipif(find_spec("opencc") is None, reason="the extra 'corpus' is not installed")
JAPANESE = "この國の言葉は、漢字と仮名で書かれてゐる。"


@has_opencc
@pytest.mark.parametrize(
    ("text", "options", "expected"),
    [
        ("頭髮長了，發現這裡有憂鬱的臺灣烏龜。", {"to": "simplified"}, "头发长了，发现这里有忧郁的台湾乌龟。"),
        ("头发长了，发现皇后在前，干部在后。", {"to": "traditional"}, "頭髮長了，發現皇后在前，幹部在後。"),
        ("鼠标里面的程序", {"to": "taiwan"}, "鼠標裡面的程序"),
        ("鼠标里面的程序", {"to": "taiwan", "words": True}, "滑鼠裡面的程式"),
        ("滑鼠裡面的程式", {"to": "simplified", "origin": "taiwan"}, "滑鼠里面的程式"),
        ("滑鼠裡面的程式", {"to": "simplified", "origin": "taiwan", "words": True}, "鼠标里面的程序"),
        ("这里的香烟", {"to": "hongkong"}, "這裏的香煙"),
        ("Plain English, 123.", {"to": "simplified"}, "Plain English, 123."),
        ("", {"to": "traditional"}, ""),
        ("國\0\ud800國", {"to": "simplified"}, "国\0\ud800国"),
    ],
)
def test_convert(text: str, options: dict, expected: str) -> None:
    assert convert_script(text, **options) == expected


@has_opencc
def test_japanese_and_korean_lines_stay() -> None:
    assert convert_script(JAPANESE, "simplified") == JAPANESE
    korean = "大韓民國은 民主共和國이다."
    text = f"他學日語：\n{JAPANESE}\n{korean}\n約翰・史密斯說，這裡叫「の」。\n完畢。"
    assert (
        convert_script(text, "simplified")
        == f"他学日语：\n{JAPANESE}\n{korean}\n约翰・史密斯说，这里叫「の」。\n完毕。"
    )


@has_opencc
def test_threads_share_a_converter() -> None:
    texts = [f"第{number}個國家的語言學習" * 50 for number in range(64)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda text: convert_script(text, "simplified"), texts)) == [
            text.translate(str.maketrans("個國語言學習", "个国语言学习")) for text in texts
        ]


@has_opencc
@settings(max_examples=60)
@given(st.text(st.sampled_from("國国語语發发a 。\n・のア한\ud800\0𠮷"), max_size=40))
def test_any_text_keeps_its_lines_and_what_is_not_han(text: str) -> None:
    converted = convert_script(text, "simplified")
    assert len(converted) == len(text)
    assert all(a == b or a in "國語發" for a, b in zip(text, converted, strict=True))
    assert convert_script(converted, "simplified") == converted


def test_wrong_use(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        ConfigError, match=r"to='simplified', origin=None, words=True\. There are: to='simplified', to="
    ):
        convert_script("x", "simplified", words=True)
    monkeypatch.setattr(chinese_script, "_converter", chinese_script._converter.__wrapped__)
    monkeypatch.setitem(sys.modules, "opencc", None)
    with pytest.raises(MissingExtraError, match=r"hanmo\[corpus\]"):
        convert_script("x", "simplified")


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("我们在这里学习汉语", "simplified"),
        ("我們在這裡學習漢語", "traditional"),
        ("太后在后面，里外都是山", None),
        ("简体和繁體各一半，简體。", None),
        (JAPANESE, None),
        ("hello", None),
        ("", None),
    ],
)
def test_guess(text: str, script: str | None) -> None:
    assert guess_script(text) == script


@has_opencc
def test_real_texts(data_root: Path) -> None:
    """Treebank sentences from Hong Kong and from the mainland: none is taken for the other."""
    for folder, name, script in (
        ("ud_chinese_hk", "zh_hk-ud-test", "traditional"),
        ("ud_chinese_gsdsimp", "zh_gsdsimp-ud-test", "simplified"),
    ):
        file = next((data_root / folder).glob(f"{name}.conllu*"))
        lines = gzip.decompress(file.read_bytes()).decode().split("\n")
        sentences = [line.removeprefix("# text = ") for line in lines if line.startswith("# text = ")]
        guesses = [guess_script(sentence) for sentence in sentences]
        assert guesses.count(script) >= 0.8 * len(guesses)
        assert set(guesses) <= {script, None}
        whole = "\n".join(sentences)
        simplified = convert_script(whole, "simplified")
        assert len(simplified) == len(whole)
        assert guess_script(simplified) == "simplified"
