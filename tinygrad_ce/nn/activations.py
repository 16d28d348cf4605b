"""Activations as layers: each calls the function of its name in `functional`."""

from __future__ import annotations

from typing import Any, Literal

from .. import functional
from ..arguments import check_choice, check_integer, check_real
from ..engine.tensor import Tensor, as_tensor
from .module import Module


class Tanh(Module):
    """The hyperbolic tangent of each element."""

    def forward(self, x: Any) -> Tensor:
        """Map x of any shape."""
        return as_tensor(x).tanh()


class ReLU(Module):
    """max(x, 0) of each element."""

    def forward(self, x: Any) -> Tensor:
        """Map x of any shape."""
        return as_tensor(x).relu()


class Sigmoid(Module):
    """1 / (1 + exp(-x)) of each element."""

    def forward(self, x: Any) -> Tensor:
        """Map x of any shape."""
        return as_tensor(x).sigmoid()


class SiLU(Module):
    """x σ(x) of each element: see `functional.silu`."""

    def forward(self, x: Any) -> Tensor:
        """Map x of any shape."""
        return functional.silu(x)


class GELU(Module):
    """x Φ(x) of each element: see `functional.gelu`, which has its argument and errors."""

    def __init__(self, approximate: Literal["none", "tanh"] = "none") -> None:
        self.approximate = check_choice("approximate", approximate, ("none", "tanh"))

    def forward(self, x: Any) -> Tensor:
        """Map x of any shape."""
        return functional.gelu(x, self.approximate)

    def extra_repr(self) -> str:
        """Return the approximation, if there is one."""
        return "" if self.approximate == "none" else f"approximate={self.approximate!r}"


class LeakyReLU(Module):
    """x where positive, else negative_slope · x: see `functional.leaky_relu`."""

    def __init__(self, negative_slope: float = 0.01) -> None:
        self.negative_slope = check_real("negative_slope", negative_slope)

    def forward(self, x: Any) -> Tensor:
        """Map x of any shape."""
        return functional.leaky_relu(x, self.negative_slope)

    def extra_repr(self) -> str:
        """Return the slope."""
        return f"{self.negative_slope}"


class ELU(Module):
    """x where positive, else α (exp(x) - 1): see `functional.elu`."""

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = check_real("alpha", alpha)

    def forward(self, x: Any) -> Tensor:
        """Map x of any shape."""
        return functional.elu(x, self.alpha)

    def extra_repr(self) -> str:
        """Return α."""
        return f"{self.alpha}"


class Softplus(Module):
    """log(1 + exp(βx)) / β of each element: see `functional.softplus`."""

    def __init__(self, beta: float = 1.0) -> None:
        self.beta = check_real("beta", beta, 0)

    def forward(self, x: Any) -> Tensor:
        """Map x of any shape."""
        return functional.softplus(x, self.beta)

    def extra_repr(self) -> str:
        """Return β."""
        return f"{self.beta}"


class Softmax(Module):
    """exp(x) / Σ exp(x) along an axis: see `functional.softmax`. Not before a cross-entropy."""

    def __init__(self, axis: int = -1) -> None:
        self.axis = check_integer("axis", axis)

    def forward(self, x: Any) -> Tensor:
        """Map x to probabilities, of the same shape."""
        return functional.softmax(x, self.axis)

    def extra_repr(self) -> str:
        """Return the axis."""
        return f"axis={self.axis}"


class LogSoftmax(Softmax):
    """log softmax(x) along an axis: see `functional.log_softmax`."""

    def forward(self, x: Any) -> Tensor:
        """Map x to log-probabilities, of the same shape."""
        return functional.log_softmax(x, self.axis)
