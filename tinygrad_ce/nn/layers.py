"""Layers with parameters, and those that change shapes or drop elements."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from .. import functional
from ..arguments import check_flag, check_generator, check_integer, check_real
from ..engine.context import MODE
from ..engine.tensor import Tensor, as_tensor, run_check
from ..functional import validation
from .module import Module, Rng


class Linear(Module):
    """A linear layer: x @ weight + bias, with a weight of shape (n_in, n_out).

    Parameters
    ----------
    n_in, n_out
        The number of features of the input's last axis, and of the output's.
    bias
        Whether to add a bias.
    rng
        A generator or a seed. Both weight and bias start uniform in ±1/√n_in.
    dtype
        Of the parameters.

    Raises
    ------
    ValueError
        No inputs or no outputs.

    >>> layer = Linear(4, 3, rng=0)
    >>> layer(np.ones((2, 4), np.float32)).shape
    (2, 3)
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        bias: bool = True,
        rng: Rng = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        n_in, n_out = check_integer("n_in", n_in, 1), check_integer("n_out", n_out, 1)
        rng = check_generator(rng)
        bound = 1 / np.sqrt(n_in)
        self.weight = Tensor(rng.uniform(-bound, bound, (n_in, n_out)), True, dtype=dtype)
        self.bias = None
        if check_flag("bias", bias):
            self.bias = Tensor(rng.uniform(-bound, bound, n_out), True, dtype=dtype)

    def forward(self, x: Any) -> Tensor:
        """Map x of shape (..., n_in) to (..., n_out).

        Raises
        ------
        ValueError
            Another number of features on the last axis.
        """
        batch = as_tensor(x)
        try:
            y = batch @ self.weight
        except ValueError:
            self._check_features(batch.shape)
            raise
        return y if self.bias is None else y + self.bias

    def _check_features(self, shape: tuple[int, ...]) -> None:
        n_in = self.weight.shape[0]
        if shape[-1:] != (n_in,):
            within = MODE.get().scope
            raise ValueError(
                f"{self._describe()} at {within.path if within else 'the top'} takes {n_in} "
                f"features on the last axis, got an input of shape {shape}"
            )

    def extra_repr(self) -> str:
        """Return its shape, and bias=False if it has no bias."""
        n_in, n_out = self.weight.shape
        return f"{n_in}, {n_out}{'' if self.bias is not None else ', bias=False'}"


class Embedding(Module):
    """A vector for each token: the rows of `weight`, chosen by index.

    Parameters
    ----------
    n_tokens, dim
        The number of tokens, and of elements of a vector.
    rng
        A generator or a seed. The vectors start standard normal.
    dtype
        Of the parameter.

    Raises
    ------
    ValueError
        No tokens or no elements.

    >>> layer = Embedding(27, 10, rng=0)
    >>> layer([[0, 26, 3], [1, 1, 1]]).shape
    (2, 3, 10)
    """

    def __init__(
        self, n_tokens: int, dim: int, rng: Rng = None, dtype: DTypeLike = np.float32
    ) -> None:
        n_tokens, dim = check_integer("n_tokens", n_tokens, 1), check_integer("dim", dim, 1)
        vectors = check_generator(rng).standard_normal((n_tokens, dim))
        self.weight = Tensor(vectors, True, dtype=dtype)

    def forward(self, tokens: Any) -> Tensor:
        """Map integers in [0, n_tokens), of any shape (...), to vectors (..., dim).

        Raises
        ------
        TypeError, IndexError
            Indices that are not integers, or out of range.
        """
        t = validation.as_integers_or_floats(tokens)
        n = self.weight.shape[0]
        run_check(validation.check_range, t, n, one="index", many="indices", of="tokens")
        return self.weight[t]

    def extra_repr(self) -> str:
        """Return its shape."""
        n_tokens, dim = self.weight.shape
        return f"{n_tokens}, {dim}"


class Dropout(Module):
    """Set each element to 0 with probability p in training, and divide the others by 1 - p.

    In evaluation, it leaves its input as it is.

    Parameters
    ----------
    p
        From 0 to 1.
    rng
        A generator or a seed. In a compiled step too, each call draws again.

    Raises
    ------
    ValueError
        A p outside of [0, 1].

    References
    ----------
    Srivastava et al., Dropout, 2014.

    >>> layer = Dropout(0.5, rng=0)
    >>> layer(Tensor([1.0, 1.0, 1.0, 1.0]))
    Tensor([2., 0., 0., 0.])
    >>> layer.eval()(Tensor([1.0, 1.0]))
    Tensor([1., 1.])
    """

    def __init__(self, p: float = 0.5, rng: Rng = None) -> None:
        self.p = check_real("p", p, 0, 1)
        self.rng = check_generator(rng)

    def forward(self, x: Any) -> Tensor:
        """Map x, floating point of any shape, to the same shape and dtype."""
        return functional.dropout(x, self.p, rng=self.rng, training=self.training)

    def extra_repr(self) -> str:
        """Return the probability."""
        return f"{self.p}"


class Flatten(Module):
    """All axes but the first as one: rows for a Linear.

    >>> Flatten()(np.ones((2, 3, 4))).shape
    (2, 12)
    """

    def forward(self, x: Any) -> Tensor:
        """Map x of shape (N, ...) to (N, n).

        Raises
        ------
        ValueError
            A single number, which has no rows.
        """
        y = as_tensor(x)
        if not y.shape:
            raise ValueError("Flatten takes an input of shape (N, ...), got a single number")
        return y.reshape(len(y), math.prod(y.shape[1:]))
