"""The checkers: that they pass what is right, and fail what is wrong."""

import numpy as np
import pytest

import tinygrad_ce as tg
from tinygrad_ce.engine.primitives import Primitive
from tinygrad_ce.engine.tensor import apply
from tinygrad_ce.verify.finite_differences import GradcheckError, gradcheck


def one(value, rule):
    return Primitive("wrong", "w", value, rule)


WRONG = {
    "factor": one(np.exp, lambda g, y, x: 2 * g * y),
    "sign": one(np.cos, lambda g, y, x: g * np.sin(x)),
    "cotangent ignored": one(np.exp, lambda g, y, x: y),
    "argument for value": one(np.exp, lambda g, y, x: g * x),
    "off by a millionth": one(np.exp, lambda g, y, x: g * y * (1 + 5e-6)),
    "mask inverted": one(lambda x: np.maximum(x, 0), lambda g, y, x: np.where(x < 0, g, 0)),
    "always zero": one(np.exp, lambda g, y, x: g * 0),
    "one element": one(np.exp, lambda g, y, x: g * y * np.where(x == x.max(), 1.1, 1)),
    "nan": one(np.exp, lambda g, y, x: g * np.nan),
}


@pytest.mark.parametrize("entry", WRONG.values(), ids=list(WRONG))
def test_gradcheck_fails_on_a_wrong_derivative(entry):
    with pytest.raises(GradcheckError):
        gradcheck(lambda x: apply(entry, x), [0.5, -1.0, 2.0])


def test_gradcheck_sees_an_error_whose_sum_is_zero():
    swapped = one(lambda x: x * x, lambda g, y, x: g[::-1] * 2 * x[::-1])
    with pytest.raises(GradcheckError):
        gradcheck(lambda x: apply(swapped, x), [0.5, 2.0])


def test_gradcheck_of_order_2_sees_a_derivative_that_cannot_be_differentiated():
    def held(x):
        return x.detach() if isinstance(x, tg.Tensor) else x

    frozen = one(lambda x: x**3, lambda g, y, x: g * 3 * held(x) ** 2)
    assert gradcheck(lambda x: apply(frozen, x), [0.5, 2.0])
    with pytest.raises(GradcheckError) as caught:
        gradcheck(lambda x: apply(frozen, x), [0.5, 2.0], order=2)
    assert caught.value.order == 2


def test_gradcheck_sees_small_derivatives():
    wrong = one(lambda x: 1e-9 * x, lambda g, y, x: 2e-9 * g)
    with pytest.raises(GradcheckError):
        gradcheck(lambda x: apply(wrong, x), [0.5, 2.0])


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_central_differences_excuse_rounding_and_no_more(scale):
    almost = one(np.exp, lambda g, y, x: g * y * (1 + 1e-5))
    assert gradcheck(lambda x: x.exp() * scale, [0.5, 2.0], method="central")
    with pytest.raises(GradcheckError, match="central differences"):
        gradcheck(lambda x: apply(almost, x) * scale, [0.5, 2.0], method="central")


def test_central_differences_of_empty_arrays():
    assert gradcheck(lambda x: x.exp(), np.zeros((0, 3)), method="central", order=2)


def test_gradcheck_says_which_argument_and_element():
    wrong = Primitive(
        "wrong",
        "w",
        lambda a, b: a * b,
        lambda g, y, a, b: g * b,
        lambda g, y, a, b: g * a * np.array([1, 1, 3]),
    )

    def product(a, b):
        return apply(wrong, a, b)

    with pytest.raises(GradcheckError) as caught:
        gradcheck(product, [1.0, 2.0, 3.0], [1.0, 2.0, 3.0])
    error = caught.value
    assert (error.function, error.argument, error.index) == ("product", 1, (2,))
    assert error.actual == pytest.approx(3 * error.expected)
    for part in ("product", "argument 1", "(2,)", repr(error.expected), repr(error.actual)):
        assert part in str(error)


def test_gradcheck_refuses_what_it_cannot_measure():
    with pytest.raises(TypeError, match="float32"):
        gradcheck(lambda x: x, np.ones(2, np.float32))
    with pytest.raises(TypeError, match="at least one"):
        gradcheck(lambda x: x, np.ones(2, int))
    with pytest.raises(ValueError, match="order"):
        gradcheck(lambda x: x, [1.0], order=3)


def test_gradcheck_passes_labels_on():
    f = tg.functional.cross_entropy
    assert gradcheck(f, np.zeros((2, 3)), np.array([0, 2]), order=2)


def test_gradcheck_of_constants_and_empty_arrays():
    assert gradcheck(lambda x: tg.Tensor(1.0), [1.0])
    assert gradcheck(lambda x: x * 2, np.zeros((0, 3)))
