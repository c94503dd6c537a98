"""Bytes to text: the encoding is decided by what is valid and by how plausible the characters are.

Supported: UTF-8, UTF-16 and UTF-32 (with a byte-order mark; UTF-16 also without), GB18030 (with GB2312 and
GBK inside it), Big5, Windows-1252 and Latin-1. Text in anything else (Shift-JIS, EUC-KR, KOI8-R, ...) is
refused with a reason: a wrong decoding would be garbage that no later step could tell from text.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable
from dataclasses import dataclass

from hanmo.core.errors import FormatError
from hanmo.text.han import count_characters

__all__ = ["Decoded", "decode", "detect_encoding", "unreadable_lines"]

_MARKS = (  # UTF-32 first: its little-endian mark begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_CONTROLS = bytes(set(range(32)) - {7, 8, 9, 10, 11, 12, 13, 26, 27}) + b"\x7f"
_SAMPLE_CHARS = 200_000
_MAX_DAMAGE = 0.01
"""Largest share of bad bytes among the non-ASCII bytes (or one in a thousand of all) that is repaired."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """Text and how it was got."""

    text: str
    encoding: str
    """`ascii`, `utf-8`, `utf-16-le`, `utf-16-be`, `utf-32-le`, `utf-32-be`, `gb18030`, `big5`, `cp1252`, `latin-1`."""
    notes: tuple[str, ...] = ()
    """What was out of the ordinary, in words."""
    n_removed: int = 0
    """Invalid byte sequences that were removed."""
    n_foreign_lines: int = 0
    """Lines in another encoding than the rest, each decoded in its own."""


def decode(data: bytes) -> Decoded:
    """Decode the bytes of a text file.

    Raises:
        FormatError: if the bytes are binary or in no supported encoding; `what` gives the reason.
    """
    for mark, name in _MARKS:
        if data.startswith(mark):
            return _decode_marked(data[len(mark) :], name)
    if 0 in data:
        return _decode_zeros(data)
    n_controls = len(data) - len(data.translate(None, _CONTROLS))
    if n_controls > max(2, 0.002 * len(data)):
        raise FormatError(f"binary data ({100 * n_controls / len(data):.1f} % control characters)")
    if data.isascii():
        if re.search(rb"\x1b\$[@B)A]", data):
            raise FormatError("a 7-bit East Asian encoding (ISO-2022), which is not supported")
        return Decoded(data.decode("ascii"), "ascii")
    try:
        return Decoded(data.decode("utf-8"), "utf-8")
    except UnicodeDecodeError:
        return _decode_legacy(data)


def unreadable_lines(data: bytes, decoded: Decoded) -> list[int]:
    """Numbers, from 1, of the lines out of which something was removed; none for UTF-16 and UTF-32, whose lines do not end with a byte."""
    if decoded.encoding.startswith(("utf-16", "utf-32")):
        return []
    codecs_of = [codec for name, codec, _ in _LEGACY if name == decoded.encoding] or [decoded.encoding]
    if decoded.n_foreign_lines:
        codecs_of += ["utf-8", *(codec for _, codec, _ in _LEGACY[:-2])]
    return [
        number for number, line in enumerate(data.split(b"\n"), 1) if not any(_fits(line, codec) for codec in codecs_of)
    ]


def _fits(data: bytes, codec: str) -> bool:
    try:
        data.decode(codec)
    except UnicodeDecodeError:
        return False
    return True


def detect_encoding(sample: bytes) -> str:
    """Name the encoding of a file from its first bytes, which may end inside a character.

    Raises:
        FormatError: as `decode`.
    """
    end = max(sample.rfind(b"\n"), sample.rfind(b"\r")) + 1
    if end > len(sample) // 2 and 0 not in sample[:4096]:
        return decode(sample[:end]).encoding
    problem: FormatError | None = None
    for cut in range(4):
        try:
            return decode(sample[: len(sample) - cut]).encoding
        except FormatError as error:
            problem = problem or error
    raise problem or FormatError("no supported encoding fits")


def _decode_marked(data: bytes, name: str) -> Decoded:
    try:
        return Decoded(data.decode(name), name)
    except UnicodeDecodeError:
        text, n_bad = _without_bad(data, name)
        if n_bad > _MAX_DAMAGE * max(len(text), 1) + 1:
            raise FormatError(f"it begins with the byte-order mark of {name} but is not {name}") from None
        return Decoded(text, name, (f"{n_bad} invalid sequences removed",), n_removed=n_bad)


def _without_bad(data: bytes, name: str) -> tuple[str, int]:
    text = data.decode(name, "replace")
    own = data.count("\ufffd".encode(name)) if name.startswith("utf") else 0
    return text.replace("\ufffd", ""), max(text.count("\ufffd") - own, 0)


def _decode_zeros(data: bytes) -> Decoded:
    half = max(len(data) // 2, 1)
    even, odd = data[0::2].count(0) / half, data[1::2].count(0) / half
    name = "utf-16-le" if odd > 10 * even else "utf-16-be" if even > 10 * odd else None
    if name is not None and len(data) % 2 == 0:
        try:
            text = data.decode(name)
        except UnicodeDecodeError:
            text = "\0"
        counts = count_characters(text[:_SAMPLE_CHARS])
        if "\0" not in text and counts.letters + counts.space + counts.digit > 0.6 * counts.total and not counts.odd:
            return Decoded(text, name, ("no byte-order mark",))
    raise FormatError("binary data (NUL bytes)")


def _decode_legacy(data: bytes) -> Decoded:
    """Not clean UTF-8: slightly damaged UTF-8, another encoding, or a mixture by lines, in this order."""
    text, n_bad = _without_bad(data, "utf-8")
    n_good = len(text) - len(text.encode("ascii", "ignore"))
    n_wide = sum(char >= "\u0800" for char in text[:_SAMPLE_CHARS])
    repaired = Decoded(text, "utf-8", (f"{n_bad} invalid sequences removed",), n_removed=n_bad)
    if n_bad <= 3 and n_good > 20 * n_bad:
        return repaired
    if n_wide >= 6 and n_wide > 0.05 * n_bad:  # chance three-byte sequences are far rarer in the other encodings
        mixed = _decode_lines(data)
        if mixed is not None:
            return mixed
    whole = _best_legacy(data)
    if whole is not None:
        return whole
    if n_bad <= max(_MAX_DAMAGE * n_good, _MAX_DAMAGE / 10 * len(text)):
        return repaired
    raise FormatError("no supported encoding fits (UTF-8, UTF-16, UTF-32, GB18030, Big5, Windows-1252, Latin-1)")


def _decode_lines(data: bytes) -> Decoded | None:
    """A file glued together from parts: UTF-8 lines stay, the others are decoded together in their encoding."""
    lines = data.split(b"\n")
    foreign, texts, n_removed, n_own, n_good = [], [], 0, 0, 0
    for number, line in enumerate(lines):
        try:
            text = line.decode("utf-8")
            n_own += not line.isascii()
        except UnicodeDecodeError:
            text, n_bad = _without_bad(line, "utf-8")
            n_high = len(text) - len(text.encode("ascii", "ignore"))
            if n_high >= 4 * n_bad:  # a UTF-8 line with a damaged character
                n_removed, n_good = n_removed + n_bad, n_good + n_high
            else:
                foreign.append(number)
        texts.append(text)
    name = "utf-8"
    if foreign:
        best = _best_legacy(b"\n".join(lines[number] for number in foreign))
        if best is None:
            return None
        name, n_removed = best.encoding, n_removed + best.n_removed
        for number, text in zip(foreign, best.text.split("\n"), strict=True):
            texts[number] = text
    whole = "\n".join(texts)
    if n_removed > _MAX_DAMAGE * (len(whole) - len(whole.encode("ascii", "ignore"))):
        return None
    notes = [f"{n_removed} invalid sequences removed"] if n_removed else []
    if foreign:
        notes.append(f"{len(foreign)} of {len(lines)} lines are {name}, the others utf-8")
    main, n_foreign = ("utf-8", len(foreign)) if n_own >= len(foreign) else (name, n_own)
    return Decoded(whole, main, tuple(notes), n_removed=n_removed, n_foreign_lines=n_foreign)


def _best_legacy(data: bytes) -> Decoded | None:
    if _is_euc_jp(data):
        return None
    candidates: list[tuple[float, Decoded]] = []
    for name, codec, judge in _LEGACY:
        try:
            text, damage = data.decode(codec), 0
        except UnicodeDecodeError:
            text, damage = _without_bad(data, codec)
        if damage and damage > max(1, 0.002 * sum(ord(char) > 0x7F for char in text[:_SAMPLE_CHARS])):
            continue
        score = judge(text[:_SAMPLE_CHARS])
        if score > 0:
            notes = (f"{damage} invalid sequences removed",) if damage else ()
            candidates.append((score / (1 + damage), Decoded(text, name, notes, n_removed=damage)))
    if not candidates:
        return None
    return max(candidates, key=lambda item: item[0])[1]


def _is_euc_jp(data: bytes) -> bool:
    """Whether it is Japanese in EUC-JP: its kana are common characters where Big5 is read from the same bytes."""
    try:
        counts = count_characters(data.decode("euc_jp"))
    except UnicodeDecodeError:
        return False
    return counts.kana > 0.2 * (counts.kana + counts.han)


def _judge_chinese(text: str, codec: str, first: int, last: int) -> float:
    """Plausibility of a Chinese decoding, 0 (implausible) to 2: Han, few odd ones, the frequent ones frequent."""
    counts = count_characters(text)
    high = sum(char > "\x7f" for char in text)
    if not counts.han or counts.han + counts.cjk_marks < 0.7 * high:
        return 0.0
    if counts.odd > 0.02 * high or counts.kana > 0.1 * counts.han + 1 or counts.hangul:
        return 0.0
    frequent = counts.frequent / counts.han
    han = "".join(char for char in text if "\u4e00" <= char <= "\u9fff")[:20_000]
    leads = han.encode(codec, "ignore")[0::2]
    level_1 = sum(first <= lead <= last for lead in leads) / max(len(han), 1)
    if counts.han < 12:
        return level_1 + frequent if level_1 >= 0.8 and frequent > 0 else 0.0
    return level_1 + frequent if frequent >= 0.15 and level_1 >= 0.6 else 0.0


def _judge_gb18030(text: str) -> float:
    return _judge_chinese(text, "gb2312", 0xB0, 0xD7)  # the 3,755 common characters of GB 2312


def _judge_big5(text: str) -> float:
    return _judge_chinese(text, "big5", 0xA4, 0xC6)  # the 5,401 common characters of Big5


_WESTERN = re.compile(r"[^\x00-\x7f]+")
_SIGNS = frozenset("‘’“”–—…•€™£§©®°«»·¡¿\xa0´`ªº½¼¾²³¹±×‚„‹›†‡‰ƒ¢¥¶µ¨\xad")


def _judge_western(text: str) -> float:
    """Plausibility of a Western European decoding: mostly ASCII, accents alone among letters, signs between words."""
    if re.search("[\x80-\x9f]", text):
        return 0.0  # control characters: these bytes are letters and quotes of Windows-1252
    runs = _WESTERN.findall(text)
    n_high = sum(map(len, runs))
    n_letters = sum(char.isalpha() for char in text)
    n_accented = sum(char.isalpha() for run in runs for char in run)
    if n_accented > 0.25 * n_letters or sum(len(run) for run in runs if len(run) > 2) > 0.1 * n_high:
        return 0.0
    wrong = sum(not (char.isalpha() or char in _SIGNS) for run in runs for char in run)
    wrong += len(re.findall(r"[A-Za-z][£§©®°«»¡¿ªº½¼¾²³¹±×¢¥¶µ¨¤¦¬¯¸][a-z]", text))
    wrong += len(re.findall(r"[a-z][À-ÖØ-Þ]", text))  # a capital inside a word: Cyrillic or Greek in disguise
    wrong += len(re.findall(r"(?<![A-Za-zÀ-ÿ])[À-ÖØ-öø-ÿ]{2}(?![A-Za-zÀ-ÿ])", text))
    return 0.5 if wrong <= 0.1 * n_high else 0.0


_LEGACY: tuple[tuple[str, str, Callable[[str], float]], ...] = (
    ("gb18030", "gb18030", _judge_gb18030),
    ("big5", "cp950", _judge_big5),
    ("big5", "big5hkscs", _judge_big5),
    ("latin-1", "latin-1", _judge_western),
    ("cp1252", "cp1252", _judge_western),
)
