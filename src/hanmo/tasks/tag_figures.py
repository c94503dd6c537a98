"""How well a tagger did: figures with intervals, and what it got wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from hanmo.metrics.classification import classification_scores
from hanmo.metrics.spans import span_examples, span_scores, tag_accuracy_examples, tag_macro_f1_examples
from hanmo.metrics.tag_schemes import Scheme, entities
from hanmo.tasks.figures import Figures
from hanmo.tasks.tag_examples import TagExample
from hanmo.tasks.tagger import Tagged

__all__ = ["glance_at_tags", "tag_figures", "tag_records"]


def glance_at_tags(found: Sequence[Tagged], examples: Sequence[TagExample], scheme: Scheme | None) -> dict[str, float]:
    """What is watched while training; `error` is 1 - F1 of spans, or the share of wrong tags where there are none."""
    told = [list(sentence.tags) for sentence in found]
    right = [list(example.tags) for example in examples]
    pairs = [(a, b) for ours, theirs in zip(told, right, strict=True) for a, b in zip(ours, theirs, strict=True)]
    accuracy = sum(a == b for a, b in pairs) / len(pairs)
    if scheme is None:
        return {"error": 1 - accuracy, "accuracy": accuracy}
    f1 = span_scores(told, right, scheme=scheme).f1
    return {"error": 1 - f1, "f1": f1, "accuracy": accuracy}


def tag_figures(found: Sequence[Tagged], examples: Sequence[TagExample], scheme: Scheme | None) -> Figures:
    """All figures of one split, resampled by sentences.

    Args:
        found: what the model says.
        examples: what is right.
        scheme: how tags spell spans; None where each word has a tag of its own.

    Returns:
        Span F1, precision, recall and macro F1 by the strict rule, F1 by that of seqeval without a mode, and the share of
        right tags; or accuracy and macro F1 of tags. Details: `per_class`, and for tags without spans `confusion`.
    """
    told = [list(sentence.tags) for sentence in found]
    right = [list(example.tags) for example in examples]
    if scheme is not None:
        strict = span_scores(told, right, scheme=scheme)
        names = ("f1", "precision", "recall", "macro_f1", "tag_accuracy")
        metrics = {name: span_examples(told, right, scheme=scheme, metric=name) for name in names}
        metrics["f1_seqeval_default"] = span_examples(told, right, scheme=scheme, rule="seqeval-default")
        per_class = {name: asdict(each) for name, each in strict.per_type.items()}
        return Figures(n=len(examples), metrics=metrics, details={"per_class": per_class})
    flat_told = [tag for tags in told for tag in tags]
    flat_right = [tag for tags in right for tag in tags]
    labels = sorted({*flat_told, *flat_right})
    scores = classification_scores(flat_told, flat_right, labels=labels)
    return Figures(
        n=len(examples),
        metrics={"accuracy": tag_accuracy_examples(told, right), "macro_f1": tag_macro_f1_examples(told, right)},
        details={
            "per_class": {str(name): asdict(each) for name, each in scores.per_class.items()},
            "confusion": scores.confusion.tolist(),
        },
    )


def tag_records(found: Sequence[Tagged], examples: Sequence[TagExample], scheme: Scheme | None) -> list[dict[str, Any]]:
    """One record for each sentence, plain values for JSON: those with the most errors first."""
    records = []
    for sentence, example in zip(found, examples, strict=True):
        wrong = sum(a != b for a, b in zip(sentence.tags, example.tags, strict=True))
        between = _between(example.words)
        right, told = (_shown(example.words, tags, scheme, between) for tags in (example.tags, sentence.tags))
        record = {
            "where": example.where, "right": not wrong, "label": [span for span in right if span not in told],
            "predicted": [span for span in told if span not in right], "text": between.join(example.words),
            "tags": list(example.tags), "predicted_tags": list(sentence.tags),
        }  # fmt: skip
        records.append((-wrong, record))
    return [record for _, record in sorted(records, key=lambda record: record[0])]


def _shown(words: Sequence[str], tags: Sequence[str], scheme: Scheme | None, between: str) -> list[str]:
    if scheme is None:
        return [f"{word}/{tag}" for word, tag in zip(words, tags, strict=True)]
    return [f"{between.join(words[span.start : span.end])}/{span.type}" for span in entities(tags, scheme)]


def _between(words: Sequence[str]) -> str:
    """What stands between words: a blank, or nothing where they are characters."""
    return "" if all(len(word) == 1 for word in words) and not "".join(words).isascii() else " "
