"""The matrix products by themselves, on every kind of processor that this one can stand for."""

import numpy as np
import pytest
from numba import njit

from hanmo.generation import lanes


@pytest.mark.parametrize("width", [8, 16])
@pytest.mark.parametrize("rows", [8, 13, 3])
def test_float_product(width, rows):
    @njit
    def product(w, bias, x, out, low, high, columns, width, add):
        lanes.multiply_float(w, bias, x, out, low, high, columns, width, add)

    draw = np.random.default_rng(0)
    w, bias = draw.standard_normal((rows, 37), np.float32), draw.standard_normal(rows, np.float32)
    x, before = draw.standard_normal((37, width), np.float32), draw.standard_normal((rows, width), np.float32)
    expected = w.astype(float) @ x + bias[:, None]
    for add in (0, 1):
        out = before.copy()
        product(w.view(np.uint8), bias, x.ravel(), out.ravel(), 0, rows, 37, width, add)
        np.testing.assert_allclose(out, expected + add * before, atol=1e-4)
    out = before.copy()
    product(w.view(np.uint8), bias, x.ravel(), out.ravel(), 2, rows - 1, 37, width, 0)
    np.testing.assert_array_equal(out[[0, 1, -1]], before[[0, 1, -1]])
    np.testing.assert_allclose(out[2:-1], expected[2:-1], atol=1e-4)


@pytest.mark.parametrize("bits", [0, 256, 512])
def test_byte_product(bits, monkeypatch):
    if bits > lanes._DOT_BITS:
        pytest.skip(f"this processor has no byte products of {bits} bits")
    monkeypatch.setattr(lanes, "_DOT_BITS", bits)

    @njit
    def product(w, scale, bias, coarse, fine, x, factors, out, low, high, columns, add):
        lanes.multiply_bytes(w, scale, bias, coarse, fine, x, factors, out, low, high, columns, add)

    draw = np.random.default_rng(0)
    rows, columns = 11, 128
    w = draw.integers(0, 256, (rows, columns), dtype=np.uint8)
    scale, bias, before = (draw.standard_normal(rows).astype(np.float32) for _ in range(3))
    coarse, fine = draw.integers(-127, 128, columns, dtype=np.int8), draw.integers(-64, 64, columns, dtype=np.int8)
    unit = np.float32(0.01)
    x = ((128.0 * coarse + fine) * unit).astype(np.float32)
    factors = np.array([unit, 128 * coarse.sum(dtype=int), 128 * fine.sum(dtype=int)], np.float32)
    expected = ((w.astype(float) - 128) @ x) * scale + bias
    for add in (0, 1):
        out = before.copy()
        product(w, scale, bias, coarse, fine, x, factors, out, 0, rows, columns, add)
        np.testing.assert_allclose(out, expected + add * before, rtol=2e-5, atol=2e-5 * np.abs(expected).max())
    out = before.copy()
    product(w, scale, bias, coarse, fine, x, factors, out, 3, 10, columns, 0)
    np.testing.assert_array_equal(out[[0, 1, 2, 10]], before[[0, 1, 2, 10]])
