"""Measures over texts and predictions: pure functions, no torch, right for Chinese."""

from __future__ import annotations

from hanmo.metrics.agreement import (
    RegressionScores,
    quadratic_kappa,
    quadratic_kappa_examples,
    regression_examples,
    regression_scores,
)
from hanmo.metrics.answers import (
    AnswerScores,
    NoAnswerThreshold,
    best_no_answer_threshold,
    squad_exact,
    squad_examples,
    squad_f1,
    squad_scores,
)
from hanmo.metrics.classification import (
    ClassificationScores,
    ClassScores,
    classification_examples,
    classification_scores,
)
from hanmo.metrics.cmrc import cmrc_exact, cmrc_examples, cmrc_f1, cmrc_scores
from hanmo.metrics.code import pass_at_k, pass_at_k_examples
from hanmo.metrics.compression import bits_per_byte, bits_per_character, compressor_bits_per_byte, perplexity
from hanmo.metrics.diversity import distinct_n, repetition_examples
from hanmo.metrics.intervals import Interval, bootstrap_interval
from hanmo.metrics.multilabel import MultiLabelScores, multilabel_examples, multilabel_scores
from hanmo.metrics.order0 import order0_bits_per_byte, order0_nats
from hanmo.metrics.per_example import PerExample, mean_of
from hanmo.metrics.ranking import (
    RankingScores,
    gold_ranks,
    ranking_scores,
    ranks_to_scores,
    reciprocal_rank_examples,
)
from hanmo.metrics.rouge import RougeScore, RougeScores, rouge_scores
from hanmo.metrics.segmentation import (
    SegmentationScores,
    segmentation_examples,
    segmentation_scores,
    words_of_tags,
)
from hanmo.metrics.significance import PairedTest, approximate_randomisation, holm, paired_bootstrap
from hanmo.metrics.spans import SpanScores, span_examples, span_scores
from hanmo.metrics.tag_schemes import Entity, entities, illegal_tags
from hanmo.metrics.translation import TranslationScore, bleu, chrf, ter

__all__ = [
    "AnswerScores",
    "ClassScores",
    "ClassificationScores",
    "Entity",
    "Interval",
    "MultiLabelScores",
    "NoAnswerThreshold",
    "PairedTest",
    "PerExample",
    "RankingScores",
    "RegressionScores",
    "RougeScore",
    "RougeScores",
    "SegmentationScores",
    "SpanScores",
    "TranslationScore",
    "approximate_randomisation",
    "best_no_answer_threshold",
    "bits_per_byte",
    "bits_per_character",
    "bleu",
    "bootstrap_interval",
    "chrf",
    "classification_examples",
    "classification_scores",
    "cmrc_exact",
    "cmrc_examples",
    "cmrc_f1",
    "cmrc_scores",
    "compressor_bits_per_byte",
    "distinct_n",
    "entities",
    "gold_ranks",
    "holm",
    "illegal_tags",
    "mean_of",
    "multilabel_examples",
    "multilabel_scores",
    "order0_bits_per_byte",
    "order0_nats",
    "paired_bootstrap",
    "pass_at_k",
    "pass_at_k_examples",
    "perplexity",
    "quadratic_kappa",
    "quadratic_kappa_examples",
    "ranking_scores",
    "ranks_to_scores",
    "reciprocal_rank_examples",
    "regression_examples",
    "regression_scores",
    "repetition_examples",
    "rouge_scores",
    "segmentation_examples",
    "segmentation_scores",
    "span_examples",
    "span_scores",
    "squad_exact",
    "squad_examples",
    "squad_f1",
    "squad_scores",
    "ter",
    "words_of_tags",
]
