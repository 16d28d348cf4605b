"""Activations and dropout, composed of primitives."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from ..arguments import check_choice, check_flag, check_real, shown
from ..engine.context import scope
from ..engine.random_sample import sample
from ..engine.tensor import Tensor
from . import validation


@scope("gelu")
def gelu(x: Any, approximate: Literal["none", "tanh"] = "none") -> Tensor:
    """Return x Φ(x), with the distribution function Φ of the standard normal: a smooth relu.

    Parameters
    ----------
    x
        Floating point of any shape. The result has its shape and dtype.
    approximate
        "none", or "tanh" for the formula with tanh, which is within 5e-4.

    Raises
    ------
    TypeError
        An x that is not floating point.
    ValueError
        Another approximation.

    References
    ----------
    Hendrycks and Gimpel, Gaussian error linear units, 2016.

    >>> gelu(Tensor([-1.0, 0.0, 1.0]))
    Tensor([-0.15865525,  0.        ,  0.84134475])
    """
    z = validation.as_floating(x, "arguments of gelu")
    if check_choice("approximate", approximate, ("none", "tanh")) == "none":
        inside = (z / math.sqrt(2)).erf()
    else:
        inside = (math.sqrt(2 / math.pi) * (z + 0.044715 * z * z * z)).tanh()
    return 0.5 * z * (1 + inside)


@scope("dropout")
def dropout(x: Any, p: float = 0.5, *, rng: np.random.Generator, training: bool = True) -> Tensor:
    """Set each element to 0 with probability p, and divide the others by 1 - p.

    This keeps the expected value of each element. What is dropped is multiplied by 0, which
    makes nan of inf, as in PyTorch.

    Parameters
    ----------
    x
        Floating point of any shape. The result has its shape and dtype.
    p
        From 0 to 1; with 1, all elements are 0.
    rng
        A generator. In a compiled step too, each call draws again.
    training
        With False, the result is x, and nothing is drawn.

    Raises
    ------
    ValueError
        A p outside of [0, 1].
    TypeError
        An x that is not floating point, or an rng that is not a generator: a seed would drop the
        same elements each time.

    References
    ----------
    Srivastava et al., Dropout, 2014.

    >>> rng = np.random.default_rng(0)
    >>> dropout(Tensor([1.0, 1.0, 1.0, 1.0]), rng=rng)
    Tensor([2., 0., 0., 0.])
    >>> dropout(Tensor([1.0, 1.0]), rng=rng, training=False)
    Tensor([1., 1.])
    """
    z = validation.as_floating(x, "arguments of dropout")
    p = check_real("p", p, 0, 1)  # which leaves the dtype alone, as a NumPy number would not
    if not isinstance(rng, np.random.Generator):
        raise TypeError(f"dropout needs a np.random.Generator, got {shown(rng)}")
    if not check_flag("training", training):
        return z
    keep = sample(rng.random, z.shape, dtype=np.float32 if z.dtype.itemsize <= 4 else float) >= p
    # A product, since np.where mispredicts a branch at every other element.
    mask = keep.astype(z.dtype if z.dtype.kind == "f" else float)
    return z * (mask * (1 / (1 - p) if p < 1 else 0.0))
