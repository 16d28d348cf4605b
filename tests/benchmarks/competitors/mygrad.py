"""MyGrad, with its own loss and batch normalization. The updates are by hand, on `.data`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mygrad as mg
import numpy as np
from mygrad.nnet.layers import batchnorm
from mygrad.nnet.losses import softmax_crossentropy
from work import LR, Chain, Characters, CrossEntropy, Job, Training

from .by_hand import adam

mg.turn_memory_guarding_off()  # which its documentation advises where speed matters


def training(task: Training) -> Job:
    params = [mg.tensor(w) for w in task.weights]
    update = adam_on(params) if task.adam else sgd_on(params)

    def step() -> float:
        h = task.X
        for W, b in zip(params[:-2:2], params[1:-2:2], strict=True):
            h = mg.tanh(h @ W + b)
        loss = softmax_crossentropy(h @ params[-2] + params[-1], task.y)
        loss.backward()
        update()
        return loss.item()

    return Job(step)


def sgd_on(params: list[Any]) -> Callable[[], None]:
    def update() -> None:
        for p in params:
            p.data -= LR * p.grad

    return update


def adam_on(params: list[Any]) -> Callable[[], None]:
    values = [p.data for p in params]
    advance = adam(values)

    def update() -> None:
        advance([p.grad for p in params])
        for p, value in zip(params, values, strict=True):
            p.data = value

    return update


def characters(task: Characters) -> Job:
    n, hidden = len(task.X), task.hidden
    C, W1, W2, b2 = (mg.tensor(w) for w in (task.embedding, task.W1, task.W2, task.b2))
    gamma, beta = mg.ones(hidden, np.float32), mg.zeros(hidden, np.float32)
    update = sgd_on([C, W1, W2, b2, gamma, beta])
    mean, var = np.zeros(hidden, np.float32), np.ones(hidden, np.float32)

    def step() -> float:
        nonlocal mean, var
        a = C[task.X].reshape(n, -1) @ W1
        normed = batchnorm(a, gamma=gamma, beta=beta, eps=1e-5)
        batch = normed.creator
        mean = 0.9 * mean + 0.1 * batch.mean
        var = 0.9 * var + 0.1 * (batch.var * (n / (n - 1)))
        loss = softmax_crossentropy(mg.tanh(normed) @ W2 + b2, task.y)
        loss.backward()
        update()
        return loss.item()

    return Job(step)


def cross_entropy(task: CrossEntropy) -> Job:
    logits = mg.tensor(task.logits, copy=False)

    def step() -> tuple[float, Any]:
        loss = softmax_crossentropy(logits, task.y)
        loss.backward()
        return loss.item(), logits.grad

    return Job(step)


def chain(task: Chain) -> Job:
    def step() -> tuple[float, float, float]:
        first = x = mg.tensor(task.x)
        a = mg.tensor(task.a)
        for _ in range(task.times):
            x = x * task.factor + a
        x.backward()
        return x.item(), float(first.grad), float(a.grad)

    return Job(step)
