"""The checkers: that they pass what is right, and fail what is wrong."""

import numpy as np
import pytest

import tinygrad_ce as tg
from tinygrad_ce.check import GradcheckError, compare, gradcheck, table
from tinygrad_ce.primitives import Primitive
from tinygrad_ce.tensor import apply

NAN, INF = np.nan, np.inf


def one(value, rule):
    return Primitive("wrong", "w", "w", value, (rule, "w"))


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


def test_gradcheck_says_which_argument_and_element():
    wrong = Primitive(
        "wrong", "w", "w", lambda a, b: a * b,
        (lambda g, y, a, b: g * b, "w"),
        (lambda g, y, a, b: g * a * np.array([1, 1, 3]), "w"),
    )  # fmt: skip

    def product(a, b):
        return apply(wrong, a, b)

    with pytest.raises(GradcheckError) as caught:
        gradcheck(product, [1.0, 2.0, 3.0], [1.0, 2.0, 3.0])
    error = caught.value
    assert (error.function, error.argument, error.index) == ("product", 1, (2,))
    assert error.got == pytest.approx(3 * error.expected)
    for part in ("product", "argument 1", "(2,)", repr(error.expected), repr(error.got)):
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


# ── compare ───────────────────────────────────────────────────────────────────────────────────────


def test_equal_arrays_are_exact():
    c = compare([1.0, NAN, INF], [1.0, NAN, INF], "x")
    assert (c.exact, c.close, c.max_abs, c.max_ulp, c.shape, c.name) == (
        True,
        True,
        0,
        0,
        (3,),
        "x",
    )
    assert compare(0.0, -0.0).exact


@pytest.mark.parametrize(
    ("a", "b", "ulp"),
    [
        (1.0, 1 + 2**-52, 1),
        (1.0, 1 - 2**-53, 1),
        (-1.0, -1 - 2**-52, 1),
        (0.0, 5e-324, 1),
        (-5e-324, 5e-324, 2),
        (np.float32(1), np.float32(1 + 2**-23), 1),
        (1.0, 2.0, 2**52),
        (1.0, NAN, INF),
    ],
)
def test_distance_in_units_in_the_last_place(a, b, ulp):
    assert compare(a, b).max_ulp == ulp
    assert not compare(a, b).exact


def test_close_is_relative_to_the_largest_entry():
    assert compare([1e6, 1.0], [1e6, 1.0 + 1e-9]).close
    assert not compare([1e-9, 1.0], [1e-9, 1.0 + 1e-9]).close
    assert not compare([1e-20], [2e-20]).close
    assert not compare([1.0], [NAN]).close
    assert not compare([1.0], [INF]).close
    assert not compare([0.0], [1e-300]).close
    assert compare([1.0], [1.1], tolerance=0.2).close


def test_where_terms_cancel_the_scale_can_be_theirs():
    p = np.array([1 - 1e-12])
    assert not compare(p - 1, [-1e-12]).close
    assert compare(p - 1, [-1e-12], scale=1.0).close


def test_the_largest_distance_of_all_fits():
    huge = np.finfo(float).max
    assert compare([huge], [-huge]).max_ulp == 2.0 * (0x7FEFFFFFFFFFFFFF)
    assert compare(np.float16([1]), np.float16([-1])).max_ulp == 2 * 0x3C00


def test_the_largest_differences():
    c = compare([1.0, 10.0], [1.5, 10.25])
    assert (c.max_abs, c.max_rel) == (0.5, 0.5 / 1.5)


@pytest.mark.parametrize(
    ("a", "b", "note"),
    [
        (np.zeros(3), np.zeros((3, 1)), "shape"),
        (np.zeros(3), np.zeros(1), "shape"),
        (np.zeros(3), np.float64(0), "shape"),
        (np.zeros(3, np.float32), np.zeros(3), "dtype"),
    ],
)
def test_other_shapes_and_dtypes_never_pass(a, b, note):
    c = compare(a, b)
    assert not c.exact
    assert not c.close
    assert note in c.note
    assert note in str(c)


def test_tensors_integers_and_empty_arrays_compare():
    assert compare(tg.Tensor([1.0]), [1.0]).exact
    assert compare([1, 2], [1, 2]).exact
    assert compare(np.zeros((0, 3)), np.zeros((0, 3))).exact


def test_a_table_has_aligned_columns():
    lines = table([compare([1.0], [1.0], "a"), compare([1.0], [2.0], "longer name")]).splitlines()
    assert len(lines) == 3
    assert len({line.index("(1,)") for line in lines[1:]} | {lines[0].index("shape")}) == 1
