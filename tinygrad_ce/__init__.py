# ruff: noqa: F403, F405  the names of NumPy's functions, for type checkers
"""A from-scratch autograd engine on NumPy that takes the gradient of cross-entropy apart.

>>> import tinygrad_ce as tg
>>> z = tg.Tensor([2.0, 1.0, 0.1], requires_grad=True, name="logits")
>>> loss = z.exp().sum().log() - z[0]
>>> loss.backward()
>>> z.grad  # softmax(z) minus one-hot
array([-0.340..., 0.242..., 0.098...])
"""

from importlib import import_module
from typing import TYPE_CHECKING

from .engine.context import no_grad, scope
from .engine.graph import FreedGraphError
from .engine.nan_detection import detect_nan
from .engine.operations import (
    argsort,
    concatenate,
    einsum,
    logaddexp,
    matmul,
    maximum,
    minimum,
    sort,
    split,
    stack,
    take_along_axis,
    where,
)  # fmt: skip
from .engine.random_sample import sample
from .engine.tensor import Tensor
from .engine.transforms import (
    elementwise_grad,
    grad,
    gradients,
    hessian,
    hvp,
    jacobian,
    jvp,
    value_and_grad,
    vjp,
)
from .other_names import name_error

if TYPE_CHECKING:
    from . import closed_form, data, draw, functional, nn, onnx, optim, play, train
    from .compiler import compile  # noqa: A004
    from .draw import Drawing
    from .engine import linear_algebra as linalg
    from .engine.constant_functions import *
    from .engine.creation import arange, eye, full, ones, zeros
    from .engine.elementwise import *
    from .engine.linear_algebra import norm
    from .engine.products import *
    from .engine.rearranging import *
    from .engine.reductions import *
    from .verify import Comparison, Comparisons, GradcheckError, compare, gradcheck

__version__ = "0.2.0.dev0"

__all__ = [
    "Tensor", "no_grad", "scope", "detect_nan", "FreedGraphError",
    "where", "maximum", "minimum", "concatenate", "stack", "matmul", "einsum", "logaddexp",
    "sort", "argsort", "split", "take_along_axis", "sample", "linalg",
    "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sqrt", "cbrt", "sin", "cos", "tan",
    "arcsin", "arccos", "arctan", "arctan2", "sinh", "cosh", "tanh", "arcsinh", "arccosh",
    "arctanh", "absolute", "square", "reciprocal", "hypot", "logaddexp2", "sinc", "sign", "floor",
    "ceil", "trunc", "rint", "isfinite", "isinf", "isnan", "nan_to_num", "clip", "interp",
    "trapezoid", "unwrap", "polyval", "sum", "prod", "mean", "var", "std", "max", "min", "ptp",
    "cumsum", "cumprod", "nansum", "nanprod", "nanmean", "nanvar", "nanstd", "nanmax", "nanmin",
    "average", "median", "quantile", "percentile", "cov", "corrcoef", "any", "all",
    "count_nonzero", "round", "isclose", "allclose", "array_equal", "searchsorted", "digitize",
    "isin", "nonzero", "unique", "array", "zeros", "ones", "full", "eye", "arange", "linspace",
    "zeros_like", "ones_like", "full_like", "append",
    "vstack", "hstack", "dstack", "column_stack", "block", "atleast_1d", "atleast_2d",
    "atleast_3d", "meshgrid", "broadcast_arrays", "tile", "repeat", "pad", "insert", "delete",
    "flip", "roll", "rot90", "moveaxis", "ravel", "diagonal", "trace", "diag", "tril", "triu",
    "take", "compress", "select", "diff", "dot", "vdot", "inner", "outer", "tensordot", "kron",
    "cross", "norm",
    "gradients", "grad", "value_and_grad", "elementwise_grad",
    "vjp", "jvp", "jacobian", "hessian", "hvp",
    "functional", "closed_form", "nn", "optim", "data", "train",
    "compare", "Comparison", "Comparisons", "gradcheck", "GradcheckError",
    "compile", "draw", "Drawing", "play", "onnx",
]  # fmt: skip

# What is loaded when it is first used: modules of this package, and names from one.
_MODULES = {"functional", "closed_form", "nn", "optim", "data", "train", "draw", "play", "onnx"}
_HOMES = (
    {"compile": "compiler", "Drawing": "draw"}
    | dict.fromkeys(
        ("compare", "Comparison", "Comparisons", "gradcheck", "GradcheckError"), "verify"
    )
    | {"norm": "engine.linear_algebra"}
)

# The modules with functions that are NumPy's: tg.f(t) is np.f(t).
_OF_NUMPY = (
    "elementwise",
    "reductions",
    "products",
    "rearranging",
    "constant_functions",
    "creation",
)


def __getattr__(name: str) -> object:
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    if name in _HOMES:
        found: object = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
        globals()[name] = found
        return found
    if name == "linalg":
        return import_module(f"{__name__}.engine.linear_algebra")
    if name in __all__:
        modules = (import_module(f"{__name__}.engine.{module}") for module in _OF_NUMPY)
        function: object = next(getattr(m, name) for m in modules if hasattr(m, name))
        globals()[name] = function
        return function
    raise name_error(__name__, name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
