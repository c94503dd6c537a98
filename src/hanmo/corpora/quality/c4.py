"""The rules of C4 (Raffel et al., 2020, §2.2), in English and Chinese: most take lines out, few drop the document.

Of the original, three are not here. Its list of bad words drops medicine and sex education along with the rest, and there is
none of that standing for Chinese. Three sentences in a row that stand elsewhere are found by `hanmo.corpora.dedup`. The language
is asked for by `CorpusSettings.languages`.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter

from hanmo.corpora.quality.page import Page, ends_sentence, without_gaps
from hanmo.corpora.quality.settings import QualitySettings

__all__ = ["c4_lines", "c4_problem"]

MIN_WORDS_IN_LINE = 5
"""Fewest words of an English line that is kept."""
MIN_CHARACTERS_IN_LINE = 5
"""Fewest characters of a Chinese line, marks included: 她没有说。 is a whole sentence."""

_ENGLISH_POLICY = ("terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies")
_CHINESE_POLICY = re.compile(
    r"隐私(?:政策|权政策|声明|条款)|隱私(?:政策|權政策|聲明|條款)|(?:使用|服务|服務)(?:条款|條款|协议|協議)|用户协议|使用者協議"
    r"|免责声明|免責聲明|版权(?:所有|声明)|版權(?:所有|聲明)|未经(?:许可|授权|书面)|未經(?:許可|授權|書面)|(?:禁止|请勿)转载"
    r"|转载请注明|轉載請註明|使用\s?cookie",
    re.IGNORECASE,
)
_STEMS = ("javascript", "policy", "cookie", "terms of use")
_CHINESE_STEMS = (
    "隐私", "隱私", "条款", "條款", "协议", "協議", "声明", "聲明", "版权", "版權", "未经", "未經", "转载", "轉載",
)  # fmt: skip
"""One of these is in all that `_notice` finds; most texts have none."""
_MAX_POLICY_LINE = 200
"""Longest line, in characters, of which Chinese policy words make a notice; novels and laws speak of such things too."""
_CURLY = re.compile(r"(?<!-)\{")
"""Not `-{`, which is how Chinese wikis mark words that differ between simplified and traditional script."""
_SENTENCE_END = re.compile(r"[.!?]+[\"'”’)\]]*(?=\s|$)|[。！？｡．؟।]+|……")


def c4_lines(page: Page, settings: QualitySettings) -> tuple[str, Counter[str]]:
    """Take out the lines that the rules do not keep.

    Returns:
        What is left, and how many lines went by reason.
    """
    removed: Counter[str] = Counter()
    kept = []
    lower = page.text.lower()
    has_notices = any(stem in lower for stem in (*_STEMS, *(_CHINESE_STEMS if page.is_spaceless else ())))
    for line in page.text.split(page.separator):
        stripped = line.strip()
        reason = _line_problem(stripped, page, settings) if stripped else None
        if reason is None and has_notices:
            reason = _notice(stripped, page)
        if reason is None:
            kept.append(line)
        else:
            removed[reason] += 1
    if not removed:
        return page.text, removed
    return without_gaps(page.separator.join(kept)), removed


def _line_problem(line: str, page: Page, settings: QualitySettings) -> str | None:
    if settings.terminal_punctuation and not ends_sentence(line):
        return "no end of a sentence (c4)"
    if page.is_spaceless:
        if len(line) < MIN_CHARACTERS_IN_LINE:
            return "short line (c4)"
    elif len(line.split(None, MIN_WORDS_IN_LINE - 1)) < MIN_WORDS_IN_LINE:
        return "short line (c4)"
    return None


def _notice(line: str, page: Page) -> str | None:
    lower = line.lower()
    if "javascript" in lower:
        return "line about JavaScript (c4)"
    is_policy = any(phrase in lower for phrase in _ENGLISH_POLICY)
    if is_policy or (page.is_spaceless and len(line) <= _MAX_POLICY_LINE and _CHINESE_POLICY.search(line)):
        return "policy or licence notice (c4)"
    return None


def c4_problem(page: Page, settings: QualitySettings) -> str | None:
    """Say which of the rules for documents a text fails first, or None."""
    if "{" in page.text and _CURLY.search(page.text):
        return "curly brackets (c4)"
    if any(words in page.text for words in ("orem ipsum", "orem Ipsum", "OREM IPSUM")):
        return "placeholder text (c4)"
    n_sentences = sum(1 for _ in itertools.islice(_SENTENCE_END.finditer(page.text), settings.min_sentences))
    return "too few sentences (c4)" if n_sentences < settings.min_sentences else None
