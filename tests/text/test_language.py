from __future__ import annotations

import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

from hanmo.core.errors import MissingExtraError
from hanmo.text import language
from hanmo.text.han import count_characters
from hanmo.text.language import guess_language, identify_language


@pytest.mark.parametrize(
    ("text", "lang"),
    [
        ("这是 Python 的 transformers 库的说明文档", "zh"),
        ("學而時習之，不亦說乎？", "zh"),
        ("你好", "zh"),
        ("The history of the city is long, and it was written down by many of its people over the years.", "en"),
        ("hello world", "en"),
        ("Le chat est sur la table et il ne veut pas descendre, mais je ne sais pas pourquoi il y reste là.", "other"),
        ("今日はいい天気ですね", "other"),
        ("안녕하세요 여러분", "other"),
        ("Привет, мир", "other"),
        ("12345 !!! ---", "und"),
        ("", "und"),
    ],
)
def test_guess(text: str, lang: str) -> None:
    assert guess_language(text) == lang
    assert guess_language(text, code=True) == "code"


def test_long_text_is_sampled_at_both_ends() -> None:
    assert guess_language("the cat is on a mat. " * 20_000) == "en"
    assert guess_language("这个地方的人都很好。" * 20_000) == "zh"


def test_counts() -> None:
    counts = count_characters("a1 é，中𠮷のЖ한\ufffd")
    assert (counts.latin, counts.digit, counts.space, counts.cjk_marks, counts.odd) == (2, 1, 1, 1, 1)
    assert (counts.han, counts.kana, counts.other_letters, counts.hangul, counts.frequent) == (2, 1, 1, 1, 1)
    assert counts.total == 11


has_model = pytest.mark.skipif(find_spec("py3langid") is None, reason="the extra 'corpus' is not installed")


@has_model
@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("今天天气很好，我们一起去公园里走一走。", "zh-Hans"),
        ("今天天氣很好，我們一起去公園裡走一走。", "zh-Hant"),
        ("道可道，非常道。名可名，非常名。", "zh"),
        ("學而時習之，不亦說乎", "zh-Hant"),
        ("今日はいい天気ですね、公園へ行きましょう。", "ja"),
        ("안녕하세요 여러분", "ko"),
        ("Le chat est sur la table et il ne veut pas descendre.", "fr"),
        ("The cat is on the table and does not want to come down.", "en"),
        ("Кошка сидит на столе и не хочет спускаться.", "ru"),
        ("ok", "und"),
        ("12345 !!! ---", "und"),
        ("", "und"),
    ],
)
def test_names(text: str, name: str) -> None:
    found, probability = identify_language(text)
    assert found == name
    assert 0 <= probability <= 1


@has_model
def test_declarations_of_human_rights(data_root: Path) -> None:
    """The same text in 27 languages, whole and line by line."""
    names = {"eng": "en", "fra": "fr", "spa": "es", "ita": "it", "por_PT": "pt", "nld": "nl", "rus": "ru", "jpn": "ja"}
    names |= {"kor": "ko", "cmn_hans": "zh-Hans", "cmn_hant": "zh-Hant", "arb": "ar", "vie": "vi", "tha": "th"}
    names |= {"tur": "tr", "pol": "pl", "ces": "cs", "swe": "sv", "fin": "fi", "hun": "hu", "ell_monotonic": "el"}
    names |= {"heb": "he", "ukr": "uk", "bul": "bg", "pes_1": "fa", "ben": "bn", "tam": "ta"}
    n_lines = n_right = 0
    with zipfile.ZipFile(data_root / "udhr" / "udhr2.zip") as files:
        for file, name in names.items():
            text = files.read(f"udhr2/{file}.txt").decode("utf-8")
            assert identify_language(text)[0] == name
            lines = [line for line in map(str.strip, text.split("\n")) if len(line) >= 40][:12]
            n_lines += len(lines)
            n_right += sum(identify_language(line)[0] == name for line in lines)
    assert n_right >= 0.98 * n_lines


def test_names_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language, "_load_identifier", language._load_identifier.__wrapped__)
    monkeypatch.setitem(sys.modules, "py3langid", None)
    with pytest.raises(MissingExtraError, match=r"hanmo\[corpus\]"):
        identify_language("The cat is on the table.")
