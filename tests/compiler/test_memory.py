"""Where results are put."""

import tracemalloc

import numpy as np
from bits import assert_same_bits
from compiler_helpers import SQUARE, X3, Training, assert_compiles, program_of

import tinygrad_ce as tg
from tinygrad_ce.compiler import memory, passes
from tinygrad_ce.engine import primitives as p


def test_what_was_returned_does_not_change():
    training = Training("Adam", (64, 300, 10))
    step = tg.compile(training.step)
    X, y = training.batch(np.random.default_rng(7), 256)
    first = step(X, y)
    held = [first.data, *training.state()[0], *training.gradients()]
    copies = [a.copy() for a in held]
    for _ in range(3):
        step(X, y)
    assert_same_bits(held, copies)


def test_results_do_not_share_memory_with_arguments():
    X = np.ones((2, 3))
    got = tg.compile(lambda x: (x.T, x, x.reshape(-1)))(X)
    for t in got:
        assert not np.shares_memory(t.data, X)
    X[:] = 5
    assert got[0].data.max() == 1


def peak_of(f):
    """The most memory in use at a time while f runs."""
    tracemalloc.start()
    try:
        f()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_the_first_call_needs_no_more_memory_than_the_eager_step():
    eager, compiled = (Training(sizes=(8, 2000)) for _ in range(2))
    X, y = eager.batch(np.random.default_rng(19), 500)
    step = tg.compile(compiled.step)
    before = peak_of(lambda: eager.step(X, y))
    assert before > 3 * 500 * 2000 * X.itemsize  # of several arrays as large as the logits
    assert peak_of(lambda: step(X, y)) < 1.2 * before


def test_results_are_written_over_operands_that_die_and_never_over_others():
    program = passes.simplify(program_of(lambda x: ((x * 2).exp() + x).tanh(), X3))
    plan = memory.plan_memory(program)
    over = [op.primitive.name for op in program.ops if op in plan.in_place_of]
    assert over == ["exp", "add", "tanh"]
    program = passes.simplify(program_of(lambda x: x.exp() * x, X3))
    plan = memory.plan_memory(program)
    assert all(reused.primitive is not None for reused in plan.in_place_of.values())


def test_buffers_are_shared_by_lifetime():
    def f(x, w):
        for _ in range(6):
            x = x @ w
        return x.sum()

    a = np.ones((200, 200))
    program = passes.simplify(program_of(f, a, a))
    plan = memory.plan_memory(program)
    assert len(plan.buffer) == 6
    assert len(plan.buffers) == 2


def test_large_intermediate_results_lie_in_buffers_and_results_do_not():
    f = tg.compile(lambda x: ((x @ x).tanh() @ x).sum(0))
    x = np.random.default_rng(13).normal(size=(300, 300))
    first = f(x)
    assert "buffer_1 = np.empty((300, 300), np.float64)" in f.source
    held = first.data.copy()
    f(x * 2)
    assert_same_bits(first, held)
    assert_same_bits(first, ((tg.Tensor(x) @ x).tanh() @ x).sum(0))


def test_nothing_is_written_over_what_another_operand_shares_memory_with():
    program = passes.simplify(program_of(lambda x: x.exp() + x.exp().T, SQUARE))
    (total,) = (op for op in program.ops if op.primitive is p.add)
    assert total not in memory.plan_memory(program).in_place_of
    assert_compiles(lambda x: x.exp() + x.exp().T, SQUARE)
