"""The second page of the table: to 50 digits, at its edges, and without its own vectors' signs."""

import mpmath
import numpy as np
import pytest

import tinygrad_ce as tg
from tinygrad_ce.engine import linear_algebra as la
from tinygrad_ce.engine.primitives import Primitive

RNG = np.random.default_rng(11)
A = RNG.normal(size=(3, 3))
B = RNG.normal(size=(3, 2))
TALL = RNG.normal(size=(4, 2))
SPD = A @ A.T + np.eye(3)


# ── Against 50 digits ─────────────────────────────────────────────────────────────────────────────
# Each function as mpmath computes it, from symmetric arguments where it takes such.


def entries(m):
    return [m[i, j] for i in range(m.rows) for j in range(m.cols)]


def symmetric(m):
    return (m + m.T) / 2


def eigenvalues(m):
    return sorted(mpmath.eigsy(symmetric(m), eigvals_only=True))


def singular_values(m):
    return sorted(mpmath.svd_r(m, compute_uv=False), reverse=True)


def pseudo_inverse(m):
    return (m.T * m) ** -1 * m.T


CASES = {
    "inv": (np.linalg.inv, lambda m: entries(m**-1), A),
    "det": (np.linalg.det, lambda m: [mpmath.det(m)], A),
    "slogdet": (lambda a: np.linalg.slogdet(a)[1],
                lambda m: [mpmath.log(abs(mpmath.det(m)))], A),
    "solve": (lambda a: np.linalg.solve(a, B),
              lambda m: entries(m**-1 * mpmath.matrix(B.tolist())), A),
    "cholesky": (lambda a: np.linalg.cholesky((a + a.mT) / 2),
                 lambda m: entries(mpmath.cholesky(symmetric(m))), SPD),
    "eigvalsh": (lambda a: np.linalg.eigvalsh((a + a.mT) / 2), eigenvalues, A),
    "eigh": (lambda a: np.linalg.eigh((a + a.mT) / 2)[0], eigenvalues, A),
    "svdvals": (lambda a: np.linalg.svd(a, compute_uv=False), singular_values, TALL),
    "svd": (lambda a: np.linalg.svd(a, full_matrices=False)[1], singular_values, TALL),
    "pinv": (np.linalg.pinv, lambda m: entries(pseudo_inverse(m)), TALL),
    "matrix_power": (lambda a: np.linalg.matrix_power(a, -2), lambda m: entries(m**-2), A),
    "nuclear norm": (lambda a: np.linalg.norm(a, "nuc"),
                     lambda m: [mpmath.fsum(singular_values(m))], TALL),
    "spectral norm": (lambda a: np.linalg.norm(a, 2), lambda m: [singular_values(m)[0]], TALL),
    "condition": (np.linalg.cond,
                  lambda m: [singular_values(m)[0] / singular_values(m)[-1]], A),
}  # fmt: skip


@pytest.fixture
def digits():
    with mpmath.workdps(50):
        yield


def along(f, point, directions, step):
    """The mixed derivative of f at a point along one or two directions, by central differences."""
    if not directions:
        return mpmath.matrix(f(point))
    first, *others = directions
    up, down = (along(f, point + s * step * first, others, step) for s in (1, -1))
    return (up - down) / (2 * step)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("name", CASES)
def test_values_and_derivatives_agree_with_50_digits(name, order, digits):
    ours, theirs, a = CASES[name]
    directions = [RNG.normal(size=a.shape) for _ in range(order)]
    m = mpmath.matrix(a.tolist())
    moves = [mpmath.matrix(v.tolist()) for v in directions]
    y = ours(tg.Tensor(a))
    np.testing.assert_allclose(np.ravel(y.data), [float(x) for x in theirs(m)], rtol=1e-12)
    exact = along(theirs, m, moves, mpmath.mpf(10) ** -12)
    f = ours
    for v in directions:
        f = lambda x, f=f, v=v: tg.jvp(f, [x], [v])[1]  # noqa: E731
    found = np.ravel(f(tg.Tensor(a)).data)
    expected = np.array([float(x) for x in exact])
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9 * abs(expected).max())


# ── Equal eigenvalues, singular matrices ──────────────────────────────────────────────────────────

Q = np.linalg.qr(RNG.normal(size=(3, 3)))[0]
EQUAL = Q @ np.diag([2.0, 2.0, 5.0]) @ Q.T


def test_sums_over_equal_eigenvalues_have_their_gradient():
    g = tg.grad(lambda a: (np.linalg.eigvalsh(a) ** 3).sum())(EQUAL).data
    np.testing.assert_allclose(g, 3 * EQUAL @ EQUAL, rtol=1e-12, atol=1e-12)
    g = tg.grad(lambda a: (np.linalg.eigh(a)[0] ** 3).sum())(EQUAL).data
    np.testing.assert_allclose(g, 3 * EQUAL @ EQUAL, rtol=1e-12, atol=1e-12)
    g = tg.grad(lambda a: np.linalg.norm(a, "nuc"))(EQUAL).data
    np.testing.assert_allclose(g, np.eye(3), atol=1e-12)


def test_vectors_of_equal_eigenvalues_get_finite_gradients_without_the_part_between_them():
    def square_by_parts(a):
        w, v = np.linalg.eigh(a)
        return ((v * w**2) @ v.mT * np.arange(4.0).reshape(2, 2)).sum()

    def gradient_at(a):
        return tg.grad(square_by_parts)(a).data

    weights = np.arange(4.0).reshape(2, 2)
    expected = 3 * (weights + weights.T)  # the gradient of the weighted a @ a at 3 times 1
    np.testing.assert_allclose(gradient_at(np.diag([3.0, 3 + 1e-6])), expected, rtol=1e-5)
    np.testing.assert_allclose(gradient_at(np.eye(2) * 3), np.diag(np.diag(expected)), rtol=1e-12)


@pytest.mark.parametrize(
    "a", [[[1.0, 2.0], [2.0, 4.0]], [[0.0, 0.0], [0.0, 0.0]], [[0.0, 1.0], [0.0, 0.0]]]
)
def test_the_gradient_of_a_determinant_of_0_is_the_matrix_of_cofactors(a):
    (p, q), (r, s) = a
    np.testing.assert_allclose(tg.grad(np.linalg.det)(a).data, [[s, -r], [-q, p]], atol=1e-15)


def test_the_gradient_of_a_determinant_of_rank_1_less_is_right():
    a = Q @ np.diag([2.0, 3.0, 0.0]) @ Q.T
    expected = np.linalg.det(Q) ** 2 * 6 * np.outer(Q[:, 2], Q[:, 2])
    np.testing.assert_allclose(tg.grad(np.linalg.det)(a).data, expected, atol=1e-14)


@pytest.mark.parametrize("f", [np.linalg.inv, lambda a: np.linalg.solve(a, np.ones(2))])
def test_singular_matrices_are_refused_as_numpy_refuses_them(f):
    with pytest.raises(np.linalg.LinAlgError, match="Singular"):
        f(tg.Tensor(np.ones((2, 2)), requires_grad=True))


def test_what_is_not_positive_definite_has_no_factor():
    with pytest.raises(np.linalg.LinAlgError, match="positive definite"):
        np.linalg.cholesky(tg.Tensor(-np.eye(2), requires_grad=True))


@pytest.mark.parametrize("shape", [(0, 0), (2, 0, 0), (0, 2, 2)])
@pytest.mark.parametrize(
    "f", [np.linalg.inv, np.linalg.det, lambda a: np.linalg.slogdet(a)[1], np.linalg.eigvalsh]
)
def test_empty_matrices_and_stacks(f, shape):
    x = tg.Tensor(np.ones(shape), requires_grad=True)
    y = f(x)
    np.testing.assert_array_equal(y.data, f(np.ones(shape)))
    y.sum().backward()
    assert x.grad.shape == shape


# ── The page ──────────────────────────────────────────────────────────────────────────────────────

ENTRIES = {name: entry for name, entry in vars(la).items() if isinstance(entry, Primitive)}


@pytest.mark.parametrize("name", ENTRIES)
def test_rules_take_a_stack_of_cotangents(name):
    entry = ENTRIES[name]
    arguments = [SPD, B][: max(1, len(entry.rules))]
    params = {"uplo": "L", "rcond": 1e-15, "hermitian": False, "upper": False}
    given = [*arguments, *(params[p] for p in entry.params)]
    y = entry.value(*given)
    stack = RNG.normal(size=(3, *np.shape(y)))
    for rule in filter(None, entry.rules):
        for row, g in zip(rule(stack, y, *given), stack, strict=True):
            np.testing.assert_allclose(row, rule(g, y, *given), rtol=1e-12, atol=1e-12)


def test_a_wrong_rule_would_be_found():
    wrong = Primitive("inv", "a⁻¹", np.linalg.inv, lambda g, y, a: -(y @ g @ y), stacks=True)
    with pytest.raises(tg.GradcheckError):
        tg.gradcheck(lambda a: tg.engine.apply(wrong, a), A)


@pytest.mark.parametrize("p", [None, 2, -2, 1, -1, np.inf, "fro"])
def test_the_condition_number_of_what_has_no_inverse_is_inf(p):
    matrices = np.array([np.zeros((2, 2)), np.ones((2, 2)), [[2.0, 1.0], [1.0, 3.0]]])
    with np.errstate(all="ignore"):
        x = tg.Tensor(matrices, requires_grad=True)
        found = tg.linalg.cond(x, p)
        np.testing.assert_array_equal(found.data, np.linalg.cond(matrices, p))
        found[2].backward()
        assert not x.grad[0].any()
        assert x.grad[2].any()
        for bad, expected in ((np.inf, np.inf), (np.nan, np.nan)):
            spoilt = tg.linalg.cond(tg.Tensor([[bad, 1.0], [1.0, 1.0]]), p)
            np.testing.assert_array_equal(spoilt.data, expected)
