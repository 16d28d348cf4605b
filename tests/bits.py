"""Comparison of results bit by bit."""

import numpy as np

import tinygrad_ce as tg


def assert_same_bits(got, expected):
    """Check that results, or tuples or lists of them, are the same, to the sign of each zero.

    One nan counts as the same as another: its sign and its other bits carry no meaning.
    """
    if isinstance(expected, tuple | list):
        for a, b in zip(got, expected, strict=True):
            assert_same_bits(a, b)
        return
    a, b = (np.asarray(t.data if isinstance(t, tg.Tensor) else t) for t in (got, expected))
    assert (a.dtype, a.shape) == (b.dtype, b.shape)
    np.testing.assert_array_equal(a, b)
    if b.dtype.kind == "f":
        numbers = ~np.isnan(b)
        np.testing.assert_array_equal(np.signbit(a[numbers]), np.signbit(b[numbers]))
