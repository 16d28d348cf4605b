"""This package, whose compiler writes the same steps out as NumPy source.

A fit compiles its step again, for a whole batch and for the short one at the end: it takes as long
as it does for somebody who runs it once.
"""

from __future__ import annotations

from typing import Any

from work import Chain, Characters, CrossEntropy, Fit, Job, Training

import tinygrad_ce as tg
from tinygrad_ce import functional as F

from . import eager


def training(task: Training) -> Job:
    return eager.training(task, tg.compile)


def characters(task: Characters) -> Job:
    return eager.characters(task, tg.compile)


def cross_entropy(task: CrossEntropy, **options: Any) -> Job:
    """As a function, which holds no gradient of the call before while it makes a new one."""
    logits = tg.Tensor(task.logits, copy=False)

    @tg.compile(**options)
    def both(logits: Any, y: Any) -> Any:
        return tg.value_and_grad(lambda z: F.cross_entropy(z, y))(logits)

    def step() -> tuple[float, Any]:
        loss, gradient = both(logits, task.y)
        return float(loss), gradient.data

    return Job(step)


def fit(task: Fit) -> Job:
    return eager.fit(task, tg.compile)


def compiled_chain(task: Chain) -> Job:
    step = tg.compile(chain_of(task))
    x, a = tg.Tensor(task.x), tg.Tensor(task.a)

    def run() -> tuple[float, float, float]:
        value, (dx, da) = step(x, a)
        return float(value), float(dx), float(da)

    return Job(run)


def chain_of(task: Chain) -> Any:
    """A chain as a function, with its derivatives."""

    def chain(x: Any, a: Any) -> Any:
        for _ in range(task.times):
            x = x * task.factor + a
        return x

    return tg.value_and_grad(chain, argnums=(0, 1))


def compiling(task: Training) -> Job:
    return Job(lambda: training(task).step())


def compiling_chain(task: Chain) -> Job:
    return Job(lambda: compiled_chain(task).step())


def compiling_long_chain(task: Chain) -> Job:
    return compiling_chain(task)
