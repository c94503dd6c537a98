"""Whether probabilities mean what they say."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hanmo.core.errors import DataError

__all__ = ["BINS", "expected_calibration_error"]

BINS = 15
"""What is usual; the error depends on it."""


def expected_calibration_error(
    confidences: Sequence[float] | NDArray[np.floating], right: Sequence[bool] | NDArray[np.bool_], *, bins: int = BINS
) -> float:
    """How far confidence and accuracy lie apart on average: Σ_b |B_b|/N · |acc(B_b) - conf(B_b)| (Guo et al., 2017, eq. 3).

    Args:
        confidences: probability that each answer is right, (N,), 0..1.
        right: whether it was, (N,).
        bins: of equal width; a border belongs to the bin below it.

    Raises:
        DataError: if there is nothing, both differ in number, or a confidence is no probability.
    """
    sure, hits = np.asarray(confidences, dtype=np.float64), np.asarray(right, dtype=np.float64)
    if not len(sure) or sure.shape != hits.shape:
        raise DataError(f"{len(sure)} confidences for {len(hits)} answers", where="confidences")
    if not ((sure >= 0) & (sure <= 1)).all():
        raise DataError("a confidence lies outside of 0 and 1", where="confidences")
    places = np.digitize(sure, np.arange(1, bins) / bins, right=True)
    gaps = np.bincount(places, weights=hits - sure, minlength=bins)
    return float(np.abs(gaps).sum() / len(sure))
