"""What the tests of the compiler share: a training step, and what checks a function."""

import numpy as np
from bits import assert_same_bits

import tinygrad_ce as tg
from tinygrad_ce import functional as F
from tinygrad_ce import nn, optim
from tinygrad_ce.compiler.ir import lower
from tinygrad_ce.compiler.recorder import record

X3 = np.array([1.0, 2.0, 3.0])
SQUARE = np.random.default_rng(0).normal(size=(8, 8))


OPTIMIZERS = {
    "SGD": lambda params: optim.SGD(params, lr=0.1),
    "momentum": lambda params: optim.SGD(params, lr=0.1, momentum=0.9, weight_decay=1e-3),
    "Adam": lambda params: optim.Adam(params, lr=0.01),
    "AdamW": lambda params: optim.AdamW(params, lr=0.01),
}


class Training:
    """A model, its optimizer and a step, to be run eagerly or compiled."""

    def __init__(self, optimizer="SGD", sizes=(4, 16, 3), activation="tanh", dtype=np.float32):
        self.sizes, self.dtype = sizes, dtype
        self.model = nn.MLP(sizes, activation, rng=0, dtype=dtype)
        self.optimizer = OPTIMIZERS[optimizer](self.model.parameters())

    def step(self, X, y):
        loss = F.cross_entropy(self.model(X), y)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss

    def batch(self, rng, n=32):
        X = rng.normal(size=(n, self.sizes[0])).astype(self.dtype)
        return X, rng.integers(0, self.sizes[-1], n)

    def state(self):
        slots = [getattr(self.optimizer, name) for name in self.optimizer.per_parameter_state]
        return [p.data for p in self.model.parameters()], slots

    def gradients(self):
        return [p.grad for p in self.model.parameters()]


def assert_compiles(f, *arrays):
    """Check that a function of arrays has the bits of the eager one; return the source."""
    compiled = tg.compile(f)
    for moved in (arrays, [a + a.dtype.type(1) if a.dtype.kind == "f" else a for a in arrays]):
        results = f(*map(tg.Tensor, moved))
        results = results if isinstance(results, tuple) else (results,)
        got = compiled(*moved)
        assert_same_bits(got if isinstance(got, tuple) else (got,), results)
    return compiled.source


def program_of(f, *arrays):
    tensors = [tg.Tensor(a) for a in arrays]
    recording = record(f, tensors, tensors, {})
    results = recording.result if isinstance(recording.result, tuple) else (recording.result,)
    return lower(recording, list(results), lambda leaf: True)


def names_in(program):
    return [op.primitive.name for op in program.ops if op.primitive is not None]
