"""Repair, redaction, languages and quality rules, each counted, those that drop with a reason."""

from __future__ import annotations

import dataclasses

from hanmo.corpora.documents import Document
from hanmo.corpora.pii.redact import redact
from hanmo.corpora.pii.spans import KINDS
from hanmo.corpora.quality.judge import judge
from hanmo.corpora.settings import CorpusSettings
from hanmo.text.chinese_script import convert_script
from hanmo.text.language import guess_language, identify_language
from hanmo.text.repair import repair

__all__ = ["clean"]


def clean(document: Document, settings: CorpusSettings) -> tuple[Document, str | None]:
    """Repair the text of a document, redact it if asked to, guess its language, and judge it.

    Returns:
        The cleaned document, and the reason to drop it or None; its meta count what was repaired, redacted and taken out. Of
        program code only line ends are altered, and what
        `settings.redact` asks for.
    """
    is_code = document.meta.get("kind") == "py"
    meta = document.meta
    repaired = repair(document.text, code=is_code, mojibake=settings.repair_mojibake)
    text = repaired.text
    if repaired.n_mojibake:
        meta = {**meta, "mojibake_lines": repaired.n_mojibake}
    if settings.redact:
        redacted = redact(text, KINDS if settings.redact == "all" else settings.redact)
        text = redacted.text
        if redacted.spans:
            meta = {**meta, "redacted": redacted.counts}
    if not is_code:
        text = text.strip("\n \t\u3000") if text[:1].isspace() or text[-1:].isspace() else text
    lang = guess_language(text, code=is_code)
    if lang == "zh" and settings.chinese_script != "keep":
        text = convert_script(text, settings.chinese_script)
    cleaned = dataclasses.replace(document, text=text, lang=lang, meta=meta)
    if not text or text.isspace():
        return cleaned, "empty"
    if settings.languages:
        name = "code" if is_code else identify_language(text)[0]
        if not {name, name.partition("-")[0]} & set(settings.languages):
            return cleaned, f"language not wanted: {name}"
    verdict = judge(text, lang, settings.quality)
    if verdict.removed_lines:
        meta = {**meta, "removed_lines": dict(verdict.removed_lines)}
        cleaned = dataclasses.replace(cleaned, text=verdict.text, meta=meta)
    return cleaned, verdict.reason
