"""Tensors from shapes: what NumPy makes, as leaves."""

import numpy as np
import pytest

import tinygrad_ce as tg


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, bool])
@pytest.mark.parametrize("shape", [3, (), (2, 3), (0, 4), [2, 1]])
@pytest.mark.parametrize("name", ["zeros", "ones"])
def test_zeros_and_ones_are_those_of_numpy(name, shape, dtype):
    t = getattr(tg, name)(shape, dtype)
    expected = getattr(np, name)(shape, dtype)
    assert (t.dtype, t.shape) == (expected.dtype, expected.shape)
    np.testing.assert_array_equal(t.data, expected)
    assert getattr(tg, name)(shape).dtype == np.float64


def test_full_takes_a_number_or_what_broadcasts():
    assert tg.full((2, 2), 7).data.tolist() == [[7.0, 7.0], [7.0, 7.0]]
    assert tg.full(2, np.float32(0.5)).dtype == np.float32
    assert tg.full((2, 3), [1.0, 2.0, 3.0]).data.tolist() == [[1, 2, 3], [1, 2, 3]]
    assert tg.full((), 2.5).item() == 2.5
    assert tg.full(2, 1.5, np.int64).dtype == np.int64


@pytest.mark.parametrize("args", [(3,), (2, 4), (4, 2, 1), (3, None, -1), (0,)])
def test_eye_is_that_of_numpy(args):
    np.testing.assert_array_equal(tg.eye(*args).data, np.eye(*args))


@pytest.mark.parametrize("args", [(5,), (0,), (2, 7), (7, 2), (7, 2, -2), (0.0, 1.0, 0.3), (-3,)])
def test_arange_is_that_of_numpy_and_an_index(args):
    t = tg.arange(*args)
    np.testing.assert_array_equal(t.data, np.arange(*args))
    assert t.dtype == np.arange(*args).dtype
    assert tg.ones(9)[tg.arange(3)].shape == (3,)


def test_leaves_can_have_gradients_and_names_and_do_not_change():
    w = tg.zeros((2, 2), np.float32, requires_grad=True, name="w")
    (w + tg.eye(2)).sum().backward()
    assert w.grad.tolist() == [[1, 1], [1, 1]]
    assert w.name == "w"
    with pytest.raises(ValueError, match="read-only"):
        w.data[0, 0] = 1


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda: tg.zeros(-1), ValueError, "length of the shape"),
        (lambda: tg.zeros(2.5), TypeError, "integer"),
        (lambda: tg.zeros(2, "datetime64[s]"), TypeError, "real numbers"),
        (lambda: tg.ones(2, int, requires_grad=True), TypeError, "floating point"),
        (lambda: tg.full(3, [1.0, 2.0]), ValueError, "does not broadcast"),
        (lambda: tg.full(3, "x"), TypeError, "fill_value"),
        (lambda: tg.eye(-1), ValueError, "n is"),
        (lambda: tg.arange(0, 1, 0), ValueError, "step is 0"),
        (lambda: tg.arange(1e300), ValueError, "too many numbers"),
    ],
)
def test_refuses_with_an_explanation(make, error, says):
    with pytest.raises(error, match=says):
        make()
