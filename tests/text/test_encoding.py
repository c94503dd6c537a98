from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from hanmo.core.errors import FormatError
from hanmo.text.encoding import decode, detect_encoding

CHINESE = "今天天气很好，我们一起去公园里走一走。他说这个地方是他小时候来过的，现在已经变了很多。\n"
TRADITIONAL = "今天天氣很好，我們一起去公園裡走一走。他說這個地方是他小時候來過的，現在已經變了很多。\n"
FRENCH = "Le garçon a été très déçu par la fenêtre fermée à l'hôtel.\n"
ENGLISH = "The quick brown fox jumps over the lazy dog.\n"


@pytest.mark.parametrize(
    ("text", "codec", "name"),
    [
        (CHINESE, "utf-8", "utf-8"),
        (CHINESE, "utf-8-sig", "utf-8"),
        (CHINESE, "gb2312", "gb18030"),
        (CHINESE, "gb18030", "gb18030"),
        (CHINESE + "𠮷", "gb18030", "gb18030"),
        (TRADITIONAL, "big5", "big5"),
        (CHINESE, "utf-16", "utf-16-le"),
        (CHINESE, "utf-32", "utf-32-le"),
        (ENGLISH, "utf-16-be", "utf-16-be"),
        (ENGLISH, "ascii", "ascii"),
        (FRENCH, "latin-1", "latin-1"),
        (FRENCH + "“quoted” – €5", "cp1252", "cp1252"),
        (FRENCH, "utf-8", "utf-8"),
    ],
)
def test_round_trip(text: str, codec: str, name: str) -> None:
    decoded = decode(text.encode(codec))
    assert decoded.text == text
    assert decoded.encoding == name
    assert decoded.n_removed == 0


@pytest.mark.parametrize("text", ["你好，世界", "今天天气很好", "他说这个是什么"])
def test_short_gb18030(text: str) -> None:
    assert decode(text.encode("gb18030")).text == text


def test_empty_is_text() -> None:
    assert decode(b"").text == ""


@pytest.mark.parametrize(
    "data",
    [
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" * 20,
        bytes(range(1, 32)) * 10 + b"abc",
        "今日はいい天気ですね。散歩に行きましょう。".encode("shift_jis") * 5,
        "今日はいい天気ですね。散歩に行きましょう。".encode("euc_jp") * 5,
        "안녕하세요 여러분 오늘은 날씨가 좋습니다".encode("euc_kr") * 5,
        "Привет, это русский текст в старой кодировке".encode("koi8_r") * 5,
        "Привет, это русский текст в старой кодировке".encode("cp1251") * 5,
    ],
)
def test_binary_and_unsupported_are_refused(data: bytes) -> None:
    with pytest.raises(FormatError, match=r"binary data|no supported encoding"):
        decode(data)


@pytest.mark.parametrize("text", [CHINESE * 40, FRENCH * 200])
def test_damaged_utf8_is_repaired_and_counted(text: str) -> None:
    data = bytearray(text.encode("utf-8"))
    place = text.encode("utf-8").index(b"\n") + 1
    data[place:place] = b"\xff"
    decoded = decode(bytes(data))
    assert decoded.encoding == "utf-8"
    assert decoded.n_removed == 1
    assert decoded.text == text


def test_mostly_damaged_utf8_is_refused() -> None:
    with pytest.raises(FormatError):
        decode(b"\xff\xfd\xfa".join(bytes([char]) for char in CHINESE.encode("utf-8")))


@pytest.mark.parametrize("every", [2, 3])
def test_mixed_lines_are_decoded_each_in_its_own(every: int) -> None:
    lines = [f"{number} {CHINESE.strip()}" for number in range(30)]
    encoded = [line.encode("gb18030" if number % every else "utf-8") for number, line in enumerate(lines)]
    decoded = decode(b"\n".join(encoded))
    assert decoded.text.split("\n") == lines
    n_utf8 = sum(number % every == 0 for number in range(30))
    assert decoded.n_foreign_lines == min(n_utf8, 30 - n_utf8)
    assert decode("\n".join(lines).encode()).n_foreign_lines == 0


def test_detection_from_a_sample_that_ends_inside_a_character() -> None:
    data = CHINESE.replace("\n", "").encode("utf-8")
    assert {detect_encoding(data[: len(data) - cut]) for cut in range(3)} == {"utf-8"}
    data = CHINESE.replace("\n", "").encode("gb18030")
    assert {detect_encoding(data[: len(data) - cut]) for cut in range(2)} == {"gb18030"}


EXPECTED = {
    "Big5": {"big5"},
    "GB2312": {"gb18030"},
    "utf-8": {"utf-8"},
    "utf-8-sig": {"utf-8"},
    "UTF-16": {"utf-16-be", "utf-16-le"},
    "UTF-16LE": {"utf-16-le"},
    "UTF-16BE": {"utf-16-be"},
    "UTF-32": {"utf-32-be", "utf-32-le"},
    "windows-1252": {"cp1252", "latin-1"},
    "iso-8859-1": {"cp1252", "latin-1"},
    "ascii": {"ascii"},
}


@pytest.mark.skipif("HANMO_DATA" not in os.environ, reason="HANMO_DATA is not set")
def test_real_files() -> None:
    root = Path(os.environ["HANMO_DATA"], "encodings")
    right: Counter[bool] = Counter()
    refused: Counter[bool] = Counter()
    for folder in sorted(path for path in root.iterdir() if path.is_dir()):
        for file in folder.iterdir():
            try:
                name = decode(file.read_bytes()).encoding
            except FormatError:
                name = None
            if folder.name in EXPECTED:
                right[name in EXPECTED[folder.name]] += 1
            else:
                refused[name is None] += 1
    assert right[True] >= 0.95 * right.total() > 20
    assert refused[True] >= 0.95 * refused.total() > 50
