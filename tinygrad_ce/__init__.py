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
from .engine.transforms import grad, gradients, hessian, hvp, jacobian, jvp, value_and_grad, vjp

if TYPE_CHECKING:
    from . import closed_form, data, draw, functional, nn, optim, train
    from .compiler import compile  # noqa: A004
    from .draw import Drawing
    from .verify import Comparison, Comparisons, GradcheckError, compare, gradcheck

__version__ = "0.2.0.dev0"

__all__ = [
    "Tensor", "no_grad", "scope", "detect_nan", "FreedGraphError",
    "where", "maximum", "minimum", "concatenate", "stack", "matmul", "einsum", "logaddexp", "norm",
    "sort", "split", "take_along_axis", "sample",
    "gradients", "grad", "value_and_grad", "vjp", "jvp", "jacobian", "hessian", "hvp",
    "functional", "closed_form", "nn", "optim", "data", "train",
    "compare", "Comparison", "Comparisons", "gradcheck", "GradcheckError",
    "compile", "draw", "Drawing",
]  # fmt: skip

# What is loaded when it is first used: modules of this package, and names from one.
_MODULES = {"functional", "closed_form", "nn", "optim", "data", "train", "draw"}
_HOMES = (
    {"compile": "compiler", "Drawing": "draw"}
    | dict.fromkeys(
        ("compare", "Comparison", "Comparisons", "gradcheck", "GradcheckError"), "verify"
    )
    | {"norm": "engine.linear_algebra"}
)


def __getattr__(name: str) -> object:
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    if name in _HOMES:
        found: object = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
        globals()[name] = found
        return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
