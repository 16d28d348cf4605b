"""NumPy as a competent person writes it, with the derivatives found on paper."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from work import (
    ADAM_LR,
    BETA1,
    BETA2,
    EPS,
    LR,
    Array,
    Chain,
    Characters,
    CrossEntropy,
    Fit,
    Job,
    Training,
)


def training(task: Training) -> Job:
    params = [w.copy() for w in task.weights]
    update = adam(params) if task.adam else sgd(params)

    def step() -> float:
        loss, gradients = loss_and_gradients(task.X, task.y, params)
        update(gradients)
        return float(loss)

    return Job(step)


def loss_and_gradients(X: Array, y: Array, params: list[Array]) -> tuple[float, list[Array]]:
    """Of the mean cross-entropy of an MLP with tanh."""
    hidden = [X]
    for W, b in zip(params[:-2:2], params[1:-2:2], strict=True):
        hidden.append(np.tanh(hidden[-1] @ W + b))
    loss, dz = mean_cross_entropy(hidden[-1] @ params[-2] + params[-1], y)
    gradients: list[Array] = []
    for i in reversed(range(len(hidden))):
        h = hidden[i]
        gradients = [h.T @ dz, dz.sum(0), *gradients]
        if i:
            dz = dz @ params[2 * i].T * (1 - h * h)
    return loss, gradients


def mean_cross_entropy(z: Array, y: Array) -> tuple[float, Array]:
    """With its gradient by the logits."""
    n = len(z)
    rows = np.arange(n)
    z = z - z.max(1, keepdims=True)
    e = np.exp(z)
    s = e.sum(1, keepdims=True)
    loss = (np.log(s[:, 0]) - z[rows, y]).mean()
    dz = e / s
    dz[rows, y] -= 1
    dz /= n
    return loss, dz


def sgd(params: list[Array]) -> Callable[[list[Array]], None]:
    def update(gradients: list[Array]) -> None:
        for i, g in enumerate(gradients):
            params[i] = params[i] - LR * g

    return update


def adam(params: list[Array]) -> Callable[[list[Array]], None]:
    m = [np.zeros_like(p) for p in params]
    v = [np.zeros_like(p) for p in params]
    t = 0

    def update(gradients: list[Array]) -> None:
        nonlocal t
        t += 1
        for i, g in enumerate(gradients):
            m[i] = BETA1 * m[i] + (1 - BETA1) * g
            v[i] = BETA2 * v[i] + (1 - BETA2) * g * g
            m_hat = m[i] / (1 - BETA1**t)
            v_hat = v[i] / (1 - BETA2**t)
            params[i] = params[i] - ADAM_LR * m_hat / (np.sqrt(v_hat) + EPS)

    return update


def characters(task: Characters) -> Job:
    X, y, (n, context) = task.X, task.y, task.X.shape
    C, W1, W2, b2 = (w.copy() for w in (task.embedding, task.W1, task.W2, task.b2))
    gamma, beta = np.ones(task.hidden, np.float32), np.zeros(task.hidden, np.float32)
    mean, var = np.zeros(task.hidden, np.float32), np.ones(task.hidden, np.float32)

    def step() -> float:
        nonlocal C, W1, gamma, beta, W2, b2, mean, var
        x = C[X].reshape(n, -1)
        a = x @ W1
        mu = a.mean(0)
        centred = a - mu
        variance = (centred * centred).mean(0)
        mean = 0.9 * mean + 0.1 * mu
        var = 0.9 * var + 0.1 * (variance * (n / (n - 1)))
        scale = (variance + 1e-5) ** -0.5
        normed = centred * scale
        h = np.tanh(normed * gamma + beta)
        loss, dz = mean_cross_entropy(h @ W2 + b2, y)
        dW2, db2 = h.T @ dz, dz.sum(0)
        da = dz @ W2.T * (1 - h * h)
        dgamma, dbeta = (da * normed).sum(0), da.sum(0)
        da = gamma * scale / n * (n * da - dbeta - normed * dgamma)
        dW1, dx = x.T @ da, da @ W1.T
        dC = np.zeros_like(C)
        np.add.at(dC, X, dx.reshape(n, context, -1))
        C, W1, W2, b2 = C - LR * dC, W1 - LR * dW1, W2 - LR * dW2, b2 - LR * db2
        gamma, beta = gamma - LR * dgamma, beta - LR * dbeta
        return float(loss)

    return Job(step)


def cross_entropy(task: CrossEntropy) -> Job:
    def step() -> tuple[float, Array]:
        loss, dz = mean_cross_entropy(task.logits, task.y)
        return float(loss), dz

    return Job(step)


def chain(task: Chain) -> Job:
    factor, a = task.factor, task.a

    def step() -> tuple[float, float, float]:
        x = task.x
        for _ in range(task.times):
            x = x * factor + a
        dx, da = 1.0, 0.0
        for _ in range(task.times):
            da += dx
            dx *= factor
        return x, dx, da

    return Job(step)


def compiled_chain(task: Chain) -> Job:
    return chain(task)


def fit(task: Fit) -> Job:
    def trained(epochs: int, shuffle: bool) -> tuple[list[float], list[Array]]:
        rng = np.random.default_rng(0)
        params = [w.copy() for w in task.weights]
        update = adam(params)
        n, losses = len(task.X), []
        for _ in range(epochs):
            order = rng.permutation(n) if shuffle else np.arange(n)
            total = 0.0
            for start in range(0, n, task.batch_size):
                rows = order[start : start + task.batch_size]
                loss, gradients = loss_and_gradients(task.X[rows], task.y[rows], params)
                update(gradients)
                total += float(loss) * len(rows)
            losses.append(total / n)
        return losses, params

    def step() -> float:
        _, (W1, b1, W2, b2) = trained(task.epochs, shuffle=True)
        logits = np.tanh(task.X_test @ W1 + b1) @ W2 + b2
        return float((logits.argmax(1) == task.y_test).mean())

    return Job(step, lambda: trained(task.checked_epochs, shuffle=False)[0])
