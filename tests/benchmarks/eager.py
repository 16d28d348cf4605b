"""How the eager engine compares: ratios of interleaved runs, medians over many rounds.

Run as ``OMP_NUM_THREADS=1 python tests/benchmarks/eager.py``. Micrograd is measured where it is
installed.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np

import tinygrad_ce as tg
from tinygrad_ce import functional as F
from tinygrad_ce import nn, optim

Step = Callable[[], object]


def ratio(ours: Step, theirs: Step, calls: int, rounds: int = 41) -> tuple[float, float, float]:
    """Medians: microseconds a call of each, and of the ratio of the two, round by round."""
    seconds: list[tuple[float, float]] = []
    for _ in range(rounds):
        pair = []
        for step in (ours, theirs):
            begin = time.perf_counter()
            for _ in range(calls):
                step()
            pair.append((time.perf_counter() - begin) / calls)
        seconds.append((pair[0], pair[1]))
    a, b = (1e6 * statistics.median(column) for column in zip(*seconds, strict=True))
    return a, b, statistics.median(x / y for x, y in seconds)


def training_step(
    sizes: tuple[int, int, int], n: int, dtype: type[np.floating]
) -> tuple[Step, Step]:
    """One step of gradient descent on an MLP: with this package, and written out in NumPy."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, sizes[0])).astype(dtype)
    y = rng.integers(0, sizes[-1], n)
    model = nn.MLP(sizes, rng=0, dtype=dtype)
    sgd = optim.SGD(model.parameters(), lr=0.1)
    params = [p.data.copy() for p in model.parameters()]
    rows = np.arange(n)

    def ours() -> float:
        loss = F.cross_entropy(model(X), y)
        sgd.zero_grad()
        loss.backward()
        sgd.step()
        return float(loss)

    def by_hand() -> float:
        W1, b1, W2, b2 = params
        h = np.tanh(X @ W1 + b1)
        z = h @ W2 + b2
        z = z - z.max(1, keepdims=True)
        e = np.exp(z)
        s = e.sum(1, keepdims=True)
        loss = (np.log(s[:, 0]) - z[rows, y]).mean()
        dz = e / s
        dz[rows, y] -= 1
        dz /= n
        da = dz @ W2.T * (1 - h * h)
        gradients = X.T @ da, da.sum(0), h.T @ dz, dz.sum(0)
        for i, g in enumerate(gradients):
            params[i] = params[i] - 0.1 * g
        return float(loss)

    for _ in range(3):
        assert np.isclose(ours(), by_hand(), rtol=1e-4)
    return ours, by_hand


def scalar_chain(n: int) -> tuple[Step, Step]:
    """x = x * 1.0001 + a, n times, forward and backward: with this package and with micrograd."""
    from micrograd.engine import Value

    def chain(x: object, a: object) -> None:
        for _ in range(n):
            x = x * 1.0001 + a  # type: ignore[operator]
        x.backward()  # type: ignore[attr-defined]

    def ours() -> None:
        chain(tg.Tensor(1.0, requires_grad=True), tg.Tensor(0.5, requires_grad=True))

    def micrograd() -> None:
        chain(Value(1.0), Value(0.5))

    return ours, micrograd


CASES: dict[str, tuple[Callable[[], tuple[Step, Step]], int, int]] = {
    # name: (the two to compare, calls a round, nodes a call)
    "step 4-16-3, 32 rows, float32": (lambda: training_step((4, 16, 3), 32, np.float32), 200, 1),
    "step 4-16-3, 32 rows, float64": (lambda: training_step((4, 16, 3), 32, np.float64), 200, 1),
    "step 64-128-10, 128, float32": (lambda: training_step((64, 128, 10), 128, np.float32), 50, 1),
    "step 64-128-10, 128, float64": (lambda: training_step((64, 128, 10), 128, np.float64), 50, 1),
    "step 784-512-10, 256, float32": (lambda: training_step((784, 512, 10), 256, np.float32), 2, 1),
    "scalar chain, a node": (lambda: scalar_chain(400), 5, 800),
}


def main() -> None:
    """Each case in a process of its own, so that none inherits another's heap."""
    print(f"{'':32}{'ours, µs':>10}{'theirs, µs':>12}{'ratio':>8}", flush=True)
    for name in CASES:
        subprocess.run([sys.executable, __file__, name], check=True)


def measure(name: str) -> None:
    make, calls, nodes = CASES[name]
    try:
        a, b, r = ratio(*make(), calls=calls)
    except ModuleNotFoundError as missing:
        print(f"{name:32}  {missing}")
    else:
        print(f"{name:32}{a / nodes:10.2f}{b / nodes:12.2f}{r:8.2f}")


if __name__ == "__main__":
    measure(sys.argv[1]) if len(sys.argv) > 1 else main()
