from __future__ import annotations

import numpy as np
import pytest

from hanmo.core.errors import DataError
from hanmo.metrics.calibration import expected_calibration_error

SURE = [0.95, 0.9, 0.85, 0.8, 0.75, 0.65, 0.6, 0.55, 0.51, 0.99]
RIGHT = [True, True, False, True, True, False, True, False, True, True]


@pytest.mark.parametrize(("bins", "error"), [(10, 0.225), (15, 0.275)])
def test_worked_by_hand(bins: int, error: float) -> None:
    assert expected_calibration_error(SURE, RIGHT, bins=bins) == pytest.approx(error, abs=1e-12)
    assert expected_calibration_error(np.array(SURE), np.array(RIGHT), bins=bins) == pytest.approx(error, abs=1e-12)


def test_what_it_says() -> None:
    assert expected_calibration_error([1.0, 1.0, 0.0], [True, True, False]) == 0.0
    assert expected_calibration_error([1.0, 1.0], [False, False]) == 1.0
    assert expected_calibration_error([0.75] * 4, [True, True, True, False]) == pytest.approx(0.0)
    # a border belongs to the bin below it: both in (0.2, 0.4], where they cancel out
    assert expected_calibration_error([0.4, 0.4], [True, False], bins=5) == pytest.approx(0.1)
    assert expected_calibration_error([0.4, 0.41], [True, False], bins=5) == pytest.approx((0.6 + 0.41) / 2)


def test_refused() -> None:
    with pytest.raises(DataError, match="0 confidences"):
        expected_calibration_error([], [])
    with pytest.raises(DataError, match="2 confidences for 1"):
        expected_calibration_error([0.5, 0.5], [True])
    with pytest.raises(DataError, match="outside of 0 and 1"):
        expected_calibration_error([1.5], [True])
