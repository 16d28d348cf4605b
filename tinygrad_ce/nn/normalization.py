"""Layers that normalize: over the batch, or over the features of each row."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from ..arguments import check_flag, check_integer, check_real
from ..engine.tensor import Tensor, as_tensor, set_values
from .module import Module


class BatchNorm1d(Module):
    """Normalize each feature over the batch: γ (x - μ)(σ² + ε)^-½ + β.

    In training, μ is the mean of the batch and σ² its biased variance (divided by N); running
    averages of the mean and of the unbiased variance (divided by N - 1) are updated. In evaluation,
    μ and σ² are the running averages. As in PyTorch.

    Parameters
    ----------
    n
        The number of features.
    eps
        ε, which keeps a constant feature from a division by 0.
    momentum
        The share of a batch in the running averages: r ← (1 - momentum) r + momentum · batch.
    dtype
        Of the parameters and the running averages.

    Attributes
    ----------
    weight, bias
        γ and β, parameters of shape (n,), 1 and 0 at first.
    running_mean, running_var
        Of shape (n,), 0 and 1 at first. Part of the state, but no parameters.

    Raises
    ------
    ValueError
        Input of another shape than (N, n), or, in training, of fewer than two rows.

    References
    ----------
    Ioffe and Szegedy, Batch normalization, 2015, algorithm 1.

    >>> layer = BatchNorm1d(1)
    >>> layer(Tensor([[1.0], [3.0]])).data.round(3)
    array([[-1.],
           [ 1.]])
    >>> layer.running_mean, layer.running_var
    (Tensor([0.2], dtype=float32, name='running_mean'),
     Tensor([1.1], dtype=float32, name='running_var'))
    """

    def __init__(
        self, n: int, eps: float = 1e-5, momentum: float = 0.1, dtype: DTypeLike = np.float32
    ) -> None:
        n = check_integer("n", n, 1)
        # As Python's numbers, these leave the dtype of the batch alone.
        self.eps = check_real("eps", eps, 0)
        self.momentum = check_real("momentum", momentum, 0, 1)
        self.weight = Tensor(np.ones(n), True, dtype=dtype)
        self.bias = Tensor(np.zeros(n), True, dtype=dtype)
        self.running_mean = Tensor(np.zeros(n), dtype=dtype)
        self.running_var = Tensor(np.ones(n), dtype=dtype)

    def forward(self, x: Any) -> Tensor:
        """Map x of shape (N, n) to the same shape."""
        batch = as_tensor(x)
        if batch.shape[1:] != self.weight.shape:
            raise ValueError(
                f"BatchNorm1d({self.extra_repr()}) needs a batch of shape "
                f"(N, {self.weight.size}), got {batch.shape}"
            )
        if self.training:
            mean = batch.mean(0)
            centered = batch - mean
            var = (centered * centered).mean(0)
            self._update_averages(mean, var, len(batch))
        else:
            centered, var = batch - self.running_mean, self.running_var
        return centered * ((var + self.eps) ** -0.5 * self.weight) + self.bias

    def _update_averages(self, mean: Tensor, var: Tensor, n: int) -> None:
        """Move the running averages towards those of a batch of n rows."""
        if n < 2:
            raise ValueError(
                f"a batch of {n} has no variance to normalize by: "
                "BatchNorm1d needs at least 2 rows in training; for fewer, eval() it first"
            )
        averages = [self.running_mean, self.running_var]
        moved = [
            (1 - self.momentum) * running + self.momentum * batch.detach()
            for running, batch in zip(averages, (mean, var * (n / (n - 1))), strict=True)
        ]
        set_values(
            averages, [value.astype(a.dtype) for a, value in zip(averages, moved, strict=True)]
        )

    def extra_repr(self) -> str:
        """Return the number of features, and what is not the default."""
        options = {"eps": (self.eps, 1e-5), "momentum": (self.momentum, 0.1)}
        changed = [f"{name}={value}" for name, (value, usual) in options.items() if value != usual]
        return ", ".join([str(self.weight.size), *changed])


class LayerNorm(Module):
    """Normalize each row over its features: γ (x - μ)(σ² + ε)^-½ + β.

    μ is the mean and σ² the biased variance over the last axis, or the last axes; in training and
    evaluation alike. As in PyTorch.

    Parameters
    ----------
    shape
        The number of features, or the lengths of the last axes.
    eps
        ε, which keeps a constant row from a division by 0.
    bias
        Whether to add β.
    dtype
        Of the parameters.

    Attributes
    ----------
    weight, bias
        γ and β, parameters of this shape, 1 and 0 at first.

    Raises
    ------
    ValueError, TypeError
        No features, a negative eps; input that does not end in this shape.

    References
    ----------
    Ba, Kiros and Hinton, Layer normalization, 2016.

    >>> layer = LayerNorm(2)
    >>> layer(Tensor([[1.0, 3.0], [5.0, 1.0]])).data.round(3)
    array([[-1.,  1.],
           [ 1., -1.]])
    """

    def __init__(
        self,
        shape: int | tuple[int, ...],
        eps: float = 1e-5,
        bias: bool = True,
        dtype: DTypeLike = np.float32,
    ) -> None:
        lengths = shape if isinstance(shape, list | tuple) else [shape]
        checked = tuple(check_integer("a length of shape", n, 1) for n in lengths)
        if not checked:
            raise ValueError("a LayerNorm has at least one axis, got ()")
        self.eps = check_real("eps", eps, 0)
        self.weight = Tensor(np.ones(checked), True, dtype=dtype)
        self.bias = None
        if check_flag("bias", bias):
            self.bias = Tensor(np.zeros(checked), True, dtype=dtype)

    def forward(self, x: Any) -> Tensor:
        """Map x of shape (..., *shape) to the same shape."""
        rows, shape = as_tensor(x), self.weight.shape
        if rows.shape[-len(shape) :] != shape:
            raise ValueError(
                f"{self._describe()} normalizes the last axes, of shape {shape}; "
                f"got an input of shape {rows.shape}"
            )
        axes = tuple(range(-len(shape), 0))
        centered = rows - rows.mean(axes, keepdims=True)
        var = (centered * centered).mean(axes, keepdims=True)
        y = centered * (var + self.eps) ** -0.5 * self.weight
        return y if self.bias is None else y + self.bias

    def extra_repr(self) -> str:
        """Return the shape, and what is not the default."""
        text = f"{self.weight.shape if self.weight.ndim > 1 else self.weight.size}"
        text += "" if self.eps == 1e-5 else f", eps={self.eps}"
        return text + ("" if self.bias is not None else ", bias=False")
