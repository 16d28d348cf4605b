"""Optimizers: from gradients to new parameters.

An update is written in operators on plain arrays, and the new value is bound to the parameter: the
arrays of a graph never change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from itertools import repeat
from typing import Any, ClassVar

import numpy as np

from .arguments import check_kind, check_real, check_sequence, shown
from .engine.commit import clear_gradients, commit
from .engine.context import active_recorder
from .engine.tensor import Tensor

__all__ = ["Optimizer", "SGD", "Adam", "AdamW"]


def __dir__() -> list[str]:
    return __all__


_VALUE = repeat("_value")

# The lists of state, by name; one entry for each parameter.
States = dict[str, list[Any]]


class Optimizer:
    """The base class: holds parameters and updates them from their gradients.

    Attributes
    ----------
    params
        The list of parameters. One whose `.grad` is None is left as it is.
    lr
        The learning rate; can be assigned between steps.
    scalar_state, per_parameter_state
        The names of the attributes that are numbers which may change from step to step, and of
        those that are lists of arrays or numbers, one for each parameter.

    Raises
    ------
    ValueError
        No parameters, one given twice or not a leaf with requires_grad, a negative number.
    TypeError
        A parameter that is not a Tensor.

    Notes
    -----
    While a step is recorded, `update_parameters` runs on Tensors: a recorder calls it on a copy of
    the optimizer in which parameters, gradients and the attributes that `scalar_state` and
    `per_parameter_state` name are Tensors, and reads what it has assigned to them. Once one of the
    other attributes has changed, the step is recorded again.
    """

    scalar_state: ClassVar[tuple[str, ...]] = ("lr",)
    per_parameter_state: ClassVar[tuple[str, ...]] = ()
    _checks: ClassVar[dict[str, Callable[[Any], Any]]] = {
        name: partial(check_real, name, least=0) for name in ("lr", "weight_decay")
    }

    def __init__(self, params: Iterable[Tensor], lr: float, weight_decay: float = 0.0) -> None:
        self.params = []
        for parameter in check_kind("params", params, Iterable, "the parameters, in a list"):
            check_kind("a parameter", parameter, Tensor)
            if not parameter.requires_grad or parameter.primitive is not None:
                raise ValueError(
                    f"{parameter.label()} is no parameter: that is a leaf with requires_grad=True"
                )
            self.params.append(parameter)
        if not self.params:
            raise ValueError("an optimizer needs at least one parameter, got none")
        if len({id(parameter) for parameter in self.params}) < len(self.params):
            raise ValueError("a parameter is given twice, and would be updated twice a step")
        self.lr = lr
        self.weight_decay = weight_decay

    def __setattr__(self, name: str, value: Any) -> None:
        # NumPy's numbers count as much as arrays, and would make float64 of float32 parameters.
        check = self._checks.get(name, _python_numbers)
        if isinstance(value, Tensor) and name in self._checks:
            if active_recorder() is not None:
                return object.__setattr__(self, name, value)
            value = np.asarray(value)
        object.__setattr__(self, name, check(value))

    def zero_grad(self) -> None:
        """Clear the gradients: set them to None."""
        recorder = active_recorder()
        if recorder is not None and recorder.zero_grad(self.params) is not NotImplemented:
            return
        clear_gradients(self.params)

    def step(self) -> None:
        """Update each parameter that has a gradient."""
        recorder = active_recorder()
        if recorder is None or recorder.optimizer_step(self) is NotImplemented:
            self.update_parameters()

    def update_parameters(self) -> None:
        """Update each parameter, whether or not a recorder is active.

        All parameters and their state are assigned at once, when all new values are there: an
        interruption leaves all or none updated.
        """
        states: States = {}
        for name in self.per_parameter_state:
            if entries := getattr(self, name):
                states[name] = [*entries]
        new: dict[Tensor, Any] = {}
        for i, parameter in enumerate(self.params):
            g = parameter._grad
            if g is not None:
                old = parameter._value
                value = self.update(states, i, old, g)
                if value.dtype is not old.dtype and value.dtype != old.dtype:
                    value = value.astype(old.dtype)  # the state was restored from another dtype
                new[parameter] = value
        assignments = [map(setattr, new, _VALUE, new.values())]
        if states:
            assignments.append(map(object.__setattr__, repeat(self), states, states.values()))
        commit(*assignments)

    def update(self, states: States, i: int, value: Any, g: Any) -> Any:
        """Return the new value of the i-th parameter, and put its new state into `states`.

        Parameters
        ----------
        states
            A copy of each list that `per_parameter_state` names and that is not empty.
        value, g
            The parameter and its gradient: arrays, or Tensors while a step is recorded.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define update()")

    def _add_decay(self, value: Any, g: Any) -> Any:
        """The gradient plus λ·p: weight decay, unless it is decoupled."""
        return g + self.weight_decay * value if self.weight_decay else g

    def _zeros(self) -> list[Any]:
        """A list with zeros in the shape of each parameter."""
        return [np.zeros_like(parameter._value)[()] for parameter in self.params]


class SGD(Optimizer):
    """Stochastic gradient descent: p ← p - lr·v with v ← momentum·v + g.

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

    Raises
    ------
    ValueError, TypeError
        As `Optimizer`.

    >>> import tinygrad_ce as tg
    >>> p = tg.Tensor([1.0, 2.0], requires_grad=True)
    >>> optimizer = SGD([p], lr=0.1)
    >>> (p * p).sum().backward()
    >>> optimizer.step()
    >>> p.data
    array([0.8, 1.6])
    """

    per_parameter_state = ("velocity",)

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
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
        self._momentum = check_real("momentum", momentum, 0)
        if self._momentum and not self.velocity:
            self.velocity = self._zeros()

    def update(self, states: States, i: int, value: Any, g: Any) -> Any:
        """Return the new value of a parameter, by its velocity if there is momentum."""
        g = self._add_decay(value, g)
        if self._momentum:
            velocity = states["velocity"]
            g = velocity[i] = self._momentum * velocity[i] + g
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

    Raises
    ------
    ValueError, TypeError
        As `Optimizer`, and ValueError for betas outside of [0, 1).

    References
    ----------
    Kingma and Ba, Adam: a method for stochastic optimization, 2015, algorithm 1.

    >>> import tinygrad_ce as tg
    >>> p = tg.Tensor([1.0, 2.0], requires_grad=True)
    >>> optimizer = Adam([p], lr=0.1)
    >>> (p * p).sum().backward()
    >>> optimizer.step()
    >>> p.data
    array([0.9, 1.9])
    """

    per_parameter_state = ("m", "v", "t")
    _checks = Optimizer._checks | {
        "eps": partial(check_real, "eps", least=0),
        "betas": _check_betas,
    }

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, lr, weight_decay)
        self.betas, self.eps = betas, eps
        self.m, self.v = self._zeros(), self._zeros()
        self.t: list[Any] = [0] * len(self.params)  # the number of updates

    def update(self, states: States, i: int, value: Any, g: Any) -> Any:
        """Return the new value of a parameter, by its averages m and v after t updates."""
        g = self._add_decay(value, g)
        beta1, beta2 = self.betas
        m = states["m"][i] = beta1 * states["m"][i] + (1 - beta1) * g
        v = states["v"][i] = beta2 * states["v"][i] + (1 - beta2) * (g * g)
        t = states["t"][i] = states["t"][i] + 1
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
    params, lr, betas, eps
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
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay)

    def _add_decay(self, value: Any, g: Any) -> Any:
        return g

    def _shrink(self, value: Any) -> Any:
        return value - self.lr * self.weight_decay * value


def _python_numbers(value: Any) -> Any:
    """A NumPy number, or each in a tuple, as one of Python's, and anything else as it is."""
    if type(value) is tuple:
        return tuple(map(_python_numbers, value))
    single = isinstance(value, np.generic) or (isinstance(value, np.ndarray) and not value.ndim)
    return value.item() if single else value
