"""Named entities and chunks: F1 over whole spans, by three rules that must not be mixed up, each under its own name.

| name | illegal tags | who reports it |
|---|---|---|
| `strict` | spell nothing | seqeval with `mode="strict"` and a scheme; the one to report |
| `seqeval-default` | are repaired: a stray I begins a span | seqeval without a mode, most scripts built on it |
| `conlleval` | are repaired alike | the script of the CoNLL shared tasks; IOB tags only; figures in percent there |

Spans are spans of words, so tags go on words, not on pieces of them; a sentence that a model could not read to its end
needs a tag (O) for the rest, for its entities are missed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from hanmo.core.errors import ConfigError, DataError
from hanmo.metrics.checks import as_list, check_pairs
from hanmo.metrics.classification import ClassScores
from hanmo.metrics.per_example import PerExample, f1_of_sums, macro_f1_of_sums, ratio_of_sums
from hanmo.metrics.tag_schemes import Entity, Scheme, entities, illegal_tags, loose_entities

__all__ = ["SpanScores", "span_examples", "span_scores", "tag_accuracy_examples", "tag_macro_f1_examples"]

SpanRule = Literal["strict", "seqeval-default", "conlleval"]
SpanMetric = Literal["f1", "precision", "recall", "macro_f1", "tag_accuracy"]
_SHOWN: dict[SpanMetric, str] = {
    "f1": "F1", "precision": "precision", "recall": "recall", "macro_f1": "macro F1", "tag_accuracy": "tag accuracy",
}  # fmt: skip


@dataclass(frozen=True)
class SpanScores:
    """All figures of a tagger on one test set."""

    name: str
    """The rule and the scheme, as a report prints them, such as "span F1 (strict, IOB2)"."""
    precision: float
    """Share of the predicted spans that are right in type and both ends, 0..1; 0 where none was predicted."""
    recall: float
    """Share of the spans of the references that were found, 0..1; 0 where there are none."""
    f1: float
    """Harmonic mean of the two, over all types together, 0..1."""
    support: int
    """Spans in the references."""
    per_type: dict[str, ClassScores]
    """Type → its scores, types that were only predicted included."""
    macro_f1: float
    """Plain mean of F1 over the types, 0..1; 0 where there are no spans at all."""
    tag_accuracy: float
    """Share of the words with the right tag, 0..1; flattered by the many O."""
    sentence_accuracy: float
    """Share of the sentences with all tags right, 0..1."""
    n_illegal_predicted: int
    """Predicted sentences whose tags break the scheme."""
    n_illegal_references: int
    """Sentences of the references whose tags break the scheme."""


@dataclass(frozen=True)
class _Sentences:
    predicted: list[Sequence[str]]
    expected: list[Sequence[str]]
    spans_predicted: list[set[Entity]]
    spans_expected: list[set[Entity]]


def _read(
    predictions: Iterable[Sequence[str]], references: Iterable[Sequence[str]], scheme: Scheme, rule: SpanRule
) -> _Sentences:
    if rule not in ("strict", "seqeval-default", "conlleval"):
        raise ConfigError(f"unknown rule {rule!r}", where="rule", remedy="Choose strict, seqeval-default or conlleval.")
    if rule == "conlleval" and scheme not in ("IOB1", "IOB2"):
        raise ConfigError(
            f"conlleval does not know {scheme}", where="rule", remedy="Use strict, or convert the tags to IOB2."
        )
    predicted, expected = _tags(predictions, references)
    read = entities if rule == "strict" else loose_entities
    spans: tuple[list[set[Entity]], list[set[Entity]]] = ([], [])
    for sentence, (ours, right) in enumerate(zip(predicted, expected, strict=True)):
        spans[0].append(set(read(ours, scheme, where=f"predictions[{sentence}]")))
        spans[1].append(set(read(right, scheme, where=f"references[{sentence}]")))
    return _Sentences(predicted, expected, *spans)


def _tags(
    predictions: Iterable[Sequence[str]], references: Iterable[Sequence[str]]
) -> tuple[list[Sequence[str]], list[Sequence[str]]]:
    """Tags of each sentence, checked: as many as there are words."""
    predicted, expected = as_list(predictions, "predictions"), as_list(references, "references")
    check_pairs(predicted, expected)
    for sentence, (ours, right) in enumerate(zip(predicted, expected, strict=True)):
        if isinstance(ours, str) or isinstance(right, str):
            raise DataError(
                "a text where a list of tags belongs",
                where=f"sentence {sentence}",
                remedy="Give a list of tags for each sentence.",
            )
        if len(ours) != len(right):
            raise DataError(
                f"{len(ours)} predicted tags for {len(right)} words",
                where=f"predictions[{sentence}]",
                remedy="Give one tag for each word, O for words that the model could not read.",
            )
    return predicted, expected


def _scores(correct: int, predicted: int, expected: int) -> ClassScores:
    return ClassScores(
        correct / predicted if predicted else 0.0,
        correct / expected if expected else 0.0,
        2 * correct / (predicted + expected) if predicted + expected else 0.0,
        expected,
    )


def span_scores(
    predictions: Iterable[Sequence[str]],
    references: Iterable[Sequence[str]],
    *,
    scheme: Scheme,
    rule: SpanRule = "strict",
) -> SpanScores:
    """All figures of a tagger.

    Args:
        predictions: tags of each sentence, one for each word.
        references: the right tags, of the same lengths.
        scheme: how both are written; IOB1 for CoNLL-2003 as published, BMES for most Chinese sets.
        rule: what counts as a span, see the table above.

    Raises:
        ConfigError: for an unknown scheme or rule.
        DataError: for lists of different lengths, empty ones, or a tag that the scheme does not have.
    """
    read = _read(predictions, references, scheme, rule)
    counts: list[Counter[str]] = [Counter(), Counter(), Counter()]
    for ours, right in zip(read.spans_predicted, read.spans_expected, strict=True):
        for counter, spans in zip(counts, (ours & right, ours, right), strict=True):
            counter.update(span.type for span in spans)
    types = sorted(counts[1] | counts[2])
    per_type = {kind: _scores(*(counter[kind] for counter in counts)) for kind in types}
    total = _scores(*(counter.total() for counter in counts))
    pairs = list(zip(read.predicted, read.expected, strict=True))
    n_words = sum(map(len, read.expected))
    n_right = sum(a == b for ours, right in pairs for a, b in zip(ours, right, strict=True))
    return SpanScores(
        name=f"span F1 ({rule}, {scheme})",
        precision=total.precision,
        recall=total.recall,
        f1=total.f1,
        support=total.support,
        per_type=per_type,
        macro_f1=float(np.mean([scores.f1 for scores in per_type.values()])) if types else 0.0,
        tag_accuracy=n_right / n_words if n_words else 0.0,
        sentence_accuracy=float(np.mean([list(ours) == list(right) for ours, right in pairs])),
        n_illegal_predicted=sum(bool(illegal_tags(tags, scheme)) for tags in read.predicted),
        n_illegal_references=sum(bool(illegal_tags(tags, scheme)) for tags in read.expected),
    )


def span_examples(
    predictions: Iterable[Sequence[str]],
    references: Iterable[Sequence[str]],
    *,
    scheme: Scheme,
    rule: SpanRule = "strict",
    metric: SpanMetric = "f1",
) -> PerExample:
    """One figure over all types in the form that intervals and paired tests take: examples are sentences.

    Args:
        metric: "f1", "precision", "recall", "macro_f1" or "tag_accuracy"; the others as `span_scores`.

    Raises:
        ConfigError: for an unknown metric; else as `span_scores`.
    """
    if metric not in _SHOWN:
        raise ConfigError(f"unknown metric {metric!r}", where="metric", remedy=f"Choose {', '.join(_SHOWN)}.")
    read = _read(predictions, references, scheme, rule)
    name = f"span {_SHOWN[metric]} ({rule}, {scheme})"
    if metric == "tag_accuracy":
        return tag_accuracy_examples(read.predicted, read.expected, name)
    pairs = list(zip(read.spans_predicted, read.spans_expected, strict=True))
    if metric == "macro_f1":
        kinds = [[[span.type for span in spans] for spans in (ours & right, ours, right)] for ours, right in pairs]
        return _macro_f1_examples(kinds, name)
    counted = np.array([[len(ours & right), len(ours), len(right)] for ours, right in pairs], dtype=np.int64)
    match metric:
        case "precision":
            return PerExample(name, counted[:, :2], ratio_of_sums)
        case "recall":
            return PerExample(name, counted[:, ::2], ratio_of_sums)
    return PerExample(name, counted, f1_of_sums)


def tag_accuracy_examples(
    predictions: Iterable[Sequence[str]], references: Iterable[Sequence[str]], name: str = "accuracy"
) -> PerExample:
    """Share of the words with the right tag, resampled by sentences.

    Args:
        predictions: tags of each sentence, one for each word, in any scheme or none.
        references: the right tags, of the same lengths.
        name: of the figure.

    Raises:
        DataError: for lists of different lengths, or empty ones.
    """
    rows = [
        [sum(a == b for a, b in zip(ours, right, strict=True)), len(right)]
        for ours, right in zip(*_tags(predictions, references), strict=True)
    ]
    return PerExample(name, np.array(rows, dtype=np.int64), ratio_of_sums)


def tag_macro_f1_examples(
    predictions: Iterable[Sequence[str]], references: Iterable[Sequence[str]], name: str = "macro_f1"
) -> PerExample:
    """Mean F1 over the tags themselves, resampled by sentences; arguments and errors as `tag_accuracy_examples`."""
    kinds = [
        [[a for a, b in zip(ours, right, strict=True) if a == b], ours, right]
        for ours, right in zip(*_tags(predictions, references), strict=True)
    ]
    return _macro_f1_examples(kinds, name)


def _macro_f1_examples(kinds: Sequence[Sequence[Sequence[str]]], name: str) -> PerExample:
    """From the classes of each sentence: those found, those predicted, those of the reference."""
    order = sorted({kind for sentence in kinds for some in sentence for kind in some})
    place = {kind: number for number, kind in enumerate(order)}
    rows = np.zeros((len(kinds), 3, max(1, len(order))), dtype=np.int64)
    for row, sentence in zip(rows, kinds, strict=True):
        for counts, some in zip(row, sentence, strict=True):
            for kind in some:
                counts[place[kind]] += 1
    return PerExample(name, rows.reshape(len(kinds), -1), macro_f1_of_sums)
