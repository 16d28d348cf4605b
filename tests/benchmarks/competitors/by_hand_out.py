"""NumPy by hand once more, for speed: every array that is large is allocated once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from work import ADAM_LR, BETA1, BETA2, EPS, LR, Array, Characters, CrossEntropy, Job, Training


def training(task: Training) -> Job:
    X, y, n = task.X, task.y, len(task.X)
    params = [w.copy() for w in task.weights]
    gradients = [np.empty_like(p) for p in params]
    update = adam(params, gradients) if task.adam else sgd(params, gradients)
    Ws, bs = params[::2], params[1::2]
    hidden = [X, *(np.empty((n, len(b)), X.dtype) for b in bs)]  # and the logits at the end
    deltas = [np.empty_like(h) for h in hidden]
    loss_and_dz = cross_entropy_into(y, hidden[-1], deltas[-1])

    def step() -> float:
        for i, (W, b) in enumerate(zip(Ws, bs, strict=True)):
            out = np.dot(hidden[i], W, out=hidden[i + 1])
            out += b
            if out is not hidden[-1]:
                np.tanh(out, out=out)
        loss = loss_and_dz()
        for i in reversed(range(len(Ws))):
            h, delta = hidden[i], deltas[i + 1]
            np.dot(h.T, delta, out=gradients[2 * i])
            np.add.reduce(delta, 0, out=gradients[2 * i + 1])
            if i:
                below = np.dot(delta, Ws[i].T, out=deltas[i])
                np.multiply(h, h, out=h)
                np.subtract(1, h, out=h)
                below *= h
        update()
        return loss

    return Job(step)


def cross_entropy_into(y: Array, z: Array, dz: Array) -> Callable[[], float]:
    """The mean cross-entropy of z, and its gradient, which is written to dz."""
    n = len(z)
    places = np.arange(n) * z.shape[1] + y
    flat = dz.reshape(-1)
    column = np.empty((n, 1), z.dtype)

    def loss_and_dz() -> float:
        np.maximum.reduce(z, 1, keepdims=True, out=column)
        np.subtract(z, column, out=dz)
        picked = flat[places]
        np.exp(dz, out=dz)
        np.add.reduce(dz, 1, keepdims=True, out=column)
        loss = (np.log(column[:, 0]) - picked).mean()
        np.multiply(column, n, out=column)
        np.divide(dz, column, out=dz)
        flat[places] -= 1 / n
        return float(loss)

    return loss_and_dz


def sgd(params: list[Array], gradients: list[Array]) -> Callable[[], None]:
    def update() -> None:
        for p, g in zip(params, gradients, strict=True):
            np.multiply(g, LR, out=g)
            np.subtract(p, g, out=p)

    return update


def adam(params: list[Array], gradients: list[Array]) -> Callable[[], None]:
    m = [np.zeros_like(p) for p in params]
    v = [np.zeros_like(p) for p in params]
    scratch = [np.empty_like(p) for p in params]
    t = 0

    def update() -> None:
        nonlocal t
        t += 1
        # Both corrections in two numbers, as the paper proposes in section 2.
        root = (1 - BETA2**t) ** 0.5
        lr, eps = ADAM_LR * root / (1 - BETA1**t), EPS * root
        for p, g, m_p, v_p, s in zip(params, gradients, m, v, scratch, strict=True):
            np.multiply(g, 1 - BETA1, out=s)
            np.multiply(m_p, BETA1, out=m_p)
            np.add(m_p, s, out=m_p)
            np.multiply(g, g, out=g)
            np.multiply(g, 1 - BETA2, out=g)
            np.multiply(v_p, BETA2, out=v_p)
            np.add(v_p, g, out=v_p)
            np.sqrt(v_p, out=s)
            np.add(s, eps, out=s)
            np.divide(m_p, s, out=s)
            np.multiply(s, lr, out=s)
            np.subtract(p, s, out=p)

    return update


def characters(task: Characters) -> Job:
    X, y, (n, context), hidden = task.X, task.y, task.X.shape, task.hidden
    C, W1, W2, b2 = (w.copy() for w in (task.embedding, task.W1, task.W2, task.b2))
    gamma, beta = np.ones(hidden, np.float32), np.zeros(hidden, np.float32)
    mean, var = np.zeros(hidden, np.float32), np.ones(hidden, np.float32)
    params = [C, W1, W2, b2, gamma, beta]
    gradients = [np.empty_like(p) for p in params]
    dC, dW1, dW2, db2, dgamma, dbeta = gradients
    update = sgd(params, gradients)
    x = np.empty((n, context * C.shape[1]), np.float32)
    dx = np.empty_like(x)
    vectors, dvectors = (a.reshape(n, context, -1) for a in (x, dx))
    a, h, da, normed = (np.empty((n, hidden), np.float32) for _ in range(4))
    z, dz = np.empty((n, 27), np.float32), np.empty((n, 27), np.float32)
    mu, variance, scale = (np.empty(hidden, np.float32) for _ in range(3))
    loss_and_dz = cross_entropy_into(y, z, dz)

    def step() -> float:
        np.take(C, X, 0, out=vectors, mode="clip")  # the other modes copy once more
        np.dot(x, W1, out=a)
        a.mean(0, out=mu)
        np.subtract(a, mu, out=normed)
        np.multiply(normed, normed, out=a)
        a.mean(0, out=variance)
        for running, batch, share in ((mean, mu, 0.1), (var, variance, 0.1 * n / (n - 1))):
            np.multiply(running, 0.9, out=running)
            np.add(running, batch * share, out=running)
        np.add(variance, 1e-5, out=scale)
        np.sqrt(scale, out=scale)
        np.divide(1, scale, out=scale)
        np.multiply(normed, scale, out=normed)
        np.multiply(normed, gamma, out=h)
        np.add(h, beta, out=h)
        np.tanh(h, out=h)
        np.dot(h, W2, out=z)
        np.add(z, b2, out=z)
        loss = loss_and_dz()
        np.dot(h.T, dz, out=dW2)
        np.add.reduce(dz, 0, out=db2)
        np.dot(dz, W2.T, out=da)
        np.multiply(h, h, out=h)
        np.subtract(1, h, out=h)
        np.multiply(da, h, out=da)
        np.add.reduce(da, 0, out=dbeta)
        np.multiply(da, normed, out=a)
        np.add.reduce(a, 0, out=dgamma)
        np.multiply(normed, dgamma / n, out=normed)
        np.subtract(da, dbeta / n, out=da)
        np.subtract(da, normed, out=da)
        np.multiply(scale, gamma, out=scale)
        np.multiply(da, scale, out=da)
        np.dot(x.T, da, out=dW1)
        np.dot(da, W1.T, out=dx)
        dC.fill(0)
        np.add.at(dC, X, dvectors)
        update()
        return loss

    return Job(step)


def cross_entropy(task: CrossEntropy) -> Job:
    dz = np.empty_like(task.logits)
    loss_and_dz = cross_entropy_into(task.y, task.logits, dz)
    return Job(lambda: (loss_and_dz(), dz))
