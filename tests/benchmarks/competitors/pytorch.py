"""PyTorch, as its tutorials write a training loop."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from work import ADAM_LR, LR, Array, Chain, Characters, CrossEntropy, Fit, Job, Training


def training(task: Training) -> Job:
    X, y = torch.from_numpy(task.X), torch.from_numpy(task.y)
    step = step_of(mlp(task.weights), task.adam)
    return Job(lambda: step(X, y).item())


def step_of(model: nn.Module, adam: bool) -> Any:
    """An ordinary training step. Adam is fastest fused; SGD as it is by default."""
    parameters = model.parameters()
    optimizer = (
        torch.optim.Adam(parameters, lr=ADAM_LR, fused=True)
        if adam
        else torch.optim.SGD(parameters, lr=LR)
    )

    def step(X: Any, y: Any) -> Any:
        loss = F.cross_entropy(model(X), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return step


def mlp(weights: list[Array]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for W, b in zip(weights[::2], weights[1::2], strict=True):
        layers += [linear(W, b), nn.Tanh()]
    return nn.Sequential(*layers[:-1])


def linear(W: Array, b: Array | None = None) -> nn.Linear:
    """With the weight W.T, which is how PyTorch keeps it, in memory of its own."""
    weight = torch.from_numpy(W)
    layer = nn.Linear(*W.shape, bias=b is not None, dtype=weight.dtype)
    with torch.no_grad():
        layer.weight.copy_(weight.T)
        if b is not None:
            layer.bias.copy_(torch.from_numpy(b))
    return layer


def character_model(task: Characters) -> nn.Sequential:
    embedding = nn.Embedding.from_pretrained(torch.tensor(task.embedding), freeze=False)
    norm = nn.BatchNorm1d(task.hidden)
    return nn.Sequential(
        embedding, nn.Flatten(), linear(task.W1), norm, nn.Tanh(), linear(task.W2, task.b2)
    )


def characters(task: Characters) -> Job:
    X, y = torch.from_numpy(task.X), torch.from_numpy(task.y)
    step = step_of(character_model(task), adam=False)
    return Job(lambda: step(X, y).item())


def cross_entropy(task: CrossEntropy) -> Job:
    logits, y = torch.from_numpy(task.logits).requires_grad_(), torch.from_numpy(task.y)

    def step() -> tuple[float, Any]:
        logits.grad = None
        loss = F.cross_entropy(logits, y)
        loss.backward()
        return loss.item(), logits.grad

    return Job(step)


def chain(task: Chain) -> Job:
    def step() -> tuple[float, float, float]:
        first = x = torch.tensor(task.x, dtype=torch.float64, requires_grad=True)
        a = torch.tensor(task.a, dtype=torch.float64, requires_grad=True)
        for _ in range(task.times):
            x = x * task.factor + a
        x.backward()
        return x.item(), first.grad.item(), a.grad.item()

    return Job(step)


def fit(task: Fit) -> Job:
    X, y, X_test, y_test = map(torch.from_numpy, (task.X, task.y, task.X_test, task.y_test))

    def trained(epochs: int, shuffle: bool) -> tuple[list[float], nn.Module]:
        torch.manual_seed(0)
        model = mlp(task.weights)
        step = step_of(model, adam=True)
        losses = []
        for _ in range(epochs):
            order = torch.randperm(len(X)) if shuffle else torch.arange(len(X))
            total = 0.0
            # Indexing takes a twentieth of the time of a DataLoader.
            for rows in order.split(task.batch_size):
                total += step(X[rows], y[rows]).item() * len(rows)
            losses.append(total / len(X))
        return losses, model

    def step() -> float:
        _, model = trained(task.epochs, shuffle=True)
        with torch.no_grad():
            return (model(X_test).argmax(1) == y_test).float().mean().item()

    return Job(step, lambda: trained(task.checked_epochs, shuffle=False)[0])
