"""Each primitive compiled: the bits of the eager value and of its derivatives."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from bits import assert_same_bits
from compiler_helpers import SQUARE, assert_compiles
from numpy_cases import CASES as NUMPY_CASES

import tinygrad_ce as tg
from tinygrad_ce import functional as F
from tinygrad_ce.engine.tensor import constant


def cases_of_primitives():
    """The functions and arguments by which tests/test_primitives.py covers the whole table."""
    path = Path(__file__).parents[1] / "engine/test_primitives.py"
    spec = importlib.util.spec_from_file_location("cases_of_primitives", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.CASES


CASES = cases_of_primitives()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("f", "arguments"), CASES)
def test_value_and_gradient_of_each_primitive_have_the_bits_of_the_eager_ones(f, arguments, dtype):
    arguments = [np.asarray(a, dtype) for a in arguments]
    argnums = tuple(range(len(arguments)))

    def loss_and_gradient(*tensors):
        y = f(*tensors)
        return y, tg.grad(lambda *t: (f(*t) * f(*t)).sum(), argnums)(*tensors)

    compiled = tg.compile(loss_and_gradient)
    for change in (0, 0.25):
        moved = [a + dtype(change) for a in arguments]
        assert_same_bits(compiled(*moved), loss_and_gradient(*map(tg.Tensor, moved)))


@pytest.mark.parametrize(("f", "arguments"), CASES)
def test_second_derivatives_of_each_primitive_have_the_bits_of_the_eager_ones(f, arguments):
    def hessian(*tensors):
        return tg.hessian(lambda x: (f(x, *tensors[1:]) ** 2).sum())(tensors[0])

    assert_same_bits(tg.compile(hessian)(*arguments), hessian(*map(tg.Tensor, arguments)))


@pytest.mark.slow
@pytest.mark.parametrize(
    "case", [pytest.param(c, id=f"{i}: {c.code}") for i, c in enumerate(NUMPY_CASES)]
)
def test_functions_of_numpy_and_their_gradients_have_the_bits_of_the_eager_ones(case):
    argnums = tuple(range(len(case.arguments)))

    def value_and_gradient(*tensors):
        y = case.function(*tensors)
        weights = np.cos(np.arange(y.size)).reshape(y.shape)
        return y, tg.grad(lambda *t: (case.function(*t) * weights).sum(), argnums)(*tensors)

    compiled = tg.compile(value_and_gradient)
    for change in (0, 1e-3):
        moved = [a + change for a in case.arguments]
        assert_same_bits(compiled(*moved), value_and_gradient(*map(tg.Tensor, moved)))


@pytest.mark.parametrize(
    "f",
    [
        lambda a, b: (a < b) | (a >= b) & ~(a != b),
        lambda a, b: np.isfinite(a / b) | np.isnan(a / b),
        lambda a, b: np.sign(a - b),
        lambda a, b: (a - b).argmax(),
        lambda a, b: (a - b).argmin(0, keepdims=True),
        lambda a, b: np.argsort(a - b),
        lambda a, b: F.softmax(a) + F.log_softmax(b) + F.logsumexp(a),
        lambda a, b: F.gelu(a) * b.detach(),
    ],
)
def test_what_has_no_derivative_is_computed_again_at_each_call(f):
    a, b = np.array([0.0, 1.0, 2.0]), np.array([0.0, 2.0, 1.0])
    compiled = tg.compile(f)
    for x, y in ((a, b), (b, a), (-a, b)):
        assert_same_bits(compiled(x, y), f(tg.Tensor(x), tg.Tensor(y)))


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x.sum().argmax() + x.sum().argmin(),
        lambda x: (x > 0) & tg.Tensor(np.array(True)),
        lambda x: x ** tg.Tensor(2.5),
        lambda x: x.astype(np.float16).mean(0),
        lambda x: x.astype(np.float16).mean(keepdims=True),
        lambda x: x.broadcast_to(5, 8, 8) * 2,
        lambda x: x[0, 0].broadcast_to(3) * 1,
    ],
)
def test_rare_operations_have_the_bits_of_the_eager_ones(f):
    assert_compiles(f, abs(SQUARE))


def test_a_number_that_is_spread_out_counts_as_float64_there():
    # A Python number takes the dtype of what it is combined with; an array of it does not.
    for n in (5, 20000):
        assert_compiles(lambda x, n=n: constant(0.1).broadcast_to(n) * x, np.ones(n, np.float32))
        assert constant(3).broadcast_to(n).dtype == np.int64


@pytest.mark.parametrize(
    "f",
    [
        lambda c, x: (x.T * c).sum(0),
        lambda c, x: (x.T * c.exp()).sum(0),
        lambda c, x: np.where(c > 0, c, x.T).sum(0),
        lambda c, x: (x.T * tg.Tensor(np.arange(64.0).reshape(8, 8)).T.cos()).sum(0),
    ],
)
def test_constants_keep_the_order_of_their_axes(f):
    values = np.random.default_rng(18).normal(size=(2, 8, 8)).astype(np.float32)
    c, x = tg.Tensor(np.asfortranarray(values[0])), values[1]
    assert_same_bits(tg.compile(lambda x: f(c, x))(x), f(c, tg.Tensor(x)))
