"""What is measured: the pieces of work by name, with their data and first weights.

Weights, rows and labels are made here, in NumPy, and are the same for all competitors. Each row of
a training set comes twice, with two labels, so that no amount of training makes the gradients
vanish into numbers that some processors take many times as long for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from tinygrad_ce import data

Array = NDArray[Any]
LR, ADAM_LR, BETA1, BETA2, EPS = 0.1, 1e-3, 0.9, 0.999, 1e-8


@dataclass(frozen=True)
class Training:
    """Steps of SGD or Adam: an MLP with tanh, mean cross-entropy, all rows at once."""

    X: Array
    y: Array
    weights: list[Array]  # W, b of each layer
    adam: bool


@dataclass(frozen=True)
class Characters:
    """Steps of SGD on the character MLP: embedding, linear, batch normalization, tanh, linear."""

    X: Array  # (n, context), characters
    y: Array
    embedding: Array
    W1: Array
    W2: Array
    b2: Array

    @property
    def hidden(self) -> int:
        """The units that are normalized; γ is 1 and β is 0 at first."""
        return len(self.W2)


@dataclass(frozen=True)
class CrossEntropy:
    """The mean cross-entropy, and its gradient by the logits."""

    logits: Array
    y: Array


@dataclass(frozen=True)
class Chain:
    """x ← x·1.0001 + a, so many times, and the derivatives by the first x and by a."""

    times: int
    x: float = 1.0
    a: float = 0.5
    factor: float = 1.0001


@dataclass(frozen=True)
class Fit:
    """A whole training by Adam, from the first weights to the accuracy on rows held out."""

    X: Array
    y: Array
    X_test: Array
    y_test: Array
    weights: list[Array]
    epochs: int = 30
    batch_size: int = 32
    checked_epochs: int = 3


@dataclass(frozen=True)
class Job:
    """What a competitor makes of a piece of work.

    Attributes
    ----------
    step
        What is timed. It returns numbers, or arrays of them: a loss, with gradients where they
        are what is asked for.
    check
        What must come out alike, where it is not what the step returns.
    """

    step: Callable[[], Any]
    check: Callable[[], Any] | None = None


@dataclass(frozen=True)
class Work:
    """A piece of work.

    Attributes
    ----------
    title
        What it is, in words.
    kind
        The function of a competitor's module that does it.
    make
        Makes its data.
    checked
        How many calls must agree before any is timed.
    rtol
        How far they may be apart.
    nodes
        Of the graph, where the time for each is of interest.
    memory
        Whether the peak memory is of interest, in units of the logits.
    """

    title: str
    kind: str
    make: Callable[[], Any]
    checked: int = 1
    rtol: float = 1e-9
    nodes: int | None = None
    memory: bool = False


# ── Their data ────────────────────────────────────────────────────────────────────────────────────


def mlp_weights(sizes: Sequence[int], dtype: DTypeLike) -> list[Array]:
    """W and b of each layer, uniform in ±1/√n_in."""
    rng = np.random.default_rng(0)
    shapes = [shape for n_in, n_out in pairwise(sizes) for shape in ((n_in, n_out), (n_out,))]
    bounds = [1 / np.sqrt(n_in) for n_in in sizes[:-1] for _ in range(2)]
    return [
        rng.uniform(-bound, bound, shape).astype(dtype)
        for bound, shape in zip(bounds, shapes, strict=True)
    ]


def training(
    sizes: Sequence[int], n: int, dtype: DTypeLike = np.float32, adam: bool = False
) -> Training:
    """Normal rows, and labels that they say nothing of."""
    rng = np.random.default_rng(1)
    X = rng.normal(size=(n // 2, sizes[0])).astype(dtype)
    return Training(
        np.concatenate([X, X]), _two_labels(rng, n, sizes[-1]), mlp_weights(sizes, dtype), adam
    )


def characters(n: int = 32, context: int = 3, dim: int = 10, hidden: int = 200) -> Characters:
    """Rows of 27 characters."""
    rng = np.random.default_rng(0)
    X = rng.integers(0, 27, (n // 2, context))
    W1, _ = mlp_weights((context * dim, hidden), np.float32)
    W2, b2 = mlp_weights((hidden, 27), np.float32)
    embedding = rng.standard_normal((27, dim)).astype(np.float32)
    return Characters(np.concatenate([X, X]), _two_labels(rng, n, 27), embedding, W1, W2, b2)


def cross_entropy(n: int, classes: int) -> CrossEntropy:
    """Normal logits."""
    rng = np.random.default_rng(0)
    logits = rng.standard_normal((n, classes), np.float32)
    return CrossEntropy(logits, rng.integers(0, classes, n))


def fit() -> Fit:
    """The digits, with a fifth of the rows held out."""
    X, y, names = data.digits()
    X = (X / 16).astype(np.float32)
    X, X_test, y, y_test = data.train_test_split(X, y, test_size=0.2)
    return Fit(X, y, X_test, y_test, mlp_weights((X.shape[1], 128, len(names)), X.dtype))


def _two_labels(rng: np.random.Generator, n: int, classes: int) -> Array:
    y = rng.integers(0, classes, n // 2)
    return np.concatenate([y, (y + 1) % classes])


# ── All of it ─────────────────────────────────────────────────────────────────────────────────────


def _steps() -> dict[str, Work]:
    def step(sizes: Sequence[int], n: int, dtype: DTypeLike, adam: bool) -> Work:
        rule, exact = ("Adam" if adam else "SGD"), np.dtype(dtype) == np.float64
        return Work(
            f"a step of {rule} on {'-'.join(map(str, sizes))}, {n} rows, {np.dtype(dtype)}",
            "training",
            partial(training, sizes, n, dtype, adam),
            checked=5,
            rtol=1e-9 if exact else 1e-4,
        )

    steps = {}
    for sizes, n in (((4, 16, 3), 32), ((64, 128, 10), 128), ((784, 512, 512, 10), 256)):
        name = f"step-{'-'.join(map(str, sizes))}"
        steps[f"{name}-float32"] = step(sizes, n, np.float32, False)
        if n < 256:
            steps[f"{name}-float64"] = step(sizes, n, np.float64, False)
        steps[f"{name}-adam"] = step(sizes, n, np.float32, True)
    return steps


def _cross_entropies() -> dict[str, Work]:
    return {
        f"cross-entropy-{n}x{classes}": Work(
            f"cross-entropy of {n}×{classes} logits and its gradient, float32",
            "cross_entropy",
            partial(cross_entropy, n, classes),
            checked=2,
            rtol=1e-4,
            memory=n > 1024,  # less is lost in what libraries take for themselves
        )
        for n, classes in ((32, 27), (1024, 1000), (4096, 10000))
    }


def _chain(name: str, title: str, kind: str, *sizes: int) -> dict[str, Work]:
    return {
        f"{name}-{n}": Work(title.format(n), kind, partial(Chain, n // 2), nodes=n) for n in sizes
    }


COMPILE_CHAIN = "compiling a chain of {:,} scalars, with its first call"
WORK: dict[str, Work] = {
    **_steps(),
    "characters": Work(
        "a step of SGD on characters 10·3-200-27, 32 rows, float32",
        "characters",
        characters,
        checked=5,
        rtol=1e-4,
    ),
    **_cross_entropies(),
    **_chain("chain", "a chain of {:,} scalars", "chain", 1000, 10_000, 100_000, 1_000_000),
    **_chain("compiled-chain", "a compiled chain of {:,} scalars", "compiled_chain", 1000),
    "compile-4-16-3": Work(
        "compiling the step of SGD on 4-16-3, with its first call",
        "compiling",
        partial(training, (4, 16, 3), 32),
        rtol=1e-4,
    ),
    **_chain("compile-chain", COMPILE_CHAIN, "compiling_chain", 1000, 10_000),
    **_chain("compile-chain", COMPILE_CHAIN, "compiling_long_chain", 100_000),  # minutes for XLA
    "fit-digits": Work(
        "digits, 64-128-10, Adam, 30 epochs in batches of 32, float32", "fit", fit, rtol=1e-3
    ),
}
"""The pieces of work by name."""


def chosen(names: Sequence[str] | None) -> dict[str, Work]:
    """The pieces of work with these names, or whose names begin so, up to a dash.

    Raises
    ------
    KeyError
        With the first name that is none of them.
    """
    if names is None:
        return WORK
    found: set[str] = set()
    for name in names:
        of_name = {other for other in WORK if f"{other}-".startswith(f"{name}-")}
        if not of_name:
            raise KeyError(name)
        found |= of_name
    return {name: work for name, work in WORK.items() if name in found}
