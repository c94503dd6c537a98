"""BLEU, chrF and TER of translations: sacrebleu (Post, 2018), with the tokenizer that the target language needs.

Each score carries its signature: without it a BLEU score cannot be compared with another. The default tokenizer of
BLEU takes a Chinese sentence for one word, so the target language has to be named.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hanmo.core.errors import ConfigError, DataError
from hanmo.metrics.checks import as_list, check_pairs, check_texts, reference_lists
from hanmo.metrics.per_example import PerExample
from hanmo.metrics.units import share_of_han

__all__ = ["TranslationScore", "bleu", "bleu_tokenizer", "chrf", "ter"]

BleuTokenizer = Literal["13a", "intl", "zh", "char", "none"]

_WITHOUT_SPACES = {"zh": "zh", "ja": "char", "th": "char", "lo": "char", "km": "char", "my": "char"}
"""Language → tokenizer of BLEU, where words are not parted by spaces; zh parts Chinese characters and words of others."""
_TOO_MUCH_HAN = 0.2


@dataclass(frozen=True)
class TranslationScore:
    """One metric over a corpus of translations."""

    name: str
    """The metric: "BLEU", "chrF2", "chrF2++" or "TER"."""
    score: float
    """BLEU and chrF: 0..100, higher is better; TER: edits per 100 words of the reference, from 0, lower is better."""
    signature: str
    """All that the score depends on, as sacrebleu writes it."""
    sentence_scores: tuple[float, ...]
    """The metric of each sentence alone; BLEU over the n-gram orders that the sentence is long enough for."""
    examples: PerExample
    """The score in the form that intervals and paired tests take."""


def _language(target_language: str) -> str:
    code = target_language.replace("_", "-").split("-")[0].lower()
    if not (code.isascii() and code.isalpha() and 2 <= len(code) <= 3):
        raise ConfigError(
            f"{target_language!r} is not a language code",
            where="target_language",
            remedy="Give the language of the translations, such as 'zh' or 'en'.",
        )
    return code


def bleu_tokenizer(target_language: str) -> BleuTokenizer:
    """The tokenizer of BLEU for a language: "zh" for Chinese, "char" for others without spaces, else "13a".

    Raises:
        ConfigError: for what is no language code.
    """
    tokenizer: Any = _WITHOUT_SPACES.get(_language(target_language), "13a")
    return tokenizer


def _read(
    predictions: Iterable[str], references: Iterable[str | Sequence[str]], target_language: str, *, forced: bool = False
) -> tuple[list[str], list[list[str | None]]]:
    """The translations, and the references as sacrebleu takes them: streams, with None where a sentence has fewer."""
    ours, given = as_list(predictions, "predictions"), as_list(references, "references")
    check_pairs(ours, given)
    check_texts(ours, "predictions")
    right = reference_lists(given)
    if not forced and _language(target_language) not in _WITHOUT_SPACES:
        share = share_of_han("".join(text for texts in right for text in texts))
        if share > _TOO_MUCH_HAN:
            raise DataError(
                f"{share:.0%} of the references is Chinese, but the target language is {target_language!r}",
                where="references",
                remedy="Give target_language='zh'; check that sources and references are not swapped.",
            )
    n_streams = max(map(len, right))
    return ours, [[texts[i] if i < len(texts) else None for texts in right] for i in range(n_streams)]


def _score(
    metric: Any, predictions: list[str], streams: list[list[str | None]], sentence_metric: Any = None
) -> TranslationScore:
    statistics = metric._extract_corpus_statistics(predictions, streams)
    rows = np.array(statistics, dtype=np.float64)

    def scores(of: Any, sums: NDArray[Any]) -> NDArray[np.float64]:
        return np.array([of._compute_score_from_stats(row.tolist()).score for row in sums])

    corpus = metric._aggregate_and_compute(statistics)
    signature = str(metric.get_signature())
    return TranslationScore(
        name=corpus.name,
        score=float(corpus.score),
        signature=signature,
        sentence_scores=tuple(scores(sentence_metric or metric, rows).tolist()),
        examples=PerExample(f"{corpus.name}|{signature}", rows, lambda sums: scores(metric, sums)),
    )


def bleu(
    predictions: Iterable[str],
    references: Iterable[str | Sequence[str]],
    *,
    target_language: str,
    tokenizer: BleuTokenizer | None = None,
    lowercase: bool = False,
    smooth: Literal["exp", "floor", "add-k", "none"] = "exp",
    smooth_value: float | None = None,
) -> TranslationScore:
    """BLEU over a corpus (Papineni et al., 2002).

    Args:
        predictions: one translation for each sentence, not tokenized.
        references: one right translation for each sentence, or several.
        target_language: the language of both, such as "zh" or "en-GB".
        tokenizer: another tokenizer than `bleu_tokenizer(target_language)`.
        lowercase: whether case is ignored.
        smooth: what an n-gram order without a match counts as (Chen & Cherry, 2014).
        smooth_value: the value of "floor" and "add-k"; None takes sacrebleu's.

    Raises:
        ConfigError: for what is no language code, an unknown tokenizer or smoothing.
        DataError: for lists of different lengths, empty ones, values that are no texts, or Chinese references where
            another target language is given.
    """
    from sacrebleu.metrics.bleu import BLEU

    if tokenizer not in (None, "13a", "intl", "zh", "char", "none"):
        raise ConfigError(
            f"unknown tokenizer {tokenizer!r}", where="tokenizer", remedy="Choose 13a, intl, zh, char or none."
        )
    if smooth not in ("exp", "floor", "add-k", "none"):
        raise ConfigError(f"unknown smoothing {smooth!r}", where="smooth", remedy="Choose exp, floor, add-k or none.")
    ours, streams = _read(predictions, references, target_language, forced=tokenizer is not None)
    chosen = tokenizer or bleu_tokenizer(target_language)

    def metric(effective_order: bool) -> Any:
        return BLEU(
            lowercase=lowercase,
            tokenize=chosen,
            smooth_method=smooth,
            smooth_value=smooth_value,
            effective_order=effective_order,
        )

    return _score(metric(effective_order=False), ours, streams, metric(effective_order=True))


def chrf(
    predictions: Iterable[str],
    references: Iterable[str | Sequence[str]],
    *,
    target_language: str,
    char_order: int = 6,
    word_order: int = 0,
    beta: int = 2,
    whitespace: bool = False,
    eps_smoothing: bool = False,
) -> TranslationScore:
    """chrF over a corpus: F-score of character n-grams (Popović, 2015); with `word_order=2`, chrF++ (Popović, 2017).

    Args:
        predictions: one translation for each sentence, not tokenized.
        references: one right translation for each sentence, or several.
        target_language: the language of both; chrF++ counts words, which Chinese does not part.
        char_order: longest character n-grams.
        word_order: longest word n-grams; 0 for none.
        beta: how many times recall counts as much as precision.
        whitespace: whether n-grams run over spaces.
        eps_smoothing: smoothing as in the script of the paper's author, Moses and NLTK.

    Raises:
        ConfigError: for what is no language code, or chrF++ in a language without spaces.
        DataError: as `bleu`.
    """
    from sacrebleu.metrics.chrf import CHRF

    if word_order and _language(target_language) in _WITHOUT_SPACES:
        raise ConfigError(
            f"chrF++ counts words, which {target_language!r} does not part by spaces",
            where="word_order",
            remedy="Leave word_order=0.",
        )
    ours, streams = _read(predictions, references, target_language)
    metric = CHRF(
        char_order=char_order, word_order=word_order, beta=beta, whitespace=whitespace, eps_smoothing=eps_smoothing
    )
    return _score(metric, ours, streams)


def ter(
    predictions: Iterable[str],
    references: Iterable[str | Sequence[str]],
    *,
    target_language: str,
    case_sensitive: bool = False,
) -> TranslationScore:
    """Translation edit rate over a corpus (Snover et al., 2006): edits and shifts per 100 words; Chinese by character.

    Args:
        predictions: one translation for each sentence.
        references: one right translation for each sentence, or several.
        target_language: the language of both.
        case_sensitive: whether case counts.

    Raises:
        ConfigError: for what is no language code.
        DataError: as `bleu`.
    """
    from sacrebleu.metrics.ter import TER

    ours, streams = _read(predictions, references, target_language)
    by_character = _language(target_language) in ("zh", "ja")
    return _score(
        TER(case_sensitive=case_sensitive, normalized=by_character, asian_support=by_character), ours, streams
    )
