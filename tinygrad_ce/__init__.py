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
    norm,
    sort,
    split,
    stack,
    take_along_axis,
    where,
)
from .engine.random_sample import sample
from .engine.tensor import Tensor
from .engine.transforms import (
    grad,
    gradients,
    hessian,
    hvp,
    jacobian,
    jvp,
    value_and_grad,
    vjp,
)

if TYPE_CHECKING:
    from . import closed_form, data, draw, functional, nn, optim, train
    from .compiler import compile  # noqa: A004
    from .draw import Drawing
    from .verify import Comparison, Comparisons, GradcheckError, compare, gradcheck

__version__ = "0.2.0.dev0"

# What is loaded when it is first used, and from where: None for a module of this package.
_LAZY = {
    "functional": None,
    "closed_form": None,
    "nn": None,
    "optim": None,
    "data": None,
    "train": None,
    "draw": None,
    "Drawing": "draw",
    "compile": "compiler",
    "compare": "verify",
    "Comparison": "verify",
    "Comparisons": "verify",
    "gradcheck": "verify",
    "GradcheckError": "verify",
}

__all__ = [
    "Tensor",
    "no_grad",
    "scope",
    "detect_nan",
    "where",
    "maximum",
    "minimum",
    "concatenate",
    "stack",
    "matmul",
    "einsum",
    "logaddexp",
    "norm",
    "sort",
    "split",
    "take_along_axis",
    "sample",
    "gradients",
    "grad",
    "value_and_grad",
    "vjp",
    "jvp",
    "jacobian",
    "hessian",
    "hvp",
    "FreedGraphError",
    "functional",
    "closed_form",
    "nn",
    "optim",
    "data",
    "train",
    "compare",
    "Comparison",
    "Comparisons",
    "gradcheck",
    "GradcheckError",
    "compile",
    "draw",
    "Drawing",
]


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = _LAZY[name]
    found: object = import_module(f"{__name__}.{home or name}")
    if home is not None:
        found = getattr(found, name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
