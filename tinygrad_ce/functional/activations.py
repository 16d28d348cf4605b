"""Activations and dropout, composed of primitives."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from ..arguments import check_choice, check_flag, check_real, shown
from ..engine.context import scope
from ..engine.operations import logaddexp, where
from ..engine.random_sample import sample
from ..engine.tensor import Tensor
from ..other_names import numpy_keywords
from . import validation


@scope("gelu")
@numpy_keywords
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


@scope("relu")
@numpy_keywords
def relu(x: Any) -> Tensor:
    """Return max(x, 0); its derivative at 0 is 0.

    Parameters
    ----------
    x
        Floating point of any shape. The result has its shape and dtype.

    Raises
    ------
    TypeError
        An x that is not floating point.

    >>> relu(Tensor([-1.0, 0.0, 2.0]))
    Tensor([0., 0., 2.])
    """
    return validation.as_floating(x, "arguments of relu").relu()


@scope("tanh")
@numpy_keywords
def tanh(x: Any) -> Tensor:
    """Return the hyperbolic tangent. Parameter, result and errors are those of `relu`.

    >>> tanh(Tensor([0.0, 100.0]))
    Tensor([0., 1.])
    """
    return validation.as_floating(x, "arguments of tanh").tanh()


@scope("sigmoid")
@numpy_keywords
def sigmoid(x: Any) -> Tensor:
    """Return 1 / (1 + exp(-x)), without overflow; arguments and errors are those of `relu`.

    >>> sigmoid(Tensor([0.0, -1000.0]))
    Tensor([0.5, 0. ])
    """
    return validation.as_floating(x, "arguments of sigmoid").sigmoid()


@scope("silu")
@numpy_keywords
def silu(x: Any) -> Tensor:
    """Return x σ(x), also called swish: a smooth relu. Arguments and errors are those of `relu`.

    References
    ----------
    Hendrycks and Gimpel, Gaussian error linear units, 2016; Ramachandran, Zoph and Le, Searching
    for activation functions, 2017.

    >>> silu(Tensor([-1.0, 0.0, 1.0]))
    Tensor([-0.26894142,  0.        ,  0.73105858])
    """
    z = validation.as_floating(x, "arguments of silu")
    return z * z.sigmoid()


@scope("softplus")
@numpy_keywords
def softplus(x: Any, beta: float = 1.0) -> Tensor:
    """Return log(1 + exp(βx)) / β, without overflow: a smooth relu, whose derivative is σ(βx).

    Parameters
    ----------
    x
        Floating point of any shape. The result has its shape and dtype.
    beta
        β, above 0: the larger, the nearer to relu.

    Raises
    ------
    TypeError
        An x that is not floating point.
    ValueError
        A beta that is not above 0.

    Notes
    -----
    PyTorch returns x itself where βx is above a threshold of 20, which differs by up to 2e-9.

    >>> softplus(Tensor([0.0, 1000.0]))
    Tensor([6.93147181e-01, 1.00000000e+03])
    """
    z = validation.as_floating(x, "arguments of softplus")
    if not check_real("beta", beta, 0):
        raise ValueError("beta is above 0, got 0")
    return logaddexp(z, 0.0) if beta == 1 else logaddexp(z * float(beta), 0.0) / float(beta)


@scope("leaky_relu")
@numpy_keywords
def leaky_relu(x: Any, negative_slope: float = 0.01) -> Tensor:
    """Return x where it is positive, and negative_slope · x elsewhere, also at 0.

    Parameters
    ----------
    x
        Floating point of any shape. The result has its shape and dtype.
    negative_slope
        A number.

    Raises
    ------
    TypeError
        An x that is not floating point, a slope that is no number.

    References
    ----------
    Maas, Hannun and Ng, Rectifier nonlinearities improve neural network acoustic models, 2013.

    >>> leaky_relu(Tensor([-1.0, 0.0, 2.0]))
    Tensor([-0.01,  0.  ,  2.  ])
    """
    z = validation.as_floating(x, "arguments of leaky_relu")
    return where(z > 0, z, z * float(check_real("negative_slope", negative_slope)))


@scope("elu")
@numpy_keywords
def elu(x: Any, alpha: float = 1.0) -> Tensor:
    """Return x where it is positive, and α (exp(x) - 1) elsewhere, also at 0.

    Parameters
    ----------
    x
        Floating point of any shape. The result has its shape and dtype.
    alpha
        α, a number: the result is above -α.

    Raises
    ------
    TypeError
        An x that is not floating point, an alpha that is no number.

    References
    ----------
    Clevert, Unterthiner and Hochreiter, Fast and accurate deep network learning by exponential
    linear units, 2016.

    >>> elu(Tensor([-1000.0, 0.0, 2.0]))
    Tensor([-1.,  0.,  2.])
    """
    z = validation.as_floating(x, "arguments of elu")
    below = where(z > 0, 0.0, z)  # so that exp cannot overflow where it is not used
    return where(z > 0, z, below.expm1() * float(check_real("alpha", alpha)))


@scope("dropout")
@numpy_keywords
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
