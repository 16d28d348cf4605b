"""The rules by which optimizers update a parameter."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

import numpy as np

from ..arguments import check_real, check_sequence, shown
from ..engine.tensor import Tensor
from .optimizer import Optimizer, States
from .state import at_least, flags


class _WithMomentum(Optimizer):
    """An optimizer with a velocity, as soon as there is momentum."""

    _checks = Optimizer._checks | at_least(0, "momentum")

    def __init__(
        self, params: Iterable[Tensor], lr: float, weight_decay: float, momentum: float
    ) -> None:
        super().__init__(params, lr, weight_decay)
        self.velocity: list[Any] = []
        self.momentum = momentum

    @property
    def momentum(self) -> float:
        """The share of the last velocity that remains; if 0, there is no velocity."""
        return self._momentum

    @momentum.setter
    def momentum(self, momentum: float) -> None:
        self._momentum = momentum
        if self._momentum and not self.velocity:
            self.velocity = self._zeros()


class SGD(_WithMomentum):
    """Stochastic gradient descent: p ← p - lr·v with v ← momentum·v + g.

    Nesterov's momentum looks a step ahead: p ← p - lr·(g + momentum·v).

    Parameters
    ----------
    params
        Leaves with requires_grad, as `module.parameters()` returns them.
    lr
        The learning rate.
    momentum
        The share of the last velocity that remains; 0 for plain gradient descent.
    weight_decay
        λ: adds λ·p to the gradient.
    nesterov
        Whether to use Nesterov's momentum, as PyTorch does.

    Raises
    ------
    ValueError, TypeError
        As `Optimizer`; and ValueError for nesterov without momentum.

    References
    ----------
    Sutskever, Martens, Dahl and Hinton, On the importance of initialization and momentum in deep
    learning, 2013.

    >>> import tinygrad_ce as tg
    >>> p = tg.Tensor([1.0, 2.0], requires_grad=True)
    >>> optimizer = SGD([p], lr=0.1)
    >>> (p * p).sum().backward()
    >>> optimizer.step()
    >>> p.data
    array([0.8, 1.6])
    """

    settings = ("lr", "momentum", "weight_decay", "nesterov")
    _checks = _WithMomentum._checks | flags("nesterov")
    per_parameter_state = ("velocity",)

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        *,
        nesterov: bool = False,
    ) -> None:
        super().__init__(params, lr, weight_decay, momentum)
        self.nesterov = nesterov
        if self.nesterov and not self.momentum:
            raise ValueError("Nesterov's momentum needs a momentum above 0, got 0")

    def update(self, states: States, i: int, value: Any, g: Any) -> Any:
        """Return the new value of a parameter, by its velocity if there is momentum."""
        g = self._add_decay(value, g)
        if self._momentum:
            velocity = states["velocity"]
            v = velocity[i] = self._momentum * velocity[i] + g
            g = g + self._momentum * v if self.nesterov else v
        return value - self.lr * g


def _check_betas(betas: Any) -> tuple[float, ...]:
    checked = tuple([check_real("each of betas", b, 0, 1) for b in check_sequence("betas", betas)])
    if len(checked) != 2 or 1 in checked:
        raise ValueError(f"betas are two numbers in [0, 1), got {shown(betas)}")
    return checked


class Adam(Optimizer):
    """Adam: steps scaled by running averages of the gradient and of its square.

    m ← β₁m + (1-β₁)g, v ← β₂v + (1-β₂)g², p ← p - lr · m̂ / (√v̂ + ε), where m̂ = m / (1-β₁ᵗ) and
    v̂ = v / (1-β₂ᵗ) correct for the start at 0.

    Parameters
    ----------
    params
        Leaves with requires_grad.
    lr, betas, eps
        The learning rate, (β₁, β₂), and ε.
    weight_decay
        λ: adds λ·p to the gradient.
    amsgrad
        Whether to divide by the root of the largest v so far, so that no step grows again.

    Raises
    ------
    ValueError, TypeError
        As `Optimizer`, and ValueError for betas outside of [0, 1).

    References
    ----------
    Kingma and Ba, Adam: a method for stochastic optimization, 2015, algorithm 1. Reddi, Kale and
    Kumar, On the convergence of Adam and beyond, 2018, for AMSGrad.

    >>> import tinygrad_ce as tg
    >>> p = tg.Tensor([1.0, 2.0], requires_grad=True)
    >>> optimizer = Adam([p], lr=0.1)
    >>> (p * p).sum().backward()
    >>> optimizer.step()
    >>> p.data
    array([0.9, 1.9])
    """

    settings = ("lr", "betas", "eps", "weight_decay", "amsgrad")
    per_parameter_state = ("m", "v", "t", "v_max")
    _checks = Optimizer._checks | at_least(0, "eps") | flags("amsgrad") | {"betas": _check_betas}

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
    ) -> None:
        super().__init__(params, lr, weight_decay)
        self.betas, self.eps, self.amsgrad = betas, eps, amsgrad
        self.m, self.v = self._zeros(), self._zeros()
        self.t: list[Any] = [0] * len(self.params)  # the number of updates
        self.v_max: list[Any] = self._zeros() if self.amsgrad else []

    def update(self, states: States, i: int, value: Any, g: Any) -> Any:
        """Return the new value of a parameter, by its averages m and v after t updates."""
        g = self._add_decay(value, g)
        beta1, beta2 = self.betas
        m = states["m"][i] = beta1 * states["m"][i] + (1 - beta1) * g
        v = states["v"][i] = beta2 * states["v"][i] + (1 - beta2) * (g * g)
        t = states["t"][i] = states["t"][i] + 1
        if "v_max" in states:
            v = states["v_max"][i] = np.maximum(states["v_max"][i], v)
        # Both corrections go into two numbers (section 2 of the paper), which saves two arrays.
        root = (1 - beta2**t) ** 0.5
        lr, eps = self.lr * root / (1 - beta1**t), self.eps * root
        return self._shrink(value) - lr * m / (np.sqrt(v) + eps)

    def _shrink(self, value: Any) -> Any:
        """The value after decoupled weight decay."""
        return value


class AdamW(Adam):
    """Adam with decoupled weight decay: p shrinks by lr·λ·p, apart from the gradient.

    Parameters
    ----------
    params, lr, betas, eps, amsgrad
        As `Adam`, with the same errors.
    weight_decay
        λ: subtracts lr·λ·p from each parameter p.

    References
    ----------
    Loshchilov and Hutter, Decoupled weight decay regularization, 2019, algorithm 2.

    >>> import tinygrad_ce as tg
    >>> p = tg.Tensor([1.0, 2.0], requires_grad=True)
    >>> optimizer = AdamW([p], lr=0.1, weight_decay=0.5)
    >>> (p * p).sum().backward()
    >>> optimizer.step()
    >>> p.data
    array([0.85, 1.8 ])
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
        amsgrad: bool = False,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad)

    def _add_decay(self, value: Any, g: Any) -> Any:
        return g

    def _shrink(self, value: Any) -> Any:
        return value - self.lr * self.weight_decay * value


class RMSprop(_WithMomentum):
    """RMSprop: steps scaled by a running average of the gradient's square.

    v ← αv + (1-α)g², p ← p - lr · g / (√v + ε). Centered, v - m² takes the place of v, with the
    running average m ← αm + (1-α)g: the variance. With momentum, b ← momentum·b + the quotient,
    and p ← p - lr · b.

    Parameters
    ----------
    params
        Leaves with requires_grad.
    lr, alpha, eps
        The learning rate, α and ε.
    weight_decay
        λ: adds λ·p to the gradient.
    momentum
        The share of the last step that remains.
    centered
        Whether to divide by the root of the variance.

    Raises
    ------
    ValueError, TypeError
        As `Optimizer`, and ValueError for an alpha outside of [0, 1].

    References
    ----------
    Tieleman and Hinton, lecture 6e of Neural networks for machine learning, 2012; Graves,
    Generating sequences with recurrent neural networks, 2013, for the centered version. As in
    PyTorch.

    >>> import tinygrad_ce as tg
    >>> p = tg.Tensor([1.0, 2.0], requires_grad=True)
    >>> optimizer = RMSprop([p], lr=0.1, alpha=0.75)
    >>> (p * p).sum().backward()
    >>> optimizer.step()
    >>> p.data.round(6)
    array([0.8, 1.8])
    """

    settings = ("lr", "alpha", "eps", "weight_decay", "momentum", "centered")
    per_parameter_state = ("v", "m", "velocity")
    _checks = _WithMomentum._checks | at_least(0, "eps") | flags("centered")
    _checks |= {"alpha": partial(check_real, "alpha", least=0, most=1)}

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
    ) -> None:
        super().__init__(params, lr, weight_decay, momentum)
        self.alpha, self.eps, self.centered = alpha, eps, centered
        self.v = self._zeros()
        self.m: list[Any] = self._zeros() if self.centered else []

    def update(self, states: States, i: int, value: Any, g: Any) -> Any:
        """Return the new value of a parameter, by its averages."""
        g = self._add_decay(value, g)
        alpha = self.alpha
        v = states["v"][i] = alpha * states["v"][i] + (1 - alpha) * (g * g)
        if "m" in states:
            m = states["m"][i] = alpha * states["m"][i] + (1 - alpha) * g
            v = v - m * m
        step = g / (np.sqrt(v) + self.eps)
        if self._momentum:
            step = states["velocity"][i] = self._momentum * states["velocity"][i] + step
        return value - self.lr * step


class Adagrad(Optimizer):
    """Adagrad: steps scaled by the root of the sum of all squared gradients.

    s ← s + g², p ← p - lr / (1 + (t-1)·lr_decay) · g / (√s + ε), at the t-th update.

    Parameters
    ----------
    params
        Leaves with requires_grad.
    lr, lr_decay
        The learning rate, and how fast it falls.
    weight_decay
        λ: adds λ·p to the gradient.
    initial_accumulator_value
        s at first.
    eps
        ε.

    Raises
    ------
    ValueError, TypeError
        As `Optimizer`.

    References
    ----------
    Duchi, Hazan and Singer, Adaptive subgradient methods for online learning, 2011. As in PyTorch.

    >>> import tinygrad_ce as tg
    >>> p = tg.Tensor([1.0, 2.0], requires_grad=True)
    >>> optimizer = Adagrad([p], lr=0.1)
    >>> (p * p).sum().backward()
    >>> optimizer.step()
    >>> p.data
    array([0.9, 1.9])
    """

    settings = ("lr", "lr_decay", "weight_decay", "eps")
    per_parameter_state = ("total", "t")
    _checks = Optimizer._checks | at_least(0, "lr_decay", "eps")

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
    ) -> None:
        super().__init__(params, lr, weight_decay)
        self.lr_decay, self.eps = lr_decay, eps
        start = float(check_real("initial_accumulator_value", initial_accumulator_value, 0))
        self.total = [zeros + start for zeros in self._zeros()]
        self.t: list[Any] = [0] * len(self.params)  # the number of updates

    def update(self, states: States, i: int, value: Any, g: Any) -> Any:
        """Return the new value of a parameter, by the sum of its squared gradients."""
        g = self._add_decay(value, g)
        total = states["total"][i] = states["total"][i] + g * g
        lr = self.lr / (1 + states["t"][i] * self.lr_decay)
        states["t"][i] = states["t"][i] + 1
        return value - lr * g / (np.sqrt(total) + self.eps)
