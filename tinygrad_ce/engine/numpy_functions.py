"""The table of NumPy's names: which function of ours each one is, and what is refused, and why.

`DIFFERENTIABLE` and `CONSTANT` have the functions that work on Tensors, with a derivative and,
on purpose, without one; `REFUSED` the reason for each of the others, and what to do instead.
`WITHOUT_TENSORS` are those that take no arrays, or which NumPy does not let a Tensor see. Between
them they have every public function and ufunc of np and np.linalg.
"""

from __future__ import annotations

import operator
import string

import numpy as np

from ..other_names import undecorated
from . import constant_functions as c
from . import elementwise as e
from . import linear_algebra as la
from . import operations as o
from . import products as pr
from . import rearranging as ra
from . import reductions as re
from .array_types import Function, Value
from .axes import Axis
from .numpy_protocol import FUNCTIONS, UFUNCS
from .tensor import Tensor, TensorLike, apply, as_tensor


def _on_tensors(function: Function) -> Function:
    """The operator with its operands made Tensors, so that an array on the left does not recur."""
    return lambda *operands: function(*map(o.operand, operands))


def _where(
    condition: TensorLike, x: TensorLike | None = None, y: TensorLike | None = None
) -> Value:
    if x is None and y is None:
        return c.nonzero(condition)
    if x is None or y is None:
        raise ValueError("where takes both x and y, or neither")
    return o.where(condition, x, y)


def _concatenate(arrays: Value, axis: int | None = 0, dtype: Value = None) -> Tensor:
    joined: Tensor = undecorated(o.concatenate)(arrays, axis)
    return joined if dtype is None else joined.astype(dtype)


def _stack(arrays: Value, axis: int = 0, dtype: Value = None) -> Tensor:
    joined: Tensor = undecorated(o.stack)(arrays, axis)
    return joined if dtype is None else joined.astype(dtype)


def _sort(a: TensorLike, axis: int | None = -1, kind: str | None = None) -> Tensor:
    return o.sort(a, axis)  # ties are equal: the values are those of every kind of sort


def _argsort(a: TensorLike, axis: int | None = -1, kind: str | None = None) -> Tensor:
    return o.argsort(a, axis)


def _einsum(*operands: Value, optimize: Value = False) -> Tensor:
    if isinstance(operands[0], str):
        return o.einsum(*operands)
    # The other form: each operand followed by its indices as numbers, and then the result's.
    terms = ",".join(map(_letters, operands[1::2]))
    result = "->" + _letters(operands[-1]) if len(operands) % 2 else ""
    return o.einsum(terms + result, *operands[: len(operands) // 2 * 2 : 2])


def _letters(indices: Value) -> str:
    return "".join("..." if i is Ellipsis else string.ascii_letters[i] for i in indices)


def _transpose(a: TensorLike, axes: Value = None) -> Tensor:
    return as_tensor(a).transpose(axes)


def _swapaxes(a: TensorLike, axis1: int, axis2: int) -> Tensor:
    return as_tensor(a).swapaxes(axis1, axis2)


def _expand_dims(a: TensorLike, axis: int | tuple[int, ...]) -> Tensor:
    return as_tensor(a).expand_dims(axis)


def _squeeze(a: TensorLike, axis: Axis = None) -> Tensor:
    return as_tensor(a).squeeze(axis)


def _reshape(a: TensorLike, shape: Value, order: str = "C") -> Tensor:
    x = as_tensor(a)
    if order == "F":
        return x.T.reshape(np.empty(x.shape, bool).reshape(shape).shape[::-1]).T
    return x.reshape(shape)


def _argmax(a: TensorLike, axis: int | None = None, keepdims: bool = False) -> Tensor:
    return as_tensor(a).argmax(axis, bool(keepdims))


def _argmin(a: TensorLike, axis: int | None = None, keepdims: bool = False) -> Tensor:
    return as_tensor(a).argmin(axis, bool(keepdims))


def _same(a: TensorLike) -> Tensor:
    """A copy: the Tensor itself, which nothing changes."""
    return as_tensor(a)


def _astype(x: TensorLike, dtype: Value, copy: bool = True) -> Tensor:
    return as_tensor(x).astype(dtype)


def _typed(x: object) -> object:
    """Of a Tensor its dtype and shape alone."""
    return c.blank(x) if isinstance(x, Tensor) else x


def _of_types(name: str) -> Function:
    function = getattr(np, name)
    return lambda *args, **options: function(*map(_typed, args), **options)


def _from(module: object, names: str) -> dict[str, Function]:
    """The functions of a module of ours, by name."""
    return {name: getattr(module, name) for name in names.split()}


def _by_primitive(name: str) -> Function:
    primitive = c.CONSTANTS[name]
    return lambda *x: apply(primitive, *map(o.operand, x))


# ── What works ────────────────────────────────────────────────────────────────────────────────────
# Tested to second order: tests/numpy_cases.py has a line for each.

_OPERATORS: dict[str, Function] = {
    "add": operator.add, "subtract": operator.sub, "multiply": operator.mul,
    "divide": operator.truediv, "power": operator.pow, "remainder": operator.mod,
    "negative": operator.neg, "positive": operator.pos,
}  # fmt: skip

DIFFERENTIABLE: dict[str, Function] = {
    # Ufuncs
    **{name: _on_tensors(function) for name, function in _OPERATORS.items()},
    **_from(o, "matmul maximum minimum logaddexp"),
    **_from(
        e,
        "exp exp2 expm1 log log2 log10 log1p sqrt cbrt sin cos tan arcsin arccos arctan sinh cosh "
        "tanh arcsinh arccosh arctanh absolute square reciprocal arctan2 hypot logaddexp2 fmod "
        "modf fabs copysign fmax fmin float_power deg2rad rad2deg",
    ),
    **_from(pr, "vecdot matvec vecmat"),
    "radians": e.deg2rad,
    "degrees": e.rad2deg,
    "divmod": e.divmod_,
    "conjugate": _same,
    # Functions of elements
    **_from(e, "sinc nan_to_num clip interp unwrap polyval"),
    "where": _where,
    "select": ra.select,
    "real": _same,
    "real_if_close": lambda a, tol=100: as_tensor(a),
    # Reductions, statistics and differences
    **_from(
        re,
        "sum prod mean var std max min ptp cumsum cumprod cumulative_sum cumulative_prod nansum "
        "nanprod nanmean nanvar nanstd nanmax nanmin nancumsum nancumprod average median quantile "
        "percentile cov corrcoef",
    ),
    "amax": re.max,
    "amin": re.min,
    **_from(e, "trapezoid gradient"),
    **_from(ra, "diff ediff1d"),
    # Products
    **_from(pr, "dot vdot inner outer tensordot kron cross"),
    "einsum": _einsum,
    "trace": ra.trace,
    # Shapes
    "reshape": _reshape,
    "copy": _same,
    "astype": _astype,
    "transpose": _transpose,
    "swapaxes": _swapaxes,
    "expand_dims": _expand_dims,
    "squeeze": _squeeze,
    "broadcast_to": lambda array, shape: as_tensor(array).broadcast_to(shape),
    "matrix_transpose": la.matrix_transpose,
    # Joining, cutting, rearranging
    **_from(
        ra,
        "ravel moveaxis rollaxis vstack hstack dstack column_stack block append insert delete "
        "array_split hsplit vsplit dsplit unstack atleast_1d atleast_2d atleast_3d meshgrid "
        "broadcast_arrays tile repeat resize pad flip fliplr flipud roll rot90 diag diagflat "
        "diagonal tril triu vander linspace take compress extract partition full_like",
    ),
    "row_stack": ra.vstack,
    "concatenate": _concatenate,
    "stack": _stack,
    "split": lambda ary, indices_or_sections, axis=0: o.split(ary, indices_or_sections, axis),
    "sort": _sort,
    "take_along_axis": lambda arr, indices, axis=-1: o.take_along_axis(arr, indices, axis),
    # Linear algebra
    **{f"linalg.{name}": getattr(la, name) for name in la.__all__},
}

_TESTS: dict[str, Function] = {
    "less": operator.lt, "less_equal": operator.le, "greater": operator.gt,
    "greater_equal": operator.ge, "equal": operator.eq, "not_equal": operator.ne,
    "logical_and": lambda a, b: o.truth(a) & o.truth(b),
    "logical_or": lambda a, b: o.truth(a) | o.truth(b), "logical_not": lambda x: ~o.truth(x),
    "bitwise_and": operator.and_, "bitwise_or": operator.or_, "invert": operator.invert,
    "floor_divide": operator.floordiv,
}  # fmt: skip

# Of these the numbers are read: the shape of the result depends on them, or it is text.
_OF_VALUES = (
    "argwhere flatnonzero unique_all unique_counts unique_inverse unique_values intersect1d "
    "union1d setdiff1d setxor1d histogram histogram_bin_edges bincount lexsort array_repr "
    "array_str array2string tril_indices_from triu_indices_from diag_indices_from ix_ "
    "ravel_multi_index unravel_index packbits unpackbits angle"
)

CONSTANT: dict[str, Function] = {
    **{name: _on_tensors(function) for name, function in _TESTS.items()},
    **{name: _by_primitive(name) for name in c.UFUNCS if name in c.CONSTANTS},
    **{name: _by_primitive(name) for name in c.TESTS},
    **_from(e, "sign isfinite isnan"),
    **_from(
        c,
        "any all count_nonzero nanargmax nanargmin argpartition round isclose allclose "
        "array_equal array_equiv searchsorted digitize isin nonzero unique",
    ),
    **_from(ra, "zeros_like ones_like empty_like"),
    "around": c.round,
    "argmax": _argmax,
    "argmin": _argmin,
    "argsort": _argsort,
    "imag": ra.zeros_like,
    **{name: c.of_values(getattr(np, name)) for name in _OF_VALUES.split() if hasattr(np, name)},
    "linalg.matrix_rank": c.of_values(np.linalg.matrix_rank),
    # Of shape and dtype
    "shape": lambda a: as_tensor(a).shape,
    "ndim": lambda a: as_tensor(a).ndim,
    "size": lambda a, axis=None: np.size(c.blank(a), axis),
    "iscomplexobj": lambda x: False,
    "isrealobj": lambda x: True,
    "may_share_memory": lambda a, b, max_work=None: a is b,
    "shares_memory": lambda a, b, max_work=None: a is b,
    "result_type": _of_types("result_type"),
    "can_cast": _of_types("can_cast"),
    "min_scalar_type": _of_types("min_scalar_type"),
    "common_type": _of_types("common_type"),
    "einsum_path": _of_types("einsum_path"),
}


# ── What is refused ───────────────────────────────────────────────────────────────────────────────

_COMPLEX = "a Tensor holds real numbers, and the result is complex"
_IN_PLACE = "it writes into its argument, and arrays in a graph never change"
_NUMBERS = "it is for numbers without a gradient: give it t.data"
_PYTHON = "it calls a function for each part, which a graph cannot follow"

REFUSED: dict[str, str] = {
    # Ufuncs
    "frexp": "its exponent has no derivative: use np.log2, np.floor and division",
    "ldexp": "it is a product: use x * 2.0**n",
    "isnat": "a Tensor holds no dates",
    # Other functions
    "apply_along_axis": f"{_PYTHON}: write it for whole arrays, or np.stack the results of a loop",
    "apply_over_axes": "several reductions in one: call the reduction with a tuple of axes",
    "asarray_chkfinite": f"{_NUMBERS}, or check with np.isfinite(t).all()",
    "busday_count": "a Tensor holds no dates",
    "busday_offset": "a Tensor holds no dates",
    "choose": "it is an index: stack the choices and use tg.take_along_axis, or np.select",
    "convolve": "windows are products of matrices: index x by np.arange(n)[:, None] + np.arange(k) "
    "and use @",
    "copyto": f"{_IN_PLACE}: use np.where(mask, source, t)",
    "correlate": "windows are products of matrices: index x by np.arange(n)[:, None] + "
    "np.arange(k) and use @",
    "datetime_as_string": "a Tensor holds no dates",
    "datetime_data": "a Tensor holds no dates",
    "fill_diagonal": f"{_IN_PLACE}: use np.where(np.eye(n, dtype=bool), value, t)",
    "geomspace": "its ends are numbers: use np.exp(np.linspace(log_start, log_stop, n)) in Tensors",
    "histogram2d": "counts have no derivative, and its weights are not followed: give it t.data",
    "histogramdd": "counts have no derivative, and its weights are not followed: give it t.data",
    "i0": "its derivative is a Bessel function that NumPy does not have",
    "is_busday": "a Tensor holds no dates",
    "logspace": "its ends are numbers: use base ** np.linspace(start, stop, n)",
    "mask_indices": _PYTHON,
    "nanmedian": "the number of elements differs by row: take np.median of x[~np.isnan(x)]",
    "nanpercentile": "the number of elements differs by row: np.percentile of x[~np.isnan(x)]",
    "nanquantile": "the number of elements differs by row: take np.quantile of x[~np.isnan(x)]",
    "piecewise": f"{_PYTHON}: compute both and choose by np.where or np.select",
    "place": f"{_IN_PLACE}: use np.where(mask, values, t)",
    "poly": f"{_COMPLEX} in general: multiply the factors with np.convolve on t.data",
    "polyadd": "coefficients are added from the end: pad the shorter one and use +",
    "polyder": "it is a product: use p[:-1] * np.arange(len(p) - 1, 0, -1)",
    "polydiv": "polynomial division is not followed: give it t.data",
    "polyfit": "it is a least-squares solution: np.linalg.pinv(np.vander(x, degree + 1)) @ y",
    "polyint": "it is a quotient: use p / np.arange(len(p), 0, -1), and append 0",
    "polymul": "products of polynomials are not followed: multiply the values, or use t.data",
    "polysub": "coefficients are subtracted from the end: pad the shorter one and use -",
    "put": f"{_IN_PLACE}: use np.where, or build the array before making it a Tensor",
    "put_along_axis": f"{_IN_PLACE}: use np.where, or tg.concatenate of parts",
    "putmask": f"{_IN_PLACE}: use np.where(mask, values, t)",
    "roots": f"{_COMPLEX} in general: give it t.data",
    "save": f"{_NUMBERS}, or use nn.save for a model",
    "savetxt": _NUMBERS,
    "savez": f"{_NUMBERS}, or use nn.save for a model",
    "savez_compressed": f"{_NUMBERS}, or use nn.save for a model",
    "sort_complex": f"{_COMPLEX}: use np.sort",
    "trim_zeros": "its shape depends on the numbers: index by what np.nonzero(t) says",
    # Linear algebra
    "linalg.eig": f"{_COMPLEX} in general: for symmetric matrices use np.linalg.eigh",
    "linalg.eigvals": f"{_COMPLEX} in general: for symmetric matrices use np.linalg.eigvalsh",
    "linalg.lstsq": "its rank and residuals have no derivative: use np.linalg.pinv(a) @ b, or "
    "np.linalg.solve(a.T @ a, a.T @ b)",
    "linalg.qr": "its rule is not in the table: the triangular factor is np.linalg.cholesky of "
    "a.T @ a, upper=True, up to signs",
}

_words = str.split

WITHOUT_TENSORS: dict[str, str] = dict.fromkeys(
    _words(
        "base_repr binary_repr diag_indices format_float_positional format_float_scientific "
        "frompyfunc get_include get_printoptions getbufsize geterr geterrcall info isdtype "
        "isscalar issubdtype iterable mintypecode nested_iters printoptions promote_types "
        "set_printoptions setbufsize seterr seterrcall show_config show_runtime test typename "
        "linalg.test broadcast_shapes isfortran bmat load "
    ),
    "takes no arrays of numbers",
)
WITHOUT_TENSORS |= dict.fromkeys(
    _words(
        "arange array asanyarray asarray ascontiguousarray asfortranarray asmatrix bartlett "
        "blackman empty eye from_dlpack frombuffer fromfile fromfunction fromiter fromregex "
        "fromstring full genfromtxt hamming hanning identity indices kaiser loadtxt ones require "
        "tri tril_indices triu_indices zeros"
    ),
    "makes arrays, which combine with Tensors; of nested lists with Tensors, use tg.array",
)

_METHODS = {
    "reduce": "its method reduce is followed for add, multiply, maximum, minimum, logical_and and "
    "logical_or",
    "accumulate": "its method accumulate is followed for add and multiply",
    "reduceat": "cut with np.split, and reduce the parts",
    "at": f"{_IN_PLACE}: combine and assign, or index by the places",
}


def refusal(name: str, method: str = "__call__") -> str:
    """Return why a function does not work on Tensors, and what to do instead."""
    key = name.removeprefix("np.")
    shown = name + f".{method}" * (method != "__call__")
    if method != "__call__":
        reason = _METHODS.get(method, "it is not followed")
    elif key.startswith("fft."):
        reason = _COMPLEX
    else:
        reason = REFUSED.get(key, "it is not in the table of functions; use t.data")
    return f"{shown} does not work on Tensors, so that no gradient is silently lost: {reason}"


def of_numpy(name: str) -> Value:
    """Return NumPy's object of a name such as "linalg.inv", or None if this NumPy has none."""
    found: Value = np
    for part in name.split("."):
        found = getattr(found, part, None)
    return found


def _outer(function: Function) -> Function:
    """The method `outer` of a function of two: each element of one with each of the other."""

    def outer(a: TensorLike, b: TensorLike) -> Value:
        x, y = as_tensor(a), as_tensor(b)
        return function(x.reshape(x.shape + (1,) * y.ndim), y)

    return outer


def _first_axis(reduce: Function) -> Function:
    def of_ufunc(array: TensorLike, axis: Value = 0, keepdims: bool = False) -> Value:
        return reduce(as_tensor(array), axis, keepdims=bool(keepdims))

    return of_ufunc


def _accumulate(function: Function) -> Function:
    def of_ufunc(array: TensorLike, axis: int = 0) -> Value:
        return function(array, axis)

    return of_ufunc


def load() -> None:
    """Fill the tables of numpy_protocol.py."""
    if FUNCTIONS:
        return
    functions = {}
    for name, ours in (DIFFERENTIABLE | CONSTANT).items():
        theirs = of_numpy(name)
        if isinstance(theirs, np.ufunc):
            UFUNCS[theirs, "__call__"] = ours
            if theirs.nin == 2 and theirs.nout == 1:
                UFUNCS[theirs, "outer"] = _outer(ours)
        elif theirs is not None:
            functions[theirs] = undecorated(ours)  # NumPy has checked the keywords
    for ufunc, reduce in _REDUCTIONS.items():
        UFUNCS[ufunc, "reduce"] = _first_axis(reduce)
    UFUNCS[np.add, "accumulate"] = _accumulate(re.cumsum)
    UFUNCS[np.multiply, "accumulate"] = _accumulate(re.cumprod)
    FUNCTIONS.update(functions)


_REDUCTIONS: dict[np.ufunc, Function] = {
    np.add: re.sum, np.multiply: re.prod, np.maximum: re.max, np.minimum: re.min,
    np.logical_and: c.all, np.logical_or: c.any,
}  # fmt: skip
