"""Text repair that is safe to run over everything: line ends, control characters, NFC, and mojibake.

Mojibake is text that was decoded in the wrong encoding and saved (`ä½\xa0å¥½` or `浣犲ソ` for 你好). Western
mojibake is left to ftfy (Speer, 2019), with full-width Chinese punctuation and curly quotes kept; Chinese text
read as Latin-1 or GBK is turned back here, and only where the result is clearly more plausible.
NFC, never NFKC: NFKC would turn the full-width comma into an ASCII one.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cache
from typing import Any

from hanmo.text.han import count_characters

__all__ = ["Repaired", "fix_mojibake", "normalise", "repair"]

_UNWANTED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x84\x86-\x9f\ufeff\ufffe\uffff\ud800-\udfff]")
_LINE_ENDS = re.compile("\r\n?|\x85|\u2028|\u2029")

# A lead byte of a multi-byte UTF-8 sequence, then a continuation byte, both seen through Latin-1 or Windows-1252.
_CP1252_HIGH = "€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ"
_WESTERN_SUSPECT = re.compile(f"[\xc2-\xf4][\x80-\xbf{_CP1252_HIGH}]")
# The two halves of frequent Chinese characters and marks in UTF-8, seen through GBK.
_GBK_SUSPECT = re.compile("[锛銆涓鐨鏄鎴涔鍥浜杩绗瀛鍚浣鏂绋鏈鍦鍒鏃璇鍙鎵涓犲ソ鈥澶鑳瑕]")
_NON_ASCII = re.compile(r"[^\x00-\x7f]+")


@dataclass(frozen=True, slots=True)
class Repaired:
    """Repaired text and what was done."""

    text: str
    n_mojibake: int
    """Lines whose encoding was repaired."""
    n_control: int
    """Control characters, stray byte-order marks and lone surrogates removed."""


def repair(text: str, *, code: bool = False, mojibake: bool = True) -> Repaired:
    """Repair the text of a document.

    Args:
        text: decoded text.
        code: program source: only line ends are made `\\n`; every other character stays as it is.
        mojibake: also turn wrongly decoded passages back.
    """
    if code:
        return Repaired(text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text, 0, 0)
    n_marks = text.count("\ufeff")  # before the rest: one at the beginning would spoil the run it stands in
    text = text.replace("\ufeff", "")
    text, n_mojibake = fix_mojibake(text) if mojibake else (text, 0)
    text, n_control = normalise(text)
    return Repaired(text, n_mojibake, n_marks + n_control)


def normalise(text: str) -> tuple[str, int]:
    """Make line ends `\\n`, drop control characters except newline and tab, and compose to NFC.

    Returns:
        The text and the number of characters dropped. Applying it twice changes nothing more.
    """
    if not text.isascii() or "\r" in text:
        text = _LINE_ENDS.sub("\n", text)
    text, n_dropped = _UNWANTED.subn("", text)
    if not text.isascii() and not unicodedata.is_normalized("NFC", text):
        text = unicodedata.normalize("NFC", text)
    return text, n_dropped


def fix_mojibake(text: str) -> tuple[str, int]:
    """Turn wrongly decoded passages back; clean text passes two regular expressions and nothing else.

    Returns:
        The text and the number of lines changed.
    """
    if text.isascii():
        return text, 0
    western = _WESTERN_SUSPECT.search(text) is not None
    gbk = _GBK_SUSPECT.search(text) is not None
    if not western and not gbk:
        return text, 0
    lines, n_fixed = text.split("\n"), 0
    for number, line in enumerate(lines):
        fixed = line
        if western and _WESTERN_SUSPECT.search(line):
            fixed = _fix_western(line)
        if gbk and len(_GBK_SUSPECT.findall(fixed)) >= 2:
            fixed = _NON_ASCII.sub(_fix_gbk_run, fixed)
        if fixed != line:
            lines[number] = fixed
            n_fixed += 1
    return ("\n".join(lines), n_fixed) if n_fixed else (text, 0)


def _fix_western(line: str) -> str:
    fixed = _NON_ASCII.sub(_fix_latin_run, line)
    if _WESTERN_SUSPECT.search(fixed):
        ftfy, config = _ftfy()
        fixed = ftfy.fix_text(fixed, config)
    return fixed


@cache
def _ftfy() -> tuple[Any, Any]:
    import ftfy  # 50 ms that clean text need not pay

    return ftfy, ftfy.TextFixerConfig(
        unescape_html=False,
        remove_terminal_escapes=False,
        fix_latin_ligatures=False,
        fix_character_width=False,
        uncurl_quotes=False,
        fix_line_breaks=False,
        remove_control_chars=False,
        normalization=None,
        explain=False,
    )


def _fix_latin_run(match: re.Match[str]) -> str:
    """UTF-8 Chinese seen through Latin-1 or Windows-1252, byte for byte."""
    run = match[0]
    try:
        data = b"".join(_byte_of(char) for char in run)
        fixed = data.decode("utf-8")
    except (UnicodeEncodeError, UnicodeDecodeError):
        return run
    counts = count_characters(fixed)
    return fixed if counts.han + counts.cjk_marks == len(fixed) else run


def _byte_of(char: str) -> bytes:
    return char.encode("latin-1") if char <= "\xff" else char.encode("cp1252")


def _fix_gbk_run(match: re.Match[str]) -> str:
    """UTF-8 Chinese seen through GBK: turned back when whole and when frequent characters become frequent."""
    run = match[0]
    if len(run) < 3:
        return run
    data = run.encode("gb18030", "ignore")
    try:
        fixed = data.decode("utf-8")
    except UnicodeDecodeError as error:
        if len(data) - error.start > 2 or error.start < 12:
            return run
        fixed = data[: error.start].decode("utf-8")  # the last character lost its end in the wrong decoding
    before, after = count_characters(run), count_characters(fixed)
    if after.han < 2 or after.odd or after.han + after.cjk_marks < 0.9 * sum(char > "\x7f" for char in fixed):
        return run
    return fixed if after.frequent / after.han > before.frequent / max(before.han, 1) + 0.1 else run
