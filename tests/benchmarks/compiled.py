"""How compiled steps compare with hand-written NumPy: medians of ratios of interleaved rounds.

Run as ``OMP_NUM_THREADS=1 python tests/benchmarks/compiled.py``, or with the name of one case.
Before anything is timed, both must have computed the same losses.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import tinygrad_ce as tg
from tinygrad_ce import functional as F
from tinygrad_ce import nn, optim

sys.path.insert(0, os.path.dirname(__file__))
from eager import ratio

Step = Callable[[], Any]
Pair = tuple[Step, Step]


def mlp(sizes: tuple[int, ...], n: int, dtype: Any = np.float32, adam: bool = False) -> Pair:
    """A training step of an MLP with tanh."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, sizes[0])).astype(dtype)
    y = rng.integers(0, sizes[-1], n)
    model = nn.MLP(sizes, rng=0, dtype=dtype)
    parameters = model.parameters()
    optimizer = optim.Adam(parameters) if adam else optim.SGD(parameters, lr=0.1)
    params = [p.data.copy() for p in parameters]
    update = adam_by_hand(params) if adam else sgd_by_hand(params)

    @tg.compile
    def step(X: Any, y: Any) -> Any:
        loss = F.cross_entropy(model(X), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    def by_hand() -> float:
        loss, gradients = mlp_by_hand(X, y, params)
        update(gradients)
        return float(loss)

    return lambda: float(step(X, y)), by_hand


def mlp_by_hand(X: Any, y: Any, params: list[Any]) -> tuple[Any, list[Any]]:
    """The loss and its gradients, as a competent person writes them."""
    n = len(X)
    rows = np.arange(n)
    hidden = [X]
    for W, b in zip(params[:-2:2], params[1:-2:2], strict=True):
        hidden.append(np.tanh(hidden[-1] @ W + b))
    z = hidden[-1] @ params[-2] + params[-1]
    z = z - z.max(1, keepdims=True)
    e = np.exp(z)
    s = e.sum(1, keepdims=True)
    loss = (np.log(s[:, 0]) - z[rows, y]).mean()
    dz = e / s
    dz[rows, y] -= 1
    dz /= n
    gradients: list[Any] = []
    for i in reversed(range(len(hidden))):
        h = hidden[i]
        gradients = [h.T @ dz, dz.sum(0), *gradients]
        if i:
            dz = dz @ params[2 * i].T * (1 - h * h)
    return loss, gradients


def sgd_by_hand(params: list[Any]) -> Callable[[list[Any]], None]:
    def update(gradients: list[Any]) -> None:
        for i, g in enumerate(gradients):
            params[i] = params[i] - 0.1 * g

    return update


def adam_by_hand(params: list[Any]) -> Callable[[list[Any]], None]:
    m = [np.zeros_like(p) for p in params]
    v = [np.zeros_like(p) for p in params]
    t = 0

    def update(gradients: list[Any]) -> None:
        nonlocal t
        t += 1
        for i, g in enumerate(gradients):
            m[i] = 0.9 * m[i] + (1 - 0.9) * g
            v[i] = 0.999 * v[i] + (1 - 0.999) * g * g
            m_hat = m[i] / (1 - 0.9**t)
            v_hat = v[i] / (1 - 0.999**t)
            params[i] = params[i] - 1e-3 * m_hat / (np.sqrt(v_hat) + 1e-8)

    return update


class Flat(nn.Module):
    """The vectors of a row's characters, one behind the other."""

    def forward(self, x: Any) -> Any:
        return x.reshape(x.shape[0], -1)


def character_model(n: int = 32, context: int = 3, dim: int = 10, hidden: int = 200) -> Pair:
    """A step of the character MLP: embedding, batch normalisation, tanh."""
    rng = np.random.default_rng(0)
    X, y = rng.integers(0, 27, (n, context)), rng.integers(0, 27, n)
    model = nn.Sequential(
        nn.Embedding(27, dim, rng=0), Flat(), nn.Linear(context * dim, hidden, bias=False, rng=1),
        nn.BatchNorm1d(hidden), nn.Tanh(), nn.Linear(hidden, 27, rng=2),
    )  # fmt: skip
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    C, W1, gamma, beta, W2, b2 = (p.data.copy() for p in model.parameters())
    mean, var = np.zeros(hidden, np.float32), np.ones(hidden, np.float32)

    @tg.compile
    def step(X: Any, y: Any) -> Any:
        loss = F.cross_entropy(model(X), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    def by_hand() -> float:
        nonlocal C, W1, gamma, beta, W2, b2, mean, var
        rows = np.arange(n)
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
        z = h @ W2 + b2
        z = z - z.max(1, keepdims=True)
        e = np.exp(z)
        s = e.sum(1, keepdims=True)
        loss = (np.log(s[:, 0]) - z[rows, y]).mean()
        dz = e / s
        dz[rows, y] -= 1
        dz /= n
        dW2, db2 = h.T @ dz, dz.sum(0)
        da = dz @ W2.T * (1 - h * h)
        dgamma, dbeta = (da * normed).sum(0), da.sum(0)
        da = gamma * scale / n * (n * da - dbeta - normed * dgamma)
        dW1, dx = x.T @ da, da @ W1.T
        dC = np.zeros_like(C)
        np.add.at(dC, X, dx.reshape(n, context, dim))
        C, W1, W2, b2 = C - 0.1 * dC, W1 - 0.1 * dW1, W2 - 0.1 * dW2, b2 - 0.1 * db2
        gamma, beta = gamma - 0.1 * dgamma, beta - 0.1 * dbeta
        return float(loss)

    return lambda: float(step(X, y)), by_hand


def cross_entropy_alone(n: int, classes: int) -> Pair:
    """Cross-entropy and its gradient by the logits."""
    rng = np.random.default_rng(0)
    z = rng.normal(size=(n, classes)).astype(np.float32)
    y = rng.integers(0, classes, n)
    logits = tg.Tensor(z)

    @tg.compile
    def both(logits: Any, y: Any) -> Any:
        return tg.value_and_grad(lambda z: F.cross_entropy(z, y))(logits)

    def by_hand() -> float:
        rows = np.arange(n)
        shifted = z - z.max(1, keepdims=True)
        e = np.exp(shifted)
        s = e.sum(1, keepdims=True)
        loss = (np.log(s[:, 0]) - shifted[rows, y]).mean()
        dz = e / s
        dz[rows, y] -= 1
        dz /= n
        return float(loss)

    return lambda: float(both(logits, y)[0]), by_hand


CASES: dict[str, tuple[Callable[[], Pair], int]] = {
    # name: (the two to compare, calls a round)
    "4-16-3, 32 rows": (lambda: mlp((4, 16, 3), 32), 500),
    "4-16-3, 32 rows, float64": (lambda: mlp((4, 16, 3), 32, np.float64), 500),
    "4-16-3, 32 rows, Adam": (lambda: mlp((4, 16, 3), 32, adam=True), 300),
    "64-128-10, 128 rows": (lambda: mlp((64, 128, 10), 128), 100),
    "64-128-10, 128 rows, float64": (lambda: mlp((64, 128, 10), 128, np.float64), 100),
    "64-128-10, 128 rows, Adam": (lambda: mlp((64, 128, 10), 128, adam=True), 100),
    "784-512-512-10, 256 rows": (lambda: mlp((784, 512, 512, 10), 256), 3),
    "784-512-512-10, 256 rows, Adam": (lambda: mlp((784, 512, 512, 10), 256, adam=True), 3),
    "characters 10·3-200-27, 32 rows": (character_model, 100),
    "cross-entropy 32×27": (lambda: cross_entropy_alone(32, 27), 500),
    "cross-entropy 1024×1000": (lambda: cross_entropy_alone(1024, 1000), 5),
    "cross-entropy 4096×10000": (lambda: cross_entropy_alone(4096, 10000), 1),
}


def compile_time() -> float:
    """Milliseconds until a 4-16-3 step is compiled, the median of 11."""
    seconds = []
    for _ in range(11):
        ours, _ = mlp((4, 16, 3), 32)
        begin = time.perf_counter()
        ours()
        seconds.append(time.perf_counter() - begin)
    return 1e3 * sorted(seconds)[5]


def measure(name: str) -> None:
    """Print one line of the table, and its numbers as JSON on stderr."""
    make, calls = CASES[name]
    ours, by_hand = make()
    for _ in range(3):
        np.testing.assert_allclose(ours(), by_hand(), rtol=1e-4)
    rounds = 41 if calls > 1 else 11
    a, b, r = ratio(ours, by_hand, calls, rounds)
    print(f"{name:32}{a:12.1f}{b:14.1f}{r:8.2f}", flush=True)
    print(json.dumps({"case": name, "compiled": a, "by hand": b, "ratio": r}), file=sys.stderr)


def main() -> None:
    """Each case in a process of its own, so that none inherits another's heap."""
    print(f"{'':32}{'compiled, µs':>12}{'by hand, µs':>14}{'ratio':>8}", flush=True)
    for name in CASES:
        subprocess.run([sys.executable, __file__, name], check=True)
    print(f"compiling 4-16-3 takes {compile_time():.1f} ms")


if __name__ == "__main__":
    measure(sys.argv[1]) if len(sys.argv) > 1 else main()
