"""How a report says things in its language: sentences with their places filled, amounts, sizes, times."""

from __future__ import annotations

import math
import re
from typing import Literal

from hanmo.evaluation.report_text import REASONS_ZH, TEXT

__all__ = ["Language", "Writer"]

Language = Literal["en", "zh"]

_REST_OF_FILE = "rest of the file: "

_BIG = {
    "en": ((1e12, " trillion"), (1e9, " billion"), (1e6, " million")),
    "zh": ((1e12, " 万亿"), (1e8, " 亿"), (1e4, " 万")),
}


def _significant(value: float, digits: int = 3) -> str:
    """Fixed-point with about `digits` significant digits: 1.87, 23.4, 512."""
    if value == 0:
        return "0"
    places = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:,.{min(places, 12)}f}"


class Writer:
    """Writes sentences and numbers in one language."""

    def __init__(self, lang: Language):
        self.lang: Language = lang
        self._column = 0 if lang == "en" else 1

    def __call__(self, key: str, **values: object) -> str:
        """The sentence `key`, its places filled."""
        return TEXT[key][self._column].format(**values)

    def known(self, key: str) -> bool:
        """Whether there is a sentence of this name."""
        return key in TEXT

    def reason(self, text: str) -> str:
        """A reason of the corpus builder."""
        if self.lang == "en":
            return text
        if text.startswith(_REST_OF_FILE):
            return f"文件其余部分：{self.reason(text.removeprefix(_REST_OF_FILE))}"
        if text in REASONS_ZH:
            return REASONS_ZH[text]
        known, _, detail = text.partition(" (")
        return f"{REASONS_ZH[known]}（{detail.replace(')', '）', 1)}" if known in REASONS_ZH else text

    def redacted_kind(self, kind: str) -> str:
        """The name of a kind of personal data, or the kind."""
        key = f"redacted_{kind}"
        return self(key) if key in TEXT else kind

    def score(self, name: str) -> str:
        """The name of a figure; behind a space stands whose it is: a baseline ("rouge1 lead-1") or a pair ("bleu en-de")."""
        figure, _, whose = name.partition(" ")
        told = self(f"score_{figure}") if f"score_{figure}" in TEXT else figure
        if not whose:
            return told
        kind, _, n = whose.partition("-")
        return f"{told} · {self(f'baseline_{kind}', n=n) if f'baseline_{kind}' in TEXT else whose}"

    def method(self, text: str) -> str:
        """How energy was found, in the words of `hanmo.core.machine`."""
        inside = re.sub(r"^(?:measured|estimated) \((.*)\)$", r"\1", text)
        if self.lang == "en":
            return inside
        estimate = re.fullmatch(r"([\d.]+) W per busy core, (\d+) core-seconds", inside)
        if estimate:
            return f"每个满载核心按 {estimate[1]} W 计，共 {estimate[2]} 核·秒"
        return inside.replace("RAPL, whole processor package", "RAPL，整个处理器封装")

    def tokenizer_kind(self, kind: str) -> str:
        """The kind of a tokenizer at the beginning of a sentence."""
        return kind.replace("byte-level ", "字节级 ") if self.lang == "zh" else kind[:1].upper() + kind[1:]

    def integer(self, value: float | None) -> str:
        """1234567 → 1,234,567."""
        return "–" if value is None or not math.isfinite(value) else f"{round(value):,}"

    def number(self, value: float | None, digits: int = 3) -> str:
        """About `digits` significant digits; very small and very large values in powers of ten."""
        if value is None or not math.isfinite(value):
            return "–"
        if value and not 1e-4 <= abs(value) < 1e9:
            mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
            superscript = str(int(exponent)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
            return f"{mantissa.rstrip('0').rstrip('.') if '.' in mantissa else mantissa} × 10{superscript}"
        return _significant(value, digits)

    def amount(self, value: float | None) -> str:
        """A count in words: 1.87 million, 187 万."""
        if value is None or not math.isfinite(value):
            return "–"
        for unit, name in _BIG[self.lang]:
            if value >= unit:
                return _significant(value / unit) + name
        return self.integer(value) + (" " if self.lang == "zh" else "")

    def percent(self, share: float) -> str:
        """0.123 → 12%, with a digit more below 10 %."""
        digits = 0 if abs(share) >= 0.1 else 1
        return f"{100 * share:.{digits}f}%"

    def size(self, n_bytes: float | None) -> str:
        """Bytes in decimal units: 4.21 MB."""
        if n_bytes is None or not math.isfinite(n_bytes):
            return "–"
        for unit, name in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
            if n_bytes >= unit:
                return f"{_significant(n_bytes / unit)}\u00a0{name}"
        return f"{n_bytes:.0f}\u00a0B" if self.lang == "en" else f"{n_bytes:.0f} 字节"

    def time(self, seconds: float | None) -> str:
        """A duration: 3 min 2 s, 3 分 2 秒."""
        if seconds is None or not math.isfinite(seconds) or seconds < 0:
            return "–"
        h, m, s = ("h", "min", "s") if self.lang == "en" else ("小时", "分", "秒")
        if seconds < 10:
            return f"{seconds:.1f}\u00a0{s}"
        minutes, rest = divmod(round(seconds), 60)
        hours, minutes = divmod(minutes, 60)
        parts = [(hours, h), (minutes, m)] if hours else [(minutes, m), (rest, s)] if minutes else [(rest, s)]
        return " ".join(f"{n}\u00a0{unit}" for n, unit in parts if n) or f"0\u00a0{s}"

    def energy(self, kwh: float | None) -> str:
        """Kilowatt-hours, or watt-hours where it is little."""
        if kwh is None or not math.isfinite(kwh):
            return "–"
        wh, k = ("Wh", "kWh") if self.lang == "en" else ("瓦时", "千瓦时")
        return f"{self.number(1000 * kwh)}\u00a0{wh}" if kwh < 1 else f"{self.number(kwh)}\u00a0{k}"

    def mass(self, kg: float | None) -> str:
        """Kilograms, or grams where it is little."""
        if kg is None or not math.isfinite(kg):
            return "–"
        return f"{self.number(1000 * kg)}\u00a0g" if kg < 1 else f"{self.number(kg)}\u00a0kg"

    def language_name(self, code: str) -> str:
        """The name of a language code, or the code."""
        names = {
            "en": ("English", "英文"),
            "zh": ("Chinese", "中文"),
            "code": ("Source code", "代码"),
            "py": ("Python", "Python 代码"),
            "python": ("Python", "Python 代码"),
            "other": ("Other", "其他语言"),
            "und": ("Undetermined", "未识别"),
            "unknown": ("Undetermined", "未识别"),
            "": ("Undetermined", "未识别"),
        }
        return names[code][self._column] if code in names else code
