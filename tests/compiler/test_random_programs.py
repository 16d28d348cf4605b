"""Random programs: compiled, each has the bits of the eager one."""

import os

import numpy as np
import pytest
from bits import assert_same_bits
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_ce as tg
from tinygrad_ce import functional as F
from tinygrad_ce.compiler import memory, row_blocks

EXAMPLES = int(os.environ.get("RANDOM_GRAPHS") or 0)  # see conftest.py

UNARY = [
    np.tanh, np.exp, np.negative, np.abs, np.sin, lambda t: t.sigmoid(), lambda t: t.relu(),
    lambda t: t * t, lambda t: t - t, lambda t: t.T, lambda t: t.reshape(-1), lambda t: t.sum(),
    lambda t: t.mean(-1, keepdims=True) if t.ndim else t, lambda t: t[..., ::-1] if t.ndim else t,
    lambda t: t.broadcast_to((2, *t.shape)) if t.ndim < 2 else t, lambda t: t.max(),
    lambda t: t.detach(), lambda t: t.astype(np.float32), F.softmax, F.log_softmax, F.logsumexp,
    lambda t: t[np.array([1, 0, 1])] if t.ndim and t.shape[0] > 1 else t, lambda t: 2 / (t + 3),
    lambda t: t.clip(-0.5, 0.5), lambda t: np.where(t > 0, t, -0.0), lambda t: t**2,
    lambda t: t.expand_dims(0) if t.ndim < 3 else t, lambda t: np.ones(3) * t.mean(),
]  # fmt: skip


BINARY = [np.add, np.subtract, np.multiply, np.maximum, lambda a, b: np.where(a < b, a, b)]


def composed(choices):
    """A function of two Tensors that a list of numbers spells out, and that returns three."""

    def f(x, y):
        pool = [x, y]
        for kind, i, j in choices:
            a, b = pool[i % len(pool)], pool[j % len(pool)]
            if kind < len(UNARY):
                needs_axis = UNARY[kind] in (F.softmax, F.log_softmax, F.logsumexp)
                pool.append(UNARY[kind](a) if a.ndim or not needs_axis else a)
            else:
                try:
                    np.broadcast_shapes(a.shape, b.shape)
                except ValueError:
                    continue
                pool.append(BINARY[kind - len(UNARY)](a, b))
        loss = sum(((t * t).mean() for t in pool[2:]), x.sum())
        return loss, pool[-1], pool[len(pool) // 2]

    return f


@settings(max_examples=EXAMPLES or 100, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, len(UNARY) + len(BINARY) - 1), st.integers(0), st.integers(0)),
        min_size=1,
        max_size=12,
    ),
    st.sampled_from([np.float32, np.float64]),
    st.sampled_from([None, 8, 16, 40]),
)
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_any_program_and_its_gradient(choices, dtype, block):
    f = composed(choices)

    def both(x, y):
        return f(x, y), tg.grad(lambda x, y: f(x, y)[0], (0, 1))(x, y)

    compiled = tg.compile(both)
    rng = np.random.default_rng(0)
    with pytest.MonkeyPatch.context() as patch:
        if block is not None:  # in loops, whatever the size
            patch.setattr(row_blocks, "LARGE", 0)
            patch.setattr(row_blocks, "BLOCK", block)
            patch.setattr(memory, "LARGE", 0)
        for _ in range(2):
            x, y = rng.normal(size=(3, 4)).astype(dtype), rng.normal(size=4).astype(dtype)
            assert_same_bits(compiled(x, y), both(tg.Tensor(x), tg.Tensor(y)))
