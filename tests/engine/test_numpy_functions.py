"""NumPy's functions on Tensors: their bits, their derivatives to second order, what is refused."""

import numpy as np
import pytest
from numpy_cases import CASES

import tinygrad_ce as tg
from tinygrad_ce.engine import numpy_functions as nf
from tinygrad_ce.engine.tensor import Tensor

LINES = [pytest.param(case, id=f"{i}: {case.code}") for i, case in enumerate(CASES)]


# Sums that NumPy takes in another order: it leaves out terms, begins with a number, uses another
# routine. All else has the same bits.
CLOSE = ("where=", "initial=", "optimize=", "np.dot(a, b) of stacks", "np.inner(a, b) of stacks")


def numbers(y):
    return y.data if isinstance(y, Tensor) else np.asarray(y)


# ── What has a derivative ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("case", LINES)
def test_values_are_numpys_to_the_bit(case, dtype):
    arrays = [np.asarray(a, dtype) for a in case.arguments]
    with np.errstate(all="ignore"):
        expected = np.asarray(case.function(*arrays))
    y = case.function(*(tg.Tensor(a, requires_grad=True) for a in arrays))
    assert isinstance(y, Tensor)
    assert y.requires_grad
    assert (y.shape, y.dtype) == (expected.shape, expected.dtype)
    if any(option in case.code for option in CLOSE):
        digits = 8 * np.finfo(dtype).eps
        np.testing.assert_allclose(y.data, expected, rtol=digits, atol=digits)
    else:
        np.testing.assert_array_equal(y.data, expected)
        np.testing.assert_array_equal(np.signbit(y.data), np.signbit(expected))


@pytest.mark.parametrize("case", LINES)
def test_derivatives_to_second_order_agree_with_differences(case):
    assert tg.gradcheck(case.function, *case.arguments, order=2)


@pytest.mark.parametrize("case", LINES)
def test_gradients_have_the_dtype_of_their_tensors(case):
    tensors = [tg.Tensor(a, requires_grad=True, dtype=np.float32) for a in case.arguments]
    y = case.function(*tensors)
    y.backward(np.random.default_rng(1).normal(size=y.shape))
    for t in tensors:
        if t.grad is not None:
            assert (t.grad.dtype, t.grad.shape) == (np.float32, t.shape)


def test_every_function_with_a_derivative_has_a_line():
    tested = {id(nf.of_numpy(name)) for case in CASES for name in case.names}
    missing = [
        name
        for name in nf.DIFFERENTIABLE
        if nf.of_numpy(name) is not None and id(nf.of_numpy(name)) not in tested
    ]
    assert set(missing) <= {"row_stack"}, missing  # which NumPy is about to remove
