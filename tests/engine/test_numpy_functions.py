"""NumPy's functions on Tensors: their bits, their derivatives to second order, what is refused."""

import inspect
import warnings

import numpy as np
import pytest
from numpy_cases import CASES

import tinygrad_ce as tg
from tinygrad_ce.engine import numpy_functions as nf
from tinygrad_ce.engine import numpy_protocol
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


# ── Edges: dtypes, nothing at all, nan, infinities, ties ──────────────────────────────────────────

EDGES = {
    "integers": np.array([[3, 1, 2], [5, 4, 7]]),
    "small integers": np.array([3, 1, 2], np.int8),
    "unsigned": np.array([3, 1, 200], np.uint8),
    "booleans": np.array([[True, False, True], [False, False, True]]),
    "halves": np.array([[0.5, 1.5, -2], [3, 0.25, 1]], np.float16),
    "0-d": np.float64(1.5),
    "0-d integer": np.int64(3),
    "nothing": np.zeros((0, 3)),
    "rows of nothing": np.zeros((2, 0)),
    "an empty vector": np.zeros(0),
    "nan and infinities": np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0]),
    "nan in a row": np.array([[np.nan, 1.0], [np.inf, np.inf], [2.0, 2.0]]),
    "ties": np.array([[1.0, 1.0, 2.0], [2.0, 2.0, 2.0]]),
    "square": np.array([[2.0, 1.0], [1.0, 3.0]]),
    "one": np.array([[2.5]]),
    "single": np.array([[0.1, 0.2], [0.3, 0.4]], np.float32),
}
# Arbitrary numbers, full matrices, and a number that is an array without axes.
OTHERWISE = ("empty_like", "linalg.svd", "array_repr")
HOW = ({}, {"axis": 0}, {"axis": -1}, {"keepdims": True}, {"axis": (0, 1)})
# float16 is summed up in float32 here; NumPy's squares of booleans are numbers; where there is
# nothing, there is no weight to divide by.
DIFFERENT = {
    ("var", "halves"), ("std", "halves"), ("square", "booleans"), ("reciprocal", "booleans"),
    ("conjugate", "booleans"), ("linalg.norm", "halves"), ("linalg.vector_norm", "halves"),
    ("linalg.matrix_norm", "halves"), ("nanvar", "halves"), ("nanstd", "halves"),
    ("nanmean", "halves"), ("squeeze", "0-d"), ("squeeze", "0-d integer"),
}  # fmt: skip


def in_order(y):
    return [leaf for part in y for leaf in in_order(part)] if isinstance(y, tuple | list) else [y]


def names_of_one_array():
    seen = set()
    for name in (*nf.DIFFERENTIABLE, *nf.CONSTANT):
        function = nf.of_numpy(name)
        if function is not None and id(function) not in seen and name not in OTHERWISE:
            seen.add(id(function))
            yield name


@pytest.mark.parametrize("name", [*names_of_one_array()])
def test_edges_are_numpys(name):
    function = nf.of_numpy(name)
    ways = HOW[:1] if isinstance(function, np.ufunc) else HOW
    for edge, array in EDGES.items():
        if (name, edge) in DIFFERENT:
            continue
        for how in ways:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                try:
                    expected = in_order(function(array, **how))
                except (TypeError, ValueError, IndexError, ZeroDivisionError):
                    continue
                x = tg.Tensor(array, requires_grad=array.dtype.kind == "f")
                found = in_order(function(x, **how))
            for y, value in zip(found, expected, strict=True):
                if not isinstance(value, np.ndarray | np.generic):
                    assert y == value
                    continue
                y = numbers(y)
                assert (y.shape, y.dtype) == (np.shape(value), value.dtype), (edge, how)
                np.testing.assert_array_equal(y, value, err_msg=f"{edge} {how}")


# ── Options ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda t: np.sum(t, out=np.zeros(())), "np.sum on a Tensor does not take out="),
        (lambda t: np.sum(t, None, None, np.zeros(())), "does not take out="),
        (lambda t: np.median(t, out=np.zeros(())), "does not take out="),
        (lambda t: np.quantile(t, 0.5, weights=[1, 1]), "does not take weights="),
        (lambda t: np.concatenate([t, t], casting="unsafe"), "does not take casting="),
        (lambda t: np.add(t, 1, where=[True, False]), "does not take where=.*np.where"),
    ],
)
def test_an_option_that_is_not_followed_is_refused_by_name(call, says):
    with pytest.raises(TypeError, match=says):
        call(tg.Tensor([1.0, 2.0], requires_grad=True))


def test_options_by_place_and_by_name_are_the_same():
    a = np.arange(6.0).reshape(2, 3)
    t = tg.Tensor(a)
    for f in (
        lambda x: np.sum(x, 1, np.float32),
        lambda x: np.sum(a=x, axis=1, dtype=np.float32),
        lambda x: np.var(x, 1, None, None, 1),
        lambda x: np.std(x, axis=1, ddof=1, keepdims=True),
        lambda x: np.mean(x, 0, keepdims=True, dtype=None, out=None),
        lambda x: np.trace(x, 1),
        lambda x: np.clip(x, 1, 3, out=None),
        lambda x: np.tril(m=x, k=-1),
        lambda x: np.argmax(x, axis=1, keepdims=True),
        lambda x: np.take(x, indices=[0], axis=1, mode="clip"),
        lambda x: np.nan_to_num(x, copy=False, nan=1.0),
        lambda x: np.zeros_like(x, dtype=np.int8, shape=(2,)),
        lambda x: np.full_like(x, 7, np.float32),
        lambda x: np.searchsorted(x[0], [1.0], side="right"),
        lambda x: np.isclose(x, x, equal_nan=True),
        lambda x: np.repeat(x, repeats=2, axis=0),
    ):
        y, expected = f(t), f(a)
        assert y.dtype == expected.dtype
        np.testing.assert_array_equal(y.data, expected)


# ── Constants, nested lists, methods ──────────────────────────────────────────────────────────────


def test_constants_have_no_gradient_and_numpys_types():
    a = np.array([[1.0, -2.5], [0.0, 3.5]])
    t = tg.Tensor(a, requires_grad=True)
    for f in (np.any, np.all, np.floor, np.ceil, np.rint, np.trunc, np.isinf, np.signbit, np.round,
              np.count_nonzero, np.argwhere, np.flatnonzero, np.unique, np.nanargmax,
              lambda x: np.round(x, 1), lambda x: x // 2, lambda x: np.isin(x, [1.0]),
              lambda x: np.digitize(x, [0.0, 2.0]), lambda x: np.heaviside(x, 0.5),
              lambda x: np.bincount(np.array([0, 1, 1])) + np.all(x)):  # fmt: skip
        y = f(t)
        assert not y.requires_grad
        np.testing.assert_array_equal(y.data, f(a))
        assert y.dtype == np.asarray(f(a)).dtype
    assert np.allclose(t, a) is True
    assert np.array_equal(t, a + 1) is False
    assert [i.data.tolist() for i in np.nonzero(t)] == [i.tolist() for i in np.nonzero(a)]
    assert np.shape(t) == (2, 2)
    assert np.result_type(t, np.float32) == np.float64
    values, counts = np.unique(t, return_counts=True)
    assert (values.data.tolist(), counts.data.tolist()) == ([-2.5, 0, 1, 3.5], [1, 1, 1, 1])


def test_nested_lists_of_tensors_keep_their_gradients():
    a, b = tg.Tensor(2.0, requires_grad=True), tg.Tensor([1.0, 3.0], requires_grad=True)
    y = tg.array([[a, 1.0], b, [b[0] * a, 4]])
    assert y.data.tolist() == [[2, 1], [1, 3], [2, 4]]
    y.backward(np.arange(1.0, 7).reshape(3, 2))
    assert a.grad == 1 + 5 * 1
    assert b.grad.tolist() == [3 + 5 * 2, 4]
    with pytest.raises(ValueError, match="one shape"):
        tg.array([[a, 1.0], a])


def test_tg_has_the_functions_of_the_same_name():
    a = np.array([[0.5, 0.25], [0.75, 0.125]])
    for name in ("tan", "prod", "median", "flip", "trace", "cumprod", "any", "round", "diag"):
        np.testing.assert_array_equal(getattr(tg, name)(a).data, getattr(np, name)(a))
        assert isinstance(getattr(np, name)(tg.Tensor(a)), Tensor)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x.prod(), lambda x: x.prod(0), lambda x: x.cumprod(1), lambda x: x.any(1),
        lambda x: x.all(), lambda x: x.round(1), lambda x: x.dot(x.T), lambda x: x.ravel(),
        lambda x: x.ravel("F"), lambda x: x.take([0, 2]), lambda x: x.repeat(2, 1),
        lambda x: x.trace(), lambda x: x.diagonal(1), lambda x: x.copy(), lambda x: x.conj(),
        lambda x: x.real, lambda x: x.imag, lambda x: x.argsort(), lambda x: x.nonzero()[0],
        lambda x: x[0].searchsorted(0.3), lambda x: x.compress([True, False, True], 1),
        lambda x: x.argpartition(1, 1) * 0, lambda x: x % 0.4, lambda x: 1 % x, lambda x: x // 0.4,
        lambda x: 1 // x, lambda x: divmod(x, 0.4)[1], lambda x: divmod(1, x)[0],
    ],
)  # fmt: skip
def test_methods_are_those_of_ndarray(f):
    a = np.array([[0.5, 0.25, 0.9], [0.75, 0.125, 0.3]])
    np.testing.assert_array_equal(f(tg.Tensor(a, requires_grad=True)).data, f(a))


def test_every_name_of_ndarray_is_there_or_refused_with_a_reason():
    t = tg.Tensor([[1.0]])
    for name in dir(np.ndarray):
        if not name.startswith("_") and not hasattr(t, name):
            with pytest.raises(AttributeError, match=f"a Tensor has no {name}: .*(use|memory)"):
                getattr(t, name)
    assert (t.itemsize, t.nbytes, t.tolist()) == (8, 8, [[1.0]])


def test_every_function_with_a_derivative_has_a_line():
    tested = {id(nf.of_numpy(name)) for case in CASES for name in case.names}
    missing = [
        name
        for name in nf.DIFFERENTIABLE
        if nf.of_numpy(name) is not None and id(nf.of_numpy(name)) not in tested
    ]
    assert set(missing) <= {"row_stack"}, missing  # which NumPy is about to remove


def test_a_function_of_numpy_that_does_not_say_what_it_takes_is_called_as_ours(monkeypatch):
    # As those in C before NumPy 2.4.
    signature = inspect.signature

    def known_signature(function):
        if function in (np.where, np.concatenate, np.dot):
            raise ValueError("no signature found")
        return signature(function)

    monkeypatch.setattr(inspect, "signature", known_signature)
    monkeypatch.setattr(numpy_protocol, "_CALLS", {})
    x = np.array([1.0, -2.0])
    t = tg.Tensor(x)
    assert np.where(t > 0, t, 0).data.tolist() == [1, 0]
    for joined in (np.concatenate((t, t), 0), np.concatenate((t, t), axis=0)):
        assert joined.data.tolist() == [1, -2, 1, -2]
    assert np.dot(t, b=x).item() == 5
