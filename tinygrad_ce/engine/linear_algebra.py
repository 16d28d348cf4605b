"""The second page of the table: matrices, their inverses, factors, eigenvalues and norms.

An entry is as on the first page, primitives.py: name, symbol, value, and a rule for each argument,
which gets ∂L/∂y as g. Values are LAPACK's, through NumPy; rules are products of matrices, so that
they are differentiable again, and take stacks of matrices and stacks of cotangents.

**Sources.** M. Giles, *Collected matrix derivative results for forward and reverse mode algorithmic
differentiation* (2008): inverse, determinant, solution, Cholesky factor (§2.2, and Murray 2016 in
this form). J. Townsend, *Differentiating the singular value decomposition* (2016): svd and eigh.
G. Golub and V. Pereyra (1973): pseudo-inverse of constant rank.

**Equal eigenvalues.** The eigenvalues of a symmetric matrix and the singular values have rules
without a difference of two, so that their sum, or that of a function of them, is right also where
some are equal. The vectors of equal eigenvalues are any basis of their space, and have no
derivative: their rule divides by the difference, and leaves out the pairs whose difference is 0.
So gradients stay finite, but lack what such a pair would add. Second derivatives of the values go
through the vectors, and lack the same.

**Singular matrices.** The determinant has its derivative, the adjugate, also where it is 0; its
second derivative is nan there. `pinv` has a derivative where the rank does not change.

**Symmetric arguments.** `cholesky` and `eigh` read one triangle and mean a symmetric matrix; the
gradient is symmetric, and right for every change that keeps it symmetric.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from operator import index
from typing import NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from ..arguments import check_real
from ..other_names import numpy_keywords
from . import operations
from . import primitives as p
from .array_types import Value
from .axes import Axis, rows_along, with_axes_kept
from .elementwise import isfinite, isnan
from .primitives import Primitive
from .products import cross, dot, tensordot, vecdot
from .products import outer as _outer
from .rearranging import diagonal as _diagonal
from .rearranging import trace as _trace
from .tensor import Tensor, TensorLike, apply, apply_unary, as_tensor

__all__ = [
    "cholesky", "cond", "cross", "det", "diagonal", "eigh", "eigvalsh", "inv", "matmul",
    "matrix_norm", "matrix_power", "matrix_transpose", "multi_dot", "norm", "outer", "pinv",
    "slogdet", "solve", "svd", "svdvals", "tensordot", "tensorinv", "tensorsolve",
    "trace", "vecdot", "vector_norm",
]  # fmt: skip


# ── Values ────────────────────────────────────────────────────────────────────────────────────────


def real(x: Value) -> Value:
    """x, unless it is complex: what comes next is not analytic, and has no complex step."""
    if x.dtype.kind == "c":
        raise TypeError("a factorization takes real numbers only")
    return x


def adjugate(a: Value) -> Value:
    """The transposed matrix of cofactors: det(a)·a⁻¹, and its limit at singular matrices."""
    u, s, vt = np.linalg.svd(real(a))
    n = s.shape[-1]
    others = np.where(np.eye(n, dtype=bool), 1, s[..., None, :]).prod(-1)
    sign = np.linalg.det(u) * np.linalg.det(vt)
    adjoint = (np.swapaxes(vt, -1, -2) * others[..., None, :]) @ np.swapaxes(u, -1, -2)
    return (adjoint * np.asarray(sign)[..., None, None]).astype(a.dtype)


def cholesky_factor(a: Value, upper: bool) -> Value:
    """The lower triangular l with l·lᵀ = a, or its transpose."""
    return np.linalg.cholesky(real(a), upper=upper)


def log_det(a: Value) -> Value:
    """log |det a|."""
    return np.linalg.slogdet(real(a))[1]


def det_sign(a: Value) -> Value:
    """The sign of det a."""
    return np.linalg.slogdet(a)[0]


def eigenvalues(a: Value, uplo: Value) -> Value:
    """The eigenvalues of a symmetric matrix, in ascending order."""
    return np.linalg.eigvalsh(real(a), uplo)


def eigen(a: Value, uplo: Value) -> Value:
    """Eigenvalues and eigenvectors in one array: the values are its first row."""
    w, v = np.linalg.eigh(real(a), uplo)
    return np.concatenate([w[..., None, :], v], -2)


def singular_values(a: Value) -> Value:
    """The singular values, in descending order."""
    return np.linalg.svd(real(a), compute_uv=False)


def singular(a: Value) -> Value:
    """u, s and v of a = u·diag(s)·vᵀ in one array, one below the other."""
    u, s, vt = np.linalg.svd(real(a), full_matrices=False)
    return np.concatenate([u, s[..., None, :], np.swapaxes(vt, -1, -2)], -2)


def pseudo_inverse(a: Value, rcond: Value, hermitian: bool) -> Value:
    """The Moore-Penrose inverse."""
    return np.linalg.pinv(real(a), rcond, hermitian)


# ── What rules have in common, of arrays and Tensors alike ────────────────────────────────────────


def _scaled(v: Value, w: Value) -> Value:
    """v·diag(w), of stacks."""
    return v * w[..., None, :]


def _lower(x: Value) -> Value:
    """The lower triangle, and half of the diagonal."""
    n = x.shape[-1]
    return x * (np.tri(n, dtype=x.dtype) - np.eye(n, dtype=x.dtype) / 2)


def _halves(x: Value) -> Value:
    """The symmetric part."""
    return (x + x.mT) / 2


def _reciprocal(x: Value) -> Value:
    """1 / x, and 0 for 0."""
    return np.where(x == 0, 0, 1 / np.where(x == 0, 1, x))


def _of_differences(w: Value) -> Value:
    """F_ij = 1 / (w_j - w_i), and 0 for equals."""
    return _reciprocal(w[..., None, :] - w[..., :, None])


def _of_values(g: Value, left: Value, right: Value) -> Value:
    """left·diag(g)·rightᵀ."""
    return _scaled(left, g) @ right.mT


def _eigh_vjp(g: Value, y: Value, a: Value, uplo: str) -> Value:
    """v·(diag(g_w) + F∘(vᵀ·g_v))·vᵀ, symmetric."""
    w, v, g_w, g_v = y[..., 0, :], y[..., 1:, :], g[..., 0, :], g[..., 1:, :]
    return _of_values(g_w, v, v) + _halves(v @ (_of_differences(w) * (v.mT @ g_v)) @ v.mT)


def _svd_vjp(g: Value, y: Value, a: Value) -> Value:
    """Townsend's (31), with the parts of g_u and g_v outside of the spaces of u and v."""
    m, n = a.shape[-2:]
    u, s, v = y[..., :m, :], y[..., m, :], y[..., m + 1 :, :]
    g_u, g_s, g_v = g[..., :m, :], g[..., m, :], g[..., m + 1 :, :]
    f = _of_differences(s * s)
    of_u, of_v = u.mT @ g_u, v.mT @ g_v
    inner = _scaled(f * (of_u - of_u.mT), s) + s[..., :, None] * (f * (of_v - of_v.mT))
    total = _of_values(g_s, u, v) + u @ inner @ v.mT
    if m > n:
        total = total + _scaled(g_u - u @ of_u, _reciprocal(s)) @ v.mT
    if n > m:
        total = total + u @ _scaled(g_v - v @ of_v, _reciprocal(s)).mT
    return total


def _cholesky_vjp(g: Value, l: Value) -> Value:  # noqa: E741  as in the formula
    """The symmetric part of l⁻ᵀ·Φ(lᵀ·g)·l⁻¹, with Φ the lower triangle and half of the diagonal."""
    return _halves(np.linalg.solve(l.mT, _lower(l.mT @ g)) @ np.linalg.inv(l))


def _pinv_vjp(g: Value, y: Value, a: Value, rcond: Value, hermitian: bool) -> Value:
    """-yᵀ·g·yᵀ + (1 - a·y)·gᵀ·y·yᵀ + yᵀ·y·gᵀ·(1 - y·a)."""
    outside = g.mT @ y @ y.mT
    left = y.mT @ y @ g.mT
    return -(y.mT @ g @ y.mT) + (outside - a @ (y @ outside)) + (left - left @ y @ a)


# fmt: off
# ── The entries ───────────────────────────────────────────────────────────────────────────────────

matrix = partial(Primitive, stacks=True)

inv_ = matrix("inv", "a⁻¹", np.linalg.inv,
    lambda g, y, a: -(y.mT @ g @ y.mT),
    latex=("a^{-1}", r"-y^\top g y^\top"))

solve_ = matrix("solve", "a⁻¹b", np.linalg.solve,
    lambda g, y, a, b: -(np.linalg.solve(a.mT, g) @ y.mT),
    lambda g, y, a, b: np.linalg.solve(a.mT, g),
    latex=("a^{-1} b", r"-a^{-\top} g y^\top", r"a^{-\top} g"))

det_ = matrix("det", "det", np.linalg.det,
    lambda g, y, a: g[..., None, None] * adjugate_(a).mT,
    latex=(r"\det a", r"g \text{adj}(a)^\top"))

adjugate_: Primitive = matrix("adjugate", "adj", adjugate,
    lambda g, y, a: ((g * y).sum((-2, -1), keepdims=True) * y.mT - y.mT @ g @ y.mT)
                    / np.linalg.det(a)[..., None, None],
    latex=(r"\text{adj}(a)", r"(\text{tr}(g^\top y) y^\top - y^\top g y^\top) / \det a"))

# log |det a|, and the sign of det a.
log_det_ = matrix("log_det", "log |det|", log_det,
    lambda g, y, a: g[..., None, None] * np.linalg.inv(a).mT,
    latex=(r"\log \vert \det a \vert", r"g a^{-\top}"))
det_sign_ = matrix("det_sign", "sign det", det_sign)

cholesky_ = matrix("cholesky", "chol", cholesky_factor,
    lambda g, y, a, upper: _cholesky_vjp(g.mT, y.mT) if upper else _cholesky_vjp(g, y),
    params=("upper",), latex=(r"\text{chol}(a)", r"\text{sym}(y^{-\top} \Phi(y^\top g) y^{-1})"))

# Eigenvalues and eigenvectors of a symmetric matrix in one array, the values in front.
eigh_ = matrix("eigh", "eigh", eigen,
    _eigh_vjp,
    params=("uplo",), latex=(r"w, v", r"v (\text{diag}(g_w) + F \circ (v^\top g_v)) v^\top"))

eigvalsh_ = matrix("eigvalsh", "λ", eigenvalues,
    lambda g, y, a, uplo: _of_values(g, *(eigh_(a, uplo)[..., 1:, :],) * 2),
    params=("uplo",), latex=(r"\lambda(a)", r"v \text{diag}(g) v^\top"))

# u, s and v of a = u·diag(s)·vᵀ in one array, one below the other.
svd_ = matrix("svd", "svd", singular,
    _svd_vjp,
    latex=("u, s, v", r"u (\text{diag}(g_s) + \dots) v^\top"))

svdvals_ = matrix("svdvals", "σ", singular_values,
    lambda g, y, a: _of_values(g, *_singular_vectors(a)),
    latex=(r"\sigma(a)", r"u \text{diag}(g) v^\top"))

pinv_ = matrix("pinv", "a⁺", pseudo_inverse,
    _pinv_vjp,
    params=("rcond", "hermitian"), latex=("a^+",
        r"-y^\top g y^\top + (1 - a y) g^\top y y^\top + y^\top y g^\top (1 - y a)"))
# fmt: on


# ── Inverse, determinant, factors ─────────────────────────────────────────────────────────────────


def inv(a: TensorLike) -> Tensor:
    """Return the inverse of a square matrix, or of each of a stack.

    Raises
    ------
    numpy.linalg.LinAlgError
        A matrix is singular, or not square.

    >>> import tinygrad_ce as tg
    >>> tg.linalg.inv(tg.Tensor([[2.0, 0.0], [0.0, 4.0]]))
    Tensor([[0.5 , 0.  ],
            [0.  , 0.25]])
    """
    return apply_unary(inv_, as_tensor(a))


def solve(a: TensorLike, b: TensorLike) -> Tensor:
    """Return x with a @ x = b, without forming the inverse.

    Parameters
    ----------
    a
        A square matrix, or a stack of such.
    b
        A vector, or matrices with the right sides in their columns.

    Raises
    ------
    numpy.linalg.LinAlgError
        A matrix is singular, or not square.

    >>> import tinygrad_ce as tg
    >>> tg.linalg.solve(tg.Tensor([[2.0, 0.0], [0.0, 4.0]]), [2.0, 2.0])
    Tensor([1. , 0.5])
    """
    x, y = as_tensor(a), as_tensor(b)
    if y.ndim == 1:
        return apply(solve_, x, y[:, None])[..., 0]
    return apply(solve_, x, y)


def det(a: TensorLike) -> Tensor:
    """Return the determinant of a square matrix, or of each of a stack.

    >>> import tinygrad_ce as tg
    >>> tg.grad(tg.linalg.det)([[1.0, 2.0], [2.0, 4.0]])
    Tensor([[ 4., -2.],
            [-2.,  1.]])
    """
    return apply_unary(det_, as_tensor(a))


class SlogdetResult(NamedTuple):
    """The sign of a determinant, and the logarithm of its absolute value."""

    sign: Tensor
    logabsdet: Tensor


def slogdet(a: TensorLike) -> SlogdetResult:
    """Return the sign of the determinant, a constant, and log |det a|, without overflow.

    >>> import tinygrad_ce as tg
    >>> tg.linalg.slogdet(tg.Tensor([[0.0, 1.0], [1.0, 0.0]]))
    SlogdetResult(sign=Tensor(-1.), logabsdet=Tensor(0.))
    """
    x = as_tensor(a)
    return SlogdetResult(apply_unary(det_sign_, x), apply_unary(log_det_, x))


def cholesky(a: TensorLike, /, *, upper: bool = False) -> Tensor:
    """Return the triangular factor of a symmetric, positive definite matrix, or of each of a stack.

    Parameters
    ----------
    a
        Of which the lower triangle is read, or the upper one; the gradient is symmetric.
    upper
        Return the upper triangular factor u with uᵀ @ u = a, and not the lower l with l @ lᵀ = a.

    Raises
    ------
    numpy.linalg.LinAlgError
        A matrix is not positive definite.

    >>> import tinygrad_ce as tg
    >>> tg.linalg.cholesky(tg.Tensor([[4.0, 2.0], [2.0, 5.0]]))
    Tensor([[2., 0.],
            [1., 2.]])
    """
    return apply_unary(cholesky_, as_tensor(a), bool(upper))


class EighResult(NamedTuple):
    """The eigenvalues of a symmetric matrix, and the eigenvectors as columns."""

    eigenvalues: Tensor
    eigenvectors: Tensor


def eigh(a: TensorLike, UPLO: str = "L") -> EighResult:
    """Return eigenvalues, in ascending order, and eigenvectors of a symmetric matrix.

    Parameters
    ----------
    a
        A matrix or a stack of such, of which one triangle is read; the gradient is symmetric.
    UPLO
        Which triangle: "L" or "U".

    Notes
    -----
    Vectors of equal eigenvalues have no derivative: see the top of this page.

    >>> import tinygrad_ce as tg
    >>> tg.linalg.eigh(tg.Tensor([[2.0, 0.0], [0.0, 1.0]])).eigenvalues
    Tensor([1., 2.])
    """
    both = apply_unary(eigh_, as_tensor(a), _triangle(UPLO))
    return EighResult(both[..., 0, :], both[..., 1:, :])


def eigvalsh(a: TensorLike, UPLO: str = "L") -> Tensor:
    """Return the eigenvalues of a symmetric matrix, ascending. Parameters: those of `eigh`."""
    return apply_unary(eigvalsh_, as_tensor(a), _triangle(UPLO))


def _triangle(uplo: str) -> str:
    if uplo.upper() not in ("L", "U"):
        raise ValueError(f"UPLO is 'L' or 'U', got {uplo!r}")
    return uplo.upper()


class SVDResult(NamedTuple):
    """U, S and Vh with (U * S) @ Vh = a."""

    U: Tensor
    S: Tensor
    Vh: Tensor


def svd(
    a: TensorLike, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False
) -> Value:
    """Return the singular value decomposition of a matrix, or of each of a stack.

    Parameters
    ----------
    a
        Of shape (..., m, n).
    full_matrices
        Has to be False if m and n differ: the vectors that would fill u or v up to a square are
        any basis of the rest, and have no derivative.
    compute_uv
        Whether to return vectors too, and not the singular values alone.

    Raises
    ------
    TypeError
        Full matrices of a matrix that is not square.

    Notes
    -----
    Vectors of equal singular values have no derivative: see the top of this page.

    >>> import tinygrad_ce as tg
    >>> tg.linalg.svd(tg.Tensor([[3.0, 0.0], [0.0, -4.0]])).S
    Tensor([4., 3.])
    """
    x = as_tensor(a)
    if hermitian:
        raise TypeError("svd on a Tensor does not take hermitian=True: use tg.linalg.eigh")
    if not compute_uv:
        return svdvals(x)
    m, n = x.shape[-2:]
    if full_matrices and m != n:
        raise TypeError(
            f"svd of a {m} by {n} matrix with full_matrices=True has vectors without a derivative: "
            "use full_matrices=False"
        )
    u, v = _singular_vectors(x)
    return SVDResult(u, apply_unary(svd_, x)[..., m, :], v.mT)


def _singular_vectors(a: Value) -> tuple[Value, Value]:
    m = a.shape[-2]
    y = svd_(a)
    return y[..., :m, :], y[..., m + 1 :, :]


def svdvals(x: TensorLike, /) -> Tensor:
    """Return the singular values, in descending order."""
    return apply_unary(svdvals_, as_tensor(x))


def pinv(
    a: TensorLike, rcond: float | None = None, hermitian: bool = False, *, rtol: Value = ...
) -> Tensor:
    """Return the Moore-Penrose inverse of a matrix, or of each of a stack.

    Parameters
    ----------
    a
        Of shape (..., m, n).
    rcond, rtol
        Singular values up to this part of the largest count as 0: 1e-15 by default.
    hermitian
        Whether a is symmetric.

    Notes
    -----
    The derivative is that at constant rank.

    >>> import tinygrad_ce as tg
    >>> tg.linalg.pinv(tg.Tensor([[2.0], [0.0]]))
    Tensor([[0.5, 0. ]])
    """
    x = as_tensor(a)
    if rtol is not ...:
        if rcond is not None:
            raise ValueError("pinv takes rcond or rtol, not both")
        rcond = max(x.shape[-2:]) * float(np.finfo(x.dtype).eps) if rtol is None else rtol
    return apply_unary(pinv_, x, 1e-15 if rcond is None else float(rcond), bool(hermitian))


def matrix_power(a: TensorLike, n: int) -> Tensor:
    """Return a @ a @ ... @ a, n times; for a negative n, of the inverse.

    >>> import tinygrad_ce as tg
    >>> tg.linalg.matrix_power(tg.Tensor([[1.0, 1.0], [0.0, 1.0]]), 3)
    Tensor([[1., 3.],
            [0., 1.]])
    """
    x, n = as_tensor(a), index(n)
    if x.ndim < 2 or x.shape[-1] != x.shape[-2]:
        raise np.linalg.LinAlgError(f"matrix_power needs square matrices, got shape {x.shape}")
    if n == 0:
        return as_tensor(np.eye(x.shape[-1], dtype=x.dtype)).broadcast_to(x.shape)
    if n < 0:
        x, n = inv(x), -n
    if n == 3:
        return x @ x @ x
    power, square = None, None
    while n:
        square = x if square is None else square @ square
        n, odd = divmod(n, 2)
        if odd:
            power = square if power is None else power @ square
    assert power is not None
    return power


def multi_dot(arrays: Sequence[TensorLike]) -> Tensor:
    """Return the product of two or more matrices, in the order that takes the fewest products.

    The first can be a vector as a row, the last one as a column.

    >>> import numpy as np, tinygrad_ce as tg
    >>> tg.linalg.multi_dot([tg.Tensor([1.0, 2.0]), np.eye(2), [3.0, 4.0]])
    Tensor(11.)
    """
    given = [as_tensor(x) for x in arrays]
    if len(given) < 2:
        raise ValueError(f"multi_dot needs at least two arrays, got {len(given)}")
    if len(given) == 2:
        return dot(*given)
    first, last = given[0], given[-1]
    matrices = [
        first.reshape(1, -1) if first.ndim == 1 else first,
        *given[1:-1],
        last.reshape(-1, 1) if last.ndim == 1 else last,
    ]
    for x in matrices:
        if x.ndim != 2:
            raise np.linalg.LinAlgError(f"multi_dot is of matrices, got shape {x.shape}")
    cuts = _cheapest_cuts([matrices[0].shape[0], *(x.shape[1] for x in matrices)])
    y = _product(matrices, cuts, 0, len(matrices))
    return y.reshape((first.shape[0],) * (first.ndim > 1) + (last.shape[-1],) * (last.ndim > 1))


def _cheapest_cuts(sizes: list[int]) -> dict[tuple[int, int], int]:
    """Where to cut each chain of matrices i to j (exclusive) with these sizes in two."""
    n = len(sizes) - 1
    cost = {(i, i + 1): 0 for i in range(n)}
    cuts = {}
    for length in range(2, n + 1):
        for i in range(n - length + 1):
            j = i + length
            costs = {
                k: cost[i, k] + cost[k, j] + sizes[i] * sizes[k] * sizes[j] for k in range(i + 1, j)
            }
            cuts[i, j] = min(costs, key=lambda k: (costs[k], k))
            cost[i, j] = costs[cuts[i, j]]
    return cuts


def _product(matrices: list[Tensor], cuts: dict[tuple[int, int], int], i: int, j: int) -> Tensor:
    """The product of the matrices i to j (exclusive), cut in two as is cheapest."""
    if j - i == 1:
        return matrices[i]
    k = cuts[i, j]
    return _product(matrices, cuts, i, k) @ _product(matrices, cuts, k, j)


# ── Norms ─────────────────────────────────────────────────────────────────────────────────────────


@numpy_keywords
def norm(x: TensorLike, ord: Value = None, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Return the norm of vectors or matrices, by default the root of the sum of squares.

    Parameters
    ----------
    x
        A Tensor or array.
    ord
        None for the root of the sum of squares. For vectors 0, 1, 2, inf, -inf, or another number
        p: (Σ |x|ᵖ)^(1/p). For matrices "fro", "nuc" (the sum of singular values), 2 and -2 (the
        largest and the smallest), 1 and -1 (sums of columns), inf and -inf (sums of rows).
    axis
        One for vectors, two for matrices, None for all: a matrix if there are two.

    Raises
    ------
    ValueError
        Another order.

    Notes
    -----
    The gradient at 0, where the norm has a kink, is 0, as is the slope of |x|ᵖ for p < 1 at an
    element that is 0: of all slopes on both sides, the one in the middle. The second derivative
    does not exist at 0, and is nan. float16 is summed up in float32.

    >>> import tinygrad_ce as tg
    >>> tg.norm(tg.Tensor([3.0, 4.0]))
    Tensor(5.)
    """
    v = as_tensor(x)
    v = v.astype(np.float64) if v.dtype.kind in "biu" else v
    if ord is not None and not isinstance(ord, str):
        ord = check_real("ord", ord, -np.inf, np.inf)
    axes = tuple(range(v.ndim)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    if axis is None and (
        ord is None or (ord == 2 and v.ndim == 1) or (ord == "fro" and v.ndim == 2)
    ):
        return _length_of_all(v, keepdims)
    if len(axes) == 2 and ord is not None:
        return _matrix_norm(v, ord, axes, keepdims)
    if isinstance(ord, str):
        raise ValueError(f"norm: ord={ord!r} is of matrices: say which two axes")
    if ord == np.inf:
        return v.abs().max(axis, keepdims)
    if ord == -np.inf:
        return v.abs().min(axis, keepdims)
    if ord == 0:
        return (v != 0).astype(v.dtype).sum(axis, keepdims)
    if ord == 1:
        return v.abs().sum(axis, keepdims)
    power = 2 if ord is None else ord
    wide = v.astype(np.float32) if v.dtype == np.float16 else v
    if power == 2:
        terms = wide * wide
    elif 0 < power < 1:
        terms = operations.where(wide == 0, 0, operations.where(wide == 0, 1, wide.abs()) ** power)
    else:
        terms = wide.abs() ** power
    length = apply_unary(p.root, terms.sum(axis, keepdims), power)
    return length if wide is v else length.astype(v.dtype)


def _length_of_all(v: Tensor, keepdims: bool) -> Tensor:
    """The root of the product of all elements, as a vector, with themselves."""
    wide = v.astype(np.float32) if v.dtype == np.float16 else v
    square = wide.reshape(1, -1) @ wide.reshape(-1, 1)
    length = apply_unary(p.root, square.reshape((1,) * v.ndim if keepdims else ()), 2)
    return length if wide is v else length.astype(v.dtype)


def _matrix_norm(v: Tensor, ord: Value, axes: tuple[int, ...], keepdims: bool) -> Tensor:
    rows, columns = axes
    if rows % v.ndim == columns % v.ndim:
        raise ValueError(f"norm: the axes of a matrix are two, got {axes}")
    if ord == "fro":
        return norm(v, None, axes, keepdims)
    if ord in ("nuc", 2, -2):
        values = svdvals(
            v.transpose(*(k for k in range(v.ndim) if k not in _positive(axes, v)), *axes)
        )
        y = values.sum(-1) if ord == "nuc" else values.max(-1) if ord == 2 else values.min(-1)
    elif ord in (1, -1, np.inf, -np.inf):
        first, second = axes if abs(ord) == 1 else (columns, rows)
        sums = v.abs().sum(first, keepdims=True)
        y = (sums.max if ord > 0 else sums.min)(second, keepdims=True).squeeze(axes)
    else:
        raise ValueError(f"norm: {ord!r} is no order of matrices")
    if not keepdims:
        return y
    return y.expand_dims(_positive(axes, v))


def _positive(axes: tuple[int, ...], v: Tensor) -> tuple[int, ...]:
    return tuple(k % v.ndim for k in axes)


@numpy_keywords
def vector_norm(
    x: TensorLike, /, *, axis: Axis = None, keepdims: bool = False, ord: Value = 2
) -> Tensor:
    """Return the norm of vectors: along an axis, or of all elements along several or all axes."""
    v = as_tensor(x)
    if axis is None or isinstance(axis, tuple):
        joined, _ = rows_along(v, axis)
        y = norm(joined, ord, -1)
        return y.reshape(with_axes_kept(v.shape, axis)) if keepdims else y
    return norm(v, ord, axis, keepdims)


@numpy_keywords
def matrix_norm(x: TensorLike, /, *, keepdims: bool = False, ord: Value = "fro") -> Tensor:
    """Return the norm of the matrices in the last two axes."""
    return norm(x, ord, (-2, -1), keepdims)


def cond(x: TensorLike, p: Value = None) -> Tensor:
    """Return the condition number: the norm of order p of a matrix times that of its inverse.

    It is inf, a constant, for a matrix that has no inverse or is not finite, and nan if the matrix
    holds nan.
    """
    v = as_tensor(x)
    v = v.astype(np.float64) if v.dtype.kind in "biu" else v
    by_svd = p in (None, 2, -2)
    finite = isfinite(v).all((-2, -1))
    if by_svd:
        regular = finite & (v != 0).any((-2, -1))
    else:
        regular = finite & (slogdet(operations.where(_matrices(finite), v, 0)).sign != 0)
    undefined = operations.where(isnan(v).any((-2, -1)), np.nan, np.inf).astype(v.dtype)
    v = operations.where(_matrices(regular), v, np.eye(*v.shape[-2:], dtype=v.dtype))
    if by_svd:
        s = svdvals(v)
        found = s[..., -1] / s[..., 0] if p == -2 else s[..., 0] / s[..., -1]
    else:
        wide = v.astype(np.float64)  # as NumPy does it
        found = (norm(v, p, (-2, -1)) * norm(inv(wide), p, (-2, -1))).astype(v.dtype)
    return operations.where(regular, found, undefined)


def _matrices(choice: Tensor) -> Tensor:
    return choice.expand_dims(-1).expand_dims(-1)


# ── Arrays as matrices ────────────────────────────────────────────────────────────────────────────


def tensorsolve(a: TensorLike, b: TensorLike, axes: tuple[int, ...] | None = None) -> Tensor:
    """Return x with tensordot(a, x, x.ndim) = b."""
    x, y = as_tensor(a), as_tensor(b)
    if axes is not None:
        x = x.transpose(*(k for k in range(x.ndim) if k not in _positive(axes, x)), *axes)
    shape = x.shape[y.ndim :]
    return solve(x.reshape(y.size, -1), y.flatten()).reshape(shape)


def tensorinv(a: TensorLike, ind: int = 2) -> Tensor:
    """Return the inverse with respect to tensordot(a, b, ind)."""
    x = as_tensor(a)
    if ind < 1:
        raise ValueError(f"tensorinv: ind is positive, got {ind}")
    inverse = inv(x.reshape(math.prod(x.shape[:ind]), -1))
    return inverse.reshape(x.shape[ind:] + x.shape[:ind])


def matmul(x1: TensorLike, x2: TensorLike, /) -> Tensor:
    """Return x1 @ x2."""
    return operations.matmul(x1, x2)


def outer(x1: TensorLike, x2: TensorLike, /) -> Tensor:
    """Return the products of each element of a vector with each of another."""
    x, y = as_tensor(x1), as_tensor(x2)
    if x.ndim != 1 or y.ndim != 1:
        raise ValueError(f"outer is of vectors here, got {x.ndim} and {y.ndim} axes")
    return _outer(x, y)


def matrix_transpose(x: TensorLike, /) -> Tensor:
    """Return the matrices in the last two axes transposed."""
    return as_tensor(x).mT


def diagonal(x: TensorLike, /, *, offset: int = 0) -> Tensor:
    """Return the diagonals of the matrices in the last two axes."""
    return _diagonal(x, offset, -2, -1)


def trace(x: TensorLike, /, *, offset: int = 0, dtype: DTypeLike | None = None) -> Tensor:
    """Return the sums of the diagonals of the matrices in the last two axes."""
    return _trace(x, offset, -2, -1, dtype)
