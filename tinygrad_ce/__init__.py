"""A from-scratch autograd engine on NumPy that takes the gradient of cross-entropy apart.

>>> import tinygrad_ce as tg
>>> z = tg.Tensor([2.0, 1.0, 0.1], requires_grad=True, name="logits")
>>> loss = z.exp().sum().log() - z[0]
>>> loss.backward()
>>> z.grad  # softmax(z) minus one-hot
array([-0.340..., 0.242..., 0.098...])
"""

from . import closed_form, data, draw, functional, nn, optim
from .compiler import compile  # noqa: A004
from .draw import Drawing
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
from .engine.transforms import grad, gradients, hessian, hvp, jacobian, jvp, value_and_grad, vjp
from .verify.comparison import Comparison, Comparisons, compare
from .verify.finite_differences import GradcheckError, gradcheck

__version__ = "0.1.0"

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
    "compare",
    "Comparison",
    "Comparisons",
    "gradcheck",
    "GradcheckError",
    "compile",
    "draw",
    "Drawing",
]
