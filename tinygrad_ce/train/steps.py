"""Steps of a training, one on each batch, compiled where that pays."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np

from ..engine.tensor import Tensor, as_tensor, set_values
from ..optim import clip_grad_norm_
from .means import Array, Loss, compute_mean
from .training import Training

COMPILED_FROM = 400  # calls with one shape of rows: fewer do not earn a recording

Item = TypeVar("Item")
Result = TypeVar("Result")


class Compilable:
    """A function that is compiled where that pays, and else called as it is.

    Parameters
    ----------
    function
        Takes arrays.
    compile
        As of `fit`.
    """

    def __init__(self, function: Callable[..., Any], compile: bool | str | None) -> None:
        self.function = function
        self.compile = compile
        self.expected: Mapping[int, int] = {}  # the number of calls by that of rows
        self.compiled: Any = None
        self.refusal: Any = ()
        if compile is not False:
            options = {} if compile in (None, True, "numpy") else {"backend": compile}
            compiler = import_module("tinygrad_ce.compiler")
            self.compiled = compiler.compile(function, **options)
            self.refusal = compiler.RecordingError

    def expect(self, counts: Mapping[int, int]) -> None:
        """Be told how many calls there will be with each number of rows."""
        self.expected = counts

    def __call__(self, n: int, *arguments: Any) -> Any:
        """Call the function with arguments that have n rows."""
        if self.compiled is not None and self._pays(n):
            try:
                return self.compiled(*arguments)
            except self.refusal:
                if self.compile is not None:
                    raise
                self.compiled = None  # a refused recording leaves everything as it was
        return self.function(*arguments)

    def _pays(self, n: int) -> bool:
        if self.compile is not None and n == max(self.expected, default=n):
            return True
        return self.expected.get(n, 0) >= COMPILED_FROM


class Step:
    """A step of the training on one batch: forward, backward and update in one."""

    def __init__(
        self, training: Training, loss: Loss, max_norm: float | None, compile: bool | str | None
    ) -> None:
        self.training = training
        model, optimizer = training.model, training.optimizer

        def step(X: Any, y: Any, weight: Any) -> Tensor:
            value = compute_mean(loss, model(as_tensor(X)), y, weight)
            optimizer.zero_grad()
            value.backward()
            if max_norm is not None:
                clip_grad_norm_(optimizer.params, max_norm)
            optimizer.step()
            return value

        self.run = Compilable(step, compile)

    def expect(self, n: int, batch_size: int, epochs: int) -> None:
        """Be told how many rows an epoch has, and how many epochs there will be."""
        self.run.expect(count_batches(n, batch_size, epochs))

    def __call__(self, X: Array, y: Array, weight: Array | None, batch: Array) -> float:
        """Take a step on some rows, and return the loss before it, if that is finite.

        Parameters
        ----------
        X, y, weight
            All rows, their targets, and their weights if they have some.
        batch
            The numbers of the rows.

        Raises
        ------
        FloatingPointError
            The loss is not finite; the model is as it was.
        """
        parameters = self.training.optimizer.params
        before = [parameter._value for parameter in parameters]
        weights = None if weight is None else weight[batch]
        value: float = self.run(len(batch), X[batch], y[batch], weights).item()
        if not math.isfinite(value):
            set_values(parameters, before)
            check_finite(value, self.training)
        return value


@runtime_checkable
class Shards(Protocol):
    """In how many parts a batch is computed, and by which processes: see `distributed.Shards`."""

    n: int

    @property
    def rank(self) -> int:
        """The number of this process, from 0 on."""

    def make_step(
        self, training: Training, loss: Loss, max_norm: float | None, compile: bool | str | None
    ) -> Step:
        """Return the step of a training that computes batches in shards."""

    def map(self, function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
        """Return the results for all items, each computed by one of the processes."""

    def gather(self, value: Any) -> list[Any]:
        """Return what the processes give, in the order of their ranks."""

    def check_replicas(self, tensors: Iterable[Tensor], rng: np.random.Generator) -> None:
        """Raise a RuntimeError if weights or the generator of the order differ in processes."""


def count_batches(n: int, batch_size: int, epochs: int) -> Counter[int]:
    """The number of batches by that of their rows, in epochs over n rows."""
    full, rest = divmod(n, batch_size)
    return Counter({batch_size: full * epochs}) + Counter({rest: epochs if rest else 0})


def check_finite(loss: float, training: Training) -> None:
    """Raise a FloatingPointError for a loss that is nan or infinite."""
    if not math.isfinite(loss):
        rates = " and ".join(f"{group.lr:g}" for group in training.optimizer.param_groups)
        raise FloatingPointError(
            f"the loss is {loss} in epoch {training.epoch + 1}: lower the learning rate "
            f"(now {rates}), or look for nan and inf in the training set"
        )
