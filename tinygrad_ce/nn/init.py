"""Initialization: new values for parameters, drawn from a generator that is given.

A function assigns to the Tensor that it is given and returns it. The fans of a weight are those of
a Linear, of shape (n_in, n_out): PyTorch's have the other order.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from ..arguments import check_choice, check_generator, check_kind, check_real
from ..engine.tensor import Tensor, set_values
from ..other_names import name_error
from .module import Rng

__all__ = [
    "calculate_gain",
    "constant_",
    "uniform_",
    "normal_",
    "xavier_uniform_",
    "xavier_normal_",
    "kaiming_uniform_",
    "kaiming_normal_",
    "orthogonal_",
]


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str) -> object:
    raise name_error(__name__, name)


_GAINS = {
    "linear": 1.0,
    "sigmoid": 1.0,
    "tanh": 5 / 3,
    "relu": math.sqrt(2),
    "selu": 0.75,
}
Nonlinearity = Literal["linear", "sigmoid", "tanh", "relu", "leaky_relu", "selu"]


def calculate_gain(nonlinearity: Nonlinearity, a: float = 0.01) -> float:
    """Return by what weights are multiplied so that the activation keeps the variance.

    Parameters
    ----------
    nonlinearity
        "linear", "sigmoid", "tanh", "relu", "leaky_relu" or "selu".
    a
        The slope of leaky_relu where it is negative.

    Raises
    ------
    ValueError
        Another name.

    >>> calculate_gain("relu") == 2**0.5
    True
    """
    check_choice("nonlinearity", nonlinearity, (*_GAINS, "leaky_relu"))
    slope = check_real("a", a)
    return _GAINS.get(nonlinearity) or math.sqrt(2 / (1 + slope * slope))


def constant_(tensor: Tensor, value: float) -> Tensor:
    """Fill a Tensor with a number.

    Parameters
    ----------
    tensor
        A leaf of any shape.
    value
        A number.

    Raises
    ------
    TypeError, RuntimeError
        Something that is no Tensor, or no leaf.

    >>> constant_(Tensor([1.0, 2.0]), 0.5)
    Tensor([0.5, 0.5])
    """
    return _assign(tensor, np.full(_shape(tensor), check_real("value", value)))


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, *, rng: Rng) -> Tensor:
    """Draw uniformly from [a, b).

    Parameters
    ----------
    tensor
        A leaf of any shape.
    a, b
        The bounds.
    rng
        A generator, or a seed.

    Raises
    ------
    TypeError, ValueError, RuntimeError
        Something that is no Tensor, or no leaf; bounds in the wrong order.

    >>> abs(uniform_(Tensor(np.zeros(100)), -0.5, 0.5, rng=0).data).max() <= 0.5
    np.True_
    """
    low, high = check_real("a", a), check_real("b", b)
    if low > high:
        raise ValueError(f"a is at most b, got {a} and {b}")
    return _assign(tensor, check_generator(rng).uniform(low, high, _shape(tensor)))


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, *, rng: Rng) -> Tensor:
    """Draw from a normal distribution.

    Parameters
    ----------
    tensor
        A leaf of any shape.
    mean, std
        Of the distribution.
    rng
        A generator, or a seed.

    Raises
    ------
    TypeError, ValueError, RuntimeError
        Something that is no Tensor, or no leaf; a negative std.

    >>> normal_(Tensor(np.zeros(10000)), 1.0, 0.1, rng=0).data.std().round(2)
    np.float64(0.1)
    """
    mean, std = check_real("mean", mean), check_real("std", std, 0)
    return _assign(tensor, check_generator(rng).normal(mean, std, _shape(tensor)))


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, *, rng: Rng) -> Tensor:
    """Draw uniformly from ±gain √(6 / (n_in + n_out)): for activations such as tanh.

    Parameters
    ----------
    tensor
        A leaf of shape (n_in, n_out).
    gain
        As `calculate_gain` returns it.
    rng
        A generator, or a seed.

    Raises
    ------
    TypeError, ValueError, RuntimeError
        Something that is no Tensor, or no leaf; another number of axes than two.

    References
    ----------
    Glorot and Bengio, Understanding the difficulty of training deep feedforward neural networks,
    2010.

    >>> abs(xavier_uniform_(Tensor(np.zeros((4, 2))), rng=0).data).max() <= 1
    np.True_
    """
    bound = check_real("gain", gain) * math.sqrt(6 / sum(_fans(tensor)))
    return uniform_(tensor, -abs(bound), abs(bound), rng=rng)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, *, rng: Rng) -> Tensor:
    """Draw normally with a standard deviation of gain √(2 / (n_in + n_out)).

    Parameters, errors and source are those of `xavier_uniform_`.

    >>> xavier_normal_(Tensor(np.zeros((100, 100))), rng=0).data.std().round(2)
    np.float64(0.1)
    """
    std = check_real("gain", gain, 0) * math.sqrt(2 / sum(_fans(tensor)))
    return normal_(tensor, 0.0, std, rng=rng)


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0.0,
    mode: Literal["fan_in", "fan_out"] = "fan_in",
    nonlinearity: Nonlinearity = "leaky_relu",
    *,
    rng: Rng,
) -> Tensor:
    """Draw uniformly from ±gain √(3 / fan): for relu and its kin.

    Parameters
    ----------
    tensor
        A leaf of shape (n_in, n_out).
    a
        The slope of leaky_relu where it is negative; 0 for relu.
    mode
        "fan_in" divides by n_in, and keeps the variance of what is passed forward; "fan_out" by
        n_out, and keeps that of the gradients.
    nonlinearity
        As in `calculate_gain`.
    rng
        A generator, or a seed.

    Raises
    ------
    TypeError, ValueError, RuntimeError
        Something that is no Tensor, or no leaf; another number of axes than two, another mode.

    References
    ----------
    He, Zhang, Ren and Sun, Delving deep into rectifiers, 2015.

    >>> abs(kaiming_uniform_(Tensor(np.zeros((6, 2))), rng=0).data).max() <= 1
    np.True_
    """
    bound = math.sqrt(3) * _kaiming_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, rng=rng)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0.0,
    mode: Literal["fan_in", "fan_out"] = "fan_in",
    nonlinearity: Nonlinearity = "leaky_relu",
    *,
    rng: Rng,
) -> Tensor:
    """Draw normally with a standard deviation of gain / √fan.

    Parameters, errors and source are those of `kaiming_uniform_`.

    >>> kaiming_normal_(Tensor(np.zeros((200, 100))), rng=0).data.std().round(1)
    np.float64(0.1)
    """
    return normal_(tensor, 0.0, _kaiming_std(tensor, a, mode, nonlinearity), rng=rng)


def orthogonal_(tensor: Tensor, gain: float = 1.0, *, rng: Rng) -> Tensor:
    """Draw a matrix with orthonormal rows or columns, whichever are fewer, times gain.

    Parameters
    ----------
    tensor
        A leaf of shape (n_in, n_out).
    gain
        As `calculate_gain` returns it.
    rng
        A generator, or a seed.

    Raises
    ------
    TypeError, ValueError, RuntimeError
        Something that is no Tensor, or no leaf; another number of axes than two.

    References
    ----------
    Saxe, McClelland and Ganguli, Exact solutions to the nonlinear dynamics of learning in deep
    linear neural networks, 2014.

    >>> w = orthogonal_(Tensor(np.zeros((3, 2))), rng=0)
    >>> (w.T @ w).data.round(6) + 0
    array([[1., 0.],
           [0., 1.]])
    """
    n_in, n_out = _fans(tensor)
    tall = check_generator(rng).standard_normal((max(n_in, n_out), min(n_in, n_out)))
    q, r = np.linalg.qr(tall)
    q = q * np.sign(np.diag(r))  # so that all orthogonal matrices are equally likely
    return _assign(tensor, check_real("gain", gain) * (q.T if n_in < n_out else q))


def _kaiming_std(tensor: Tensor, a: float, mode: str, nonlinearity: Nonlinearity) -> float:
    check_choice("mode", mode, ("fan_in", "fan_out"))
    fan = _fans(tensor)[mode == "fan_out"]
    return calculate_gain(nonlinearity, a) / math.sqrt(fan)


def _fans(tensor: Tensor) -> tuple[int, int]:
    shape = _shape(tensor)
    if len(shape) != 2:
        raise ValueError(f"the fans are those of a weight (n_in, n_out), got shape {shape}")
    return shape[0], shape[1]


def _shape(tensor: Tensor) -> tuple[int, ...]:
    if check_kind("tensor", tensor, Tensor).primitive is not None:
        raise RuntimeError(f"{tensor.label()} was computed: only a leaf can be initialized")
    return tensor.shape


def _assign(tensor: Tensor, values: Any) -> Tensor:
    set_values([tensor], [np.asarray(values, tensor.dtype)[()]])
    return tensor
