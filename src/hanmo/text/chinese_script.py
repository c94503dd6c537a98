"""Traditional and simplified Chinese: telling them apart, and turning one into the other."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Callable
from typing import Literal

import numpy as np

from hanmo.core.errors import ConfigError, MissingExtraError
from hanmo.text.han import code_points

__all__ = ["Region", "Script", "convert_script", "guess_script"]

Script = Literal["simplified", "traditional", "taiwan", "hongkong"]
"""What a text can be turned into: "taiwan" and "hongkong" are traditional with the forms that are standard there."""
Region = Literal["taiwan", "hongkong"]

_CONFIGS: dict[tuple[str, str | None, bool], str] = {
    ("simplified", None, False): "t2s",
    ("simplified", "taiwan", False): "tw2s",
    ("simplified", "taiwan", True): "tw2sp",
    ("simplified", "hongkong", False): "hk2s",
    ("simplified", "hongkong", True): "hk2sp",
    ("traditional", None, False): "s2t",
    ("traditional", "taiwan", False): "tw2t",
    ("traditional", "hongkong", False): "hk2t",
    ("taiwan", None, False): "s2tw",
    ("taiwan", None, True): "s2twp",
    ("hongkong", None, False): "s2hk",
    ("hongkong", None, True): "s2hkp",
}
"""Configurations of OpenCC by target, origin, and whether words are replaced too."""
_OTHER = re.compile("[\u3041-\u3096\u30a1-\u30fa\u31f0-\u31ff\uff66-\uff9d\uac00-\ud7a3]")
"""Kana and Korean syllables; not the dot of foreign names in Chinese (U+30FB)."""
_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_SURROGATES = re.compile("([\ud800-\udfff]+)")
_MAX_OTHER_SHARE = 0.1
"""Share of kana and Korean from which a line with Han characters is not Chinese."""
_MIN_RATIO = 3
"""How many times as many characters of one script than of the other a text must have to be in the one."""


def convert_script(text: str, to: Script, *, origin: Region | None = None, words: bool = False) -> str:
    """Turn Chinese text into simplified or traditional characters, word by word where a character alone does not say
    which (发 is 發 or 髮), by OpenCC.

    Lines of Japanese or Korean, told by their kana and syllables, stay as they are, and so does everything that is not
    Han. The length stays the same but for a few words, mostly with `words`.

    Args:
        text: any text.
        to: what to turn it into.
        origin: where a traditional text is from, if that is known: it has forms of its own there.
        words: replace words of the region as well (軟體 becomes 软件); needs `origin` where `to` is "simplified".

    Raises:
        ConfigError: if these arguments do not go together.
        MissingExtraError: if opencc is not installed.
    """
    config = _CONFIGS.get((to, origin, words))
    if config is None:
        known = ", ".join(f"to={t!r}" + f", origin={o!r}" * bool(o) + ", words=True" * w for t, o, w in _CONFIGS)
        raise ConfigError(
            f"there is no conversion to={to!r}, origin={origin!r}, words={words}", remedy=f"There are: {known}."
        )
    convert = _converter(config)
    if _OTHER.search(text) is None:
        return convert(text)
    groups = itertools.groupby(text.split("\n"), key=_is_chinese)
    return "\n".join(convert("\n".join(lines)) if is_chinese else "\n".join(lines) for is_chinese, lines in groups)


def _is_chinese(line: str) -> bool:
    n_other = len(_OTHER.findall(line))
    return n_other == 0 or n_other <= _MAX_OTHER_SHARE * (n_other + len(_HAN.findall(line)))


@functools.cache
def _converter(config: str) -> Callable[[str], str]:
    try:
        import opencc
    except ImportError as error:
        raise MissingExtraError("opencc", "corpus", "converting between Chinese scripts") from error
    # Without the characters that are simplified by rule only and that hardly any font has.
    inner = opencc.OpenCC(config, include_tofu_risk_dictionaries=False)

    def convert(text: str) -> str:
        try:
            return inner.convert(text)
        except UnicodeEncodeError:  # lone surrogates are in no encoding
            parts = _SURROGATES.split(text)
            return "".join(part if place % 2 else inner.convert(part) for place, part in enumerate(parts))

    return convert


@functools.cache
def _table() -> np.ndarray:
    """1 for the characters of GB 2312 that Big5 lacks, 2 for the frequent ones of Big5 that GB 2312 lacks, (65536,).

    The two standards of the eighties hold what was in use in either script; what both have says nothing (后, 里).
    """
    table = np.zeros(0x10000, np.uint8)
    for point in range(0x4E00, 0xA000):
        char = chr(point)
        in_gb = bool(char.encode("gb2312", "ignore"))
        big5 = char.encode("big5", "ignore")
        if in_gb and not big5:
            table[point] = 1
        elif not in_gb and b"\xa4\x40" <= big5 < b"\xc6\x80":  # level 1: 5,401 characters
            table[point] = 2
    return table


def guess_script(text: str) -> Literal["simplified", "traditional"] | None:
    """Tell simplified from traditional Chinese by the characters that only one of the two uses.

    Returns:
        None where there are no such characters, as many of the one as of the other, or kana in plenty (Japanese).
    """
    points = code_points(text)
    sorts = np.bincount(_table()[points[points < 0x10000]], minlength=3)
    n_simplified, n_traditional = int(sorts[1]), int(sorts[2])
    if max(n_simplified, n_traditional) < max(_MIN_RATIO * min(n_simplified, n_traditional), 1):
        return None
    if not _is_chinese(text):
        return None
    return "simplified" if n_simplified > n_traditional else "traditional"
