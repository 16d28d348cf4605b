"""The 50 digits, and that the four ways agree where all of them are right, and only there."""

from decimal import Decimal

import mpmath
import numpy as np
import pytest

from tinygrad_ce import closed_form
from tinygrad_ce.engine import primitives
from tinygrad_ce.verify import decimal_reference as reference
from tinygrad_ce.verify.four_ways import check_four_ways

INF = np.inf

ROWS = [
    ([2.0, 1.0, 0.1], 0),
    ([0.0, 40.0], 1),
    ([0.0, 40.0], 0),
    ([0.0, 57.0], 1),
    ([0.0, 58.0], 1),
    ([0.0, 700.0, 3.0], 1),
    pytest.param([0.0, 5e4], 0, marks=pytest.mark.slow),
    ([1e300, 1e300], 1),
    ([5.0], 0),
    ([0.1, 0.1 + 2**-56, 0.3], 2),
]


@pytest.mark.parametrize(("z", "t"), ROWS)
def test_reference_has_50_digits_as_mpmath_with_many_more(z, t):
    with mpmath.workdps(50_000 if max(z) - min(z) > 1e4 else 700):
        e = [mpmath.exp(mpmath.mpf(x) - mpmath.mpf(max(z))) for x in z]
        p = [x / mpmath.fsum(e) for x in e]
        classes = range(len(z))
        for found, expected in (
            (reference.softmax(z), p),
            (reference.cross_entropy(z, t), [-mpmath.log(p[t])]),
            (reference.nll_grad(z, t), [-(i == t) / p[i] for i in classes]),
            (reference.cross_entropy_grad(z, t), [p[i] - (i == t) for i in classes]),
            (
                reference.softmax_jacobian(z),
                [p[i] * ((i == j) - p[j]) for i in classes for j in classes],
            ),
        ):
            for x, y in zip(found.flat, expected, strict=True):
                assert len(x.as_tuple().digits) <= 50
                assert abs(mpmath.mpf(str(x)) - y) <= mpmath.mpf("5.1e-50") * abs(y)


def test_reference_of_infinite_logits():
    z = [0.0, -INF]
    assert [float(p) for p in reference.softmax(z)] == [1, 0]
    assert float(reference.cross_entropy(z, 1)) == INF
    assert float(reference.cross_entropy(z, 0)) == 0
    assert [float(g) for g in reference.cross_entropy_grad(z, 1)] == [1, -1]
    assert [float(g) for g in reference.nll_grad(z, 1)] == [0, -INF]


def test_reference_does_not_change_the_decimals_of_others():
    before = Decimal(1) / 3
    reference.softmax([1.0, 2.0])
    assert Decimal(1) / 3 == before


def disagreeing(z, t):
    return [e.name for e in check_four_ways(z, t) if not e.agrees]


@pytest.mark.parametrize("scale", [1e-3, 1.0, 30.0, 1e4])
@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (5, 3), (3, 20)])
def test_four_ways_agree_on_random_logits(shape, scale):
    rng = np.random.default_rng(0)
    for _ in range(10):
        z, t = scale * rng.standard_normal(shape), rng.integers(0, shape[1], shape[0])
        assert disagreeing(z, t) == []


@pytest.mark.parametrize(
    ("z", "t"), [*ROWS, ([-1.0, -INF, 300.0], 1), ([1e308, -1e308], 0), ([1e308, -1e308], 1)]
)
def test_four_ways_agree_at_the_edges(z, t):
    assert disagreeing([z], [t]) == []


@pytest.mark.parametrize("gap", [40.0, 700.0, 709.0, 709.5, 720.0, 745.0, 800.0])
def test_four_ways_agree_where_p_is_all_but_0(gap):
    assert disagreeing([[0.0, gap]], [0]) == []


def test_rows_are_independent_of_each_other():
    z, t = [[2.0, 1.0], [0.0, 900.0], [0.0, -INF]], [0, 0, 1]
    by_row = [check_four_ways([row], [label]) for row, label in zip(z, t, strict=True)]
    for together, *apart in zip(check_four_ways(z, t), *by_row, strict=True):
        for way in ("autograd", "closed_form", "reference"):
            joined = np.concatenate([getattr(e, way) for e in apart])
            assert np.array_equal(getattr(together, way), joined)
        joined = np.concatenate([e.differences for e in apart])
        assert np.array_equal(together.differences, joined, equal_nan=True)


def test_shapes_are_those_of_the_derivatives():
    found = check_four_ways(np.zeros((4, 3)), [0, 1, 2, 0])
    assert [e.autograd.shape for e in found] == [(4, 3), (4, 3, 3), (4, 3), (4, 3, 3)]
    for e in found:
        assert e.closed_form.shape == e.differences.shape == e.reference.shape == e.autograd.shape


def test_differences_are_near_the_reference():
    for e in check_four_ways([[2.0, 1.0, 0.1]], [0]):
        assert np.abs(e.differences - e.reference.astype(float)).max() < 1e-9


def test_where_there_is_no_difference_quotient_it_is_nan_and_does_not_disagree():
    of_p, _, of_z, _ = check_four_ways([[0.0, -INF]], [1])
    assert np.isnan(of_p.differences[0, 1])
    assert np.isnan(of_z.differences).all()
    assert of_p.agrees
    assert of_z.agrees


def test_a_row_whose_p_underflows_excuses_no_other(monkeypatch):
    right = closed_form.nll_grad
    monkeypatch.setattr(closed_form, "nll_grad", lambda *a: right(*a) * (1 + 1e-12))
    assert disagreeing([[0.0, 1.0], [0.0, 650.0]], [0, 0]) == ["∂L/∂p"]


@pytest.mark.parametrize(
    ("primitive", "factor", "names"),
    [
        ("exp", 1 + 1e-12, ["∂p/∂z", "∂L/∂z", "∂²L/∂z²"]),
        ("log", 1 + 1e-12, ["∂L/∂p", "∂L/∂z", "∂²L/∂z²"]),
    ],
)
def test_a_wrong_derivative_shows_where_it_is_used(monkeypatch, primitive, factor, names):
    entry = getattr(primitives, primitive)
    (rule,) = entry.rules
    monkeypatch.setattr(entry, "rules", (lambda *a: rule(*a) * factor,))
    assert disagreeing([[2.0, 1.0, 0.1]], [0]) == names


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("nll_grad", ["∂L/∂p"]),
        ("softmax_jacobian", ["∂p/∂z", "∂²L/∂z²"]),
        ("cross_entropy_grad", ["∂L/∂z"]),
    ],
)
def test_a_wrong_closed_form_shows(monkeypatch, name, shown):
    right = getattr(closed_form, name)
    monkeypatch.setattr(closed_form, name, lambda *a: right(*a) * (1 + 1e-12))
    assert disagreeing([[2.0, 1.0, 0.1]], [0]) == shown
