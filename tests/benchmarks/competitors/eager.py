"""This package, whose engine records each step again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from work import ADAM_LR, LR, Array, Chain, Characters, CrossEntropy, Fit, Job, Training

import tinygrad_ce as tg
from tinygrad_ce import data, nn, optim
from tinygrad_ce import functional as F

Wrap = Callable[[Callable[..., Any]], Callable[..., Any]]


def as_it_is(step: Callable[..., Any]) -> Callable[..., Any]:
    """The step itself: what `compiled` puts `tg.compile` in place of."""
    return step


def training(task: Training, wrap: Wrap = as_it_is) -> Job:
    model = mlp(task.weights)
    parameters = model.parameters()
    rule = optim.Adam(parameters, lr=ADAM_LR) if task.adam else optim.SGD(parameters, lr=LR)
    step = wrap(step_of(model, rule))
    return Job(lambda: float(step(task.X, task.y)))


def step_of(model: nn.Module, optimizer: optim.Optimizer) -> Callable[[Any, Any], Any]:
    """An ordinary training step."""

    def step(X: Any, y: Any) -> Any:
        loss = F.cross_entropy(model(X), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return step


def mlp(weights: list[Array]) -> nn.MLP:
    """With these weights."""
    sizes = [len(weights[0]), *(len(b) for b in weights[1::2])]
    model = nn.MLP(sizes, dtype=weights[0].dtype)
    names = (name for name, _ in model.named_parameters())
    model.load_state_dict(dict(zip(names, weights, strict=True)))
    return model


class Flat(nn.Module):
    """The vectors of a row's characters, one behind the other."""

    def forward(self, x: Any) -> Any:
        return x.reshape(x.shape[0], -1)


def characters(task: Characters, wrap: Wrap = as_it_is) -> Job:
    embedding = nn.Embedding(*task.embedding.shape)
    first, last = nn.Linear(*task.W1.shape, bias=False), nn.Linear(*task.W2.shape)
    embedding.weight.data, first.weight.data = task.embedding, task.W1
    last.weight.data, last.bias.data = task.W2, task.b2
    norm = nn.BatchNorm1d(task.hidden)
    model = nn.Sequential(embedding, Flat(), first, norm, nn.Tanh(), last)
    step = wrap(step_of(model, optim.SGD(model.parameters(), lr=LR)))
    return Job(lambda: float(step(task.X, task.y)))


def cross_entropy(task: CrossEntropy) -> Job:
    logits = tg.Tensor(task.logits, requires_grad=True, copy=False)

    def step() -> tuple[float, Any]:
        logits.grad = None
        loss = F.cross_entropy(logits, task.y)
        loss.backward()
        return float(loss), logits.grad

    return Job(step)


def chain(task: Chain) -> Job:
    def step() -> tuple[float, Any, Any]:
        first = x = tg.Tensor(task.x, requires_grad=True)
        a = tg.Tensor(task.a, requires_grad=True)
        for _ in range(task.times):
            x = x * task.factor + a
        x.backward()
        return float(x), first.grad, a.grad

    return Job(step)


def fit(task: Fit, wrap: Wrap = as_it_is) -> Job:
    def trained(epochs: int, rng: np.random.Generator | None) -> tuple[list[float], nn.MLP]:
        model = mlp(task.weights)
        step = wrap(step_of(model, optim.Adam(model.parameters(), lr=ADAM_LR)))
        losses = []
        for _ in range(epochs):
            total = 0.0
            for X, y in data.minibatches(task.X, task.y, task.batch_size, rng):
                total += float(step(X, y)) * len(y)
            losses.append(total / len(task.y))
        return losses, model

    def step() -> float:
        _, model = trained(task.epochs, np.random.default_rng(0))
        with tg.no_grad():
            logits = model(task.X_test).data
        return float((logits.argmax(1) == task.y_test).mean())

    return Job(step, lambda: trained(task.checked_epochs, None)[0])
