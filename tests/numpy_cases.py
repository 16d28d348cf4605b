"""A line for every function of NumPy's that has a derivative on Tensors, and for its options.

A line is NumPy code of a and b, which works on arrays and on Tensors alike, and the shapes of both;
the functions below say from which numbers they are drawn, so that the code is smooth there.
"""

import re
from dataclasses import dataclass
from zlib import crc32

import numpy as np

import tinygrad_ce as tg


@dataclass
class Case:
    """NumPy code, and what it is called with."""

    code: str
    arguments: list

    def __post_init__(self):
        names = "ab"[: len(self.arguments)]
        known = {"np": np, "tg": tg, "W": W}
        self.function = eval(f"lambda {', '.join(names)}: {self.code}", known)
        self.names = re.findall(r"\bnp\.((?:linalg\.)?\w+)", self.code)


words = str.split
W = np.array([[True, False, True], [False, True, True]])


def random_numbers(code):
    """Numbers for a line, which do not depend on the other lines."""
    return np.random.default_rng(crc32(code.encode()))


def uniform(low, high):
    def case(code, *shapes):
        rng = random_numbers(code)
        return Case(code, [rng.uniform(low, high, shape) for shape in shapes])

    return case


def apart(code, *shapes):
    """Numbers that differ by 0.1 at least, none of them near 0, 1/2 or an integer."""

    rng = random_numbers(code)

    def distinct(shape):
        size = int(np.prod(shape))
        even = rng.permutation(size) * 0.13 - 0.065 * size + 0.031
        return (even + rng.uniform(-0.01, 0.01, size)).reshape(shape)  # so that no sums tie

    return Case(code, [distinct(shape) for shape in shapes])


any_, positive, unit, above = uniform(-2, 2), uniform(0.5, 2), uniform(-0.9, 0.9), uniform(1.2, 3)

SPD = "a @ np.swapaxes(a, -1, -2) + 2 * np.eye(3)"
SYMMETRIC = "(a + np.swapaxes(a, -1, -2))"

CASES = [
    # ── Ufuncs ────────────────────────────────────────────────────────────────────────────────────
    any_("np.add(a, b)", (2, 3), (3,)),
    any_("np.subtract(a, b)", (2, 3), (2, 1)),
    any_("np.multiply(a, b)", (2, 3), ()),
    positive("np.divide(a, b)", (3,), (2, 1)),
    positive("np.power(a, b)", (2, 3), (3,)),
    positive("np.float_power(a, b)", (2, 3), (3,)),
    positive("np.remainder(a + 2.1, b + 2.1 * (b < 2)) ** 2", (2, 3), (3,)),
    positive("np.remainder(-a, -2 - b) ** 2", (2, 3), (3,)),
    positive("np.fmod(-3 * a, 6.3 + b) ** 2", (2, 3), (3,)),
    any_("np.matmul(a, b)", (2, 3), (3, 2)),
    any_("np.negative(a) * a", (3,)),
    any_("np.positive(a) * a", (3,)),
    any_("np.conjugate(a) * a", (3,)),
    apart("np.maximum(a, b * b)", (2, 3), (3,)),
    apart("np.minimum(a, b * b)", (2, 3), (3,)),
    apart("np.fmax(a, b * b)", (2, 3), (3,)),
    apart("np.fmin(a, b * b)", (2, 3), (3,)),
    any_("np.logaddexp(a, b)", (2, 3), (3,)),
    any_("np.logaddexp2(a, b)", (2, 3), (3,)),
    *(any_(f"np.{name}(a)", (2, 3)) for name in words(
        "exp exp2 expm1 sin cos sinh cosh tanh arctan arcsinh square deg2rad rad2deg radians "
        "degrees sinc")),
    any_("np.exp(a)", ()),
    unit("np.tan(a)", ()),
    *(positive(f"np.{name}(a)", (2, 3)) for name in words(
        "log log2 log10 log1p sqrt cbrt reciprocal")),
    unit("np.cbrt(a - 2)", (3,)),
    *(unit(f"np.{name}(a)", (2, 3)) for name in ["arcsin", "arccos", "arctanh"]),
    above("np.arccosh(a)", (2, 3)),
    apart("np.absolute(a) * a", (5,)),
    apart("np.fabs(a) * a", (5,)),
    positive("np.arctan2(a, b)", (2, 3), (3,)),
    unit("np.arctan2(a - 2, b)", (2, 3), (3,)),
    positive("np.hypot(a, -b)", (2, 3), (3,)),
    apart("np.modf(a * a)[0]", (5,)),
    positive("np.divmod(a, 2 + b)[1] ** 2", (2, 3), (3,)),
    apart("np.copysign(a * a, b)", (5,), (5,)),
    any_("np.vecdot(a, b)", (2, 3), (3,)),
    any_("np.vecdot(a, b, axis=0)", (3, 2), (3, 1)),
    *[any_("np.matvec(a, b)", (2, 2, 3), (3,)), any_("np.vecmat(a, b)", (2,), (2, 2, 3))]
    * hasattr(np, "matvec"),
    any_("np.add.reduce(a) ** 2", (3, 2)),
    any_("np.multiply.reduce(a, 1)", (3, 2)),
    any_("np.add.accumulate(a, 1) ** 2", (3, 2)),
    any_("np.multiply.accumulate(a)", (3, 2)),
    apart("np.maximum.reduce(a, axis=1) ** 2", (3, 2)),
    apart("np.minimum.reduce(a, axis=1, keepdims=True) ** 2", (3, 2)),
    any_("np.multiply.outer(a, b)", (2, 3), (2,)),
    any_("np.subtract.outer(a, b) ** 2", (2,), ()),
    # ── Functions of elements ─────────────────────────────────────────────────────────────────────
    any_("np.nan_to_num(a) ** 2", (3,)),
    apart("np.clip(a, -0.2, 0.2) * a", (6,)),
    apart("np.clip(a, b, 0.5) * a", (6,), (6,)),
    apart("np.clip(a, max=0.1) * a", (6,)),
    any_("np.real(a) ** 2", (3,)),
    any_("np.real_if_close(a) ** 2", (3,)),
    any_("np.where(W, a, b) ** 2", (2, 3), (3,)),
    apart("np.select([a > 0.2, a > 0], [a * a, b], 2 * a) ** 2", (6,), (6,)),
    unit("np.interp(2 * a, [-1.5, -0.3, 0.9, 1.7], [1.0, 3.0, 2.0, 5.0]) ** 2", (2, 3)),
    positive("np.interp([0.3, 3.1, 5.5, 9.0], np.cumsum(a), b)", (4,), (4,)),
    positive("np.interp([0.3, 9.0], np.cumsum(a), b, 1.0, 2.0)", (4,), (4,)),
    positive("np.interp(a * 3, [0.4, 2.5, 1.1], b, period=3)", (5,), (3,)),
    positive("np.unwrap(np.cumsum(a) * 3) ** 2", (5,)),
    positive("np.unwrap(a * [[1], [6], [3]], axis=0) ** 2", (3, 2)),
    any_("np.polyval([2.0, -1.0, 0.5, 3.0], a)", (2, 3)),
    any_("np.polyval(a, b)", (4,), (3,)),
    # ── Reductions and statistics ─────────────────────────────────────────────────────────────────
    *(
        any_(f"np.{name}(a{how}) ** 2", (2, 3, 2))
        for name in ("sum", "mean", "prod")
        for how in ("", ", 1", ", -1", ", axis=(0, 2)", ", axis=0, keepdims=True")
    ),
    *(
        any_(f"np.{name}(a{how})", (2, 3, 2))
        for name in ("var", "std")
        for how in ("", ", 1", ", axis=(0, 2), ddof=1", ", axis=1, keepdims=True", ", correction=1")
    ),
    *(
        apart(f"np.{name}(a{how}) ** 2", (2, 3, 2))
        for name in ("max", "min", "amax", "amin", "ptp")
        for how in ("", ", 1", ", axis=(0, 2)", ", axis=0, keepdims=True")
    ),
    any_("np.sum(a, 0, where=W) ** 2", (2, 3)),
    any_("np.sum(a, axis=0, dtype=np.float64, initial=3) ** 2", (2, 3)),
    any_("np.prod(a, 1, initial=2.5, where=W)", (2, 3)),
    any_("np.mean(a, 0, where=W) ** 2", (2, 3)),
    any_("np.var(a, 1, where=W)", (2, 3)),
    any_("np.std(a, 1, where=W)", (2, 3)),
    any_("np.var(a, 1, mean=np.mean(a, 1, keepdims=True))", (2, 3)),
    apart("np.max(a, 1, initial=0.1) ** 2", (2, 3)),
    apart("np.min(a, 1, initial=0.1, where=W) ** 2", (2, 3)),
    any_("np.cumsum(a) ** 2", (2, 3)),
    any_("np.cumsum(a, 0) ** 2", (2, 3)),
    any_("np.cumprod(a)", (2, 3)),
    any_("np.cumprod(a, axis=1)", (2, 5)),
    any_("np.cumprod(a * [1, 0, 1, 0, 1])", (5,)),
    any_("np.prod(a * [1, 0, 1])", (3,)),
    any_("np.prod(a * [1, 0, 0])", (3,)),
    *[
        any_("np.cumulative_sum(a, axis=1, include_initial=True) ** 2", (2, 3)),
        any_("np.cumulative_sum(a) ** 2", (3,)),
        any_("np.cumulative_prod(a, axis=0, include_initial=True)", (2, 3)),
    ]
    * hasattr(np, "cumulative_sum"),
    *(
        any_(f"np.{name}(np.where(W, a, np.nan){how}) ** 2", (2, 3))
        for name in ("nansum", "nanprod", "nanmean", "nanvar", "nanstd", "nanmax", "nanmin")
        for how in ("", ", 1", ", axis=1, keepdims=True")
    ),
    any_("np.nancumsum(np.where(W, a, np.nan), 1) ** 2", (2, 3)),
    any_("np.nancumprod(np.where(W, a, np.nan), 1)", (2, 3)),
    any_("np.average(a) ** 2", (2, 3)),
    positive("np.average(a, weights=b)", (2, 3), (2, 3)),
    positive("np.average(a, 1, b)", (2, 3), (3,)),
    positive("np.average(a, axis=0, weights=b, keepdims=True)", (2, 3), (2,)),
    positive("np.average(a, 0, b, returned=True)[1] ** 2", (2, 3), (2,)),
    *(
        apart(f"np.median(a{how}) ** 2", shape)
        for shape in ((2, 3), (4, 2))
        for how in ("", ", 1", ", axis=0, keepdims=True", ", axis=(0, 1)")
    ),
    *(
        apart(f"np.quantile(a, {q}, method={method!r}) ** 2", (7,))
        for q in (0.3, [0.1, 0.75])
        for method in words(
            "inverted_cdf averaged_inverted_cdf closest_observation interpolated_inverted_cdf "
            "hazen weibull linear median_unbiased normal_unbiased lower higher midpoint nearest")
    ),
    apart("np.quantile(a, 1) ** 2 + np.quantile(a, np.array([0, 1]))[0]", (5,)),
    apart("np.quantile(a, np.array([0.2, 0.7], a.dtype)) ** 2", (5,)),
    apart("np.percentile(a, np.array([20, 70], np.float32)) ** 2", (5,)),
    apart("np.quantile(a, [0.2, 0.5, 1], axis=1, keepdims=True) ** 2", (2, 5)),
    apart("np.quantile(a, 0.9, axis=(0, 1)) ** 2", (2, 5)),
    apart("np.percentile(a, [20, 66], axis=0) ** 2", (5, 2)),
    apart("np.percentile(a, 66) ** 2", (5, 2)),
    any_("np.cov(a)", (2, 4)),
    any_("np.cov(a, b, rowvar=False, bias=True)", (4, 2), (4,)),
    any_("np.cov(a, ddof=0)", (4,)),
    any_("np.corrcoef(a)[0, 1]", (2, 4)),
    any_("np.trapezoid(a, axis=0) ** 2", (3, 2)),
    any_("np.trapezoid(a, b, axis=0)", (3, 2), (3,)),
    any_("np.trapezoid(a, dx=0.5) ** 2", (2, 3)),
    any_("np.diff(a) ** 2", (2, 3)),
    any_("np.diff(a, 2, 0) ** 2", (4, 2)),
    any_("np.diff(a, prepend=0, append=b) ** 2", (2, 3), (2, 1)),
    any_("np.ediff1d(a, 1.0, b) ** 2", (2, 2), (2,)),
    any_("np.gradient(a) ** 2", (4,)),
    any_("np.gradient(a, 0.5, axis=1, edge_order=2) ** 2", (2, 4)),
    any_("np.gradient(a, [0.0, 1.0, 2.5, 3.0]) ** 2", (4,)),
    any_("np.gradient(a, [0.0, 1.0, 2.5, 3.0], edge_order=2) ** 2", (4,)),
    any_("np.gradient(a)[1] ** 2", (3, 4)),
    # ── Products ──────────────────────────────────────────────────────────────────────────────────
    *(
        any_(f"np.{name}(a, b)", *shapes)
        for name in ("dot", "inner")
        for shapes in (((3,), (3,)), ((2, 3), (3,)), ((), (3,)), ((3,), ()))
    ),
    any_("np.dot(a, b)  # np.dot(a, b) of stacks", (2, 3), (2, 3, 2)),
    any_("np.inner(a, b)  # np.inner(a, b) of stacks", (2, 3), (2, 2, 3)),
    any_("np.vdot(a, b)", (2, 3), (3, 2)),
    any_("np.outer(a, b)", (2, 2), (3,)),
    any_("np.tensordot(a, b)", (2, 3), (2, 3)),
    any_("np.tensordot(a, b, 1)", (2, 3), (3, 2)),
    any_("np.tensordot(a, b, 0)", (2,), (3,)),
    any_("np.tensordot(a, b, axes=([0, 2], [1, 0]))", (2, 3, 2), (2, 2, 3)),
    any_("np.kron(a, b)", (2, 2), (1, 3)),
    any_("np.kron(a, b)", (2,), (2, 2)),
    any_("np.cross(a, b)", (2, 3), (3,)),
    any_("np.cross(a, b, axis=0)", (3, 2), (3, 2)),
    any_("np.einsum('ij,jk->ik', a, b, optimize=True)", (2, 3), (3, 2)),
    any_("np.einsum(a, [0, 1], b, [1, 2], [0, 2])", (2, 3), (3, 2)),
    any_("np.einsum(a, [..., 0, 0]) ** 2", (2, 3, 3)),
    any_("np.trace(a) ** 2", (3, 3)),
    any_("np.trace(a, 1, 2, 0) ** 2", (3, 2, 3)),
    # ── Shapes ────────────────────────────────────────────────────────────────────────────────────
    *(any_(f"{code} ** 2", (2, 3)) for code in (
        "np.reshape(a, (3, 2))", "np.reshape(a, (3, -1), order='F')", "np.ravel(a)",
        "np.ravel(a, 'F')", "np.transpose(a)", "np.transpose(a, axes=(1, 0))", "np.copy(a)",
        "np.swapaxes(a, axis1=0, axis2=1)", "np.expand_dims(a, axis=(0, 2))",
        "np.squeeze(a[None], axis=0)", "np.reshape(a, shape=-1)", "np.moveaxis(a, source=0, "
        "destination=1)",
        "np.broadcast_to(a, (2, 2, 3))", "np.matrix_transpose(a)", "np.moveaxis(a, 0, 1)",
        "np.rollaxis(a, 1)", "np.astype(a, np.float64)" if hasattr(np, "astype") else "np.copy(a)",
        # Joining, cutting
        "np.concatenate([a, a * a], 1)", "np.concatenate((a, a), axis=None)", "np.stack([a, a], 1)",
        "np.vstack([a, a[0]])", "np.hstack([a, a[:, :1]])", "np.dstack([a, a])",
        "np.column_stack([a, a[:, 0]])", "np.block([[a, a], [a, a]])", "np.append(a, 1.0)",
        "np.append(a, a, axis=0)", "np.insert(a, 1, 5.0)", "np.insert(a, [0, 2], a[:, :2], axis=1)",
        "np.insert(a, 1, a[0], axis=0)", "np.delete(a, 1)", "np.delete(a, [0, 2], axis=1)",
        "np.split(a, 3, 1)[1]", "np.array_split(a, 2, axis=1)[0]", "np.array_split(a, [1], 1)[1]",
        "np.hsplit(a, 3)[2]", "np.vsplit(a, 2)[1]", "np.dsplit(a[..., None], 1)[0]",
        "np.unstack(a)[1]" if hasattr(np, "unstack") else "np.copy(a)",
        # Repeating, turning
        "np.atleast_1d(a[0, 0])", "np.atleast_2d(a[0])", "np.atleast_3d(a)",
        "np.atleast_2d(a, a[0])[1]", "np.tile(a, 2)", "np.tile(a, (2, 1, 2))", "np.repeat(a, 2)",
        "np.repeat(a, [1, 0, 2], axis=1)", "np.resize(a, (3, 3))", "np.flip(a)", "np.flip(a, 1)",
        "np.flip(a, (0, 1))", "np.fliplr(a)", "np.flipud(a)", "np.roll(a, 2)",
        "np.roll(a, (1, -1), (0, 1))", "np.roll(a, -4, 1)", "np.rot90(a)", "np.rot90(a, 3)",
        "np.rot90(a, -2, (1, 0))", "np.pad(a, 1)", "np.pad(a, ((0, 2), (1, 0)), constant_values=3)",
        "np.pad(a, (2, 1), 'edge')", "np.pad(a, 2, 'reflect')", "np.pad(a, (3, 4), 'symmetric')",
        "np.pad(a, 4, mode='wrap')",
        # Diagonals, choosing
        "np.diag(a)", "np.diag(a[0], 1)", "np.diag(a[0], -2)", "np.diagflat(a)",
        "np.diagonal(a, 1)",
        "np.diagonal(a[None], 0, 2, 1)", "np.tril(a)", "np.triu(a, 1)", "np.tril(a[0], -1)",
        "np.vander(a[0])", "np.vander(a[0], 4, increasing=True)", "np.take(a, [0, 0, 1], 0)",
        "np.take(a, [-7, 9], mode='wrap')", "np.take(a, 9, mode='clip')",
        "np.compress([True, False, True], a, axis=1)", "np.extract(W, a)",
        "np.take_along_axis(a, np.array([[1], [0]]), 1)",
        "np.take_along_axis(a, np.array([1]), None)",
    )),
    any_("np.meshgrid(a, b)[0] ** 2 + np.meshgrid(a, b)[1]", (3,), (2,)),
    any_("np.meshgrid(a, b, sparse=True, indexing='ij')[1] ** 2", (3,), (2,)),
    any_("np.broadcast_arrays(a, b)[0] ** 2", (3,), (2, 1)),
    any_("np.full_like(a, b[0]) * a", (3,), (2,)),
    any_("np.linspace(a, b, 5) ** 2", (), ()),
    any_("np.linspace(a, b, 4, endpoint=False, axis=-1) ** 2", (3,), (2, 1)),
    any_("np.linspace(a, 2.0, 4, retstep=True)[1] ** 2", (3,)),
    apart("np.sort(a) ** 2", (2, 4)),
    apart("np.sort(a, axis=None, kind='stable') ** 2", (2, 4)),
    apart("np.partition(a, 2)[..., 2] ** 2", (2, 4)),
    # ── Linear algebra ────────────────────────────────────────────────────────────────────────────
    any_("np.linalg.inv(a + 3 * np.eye(3))", (3, 3)),
    any_("np.linalg.inv(a + 3 * np.eye(2))", (2, 2, 2)),
    any_("np.linalg.solve(a + 3 * np.eye(3), b)", (3, 3), (3,)),
    any_("np.linalg.solve(a + 3 * np.eye(3), b)", (3, 3), (3, 2)),
    any_("np.linalg.solve(a + 3 * np.eye(2), b)", (2, 2, 2), (2, 1)),
    any_("np.linalg.det(a)", (3, 3)),
    any_("np.linalg.det(a)", (2, 2, 2)),
    any_("np.linalg.slogdet(a)[1]", (3, 3)),
    any_("np.linalg.slogdet(a).logabsdet", (2, 2, 2)),
    any_(f"np.linalg.cholesky({SPD})", (3, 3)),
    any_(f"np.linalg.cholesky({SPD}, upper=True)", (2, 3, 3)),
    any_(f"np.linalg.eigh({SYMMETRIC})[0] ** 2", (3, 3)),
    any_(f"np.linalg.eigh({SYMMETRIC}).eigenvectors", (3, 3)),
    any_(f"np.linalg.eigh({SYMMETRIC}, 'U').eigenvectors", (2, 2, 2)),
    any_(f"np.linalg.eigvalsh({SYMMETRIC}) ** 2", (3, 3)),
    any_(f"np.linalg.eigvalsh({SYMMETRIC}, UPLO='U') ** 2", (2, 2, 2)),
    *(
        any_(f"np.linalg.svd(a, full_matrices=False).{part}", shape)
        for part in ("U", "S", "Vh")
        for shape in ((3, 3), (4, 2), (2, 3), (2, 3, 2))
    ),
    any_("np.linalg.svd(a)[2]", (2, 2)),
    any_("np.linalg.svd(a, compute_uv=False) ** 2", (3, 2)),
    any_("np.linalg.svdvals(a) ** 2", (2, 3, 2)),
    any_("np.linalg.pinv(a)", (3, 2)),
    any_("np.linalg.pinv(a)", (2, 2, 3)),
    any_("np.linalg.pinv(a @ b)", (4, 2), (2, 3)),
    *(any_(f"np.linalg.matrix_power(a, {n}) + a", (2, 2)) for n in (0, 1, 2, 3, 5, 6, -1, -3)),
    any_("np.linalg.multi_dot([a, b])", (2, 3), (3, 2)),
    any_("np.linalg.multi_dot([a, b, a])", (2, 3), (3, 2)),
    any_("np.linalg.multi_dot([a[0], b, a, b, a[:, 0]])", (2, 3), (3, 2)),
    *(any_(f"np.linalg.norm(a{how})", (2, 3)) for how in (
        "", ", 'fro'", ", axis=1", ", 2, 1", ", keepdims=True", ", axis=(0, 1)",
        ", None, 0, True")),
    *(positive(f"np.linalg.norm(a, {ord}, axis=0)", (3, 2)) for ord in (0.5, 1, 2, 3, -1, -2.5)),
    *(apart(f"np.linalg.norm(a, {ord}, 0) ** 2", (5, 2)) for ord in ("np.inf", "-np.inf")),
    *(
        apart(f"np.linalg.norm(a, {ord}{how}) ** 2", (3, 2))
        for ord in ("'nuc'", 1, 2, "np.inf", -1, -2, "-np.inf")
        for how in ("", ", keepdims=True", ", axis=(1, 0)")
    ),
    any_("np.linalg.norm(a, 'nuc', axis=(2, 0)) ** 2", (3, 2, 2)),
    any_("np.linalg.vector_norm(a)", (2, 3)),
    any_("np.linalg.vector_norm(a, axis=(0, 2), keepdims=True, ord=3)", (2, 3, 2)),
    any_("np.linalg.matrix_norm(a)", (2, 3, 2)),
    any_("np.linalg.matrix_norm(a, ord='nuc')", (2, 3, 2)),
    any_("np.linalg.cond(a)", (3, 3)),
    any_("np.linalg.cond(a, -2)", (3, 3)),
    apart("np.linalg.cond(a + 3 * np.eye(3), 1)", (3, 3)),
    any_("np.linalg.cond(a, 'fro')", (3, 3)),
    any_("np.linalg.tensorsolve(a + 3 * np.eye(4).reshape(2, 2, 4), b)", (2, 2, 4), (2, 2)),
    any_("np.linalg.tensorinv(a + 3 * np.eye(4).reshape(4, 2, 2), ind=1)", (4, 2, 2)),
    any_("np.linalg.matmul(a, b)", (2, 3), (3, 2)),
    any_("np.linalg.outer(a, b)", (2,), (3,)),
    any_("np.linalg.cross(a, b)", (2, 3), (2, 3)),
    any_("np.linalg.vecdot(a, b)", (2, 3), (2, 3)),
    any_("np.linalg.tensordot(a, b, axes=1)", (2, 3), (3, 2)),
    any_("np.linalg.matrix_transpose(a) ** 2", (2, 3)),
    any_("np.linalg.diagonal(a, offset=1) ** 2", (2, 2, 3)),
    any_("np.linalg.trace(a) ** 2", (2, 3, 3)),
]  # fmt: skip
