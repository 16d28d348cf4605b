"""Micrograd, whose nodes are single numbers."""

from __future__ import annotations

import sys

from micrograd.engine import Value
from work import Chain, Job


def chain(task: Chain) -> Job:
    sys.setrecursionlimit(10 * task.times + 1000)  # it sorts its graph by recursion

    def step() -> tuple[float, float, float]:
        first = x = Value(task.x)
        a = Value(task.a)
        for _ in range(task.times):
            x = x * task.factor + a
        x.backward()
        return x.data, first.grad, a.grad

    return Job(step)
