"""HIPS autograd: NumPy code, of which it makes the gradients. The updates are by hand."""

from __future__ import annotations

from typing import Any

import autograd.numpy as anp
import numpy as np
from autograd import value_and_grad
from autograd.tracer import getval
from work import Chain, Characters, CrossEntropy, Job, Training

from .by_hand import adam, sgd


def training(task: Training) -> Job:
    params = [w.copy() for w in task.weights]
    update = adam(params) if task.adam else sgd(params)

    def loss_of(params: Any) -> Any:
        h = task.X
        for W, b in zip(params[:-2:2], params[1:-2:2], strict=True):
            h = anp.tanh(anp.dot(h, W) + b)
        return mean_cross_entropy(anp.dot(h, params[-2]) + params[-1], task.y)

    return job(loss_of, params, update)


def job(loss_of: Any, params: Any, update: Any) -> Job:
    both = value_and_grad(loss_of)

    def step() -> float:
        loss, gradients = both(params)
        update(gradients)
        return float(loss)

    return Job(step)


def mean_cross_entropy(z: Any, y: Any) -> Any:
    z = z - anp.max(getval(z), 1, keepdims=True)  # a constant as far as derivatives go
    log_sum = anp.log(anp.sum(anp.exp(z), 1))
    return anp.mean(log_sum - z[np.arange(len(y)), y])


def characters(task: Characters) -> Job:
    n, hidden = len(task.X), task.hidden
    params = [w.copy() for w in (task.embedding, task.W1, task.W2, task.b2)]
    params += [np.ones(hidden, np.float32), np.zeros(hidden, np.float32)]
    update = sgd(params)
    running = [np.zeros(hidden, np.float32), np.ones(hidden, np.float32)]

    def loss_of(params: Any) -> Any:
        C, W1, W2, b2, gamma, beta = params
        a = anp.dot(anp.reshape(C[task.X], (n, -1)), W1)
        mean = anp.mean(a, 0)
        centred = a - mean
        var = anp.mean(centred * centred, 0)
        running[0] = 0.9 * running[0] + 0.1 * getval(mean)
        running[1] = 0.9 * running[1] + 0.1 * (getval(var) * (n / (n - 1)))
        h = anp.tanh(centred * ((var + 1e-5) ** -0.5 * gamma) + beta)
        return mean_cross_entropy(anp.dot(h, W2) + b2, task.y)

    return job(loss_of, params, update)


def cross_entropy(task: CrossEntropy) -> Job:
    both = value_and_grad(mean_cross_entropy)

    def step() -> tuple[float, Any]:
        loss, gradient = both(task.logits, task.y)
        return float(loss), gradient

    return Job(step)


def chain(task: Chain) -> Job:
    def x_of(start: tuple[Any, Any]) -> Any:
        x, a = start
        for _ in range(task.times):
            x = x * task.factor + a
        return x

    both = value_and_grad(x_of)

    def step() -> tuple[float, float, float]:
        value, (dx, da) = both((task.x, task.a))
        return float(value), float(dx), float(da)

    return Job(step)
