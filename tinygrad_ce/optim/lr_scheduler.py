"""Schedules: learning rates as functions of the number of steps.

A rate is written in operators and NumPy functions, which mean the same for numbers and for
Tensors. So a schedule works in a compiled step as outside of it, and is written out with it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar, Literal, Self

import numpy as np

from ..arguments import check_choice, check_integer, check_kind, check_real
from ..engine.context import active_recorder
from ..engine.tensor import as_tensor
from ..other_names import ConstructorSignature, NotOfSchedules, check_keywords, name_error
from .optimizer import Optimizer
from .state import Stateful

__all__ = [
    "LRScheduler",
    "StepLR",
    "ExponentialLR",
    "LinearLR",
    "CosineAnnealingLR",
    "OneCycleLR",
    "ReduceLROnPlateau",
]


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str) -> object:
    raise name_error(__name__, name)


class LRScheduler(Stateful, NotOfSchedules):
    """The base class: sets the learning rate of each group when made, and after each step.

    A subclass defines `compute_lr`.

    Attributes
    ----------
    optimizer
        Its groups have their learning rates assigned.
    initial_lrs
        The learning rate of each group when the schedule was made.
    count
        The number of steps since.

    Raises
    ------
    TypeError
        An optimizer that is none.
    """

    __signature__ = ConstructorSignature()
    settings = ("initial_lrs",)
    scalar_state: ClassVar[tuple[str, ...]] = ("count",)

    def __new__(cls, *args: Any, **options: Any) -> Self:
        """Make one, once its keywords are known."""
        check_keywords(cls, options)
        return super().__new__(cls)

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = check_kind("optimizer", optimizer, Optimizer, "an optimizer")
        self.initial_lrs = tuple(group.lr for group in optimizer.param_groups)
        self.count = 0
        self._assign_rates()

    def step(self) -> None:
        """Set the learning rates for the next update; call it after `optimizer.step()`."""
        self.count = self.count + 1
        self._assign_rates()

    def _assign_rates(self) -> None:
        for group, initial in zip(self.optimizer.param_groups, self.initial_lrs, strict=True):
            group.lr = self.compute_lr(initial)

    def compute_lr(self, initial: float) -> Any:
        """Return the learning rate after `self.count` steps of a group that began with `initial`.

        While a step is recorded, the count is a Tensor: write it in operators and NumPy functions.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define compute_lr()")

    def __repr__(self) -> str:
        rates = ", ".join(f"{group.lr:.6g}" for group in self.optimizer.param_groups)
        return f"{type(self).__name__}(after {self.count} steps: lr={rates})"


class StepLR(LRScheduler):
    """lr · γ^⌊t / step_size⌋ after t steps.

    Parameters
    ----------
    optimizer
        An optimizer.
    step_size, gamma
        The number of steps after which the rate is multiplied by γ, again and again.

    Raises
    ------
    ValueError, TypeError
        A step_size below 1, or no optimizer.

    >>> import tinygrad_ce as tg
    >>> optimizer = tg.optim.SGD([tg.Tensor(1.0, requires_grad=True)], lr=1.0)
    >>> schedule = StepLR(optimizer, step_size=2, gamma=0.5)
    >>> for _ in range(4):
    ...     schedule.step()
    >>> optimizer.lr
    0.25
    """

    scalar_state = ("count", "drops")

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1) -> None:
        self.step_size = check_integer("step_size", step_size, 1)
        self.gamma = check_real("gamma", gamma, 0)
        self.drops = 0  # ⌊t / step_size⌋
        super().__init__(optimizer)

    def step(self) -> None:
        """Set the learning rates for the next update; call it after `optimizer.step()`."""
        self.drops = self.drops + (self.count + 1 == (self.drops + 1) * self.step_size)
        super().step()

    def compute_lr(self, initial: float) -> Any:
        """Return lr · γ^⌊t / step_size⌋."""
        return initial * self.gamma**self.drops


class ExponentialLR(LRScheduler):
    """lr · γᵗ after t steps.

    Parameters
    ----------
    optimizer
        An optimizer.
    gamma
        What the rate is multiplied by at each step.

    Raises
    ------
    ValueError, TypeError
        A negative gamma, or no optimizer.

    >>> import tinygrad_ce as tg
    >>> optimizer = tg.optim.SGD([tg.Tensor(1.0, requires_grad=True)], lr=1.0)
    >>> schedule = ExponentialLR(optimizer, gamma=0.5)
    >>> schedule.step()
    >>> optimizer.lr
    0.5
    """

    def __init__(self, optimizer: Optimizer, gamma: float) -> None:
        self.gamma = check_real("gamma", gamma, 0)
        super().__init__(optimizer)

    def compute_lr(self, initial: float) -> Any:
        """Return lr · γᵗ."""
        return initial * self.gamma**self.count


class LinearLR(LRScheduler):
    """A warm-up: lr times a factor that moves from start to end in equal parts, and stays there.

    Parameters
    ----------
    optimizer
        An optimizer.
    start_factor, end_factor
        The factor at first, above 0, and after `total_iters` steps.
    total_iters
        The number of steps.

    Raises
    ------
    ValueError, TypeError
        A factor outside of [0, 1], a start_factor of 0, total_iters below 1, or no optimizer.

    >>> import tinygrad_ce as tg
    >>> optimizer = tg.optim.SGD([tg.Tensor(1.0, requires_grad=True)], lr=1.0)
    >>> schedule = LinearLR(optimizer, start_factor=0.5, total_iters=2)
    >>> rates = [optimizer.lr]
    >>> for _ in range(3):
    ...     schedule.step()
    ...     rates.append(optimizer.lr)
    >>> rates
    [0.5, 0.75, 1.0, 1.0]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
    ) -> None:
        self.start_factor = check_real("start_factor", start_factor, 0, 1)
        if not start_factor:
            raise ValueError("start_factor is above 0, got 0, with which nothing would be learned")
        self.end_factor = check_real("end_factor", end_factor, 0, 1)
        self.total_iters = check_integer("total_iters", total_iters, 1)
        super().__init__(optimizer)

    def compute_lr(self, initial: float) -> Any:
        """Return the rate on the line from start to end."""
        share = np.minimum(self.count, self.total_iters) / self.total_iters
        return initial * (self.start_factor + (self.end_factor - self.start_factor) * share)


class CosineAnnealingLR(LRScheduler):
    """η + (lr - η)(1 + cos(πt / T_max)) / 2 after t steps, with η = eta_min.

    Parameters
    ----------
    optimizer
        An optimizer.
    T_max
        The number of steps until the rate is eta_min; from there on it rises again.
    eta_min
        The smallest rate.

    Raises
    ------
    ValueError, TypeError
        T_max below 1, a negative eta_min, or no optimizer.

    References
    ----------
    Loshchilov and Hutter, SGDR: stochastic gradient descent with warm restarts, 2017, without the
    restarts.

    >>> import tinygrad_ce as tg
    >>> optimizer = tg.optim.SGD([tg.Tensor(1.0, requires_grad=True)], lr=1.0)
    >>> schedule = CosineAnnealingLR(optimizer, T_max=2)
    >>> schedule.step()
    >>> optimizer.lr
    0.5
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0) -> None:
        self.T_max = check_integer("T_max", T_max, 1)
        self.eta_min = check_real("eta_min", eta_min, 0)
        super().__init__(optimizer)

    def compute_lr(self, initial: float) -> Any:
        """Return the rate on the cosine."""
        return _anneal_by_cosine(initial, self.eta_min, self.count / self.T_max)


class OneCycleLR(LRScheduler):
    """One cycle: from max_lr / div_factor up to max_lr, and down to almost 0.

    The first part has pct_start · total_steps - 1 steps, and the rate ends at its first value
    divided by final_div_factor, after total_steps - 1 steps; there it stays. As in PyTorch, with
    `cycle_momentum=False`.

    Parameters
    ----------
    optimizer
        An optimizer.
    max_lr
        The largest rate; or one for each group of parameters.
    total_steps
        The number of updates.
    pct_start
        The share of the steps in which the rate rises.
    anneal_strategy
        "cos" or "linear".
    div_factor, final_div_factor
        What divides the largest rate to give the first one, and that to give the last one.

    Raises
    ------
    ValueError, TypeError
        Fewer than 2 steps, a share outside of [0, 1], another strategy, a factor of 0, another
        number of rates than of groups, or no optimizer.

    References
    ----------
    Smith and Topin, Super-convergence, 2019.

    >>> import tinygrad_ce as tg
    >>> optimizer = tg.optim.SGD([tg.Tensor(1.0, requires_grad=True)], lr=1.0)
    >>> schedule = OneCycleLR(optimizer, max_lr=0.5, total_steps=4, pct_start=0.5)
    >>> rates = [optimizer.lr]
    >>> for _ in range(3):
    ...     schedule.step()
    ...     rates.append(optimizer.lr)
    >>> np.round(rates, 6).tolist()
    [0.02, 0.5, 0.250001, 2e-06]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | Sequence[float],
        total_steps: int,
        pct_start: float = 0.3,
        anneal_strategy: Literal["cos", "linear"] = "cos",
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
    ) -> None:
        check_kind("optimizer", optimizer, Optimizer, "an optimizer")
        groups = optimizer.param_groups
        rates = [*max_lr] if isinstance(max_lr, list | tuple) else [max_lr] * len(groups)
        if len(rates) != len(groups):
            raise ValueError(f"max_lr has {len(rates)} rates for {len(groups)} groups")
        largest = [check_real("max_lr", rate, 0) for rate in rates]
        self.total_steps = check_integer("total_steps", total_steps, 2)
        self.pct_start = check_real("pct_start", pct_start, 0, 1)
        self.anneal_strategy = check_choice("anneal_strategy", anneal_strategy, ("cos", "linear"))
        self.div_factor = check_real("div_factor", div_factor, 0)
        self.final_div_factor = check_real("final_div_factor", final_div_factor, 0)
        if not self.div_factor * self.final_div_factor:
            raise ValueError("div_factor and final_div_factor are above 0")
        for group, rate in zip(groups, largest, strict=True):
            group.lr = rate / self.div_factor
        super().__init__(optimizer)

    def compute_lr(self, initial: float) -> Any:
        """Return the rate on its way up or down."""
        anneal = _anneal_by_cosine if self.anneal_strategy == "cos" else _anneal_linearly
        largest, last = initial * self.div_factor, initial / self.final_div_factor
        top, end = self.pct_start * self.total_steps - 1, self.total_steps - 1
        if top >= end:
            return anneal(initial, largest, np.minimum(self.count / top, 1.0))
        down = anneal(largest, last, np.minimum((self.count - top) / (end - top), 1.0))
        if top <= 0:
            return down
        return np.where(self.count <= top, anneal(initial, largest, self.count / top), down)


class ReduceLROnPlateau(LRScheduler):
    """Multiply the rate by a factor once a metric has not improved for a number of steps.

    Parameters
    ----------
    optimizer
        An optimizer.
    mode
        "min" if smaller metrics are better, as losses; "max" for accuracies.
    factor
        What the rate is multiplied by, below 1.
    patience
        The number of steps without improvement after which, at the next, the rate is reduced.
    threshold, threshold_mode
        By how much a metric improves on the best one: relative to it ("rel"), or absolute ("abs").
    cooldown
        The number of steps after a reduction in which none is counted.
    min_lr
        The smallest rate.
    eps
        The smallest reduction; a smaller one is left out.

    Raises
    ------
    ValueError, TypeError
        A factor outside of [0, 1), a negative number, another mode, or no optimizer.

    Notes
    -----
    As in PyTorch. In a compiled step, the metric is the loss, say; the rate follows at each call.

    >>> import tinygrad_ce as tg
    >>> optimizer = tg.optim.SGD([tg.Tensor(1.0, requires_grad=True)], lr=1.0)
    >>> schedule = ReduceLROnPlateau(optimizer, factor=0.5, patience=1)
    >>> for loss in (3.0, 2.0, 2.0, 2.0):
    ...     schedule.step(loss)
    >>> optimizer.lr
    0.5
    """

    scalar_state = ("count", "best", "bad_steps", "cooling")

    def __init__(
        self,
        optimizer: Optimizer,
        mode: Literal["min", "max"] = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: Literal["rel", "abs"] = "rel",
        cooldown: int = 0,
        min_lr: float = 0.0,
        eps: float = 1e-8,
    ) -> None:
        self.mode = check_choice("mode", mode, ("min", "max"))
        self.factor = check_real("factor", factor, 0, 1)
        if factor == 1:
            raise ValueError("factor is below 1, got 1, with which the rate would stay")
        self.patience = check_integer("patience", patience, 0)
        self.threshold = check_real("threshold", threshold, 0)
        self.threshold_mode = check_choice("threshold_mode", threshold_mode, ("rel", "abs"))
        self.cooldown = check_integer("cooldown", cooldown, 0)
        self.min_lr = float(check_real("min_lr", min_lr, 0))
        self.eps = check_real("eps", eps, 0)
        self.best: Any = math.inf if mode == "min" else -math.inf
        self.bad_steps: Any = 0  # since the best one
        self.cooling: Any = 0  # steps that remain
        super().__init__(optimizer)

    def step(self, metric: Any) -> None:  # type: ignore[override]
        """Look at a metric, a number or a Tensor of one element, and reduce the rates if due."""
        x: Any = as_tensor(metric).detach().astype(np.float64).reshape(())
        if active_recorder() is None:
            x = x.item()
        self.count = self.count + 1
        better = self._is_better(x, self.best)
        self.best = np.where(better, x, self.best)
        # While it cools down, nothing is counted.
        idle = self.cooling > 0
        self.cooling = np.maximum(self.cooling - 1, 0)
        bad = np.where(better | idle, 0, self.bad_steps + 1)
        due = bad > self.patience
        self.bad_steps = np.where(due, 0, bad)
        self.cooling = np.where(due, self.cooldown, self.cooling)
        for group in self.optimizer.param_groups:
            lower = np.maximum(group.lr * self.factor, self.min_lr)
            lr: Any = np.where(due & (group.lr - lower > self.eps), lower, group.lr * 1.0)
            group.lr = lr

    def _is_better(self, x: Any, best: Any) -> Any:
        sign = 1 if self.mode == "max" else -1
        margin = self.threshold
        bound = best * (1 + sign * margin) if self.threshold_mode == "rel" else best + sign * margin
        return x > bound if self.mode == "max" else x < bound

    def compute_lr(self, initial: float) -> Any:
        """Return the rate at first."""
        return initial


def _anneal_by_cosine(start: float, end: float, share: Any) -> Any:
    return end + (start - end) * ((1 + np.cos(math.pi * share)) / 2)


def _anneal_linearly(start: float, end: float, share: Any) -> Any:
    return start + (end - start) * share
